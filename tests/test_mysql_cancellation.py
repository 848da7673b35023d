"""On MySQL and MariaDB a cancelled statement is killed on the server; its connection is used again if it is clean."""

import asyncio
import contextlib
import logging
import time
import uuid

import pytest
from django.db import OperationalError, connections

import vinyl
from tests import server_connections
from tests.hops import CancelledAt
from tests.library.models import Author
from tests.wholeness import assert_answers_are_not_mixed_up, assert_pool_is_whole
from vinyl import OwnershipError, transaction

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

from asyncmy.constants import SERVER_STATUS

from vinyl.drivers.mysql import exchange

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.usefixtures("db"), pytest.mark.asynchronous]


async def awaited(awaitable):
    return await awaitable


async def processes():
    """Return the numbers, databases and statements of the server's connections.

    Not from information_schema: MySQL's is in utf8mb3, and fails where anybody's statement is not.
    """
    rows = await vinyl.connection.execute("SHOW FULL PROCESSLIST")
    return [(number, database, statement or "") for number, _, _, database, _, _, _, statement, *_ in rows]


async def running(marker):
    return sum(marker in statement for _, _, statement in await processes())


async def thread_of(marker):
    """Return the number of the connection that runs a statement."""
    (number,) = [number for number, _, statement in await processes() if marker in statement]
    return number


async def open_on_the_server():
    name = connections["default"].settings_dict["NAME"]
    return sum(database == name for _, database, _ in await processes())


async def sleeping(seconds=60, sql=None):
    """Start a statement that takes long, and wait until the server runs it."""
    marker = str(uuid.uuid4())
    sql = sql or f"SELECT SLEEP({seconds})"
    task = asyncio.create_task(awaited(vinyl.connection.execute(f"{sql} /* {marker} */")))
    while not await running(marker):
        assert not task.done()
    return task, marker


@pytest.mark.loops
async def test_a_cancelled_statement_is_killed_and_its_connection_goes_on():
    task, marker = await sleeping()
    before = await open_on_the_server()
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await running(marker)
    assert time.monotonic() - started < 1
    assert await open_on_the_server() == before
    assert vinyl.connection.statistics()["returns_bad"] == 0
    assert len(asyncio.all_tasks()) == 1


async def test_after_a_kill_each_statement_gets_its_own_answer():
    task, _ = await sleeping()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_answers_are_not_mixed_up()


async def test_statements_cancelled_at_any_moment_leave_clean_connections(monkeypatch):
    # Without the grace each is killed, many a time after it has ended.
    monkeypatch.setattr(exchange, "GRACE", 0.0)

    async def cancelled(n):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.0005):
                await vinyl.connection.execute("SELECT SLEEP(%s)", [n / 2000])

    await asyncio.gather(*(vinyl.connection.execute("SELECT SLEEP(0.01)") for _ in range(10)))
    for _ in range(10):
        await asyncio.gather(*(cancelled(n) for n in range(6)))
        await assert_answers_are_not_mixed_up(20)
    await assert_answers_are_not_mixed_up()
    assert vinyl.connection.statistics()["returns_bad"] == 0


async def test_a_kill_that_comes_too_late_hits_nobody_else(monkeypatch):
    # What is sent after the kill is hit by it twice.
    await vinyl.connection.execute("DROP PROCEDURE IF EXISTS vinyl_procedure")
    await vinyl.connection.execute(
        "CREATE PROCEDURE vinyl_procedure() BEGIN SET @n = IFNULL(@n, 0) + 1; "
        "IF @n < 3 THEN SIGNAL SQLSTATE '70100' SET MYSQL_ERRNO = 1317; END IF; END"
    )
    monkeypatch.setattr(exchange, "NOTHING", b"CALL vinyl_procedure()")
    ((number,),) = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await vinyl.connection.execute("SELECT SLEEP(60)")
    assert await vinyl.connection.execute("SELECT CONNECTION_ID(), @n") == [(number, 3)]
    await vinyl.connection.execute("DROP PROCEDURE vinyl_procedure")


async def test_a_statement_that_ends_at_once_is_not_killed(monkeypatch):
    async def kill(*args):
        pytest.fail("It was killed.")

    monkeypatch.setattr(exchange, "kill", kill)
    await vinyl.connection.execute("SELECT 1")
    for hop in range(1, 4):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.create_task(awaited(CancelledAt(vinyl.connection.execute("SELECT 1"), hop)))
    assert vinyl.connection.statistics()["returns_bad"] == 0
    await assert_answers_are_not_mixed_up(20)


@pytest.mark.parametrize("times", [2, 5])
async def test_cancelling_again_and_again_does_not_hurry_it(times):
    task, marker = await sleeping()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await running(marker)
    await assert_pool_is_whole()
    await assert_answers_are_not_mixed_up(50)


async def test_a_transaction_with_a_cancelled_statement_is_rolled_back():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), transaction.atomic():
            await Author.vinyl(name="x").insert()
            await vinyl.connection.execute("SELECT SLEEP(60)")
    assert not await Author.vinyl.exists()
    assert vinyl.connection.statistics()["returns_bad"] == 0
    await assert_answers_are_not_mixed_up(50)


