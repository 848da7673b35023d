"""Servers that cannot be reached: refused, unanswered, silent, full.

The error comes in time and names the database, never the password; nobody hangs, and others are served meanwhile.
"""

import asyncio
import time
import traceback
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

import vinyl
from tests import settings
from tests.aliases import counts, database, through
from tests.library.models import Author
from tests.proxy import black_hole
from tests.server_connections import own_number
from tests.wholeness import assert_answers_are_not_mixed_up
from vinyl import PoolTimeout, TooManyRequests, transaction
from vinyl.drivers.postgresql import CANCEL_TIMEOUT

pytestmark = [
    pytest.mark.engine("postgresql", "mariadb", "mysql"),
    pytest.mark.usefixtures("db"),
    pytest.mark.asynchronous,
]

PASSWORD = "sesame, open"
# What is raised at once, and what is raised after the pool's timeout.
ERRORS = {"refused": OperationalError, "unanswered": PoolTimeout, "silent": PoolTimeout}
# Seconds in which all this is over, however slow the machine is; less than a pool's timeout by default.
SOON = 10


@contextmanager
def unreachable(proxy, fault, **pool):
    """An alias of a server that cannot be reached, and a password for it."""
    pool = {"timeout": SOON if fault == "refused" else 0.2, **pool}
    if fault == "unanswered":
        with black_hole() as port, database(pool=pool, HOST="127.0.0.1", PORT=str(port), PASSWORD=PASSWORD) as alias:
            yield alias
        return
    with through(proxy, pool=pool, PASSWORD=PASSWORD) as alias:
        proxy.refuse() if fault == "refused" else proxy.freeze()
        yield alias


async def error_of(awaitable):
    with pytest.raises(OperationalError) as caught:
        await awaitable
    return caught.value


