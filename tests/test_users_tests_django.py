"""The tests of a user's project by Django's own runner: they go on unchanged, and see what vinyl does."""

import pytest

from tests import settings
from tests.debian_packages import CannotUnpack
from tests.mysql_programs import path_with_them
from tests.users_projects import run_django

pytestmark = pytest.mark.direct

TESTCASE, TRANSACTIONS, VINYL_TESTCASE = map(
    "tests.users_tests.suite_{}".format, ["testcase", "transactions", "vinyl_testcase"]
)


@pytest.fixture(params=["in memory", "in files"] if settings.ENGINE == "sqlite" else ["on a server"])
def environment(request, tmp_path):
    """Where the test databases are."""
    return {"VINYL_TEST_USERS_FILES": str(tmp_path)} if request.param == "in files" else {}


def test_suites_of_each_kind_pass_in_any_order(environment):
    assert run_django(TRANSACTIONS, TESTCASE, VINYL_TESTCASE, "--shuffle", environment=environment) > 40


@pytest.fixture
def copying(tmp_path):
    """Where Django finds the programs by which it copies databases."""
    if settings.ENGINE not in ("mariadb", "mysql"):
        return {}
    try:
        return {"PATH": path_with_them(tmp_path)}
    except CannotUnpack as error:
        pytest.skip(f"Neither are mysqldump and mysql installed, nor can they be unpacked. {error}")


def test_parallel_runs_pass(environment, copying):
    suites = [TESTCASE, TRANSACTIONS, VINYL_TESTCASE]
    assert run_django(*suites, "--parallel", "2", environment={**environment, **copying}) > 40


def test_a_database_that_is_kept_can_be_used_again(tmp_path):
    files = {"VINYL_TEST_USERS_FILES": str(tmp_path)}
    assert run_django(VINYL_TESTCASE, "--keepdb", environment=files) == run_django(VINYL_TESTCASE, environment=files)