async def test_what_was_committed_is_committed_when_the_cancellation_arrives():
    for hop in range(1, 5):
        insert = vinyl.connection.execute("INSERT INTO library_tag (label) VALUES (%s)", [str(hop)])
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.create_task(awaited(CancelledAt(insert, hop)))
        first = await vinyl.connection.execute("SELECT COUNT(*) FROM library_tag")
        await asyncio.sleep(0.01)
        assert await vinyl.connection.execute("SELECT COUNT(*) FROM library_tag") == first


async def test_a_transaction_that_a_cancelled_procedure_has_begun_reaches_nobody():
    def is_in_transaction():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    await vinyl.connection.execute("DROP PROCEDURE IF EXISTS vinyl_procedure")
    await vinyl.connection.execute(
        "CREATE PROCEDURE vinyl_procedure() BEGIN START TRANSACTION; SIGNAL SQLSTATE '45000'; END"
    )
    for hop in range(1, 5):
        with contextlib.suppress(asyncio.CancelledError, OperationalError):
            await asyncio.create_task(awaited(CancelledAt(vinyl.connection.execute("CALL vinyl_procedure()"), hop)))
        assert not await vinyl.run(is_in_transaction)
    await vinyl.connection.execute("DROP PROCEDURE vinyl_procedure")


async def test_a_cancellation_that_comes_as_the_socket_is_connected_is_not_lost(proxy, proxied, monkeypatch):
    async def cancelled_as_it_is_connected(*args, **kwargs):
        connected = await connect(*args, **kwargs)
        task.cancel()
        return connected

    loop = asyncio.get_running_loop()
    connect = loop.create_connection
    monkeypatch.setattr(loop, "create_connection", cancelled_as_it_is_connected)
    # The server does not greet.
    proxy.freeze()
    task = asyncio.create_task(awaited(vinyl.connections[proxied].execute("SELECT 1")))
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    assert vinyl.connections[proxied].statistics()["pool_size"] == 0


async def test_a_dropped_coroutine_closes_its_socket_at_once():
    marker = str(uuid.uuid4())
    dropped = vinyl.connection.execute(f"SELECT SLEEP(3) /* {marker} */").__await__()
    for future in dropped:
        if future is not None:
            future._asyncio_future_blocking = False
            done, _ = await asyncio.wait([future], timeout=0.3)
            if not done:
                break
    assert await running(marker) == 1
    dropped.close()
    assert vinyl.connection.statistics()["returns_bad"] == 1
    await assert_pool_is_whole()
    await assert_answers_are_not_mixed_up(50)


async def test_a_connection_that_the_server_has_closed_is_replaced():
    ((number,),) = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    # What the server says may be lost with the connection.
    with pytest.raises(OperationalError, match=r"1317|1927|2013"):
        await vinyl.connection.execute(f"KILL {number}")
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") != [(number,)]
    task, marker = await sleeping()
    await vinyl.connection.execute(f"KILL {await thread_of(marker)}")
    with pytest.raises(OperationalError, match=r"1317|1927|2013"):
        await task
    await assert_answers_are_not_mixed_up(50)


async def test_a_connection_that_the_server_has_closed_while_idle_is_not_lent():
    ((number,),) = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    other = vinyl.connections["other"]
    await other.execute(f"KILL {number}")
    while any(number == each for each, *_ in await other.execute("SHOW PROCESSLIST")):
        pass
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") != [(number,)]
    await assert_answers_are_not_mixed_up(50)


async def test_a_statement_that_somebody_else_kills_raises_an_error():
    # MySQL lets SLEEP() return 1 if that is all there is.
    task, marker = await sleeping(sql="SELECT 1 FROM information_schema.character_sets WHERE SLEEP(20)")
    await vinyl.connection.execute(f"KILL QUERY {await thread_of(marker)}")
    with pytest.raises(OperationalError, match="1317"):
        await task
    await assert_answers_are_not_mixed_up(50)


@pytest.mark.parametrize("sleeps", [1, 2, 3])
async def test_a_statement_with_several_answers_is_cancelled_at_any_of_them(sleeps):
    sql = "; ".join("SELECT SLEEP(20)" if n == sleeps else f"SELECT {n}" for n in (1, 2, 3))

    def read_all():
        with connections["default"].cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                pass

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await vinyl.run(read_all)
    await assert_pool_is_whole()
    await assert_answers_are_not_mixed_up(50)


async def test_a_statement_that_cannot_be_killed_loses_its_connection(monkeypatch, caplog):
    async def kill(*args):
        raise OSError("no way")

    monkeypatch.setattr(exchange, "kill", kill)
    monkeypatch.setattr(exchange, "CANCEL_TIMEOUT", 0.3)
    task, marker = await sleeping()
    with caplog.at_level(logging.WARNING, "vinyl.mysql"):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "no way" in caplog.text
    assert "did not end" in caplog.text
    assert vinyl.connection.statistics()["returns_bad"] == 1
    await assert_answers_are_not_mixed_up(50)
    # By somebody else, so that the next test finds the server at rest.
    await server_connections.end(await thread_of(marker))


async def test_two_tasks_cannot_use_one_connection_at_a_time():
    async with vinyl.connection.cursor() as cursor:

        async def execute(seconds):
            await cursor.execute(f"SELECT SLEEP({seconds})")

        first = asyncio.create_task(execute(0.1))
        await asyncio.sleep(0.05)
        with pytest.raises(OwnershipError):
            await execute(0)
        with contextlib.suppress(OwnershipError):
            await first
    await assert_answers_are_not_mixed_up(50)