@pytest.mark.loops
@pytest.mark.parametrize("fault", ERRORS)
async def test_a_server_that_cannot_be_reached_raises_in_time_and_names_the_database(proxy, fault):
    with unreachable(proxy, fault) as alias:
        started = time.monotonic()
        error = await error_of(Author.vinyl.using(alias).count())
        assert time.monotonic() - started < SOON
        assert type(error) is ERRORS[fault]
        said = "".join(traceback.format_exception(error))
        assert repr(alias) in said
        assert PASSWORD not in said
        assert counts(alias, "pool_size", "connections_errors", "requests_errors") == (0, 1, 1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_server_that_falls_silent_while_a_connection_is_opened_raises_in_time(proxy):
    def fall_silent(connection, **kwargs):
        if connection.alias == alias:
            proxy.freeze()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")

    connection_created.connect(fall_silent)
    try:
        with through(proxy, pool={"timeout": 1}) as alias:
            started = time.monotonic()
            assert type(await error_of(Author.vinyl.using(alias).count())) is PoolTimeout
            # Not by what a statement is given to be cancelled: nobody has this connection yet.
            assert time.monotonic() - started < CANCEL_TIMEOUT
    finally:
        connection_created.disconnect(fall_silent)


@pytest.mark.parametrize("fault", ERRORS)
async def test_a_transaction_on_a_server_that_cannot_be_reached_is_not_begun(proxy, fault):
    reached = []
    with unreachable(proxy, fault) as alias:
        with pytest.raises(ERRORS[fault]):
            async with transaction.atomic(using=alias):
                reached.append("the block")
        with pytest.raises(ERRORS[fault]):
            async with vinyl.connections[alias].hold():
                reached.append("the block")
    assert reached == []


@pytest.mark.parametrize("fault", ERRORS)
async def test_while_a_server_cannot_be_reached_others_are_served(proxy, fault):
    with unreachable(proxy, fault, timeout=2 * SOON) as alias:
        waiting = [asyncio.create_task(error_of(own_number(alias))) for _ in range(20)]
        async with asyncio.timeout(SOON):
            await assert_answers_are_not_mixed_up(50)
            await Author.vinyl.using("other").create(name="x")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert counts(alias, "pool_size", "requests_waiting") == (0, 0)


@pytest.mark.parametrize("fault", ERRORS)
@pytest.mark.parametrize("size", [1, 3])
async def test_of_many_who_wait_while_connecting_fails_each_gets_an_error_of_its_own(proxy, fault, size):
    with unreachable(proxy, fault, max_size=size) as alias:
        started = time.monotonic()
        errors = await asyncio.gather(*(error_of(own_number(alias)) for _ in range(20)))
        assert time.monotonic() - started < SOON
        assert {type(error) for error in errors} == {ERRORS[fault]}
        assert len(set(map(id, errors))) == 20
        assert counts(alias, "pool_size", "requests_waiting", "requests_errors") == (0, 0, 20)


@pytest.mark.parametrize("method", ["refuse", "freeze"])
async def test_after_the_server_is_back_the_next_statement_succeeds(proxy, proxied, method):
    await own_number(proxied)
    getattr(proxy, method)()
    proxy.cut()
    for _ in range(2):
        with pytest.raises((OperationalError, TimeoutError)):
            async with asyncio.timeout(0.2):
                await own_number(proxied)
    proxy.accept() if method == "refuse" else proxy.thaw()
    await assert_answers_are_not_mixed_up(20, proxied)


async def test_a_server_that_comes_back_in_time_is_waited_for(proxy, proxied):
    proxy.freeze()
    waiting = [asyncio.create_task(own_number(proxied)) for _ in range(20)]
    await asyncio.to_thread(proxy.wait_until, lambda: proxy.connections == 10)
    proxy.thaw()
    assert len(await asyncio.gather(*waiting)) == 20


async def test_who_fails_to_connect_in_a_pool_of_one_wakes_the_next(proxy):
    with through(proxy, pool={"max_size": 1}) as alias:
        proxy.freeze()
        first = asyncio.create_task(error_of(own_number(alias)))
        await asyncio.to_thread(proxy.wait_until, lambda: proxy.connections == 1)
        others = [asyncio.create_task(own_number(alias)) for _ in range(3)]
        while counts(alias, "requests_waiting") != (3,):
            await asyncio.sleep(0)
        proxy.cut()
        await first
        proxy.thaw()
        assert len(set(await asyncio.gather(*others))) == 1
        assert counts(alias, "connections_num", "connections_errors", "pool_size") == (2, 1, 1)


async def test_who_is_cancelled_as_it_connects_in_a_pool_of_one_wakes_the_next(proxy):
    with through(proxy, pool={"max_size": 1}) as alias:
        proxy.freeze()
        first = asyncio.create_task(own_number(alias))
        await asyncio.to_thread(proxy.wait_until, lambda: proxy.connections == 1)
        second = asyncio.create_task(own_number(alias))
        while counts(alias, "requests_waiting") != (1,):
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        proxy.thaw()
        assert await second
        assert counts(alias, "pool_size", "pool_in_use") == (1, 0)


async def test_a_limit_of_waiters_holds_while_connecting_hangs(proxy):
    with unreachable(proxy, "silent", max_size=1, max_waiting=2) as alias:
        errors = await asyncio.gather(*(error_of(own_number(alias)) for _ in range(5)))
        assert [type(error) for error in errors].count(TooManyRequests) == 2
        assert [type(error) for error in errors].count(PoolTimeout) == 3


# A server that is full.

CREATE_USER = {
    "postgresql": ["CREATE ROLE {user} LOGIN CONNECTION LIMIT 2"],
    "mariadb": ["CREATE USER {user} WITH MAX_USER_CONNECTIONS 2", "GRANT SELECT ON *.* TO {user}"],
    "mysql": ["CREATE USER {user} WITH MAX_USER_CONNECTIONS 2", "GRANT SELECT ON *.* TO {user}"],
}
DROP_USER = {"postgresql": "DROP ROLE {user}", "mariadb": "DROP USER {user}", "mysql": "DROP USER {user}"}


@pytest.fixture
def limited_user():
    """A user who may have two connections to the server."""
    user = f"vinyl_limited{settings.WORKER}".lower()
    with connections["default"].cursor() as cursor:
        for sql in CREATE_USER[settings.ENGINE]:
            cursor.execute(sql.format(user=user))
    yield user
    with connections["default"].cursor() as cursor:
        cursor.execute(DROP_USER[settings.ENGINE].format(user=user))


@pytest.mark.direct
async def test_where_the_server_takes_fewer_connections_than_the_pool_the_rest_gets_its_error(limited_user):
    with database(USER=limited_user, PASSWORD="") as alias:
        outcomes = await asyncio.gather(*(own_number(alias) for _ in range(10)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, OperationalError)]
        assert 0 < len(refused) <= 8
        assert counts(alias, "pool_in_use", "requests_waiting") == (0, 0)
        for _ in range(5):
            assert await own_number(alias)
        assert counts(alias, "pool_size") == (10 - len(refused),)
