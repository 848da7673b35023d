"""The tests of a user's project by pytest, with pytest-django and either asynchronous plug-in; and vinyl's plug-in."""

import pytest

from tests import settings
from tests.users_projects import run_pytest

pytestmark = pytest.mark.direct
pytest_plugins = ["pytester"]

SUITE = "tests/users_tests/suite_{}.py".format
ALL = ["transactions", "pytest_asyncio", "testcase", "anyio", "vinyl_testcase"]


@pytest.fixture(params=["in memory", "in files"] if settings.ENGINE == "sqlite" else ["on a server"])
def environment(request, tmp_path):
    """Where the test databases are."""
    return {"VINYL_TEST_USERS_FILES": str(tmp_path)} if request.param == "in files" else {}


def test_suites_of_each_kind_pass_one_after_the_other(environment):
    assert run_pytest(*map(SUITE, ALL), environment=environment) > 50


def test_suites_pass_by_xdist(environment):
    assert run_pytest(*map(SUITE, ALL), "-n", "2", environment=environment) > 50


def test_a_loop_of_the_session_for_all_tests(environment):
    loops = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session"]
    assert run_pytest(SUITE("pytest_asyncio"), *loops, environment=environment) > 10


# The plug-in.


def test_the_plug_in_imports_neither_django_nor_vinyl_where_they_are_not_used(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_imported(request):
            assert request.config.pluginmanager.hasplugin("vinyl")
            assert [name for name in sys.modules if name.split(".")[0] in ("django", "vinyl", "greenlet")] == []
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:django", "-p", "no:randomly")
    result.assert_outcomes(passed=1)


def test_the_plug_in_explains_its_fixtures(pytester):
    result = pytester.runpytest_subprocess("--fixtures", "-p", "no:django")
    for name in ("vinyl_async_mode", "vinyl_sync_mode", "vinyl_capture_on_commit_callbacks"):
        result.stdout.fnmatch_lines([f"{name} -- *pytest_vinyl.py:*", "    *"])


def test_the_mode_is_put_back_after_a_test_that_fails(pytester):
    pytester.makepyfile(
        """
        import vinyl

        def test_fails(vinyl_sync_mode):
            assert vinyl.is_async()

        def test_passes():
            assert vinyl.is_async()
        """
    )
    pytester.runpytest_subprocess("-p", "no:django").assert_outcomes(passed=1, failed=1)
