"""The reader of a PostgreSQL connection: it stays registered with the loop, wakes nobody in vain, and goes in time."""

import asyncio
import gc
import os
import socket
import weakref
from contextvars import Context, ContextVar

import psycopg
import pytest
from django.db import connections

import vinyl
from tests import server_connections
from tests.library.models import Author
from vinyl.drivers.postgresql.waiting import Waiter

pytestmark = [pytest.mark.engine("postgresql"), pytest.mark.usefixtures("db")]


async def on_connection(function, *args):
    """Call a synchronous function in the bridge with the driver's connection, held for it."""

    def call():
        with connections["default"].cursor() as cursor:
            return function(cursor.connection, *args)

    return await vinyl.run(call)


def socket_of(connection):
    return connection.pgconn.socket


async def assert_number_is_free(descriptor):
    """Watch another socket of the same number: a loop that remembers the closed one fails, or tells nothing."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    opened, theirs = socket.socketpair()
    if opened.fileno() != descriptor:
        os.dup2(opened.fileno(), descriptor)
        opened.close()
    with socket.socket(fileno=descriptor if opened.fileno() == -1 else opened.detach()) as ours, theirs:
        is_readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, is_readable.set)
        theirs.send(b"x")
        async with asyncio.timeout(5):
            await is_readable.wait()
        loop.remove_reader(ours)


@pytest.fixture
def calls(monkeypatch):
    """What the loop calls: the list of all calls."""
    called = []
    can_read = Waiter._can_read

    def noted(self):
        called.append(self)
        can_read(self)

    monkeypatch.setattr(Waiter, "_can_read", noted)
    return called


@pytest.mark.loops
async def test_a_statement_is_one_call_of_the_loop_and_the_reader_stays(calls):
    def execute(connection):
        connection.execute("SELECT 1")
        calls.clear()
        for number in range(10):
            assert connection.execute("SELECT %s", [number]).fetchall() == [(number,)]
        return connection

    connection = await on_connection(execute)
    assert len(calls) == 10
    assert connection.waiter._is_reading


@pytest.mark.loops
@pytest.mark.session
async def test_what_arrives_while_nobody_waits_is_left_in_the_socket_and_the_loop_is_told_once(calls):
    async with vinyl.connection.hold():
        await vinyl.connection.execute("LISTEN waiting")
        connection = await vinyl.run(lambda: connections["default"].connection)
        calls.clear()
        # In a context of its own, so on another connection.
        await asyncio.create_task(vinyl.connection.execute("NOTIFY waiting"), context=Context())
        while not any(call is connection.waiter for call in calls):
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert sum(call is connection.waiter for call in calls) == 1
        assert not connection.waiter._is_reading
        assert await vinyl.connection.execute("SELECT 5") == [(5,)]


@pytest.mark.loops
async def test_what_does_not_fit_into_the_socket_is_written_as_the_server_reads():
    text = "x" * 30_000_000
    assert await vinyl.connection.execute("SELECT length(%s)", [text]) == [(30_000_000,)]
    assert (await vinyl.connection.execute("SELECT repeat('x', 30000000)"))[0][0] == text


@pytest.mark.loops
async def test_many_statements_in_a_pipeline_are_written_and_read():
    def insert(connection):
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO library_author (name) VALUES (%s)", [[str(number % 10) * 100] for number in range(3000)]
            )

    await on_connection(insert)
    assert await Author.vinyl.count() == 3000


@pytest.mark.loops
@pytest.mark.direct
async def test_the_reader_goes_with_a_connection_that_the_server_ends_and_its_number_can_be_used_again():
    wrapper = await vinyl.run(lambda: connections["default"])
    connection = await vinyl.run(wrapper.get_new_connection, wrapper.get_connection_params())
    descriptor = socket_of(connection)
    with pytest.raises(psycopg.OperationalError):
        await vinyl.run(connection.execute, "SELECT pg_terminate_backend(pg_backend_pid())")
    # Nobody on this side has closed it yet.
    await assert_number_is_free(descriptor)
    connection.close()


@pytest.mark.loops
async def test_the_reader_goes_as_the_connection_is_closed():
    connection = await on_connection(lambda connection: connection)
    descriptor = socket_of(connection)
    await vinyl.close()
    assert connection.closed
    await assert_number_is_free(descriptor)


@pytest.mark.loops
async def test_who_waits_is_told_at_once_that_the_connection_was_closed_on_this_side():
    opened = asyncio.get_running_loop().create_future()

    def wait(connection):
        opened.set_result(connection)
        with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
            connection.execute("SELECT pg_sleep(2)")

    task = asyncio.create_task(on_connection(wait))
    connection = await opened
    while not connection.lock._taken:
        await asyncio.sleep(0)
    number = connection.info.backend_pid
    connection.close()
    async with asyncio.timeout(0.5):
        await task
    # The server has not noticed, and would be found busy by the next tests.
    await server_connections.end(number)


@pytest.mark.loops
async def test_the_loop_does_not_keep_the_context_of_who_has_used_a_connection_first():
    class Request:
        pass

    async def use():
        variable.set(Request())
        await vinyl.run(connection.execute, "SELECT 1")
        return weakref.ref(variable.get())

    wrapper = await vinyl.run(lambda: connections["default"])
    connection = await vinyl.run(wrapper.get_new_connection, wrapper.get_connection_params())
    connection.waiter.detach()
    variable = ContextVar("variable")
    request = await asyncio.create_task(use())
    # The loop has the task for the rest of this round.
    await asyncio.sleep(0)
    gc.collect()
    assert request() is None
    assert connection.waiter._is_reading
    connection.close()


@pytest.mark.loops
async def test_a_connection_that_nobody_refers_to_is_closed():
    wrapper = await vinyl.run(lambda: connections["default"])
    connection = await vinyl.run(wrapper.get_new_connection, wrapper.get_connection_params())
    await vinyl.run(connection.execute, "SELECT 1")
    descriptor, pgconn = socket_of(connection), weakref.ref(connection.pgconn)
    del connection
    gc.collect()
    assert pgconn() is None
    await assert_number_is_free(descriptor)


def test_a_connection_is_used_in_one_loop_after_the_other():
    async def use(connection):
        for number in range(3):
            cursor = await vinyl.run(connection.execute, "SELECT %s", [number])
            assert cursor.fetchone() == (number,)

    async def connect():
        wrapper = await vinyl.run(lambda: connections["default"])
        connection = await vinyl.run(wrapper.get_new_connection, wrapper.get_connection_params())
        await use(connection)
        return connection

    with asyncio.Runner() as first:
        connection = first.run(connect())
        asyncio.run(use(connection))
        first.run(use(connection))
    asyncio.run(use(connection))
    connection.close()
    assert connection.closed


@pytest.mark.loops
@pytest.mark.session
async def test_notifies_waits_as_long_as_it_is_told_to_and_statements_go_on(calls):
    def listen(connection):
        connection.execute("LISTEN waiting")
        assert list(connection.notifies(timeout=0.01)) == []
        connection.execute("NOTIFY waiting, 'heard'")
        [heard] = connection.notifies(timeout=5, stop_after=1)
        assert heard.payload == "heard"
        calls.clear()
        for number in range(5):
            assert connection.execute("SELECT %s", [number]).fetchall() == [(number,)]
        assert len(calls) == 5
        connection.execute("UNLISTEN *")

    await on_connection(listen)
