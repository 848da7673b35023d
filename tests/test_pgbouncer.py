"""Behind PgBouncer in transaction mode: what a transaction has to itself, and what is left to other clients.

`make test-pgbouncer` runs all other tests behind it. These have one of their own, whose clients share one session of
the server's: whatever stays behind in it is found by the next.
"""

import asyncio
import os

import pytest

import vinyl
from tests.daemons import CannotStart
from tests.hops import CancelledAt
from tests.library.models import Author
from tests.modes import cancel_a_statement, database
from tests.private_pgbouncer import serve
from vinyl import transaction
from vinyl.drivers.postgresql import connection as driver

pytestmark = [pytest.mark.engine("postgresql"), pytest.mark.usefixtures("db")]


@pytest.fixture(scope="module")
def port():
    """The port of a PgBouncer that has one session of the server's for all of its clients."""
    try:
        with serve(os.environ["VINYL_TEST_URL"], "transaction", default_pool_size=1) as (url, _):
            yield url.rpartition(":")[2].partition("/")[0]
    except CannotStart as error:
        pytest.skip(f"not on a machine without PgBouncer: {error}")


@pytest.fixture
def pooled(port):
    """The default database behind PgBouncer, for one client: an alias."""
    with database(HOST="127.0.0.1", PORT=port, DISABLE_SERVER_SIDE_CURSORS=False) as alias:
        yield alias


@pytest.fixture
def another(port):
    """The same, for another client."""
    with database(HOST="127.0.0.1", PORT=port, DISABLE_SERVER_SIDE_CURSORS=False) as alias:
        yield alias


async def end(*aliases):
    """Clear the session of what was left in it, and end the connections."""
    await vinyl.connections[aliases[0]].execute("DISCARD ALL")
    await vinyl.close()


LOCKS = "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
OF_A_SESSION = {
    "SET": ("SET statement_timeout = 12345", "SHOW statement_timeout", "12345ms"),
    "SET ROLE": ("SET ROLE pg_monitor", "SELECT current_user", "pg_monitor"),
    "lock": ("SELECT pg_advisory_lock(5)", LOCKS, 5),
    "table": ("CREATE TEMPORARY TABLE left_behind AS SELECT 7 AS x", "SELECT x FROM left_behind", 7),
}


@pytest.mark.parametrize("what", OF_A_SESSION)
async def test_what_belongs_to_a_session_is_found_by_the_next_client_though_it_was_held(what, pooled, another):
    statement, look, found = OF_A_SESSION[what]
    async with vinyl.connections[pooled].hold():
        await vinyl.connections[pooled].execute(statement)
    assert await vinyl.connections[another].execute(look) == [(found,)]
    await end(pooled, another)


OF_A_TRANSACTION = {
    "SET LOCAL": ("SET LOCAL statement_timeout = 12345", "SHOW statement_timeout", [("12345ms",)], [("0",)]),
    "lock": ("SELECT pg_advisory_xact_lock(5)", LOCKS, [(5,)], []),
    "table": (
        "CREATE TEMPORARY TABLE left_behind ON COMMIT DROP AS SELECT 7 AS x",
        "SELECT count(*) FROM pg_class WHERE relname = 'left_behind' AND pg_table_is_visible(oid)",
        [(1,)],
        [(0,)],
    ),
}


@pytest.mark.parametrize("what", OF_A_TRANSACTION)
async def test_what_belongs_to_a_transaction_is_its_own(what, pooled, another):
    statement, look, inside, outside = OF_A_TRANSACTION[what]
    async with transaction.atomic(using=pooled):
        await vinyl.connections[pooled].execute(statement)
        assert await vinyl.connections[pooled].execute(look) == inside
    assert await vinyl.connections[another].execute(look) == outside
    await end(pooled, another)


async def test_in_a_transaction_a_stream_reads_from_a_cursor_on_the_server(pooled):
    cursors = "SELECT count(*) FROM pg_cursors WHERE name <> ''"
    await Author.vinyl.bulk_create([Author.vinyl(name=str(n)) for n in range(5)])
    alias = vinyl.connections[pooled]
    async with transaction.atomic(using=pooled):
        streamed = [
            (author.name, await alias.execute(cursors))
            async for author in Author.vinyl.using(pooled).order_by("id").iterator(chunk_size=2)
        ]
    assert [name for name, _ in streamed] == ["0", "1", "2", "3", "4"]
    assert streamed[0][1] == [(1,)]
    assert await alias.execute(cursors) == [(0,)]
    await end(pooled)


async def test_statements_that_are_prepared_on_the_server_are_found_in_each_session(port):
    options = {"server_side_binding": True, "prepare_threshold": 0}
    with database(options, HOST="127.0.0.1", PORT=port) as one, database(options, HOST="127.0.0.1", PORT=port) as two:
        for number in range(3):
            for alias in (one, two):
                sql = f"SELECT %s::int, '{alias}'"
                assert await vinyl.connections[alias].execute(sql, [number]) == [(number, alias)]
        assert len(await vinyl.connections[one].execute("SELECT name FROM pg_prepared_statements")) > 2
        await end(one, two)


@pytest.mark.asynchronous
async def test_a_cancelled_statement_ends_on_the_server_and_its_connection_goes_on(pooled):
    await cancel_a_statement(pooled)
    await end(pooled)


@pytest.mark.asynchronous
async def test_a_cancelled_statement_that_waits_for_a_session_is_never_run(pooled, another, monkeypatch):
    monkeypatch.setattr(driver, "CANCEL_TIMEOUT", 0.1)
    waiting = vinyl.connections[another]
    await waiting.execute("SELECT 1")
    async with transaction.atomic(using=pooled):
        await vinyl.connections[pooled].execute("SELECT 1")
        insert = waiting.execute("INSERT INTO library_author (name) VALUES ('x')")
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(awaited(CancelledAt(insert, 1)))
        assert waiting.statistics()["returns_bad"] == 1
    assert await Author.vinyl.using(another).count() == 0
    await end(pooled, another)


async def awaited(awaitable):
    return await awaitable
