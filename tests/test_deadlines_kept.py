"""The promise of vinyl.deadline(): its block ends a tenth of a second after it at the latest, whatever it waits for."""

import asyncio
import time

import pytest
from django.db import connections
from django.test import override_settings

import vinyl
from tests.aliases import counts, database, through
from tests.library.models import Author
from tests.proxy import black_hole
from tests.wholeness import SLOW
from vinyl import DeadlineExceeded, transaction

pytestmark = pytest.mark.usefixtures("db")

SERVERS = ("postgresql", "mariadb", "mysql")
PROMISED = 0.1
SECONDS = 0.15


async def nothing():
    pass


async def within_a_tenth(case, before=nothing, after=nothing):
    """Claim that the case raises DeadlineExceeded in time: the best of five times counts, of a machine that is busy."""
    overruns = []
    while len(overruns) < 5 and min(overruns, default=PROMISED) >= PROMISED:
        await before()
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            async with vinyl.deadline(SECONDS):
                await case()
        overruns.append(time.monotonic() - started - SECONDS)
        await after()
    assert min(overruns) < PROMISED, overruns


async def answers(alias="default"):
    assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]


# A server that works.


@pytest.mark.parametrize("in_transaction", [False, True], ids=["autocommit", "transaction"])
async def test_a_slow_statement_is_ended_in_time(in_transaction):
    async def case():
        if in_transaction:
            async with transaction.atomic():
                await vinyl.connection.execute(SLOW)
        else:
            await vinyl.connection.execute(SLOW)

    await within_a_tenth(case, answers, answers)


@pytest.mark.engine("mariadb", "mysql")
async def test_a_slow_write_is_ended_in_time():
    await Author.vinyl.create(name="x")

    async def case():
        await vinyl.connection.execute("UPDATE library_author SET name = 'y' WHERE SLEEP(30) = 0")

    await within_a_tenth(case, answers, answers)
    assert [author.name for author in await Author.vinyl.all()] == ["x"]


@pytest.mark.asynchronous
async def test_waiting_for_a_connection_ends_in_time():
    async def have():
        async with vinyl.connections[alias].hold():
            has_it.set()
            await leave.wait()

    leave, has_it = asyncio.Event(), asyncio.Event()
    with database() as alias, override_settings(VINYL={"POOL": {alias: {"max_size": 1}}}):
        holder = asyncio.create_task(have())
        await has_it.wait()
        await within_a_tenth(lambda: answers(alias))
        leave.set()
        await holder
        await answers(alias)
        await vinyl.close()


@pytest.mark.engine("sqlite")
async def test_waiting_for_a_lock_ends_in_time():
    async def have():
        await plainly(lambda: other.cursor().execute("BEGIN IMMEDIATE"))

    async def let_go():
        await plainly(other.close)

    async def case():
        await Author.vinyl.create(name="x")

    with database() as alias:
        other = connections[alias]
        other.inc_thread_sharing()
        await within_a_tenth(case, have, let_go)
    await answers()
    assert await Author.vinyl.count() == 0


async def plainly(function):
    """Call Django's connection, which in a coroutine only a thread may."""
    if vinyl.is_async():
        await asyncio.to_thread(function)
    else:
        function()


# One that does not.


@pytest.mark.engine(*SERVERS)
@pytest.mark.parametrize("in_transaction", [False, True], ids=["autocommit", "transaction"])
async def test_a_frozen_server_is_left_in_time(proxy, proxied, in_transaction):
    async def before():
        proxy.thaw()
        await answers(proxied)

    async def case():
        if in_transaction:
            async with transaction.atomic(using=proxied):
                await vinyl.connections[proxied].execute("SELECT 2")
                proxy.freeze()
                await vinyl.connections[proxied].execute("SELECT 3")
        else:
            proxy.freeze()
            await vinyl.connections[proxied].execute("SELECT 3")

    await within_a_tenth(case, before)
    assert vinyl.connections[proxied].statistics().get("pool_size", 0) == 0
    await before()
    await vinyl.close()


@pytest.mark.engine(*SERVERS)
async def test_a_commit_that_is_not_answered_is_left_in_time(proxy, proxied):
    async def before():
        proxy.thaw()
        await answers(proxied)

    async def case():
        async with transaction.atomic(using=proxied):
            await vinyl.connections[proxied].execute("SELECT 2")
            proxy.freeze()

    await within_a_tenth(case, before)
    await before()
    await vinyl.close()


# One that cannot be reached. The sync mode has its driver's `connect_timeout` for that.


@pytest.mark.asynchronous
@pytest.mark.engine(*SERVERS)
async def test_connecting_to_a_host_that_does_not_answer_ends_in_time():
    with black_hole() as port, database(HOST="127.0.0.1", PORT=str(port)) as alias:
        await within_a_tenth(lambda: answers(alias))
        assert counts(alias, "pool_size", "requests_waiting") == (0, 0)


@pytest.mark.asynchronous
@pytest.mark.engine(*SERVERS)
async def test_connecting_to_a_server_that_accepts_and_is_silent_ends_in_time(proxy):
    with through(proxy) as alias:
        proxy.freeze()
        await within_a_tenth(lambda: answers(alias))
        assert counts(alias, "pool_size", "requests_waiting") == (0, 0)
        proxy.thaw()
        await answers(alias)
        await vinyl.close()
