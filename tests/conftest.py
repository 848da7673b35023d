"""How the tests run: a coroutine function is a test in both modes, in the async mode on asyncio's loop.

    async def test_…                          runs twice, async and sync: what it claims is true in both modes
    @pytest.mark.asynchronous                 the claim is about the async mode
    @pytest.mark.loops                        async, on each kind of loop: asyncio, uvloop, debug mode, eager tasks
    @pytest.mark.engine("postgresql")         the claim is about this engine
    @pytest.mark.session                      the claim needs a session of its own: not on PgBouncer in transaction mode
    @pytest.mark.direct                       the claim is about the server's own connections: not on PgBouncer

In the async mode each test has a loop of its own, and afterwards no connection may be in use.
"""

import asyncio
import inspect
import logging
import os
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import django
import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.apps import apps
from django.db import connections, transaction
from django.test import override_settings
from django.test.utils import setup_databases, setup_test_environment, teardown_databases, teardown_test_environment

import vinyl
from tests import settings
from tests.aliases import through
from tests.private_pgbouncer import end_sessions
from tests.proxy import Proxy
from vinyl.plans import shapes

LOOPS = ["asyncio", "uvloop", "debug", "eager"]


def pytest_configure(config: pytest.Config) -> None:
    for marker in (
        "asynchronous: only in the async mode",
        "loops: on each kind of event loop",
        "engine(*names): only on",
        "session: not on PgBouncer in transaction mode",
        "direct: not on PgBouncer",
    ):
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run coroutine functions in both modes, or on each loop."""
    if not inspect.iscoroutinefunction(metafunc.function):
        return
    metafunc.fixturenames.append("how")
    if metafunc.definition.get_closest_marker("loops"):
        metafunc.parametrize("how", LOOPS)
    elif metafunc.definition.get_closest_marker("asynchronous"):
        metafunc.parametrize("how", ["async"])
    else:
        metafunc.parametrize("how", ["async", "sync"])


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("engine")
    if marker is not None and settings.ENGINE not in marker.args:
        pytest.skip(f"not on {settings.ENGINE}")
    if settings.POOL_MODE == "transaction" and item.get_closest_marker("session"):
        pytest.skip("not on PgBouncer in transaction mode")
    if settings.POOL_MODE and item.get_closest_marker("direct"):
        pytest.skip("not on PgBouncer")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    how = pyfuncitem.callspec.params["how"]
    if how == "sync":
        with vinyl.sync_mode():
            vinyl.portable(pyfuncitem.obj)(**arguments)
    else:
        run_on_loop(how, lambda: pyfuncitem.obj(**arguments))
    return True


def run_on_loop(how: str, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a loop of the kind, and see that it leaves all connections in their pools."""

    async def main() -> None:
        if how == "eager":
            asyncio.get_running_loop().set_task_factory(eager_task_factory())
        await test()
        for alias in vinyl.connections:
            assert vinyl.connections[alias].statistics()["pool_in_use"] == 0

    factory = None
    if how == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(debug=how == "debug", loop_factory=factory) as runner:
        runner.run(main())


def eager_task_factory() -> Any:
    if not hasattr(asyncio, "eager_task_factory"):
        pytest.skip("not on Python 3.11, which has no eager tasks")
    return asyncio.eager_task_factory


@pytest.fixture(scope="session", autouse=True)
def databases() -> Iterator[None]:
    """Create the test databases as Django's test runner does, and drop them."""
    setup_test_environment()
    config = setup_databases(verbosity=0, interactive=False, aliases=["default", "other"])
    yield
    if settings.POOL_MODE:
        for alias in ["default", "other"]:
            connections[alias].close()
        end_sessions(os.environ["VINYL_TEST_URL"], *(connections[each].settings_dict["NAME"] for each in connections))
    teardown_databases(config, verbosity=0)
    teardown_test_environment()


@pytest.fixture
def nothing_known() -> Iterator[None]:
    """Let no shape of a query be known as the test begins, and have plans be used as by default."""
    shapes.forget()
    with override_settings(VINYL={}):
        yield
    shapes.forget()


@pytest.fixture
def types_of_fields() -> Iterator[None]:
    """Leave the tables of the application empty."""
    yield
    for model in apps.get_app_config("types_of_fields").get_models():
        model._default_manager.all().delete()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The waits of PostgreSQL's connections for an answer, each of which is a round trip."""
    from vinyl.drivers.postgresql.waiting import Waiter

    begun: list[Any] = []
    begin = Waiter.begin

    def noted(self: Waiter, generator: Any, state: int) -> Any:
        begun.append(generator)
        return begin(self, generator, state)

    monkeypatch.setattr(Waiter, "begin", noted)
    return begun


@pytest.fixture(autouse=True)
def clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave the tables of the applications empty."""
    yield
    if "db" in request.fixturenames:
        for alias in connections:
            empty(alias, "library")
    if "kinds" in request.fixturenames:
        empty("default", "kinds")


def empty(alias: str, label: str) -> None:
    """Delete all rows, of all tables at once, since they refer to each other. Most have none."""
    with connections[alias].cursor() as cursor:
        written = [table for table in reversed(tables(alias, label)) if has_rows(cursor, table)]
        if written:
            with connections[alias].constraint_checks_disabled(), transaction.atomic(using=alias):
                for table in written:
                    cursor.execute(f"DELETE FROM {table}")


def has_rows(cursor: Any, table: str) -> bool:
    cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
    return cursor.fetchone() is not None


@cache
def tables(alias: str, label: str) -> list[str]:
    """Return the quoted names of an application's tables, each before those that refer to it."""
    quoted = connections[alias].ops.quote_name
    models = apps.get_app_config(label).get_models(include_auto_created=True)
    return list(dict.fromkeys(quoted(model._meta.db_table) for model in models))


@pytest.fixture
def db() -> None:
    """Ask for the databases: what the test writes is removed afterwards."""


@pytest.fixture
def kinds(db: None) -> None:
    """As db, for the tables of tests.kinds too, in the default database."""


@pytest.fixture
def no_queries() -> Callable[[], AbstractContextManager[None]]:
    """A block in which no query is executed."""

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> None:
        pytest.fail(f"a query was executed: {sql}")

    return lambda: vinyl.connection.execute_wrapper(refuse)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged, by anybody, as long as it is DEBUG or more."""
    for name in [None, *logging.root.manager.loggerDict]:
        caplog.set_level(logging.DEBUG, logger=name)
    with override_settings(DEBUG=True):
        yield caplog


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of the server of the default database."""
    server = settings.DATABASES["default"]
    with Proxy(server["HOST"], server["PORT"]) as proxy:
        yield proxy


@pytest.fixture
def proxied(db: None, proxy: Proxy) -> Iterator[str]:
    """An alias of the default database whose connections go through the proxy, which can read what is sent."""
    with through(proxy, {"ssl_mode": "DISABLED"} if settings.ENGINE == "mysql" else None) as alias:
        yield alias


@pytest.fixture
def marker() -> str:
    """What nobody else's statement has in it."""
    return str(uuid.uuid4())
