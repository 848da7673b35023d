"""Statements on PostgreSQL without cursors: their values, round trips, and what becomes of what was prepared."""

import asyncio
import datetime
import decimal
import uuid

import psycopg
import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import Jsonb
from psycopg.types.numeric import Int2, Int4, Int8
from psycopg.types.range import Range

import vinyl
from tests import server_connections
from tests.aliases import database
from tests.library.models import Author
from vinyl.common.deadlines import after, setting
from vinyl.drivers.postgresql import Statement, execute, execute_many, is_idle
from vinyl.drivers.postgresql.prepared import MAX_LOSSES, MAX_STATEMENTS, Prepared
from vinyl.errors import DeadlineExceeded

pytestmark = [
    pytest.mark.engine("postgresql"),
    pytest.mark.usefixtures("db"),
    pytest.mark.asynchronous,
    pytest.mark.session,
]

NAMES = Statement("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'vinyl_%%'")


class Connected:
    """A connection of the driver's, without pool and scope."""

    async def __aenter__(self):
        wrapper = await vinyl.run(lambda: connections["default"])
        self.connection = await vinyl.run(wrapper.get_new_connection, wrapper.get_connection_params())
        self.connection._autocommit = True
        # Whatever the settings say of a pooler.
        self.connection.prepares = True
        return self.connection

    async def __aexit__(self, *exc_info):
        self.connection.close()


async def rows(connection, sql, *params):
    return (await execute(connection, Statement(sql), params)).rows()


async def in_cursor(connection, sql, *params):
    def call():
        cursor = connection.execute(sql, params)
        return cursor.fetchall() if cursor.description else None

    return await vinyl.run(call)


VALUES = [
    ("%s", Int2(5)),
    ("%s", Int4(5)),
    ("%s", Int8(2**60)),
    ("%s", True),
    ("%s::float8", 0.1),
    ("%s::float4", 0.1),
    ("%s", decimal.Decimal("1.500")),
    ("%s", datetime.date(2020, 2, 29)),
    ("%s", datetime.datetime(2020, 2, 29, 12, tzinfo=datetime.UTC)),
    ("%s", datetime.datetime(2020, 2, 29, 12)),
    ("%s", datetime.time(1, 2, 3)),
    ("%s", datetime.timedelta(days=3, seconds=1)),
    ("%s", uuid.UUID(int=7)),
    ("%s::text", "ä€\U0001f600"),
    ("%s::bytea", b"\0\xff"),
    ("%s::int[]", [1, 2, None]),
    ("%s::text[]", ["a", None, '"']),
    ("%s", Jsonb({"a": [1, None]})),
    ("%s::text", None),
    ("%s", Range(Int4(1), Int4(5))),
    ("%s::inet", "10.0.0.1"),
    ("'%%' || %s::text", "%s"),
]


@pytest.mark.parametrize(("expression", "value"), VALUES)
async def test_a_value_is_that_of_a_cursor_whether_the_statement_is_prepared_or_not(expression, value):
    statement = Statement(f"SELECT {expression} AS value")
    async with Connected() as connection:
        [[expected]] = await in_cursor(connection, f"SELECT {expression} AS value", value)
        for _ in range(4):
            [[found]] = (await execute(connection, statement, [value])).rows()
            assert (found, type(found), str(found)) == (expected, type(expected), str(expected))


@pytest.mark.loops
async def test_each_statement_is_one_wait_prepared_or_not_in_a_transaction_or_not(waits):
    statement = Statement("SELECT %s::int + 1")
    async with Connected() as connection:
        for autocommit in (True, False):
            for number in range(5):
                connection._autocommit = autocommit
                waits.clear()
                assert (await execute(connection, statement, [Int4(number)])).rows() == [(number + 1,)]
                assert len(waits) == 1
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


async def test_a_statement_is_prepared_the_second_time_for_each_set_of_types():
    statement = Statement("SELECT %s")
    async with Connected() as connection:
        for times, params in ((2, [Int4(1)]), (3, [Int8(1)])):
            for _ in range(times):
                await execute(connection, statement, params)
        assert (await execute(connection, NAMES, [])).rows() == [(2,)]


async def test_nothing_is_prepared_where_the_connection_must_not():
    async with Connected() as connection:
        connection.prepares = False
        for _ in range(5):
            assert (await execute(connection, NAMES, [])).rows() == [(0,)]


async def test_nothing_is_prepared_where_the_settings_tell_of_a_pooler():
    with database(DISABLE_SERVER_SIDE_CURSORS=True) as alias:
        async with vinyl.connections[alias].hold():
            connection = await vinyl.run(lambda: connections[alias].connection)
            assert not connection.prepares


async def test_of_many_statements_those_that_were_used_last_stay_prepared(monkeypatch):
    monkeypatch.setattr("vinyl.drivers.postgresql.prepared.MAX_STATEMENTS", 3)
    statements = [Statement(f"SELECT {number} + %s::int") for number in range(10)]
    async with Connected() as connection:
        for number, statement in enumerate(statements):
            for _ in range(3):
                assert (await execute(connection, statement, [Int4(1)])).rows() == [(number + 1,)]
        [[count]] = (await execute(connection, NAMES, [])).rows()
        assert 2 <= count <= 4
    assert MAX_STATEMENTS > 3


async def test_statements_that_are_executed_once_do_not_take_the_place_of_prepared_ones(monkeypatch):
    monkeypatch.setattr("vinyl.drivers.postgresql.prepared.MAX_STATEMENTS", 3)
    often = Statement("SELECT %s::int")
    async with Connected() as connection:
        for number in range(3):
            await execute(connection, often, [Int4(number)])
        for number in range(10):
            await execute(connection, Statement(f"SELECT {number}"), [])
        assert (await execute(connection, NAMES, [])).rows() == [(1,)]
        await execute(connection, often, [Int4(1)])
        assert connection.prepared.get((often, connection.transformer.types))
        # Of those that were seen once there are not more than that either.
        assert len(connection.prepared._seen) <= 3


async def test_what_is_to_be_closed_is_closed_by_the_next_statements_that_succeed(monkeypatch):
    monkeypatch.setattr("vinyl.drivers.postgresql.prepared.MAX_STATEMENTS", 1)
    async with Connected() as connection:
        statements = [Statement(f"SELECT {number}") for number in range(3)]
        for statement in statements[:2]:
            for _ in range(2):
                await execute(connection, statement, [])
        [name] = connection.prepared.names_to_close()
        with pytest.raises(psycopg.ProgrammingError, match="0 placeholders"):
            await execute_many(connection, [(statements[2], [1])])
        connection._autocommit = False
        connection._begin_statement = b"BEGIN ISOLATION LEVEL NONSENSE"
        with pytest.raises(psycopg.errors.SyntaxError):
            await rows(connection, "SELECT 1")
        connection._autocommit = True
        assert connection.prepared.names_to_close() == [name]
        [result] = await execute_many(connection, [(NAMES, [])])
        assert result.rows() == [(1,)]
        assert connection.prepared.names_to_close() == []


@pytest.mark.parametrize("command", ["DISCARD ALL", "DEALLOCATE ALL"])
async def test_what_was_prepared_may_be_lost(command):
    statement = Statement("SELECT %s::int")
    async with Connected() as connection:
        for _ in range(3):
            await execute(connection, statement, [Int4(1)])
        await in_cursor(connection, command)
        for number in range(5):
            assert (await execute(connection, statement, [Int4(number)])).rows() == [(number,)]
        connection.prepared._losses.count = 0


async def test_what_was_lost_in_a_transaction_raises_and_is_prepared_anew_in_the_next():
    statement = Statement("SELECT %s::int")
    async with Connected() as connection:
        for _ in range(3):
            await execute(connection, statement, [Int4(1)])
        await in_cursor(connection, "DEALLOCATE ALL")
        connection._autocommit = False
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            await execute(connection, statement, [Int4(1)])
        await vinyl.run(connection.rollback)
        for number in range(3):
            assert (await execute(connection, statement, [Int4(number)])).rows() == [(number,)]
        connection.prepared._losses.count = 0


async def test_a_server_that_loses_again_and_again_is_not_asked_to_prepare_any_more():
    statement = Statement("SELECT %s::int")
    async with Connected() as connection:
        for _ in range(MAX_LOSSES):
            for _ in range(3):
                await execute(connection, statement, [Int4(1)])
            await in_cursor(connection, "DEALLOCATE ALL")
        for _ in range(3):
            await execute(connection, statement, [Int4(1)])
        assert (await execute(connection, NAMES, [])).rows() == [(0,)]
        assert not Prepared(connection.pgconn).is_trusted
        connection.prepared._losses.count = 0


async def test_a_statement_whose_table_has_got_another_column_gives_it():
    statement = Statement("SELECT * FROM changing")
    async with Connected() as connection:
        await in_cursor(connection, "CREATE TEMPORARY TABLE changing AS SELECT 1 AS a")
        for _ in range(3):
            assert (await execute(connection, statement, [])).rows() == [(1,)]
        await in_cursor(connection, "ALTER TABLE changing ADD COLUMN b int DEFAULT 2")
        for _ in range(3):
            assert (await execute(connection, statement, [])).rows() == [(1, 2)]
        # What was prepared before is closed.
        assert (await execute(connection, NAMES, [])).rows() == [(1,)]
        connection._autocommit = False
        await in_cursor(connection, "ALTER TABLE changing ADD COLUMN c int DEFAULT 3")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            await execute(connection, statement, [])


async def test_an_error_of_the_statement_is_psycopgs_and_the_connection_goes_on():
    async with Connected() as connection:
        for _ in range(4):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await execute(connection, DIVISION, [Int4(0)])
            assert is_idle(connection)
        with pytest.raises(psycopg.errors.SyntaxError):
            await rows(connection, "SELECT %s FROM", 1)
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            await rows(connection, "SELECT 1 FROM other_database.public.library_author")
        assert not connection.prepared.names_to_close()
        with pytest.raises(psycopg.ProgrammingError, match="1 placeholders"):
            await execute(connection, DIVISION, [])
        with pytest.raises(psycopg.ProgrammingError, match="cannot adapt"):
            await execute(connection, DIVISION, [object()])
        assert await rows(connection, "SELECT 1") == [(1,)]


DIVISION = Statement("SELECT 1 / %s::int")


async def test_if_begin_fails_the_statement_raises_its_error_and_is_not_executed():
    async with Connected() as connection:
        connection._autocommit = False
        connection._begin_statement = b"BEGIN ISOLATION LEVEL NONSENSE"
        with pytest.raises(psycopg.errors.SyntaxError, match="NONSENSE"):
            await rows(connection, "INSERT INTO library_author (name) VALUES ('x')")
    assert not await Author.vinyl.exists()


async def test_rows_are_given_slice_by_slice_whatever_else_was_executed():
    statement = Statement("SELECT generate_series(1, %s::int)")
    async with Connected() as connection:
        result = await execute(connection, statement, [Int4(1000)])
        other = await execute(connection, Statement("SELECT 'x'::text, 'y'::text"), [])
        assert result.rows(10, 12) == [(11,), (12,)]
        assert other.rows() == [("x", "y")]
        assert result.rows(998) == [(999,), (1000,)]
        assert result.rows(998, 2000) == [(999,), (1000,)]
        assert (len(result), result.rowcount) == (1000, 1000)


OF_EACH_KIND = (
    "SELECT 'x'::text, 'x'::varchar, 1::int, 1.5::numeric, 1.5::float8, true, '{}'::jsonb, 'x'::bytea, "
    "now(), now()::timestamp, now()::date, now()::time, now()::timetz, now() - now(), gen_random_uuid(), "
    "'10.0.0.1'::inet, array['x'], array[array[now()]], int4range(1, 3), array[int4range(1, 3)], (1, 'x'), "
    "int4multirange(int4range(1, 3)), null FROM generate_series(1, 3)"
)


async def test_rows_are_converted_when_the_connection_is_closed_already():
    first, second = Statement(OF_EACH_KIND), Statement("SELECT now()::date, 'x'::text FROM generate_series(1, 3)")
    async with Connected() as connection:
        results = [*await execute_many(connection, [(first, []), (second, [])]), await execute(connection, second, [])]
    assert connection.closed
    assert [len(result.rows(1, 2)[0]) for result in results] == [23, 2, 2]
    assert [len(result.rows()) for result in results] == [3, 3, 3]


async def test_a_connection_keeps_no_result_whose_rows_were_given_to_the_end():
    statement = Statement("SELECT generate_series(1, 3)")
    async with Connected() as connection:
        for given in (lambda result: result.rows(), lambda result: [result.rows(0, 2), result.rows(2, 5)]):
            result = await execute(connection, statement, [])
            given(result)
            assert connection.transformer.pgresult is None
            # They can be asked for again.
            assert result.rows(1, 2) == [(2,)]


async def test_rowcount_is_that_of_a_cursor():
    async with Connected() as connection:
        insert = Statement("INSERT INTO library_author (name) SELECT 'x' FROM generate_series(1, 3)")
        result = await execute(connection, insert, [])
        assert (result.rowcount, result.rows()) == (3, [])
        assert (await execute(connection, Statement("SET work_mem = '8MB'"), [])).rowcount == -1


# Cancelled.


@pytest.mark.loops
@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("times", [0, 1, 2])
async def test_a_cancelled_statement_ends_on_the_server_and_its_connection_goes_on(autocommit, times):
    statement = Statement("SELECT pg_sleep(%s)")
    async with Connected() as connection:
        for _ in range(times):
            await execute(connection, statement, [0.0])
        connection._autocommit = autocommit
        task = asyncio.create_task(execute(connection, statement, [60.0]))
        await server_connections.number_of("pg_sleep")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await vinyl.run(connection.rollback)
        connection._autocommit = True
        assert is_idle(connection)
        assert await rows(connection, "SELECT 1") == [(1,)]


@pytest.mark.direct
async def test_a_statement_that_is_dropped_ends_on_the_server():
    async with Connected() as connection:
        coroutine = execute(connection, Statement("SELECT pg_sleep(60)"), [])
        coroutine.send(None)
        number = await server_connections.number_of("pg_sleep")
        coroutine.close()
    await server_connections.until_gone([number])


async def test_a_statement_ends_at_its_deadline():
    async with Connected() as connection:
        with setting(after(0.05)), pytest.raises(DeadlineExceeded):
            await execute(connection, Statement("SELECT pg_sleep(60)"), [])
        with setting(after(-1)), pytest.raises(DeadlineExceeded):
            await execute_many(connection, [(Statement("SELECT 1"), [])])


@pytest.mark.direct
async def test_a_connection_that_the_server_ends_raises():
    async with Connected() as connection:
        [[number]] = await rows(connection, "SELECT pg_backend_pid()")
        assert number != await server_connections.own_number()
        with pytest.raises(psycopg.OperationalError):
            await rows(connection, "SELECT pg_terminate_backend(%s)", Int4(number))
        assert connection.closed


# Many.


@pytest.mark.loops
async def test_many_statements_are_one_wait(waits):
    insert = Statement("INSERT INTO library_author (name) VALUES (%s) RETURNING name")
    async with Connected() as connection:
        for autocommit in (True, False):
            connection._autocommit = autocommit
            waits.clear()
            results = await execute_many(connection, [(insert, [str(number)]) for number in range(100)])
            assert len(waits) == 1
            assert [result.rows() for result in results] == [[(str(number),)] for number in range(100)]
    assert await Author.vinyl.count() == 100


async def test_of_many_statements_all_are_done_or_none():
    insert = Statement("INSERT INTO library_author (name) VALUES (%s)")
    async with Connected() as connection:
        for _ in range(3):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await execute_many(connection, [(insert, ["x"]), (DIVISION, [Int4(0)]), (insert, ["y"])])
            assert is_idle(connection)
        with pytest.raises(psycopg.ProgrammingError):
            await execute_many(connection, [(insert, ["x"]), (DIVISION, [])])
        assert await execute_many(connection, []) == []
        assert is_idle(connection)
    assert not await Author.vinyl.exists()


async def test_many_statements_whose_answers_are_large_do_not_block_each_other():
    statement = Statement("SELECT repeat(%s, 100000)")
    async with Connected() as connection:
        results = await execute_many(connection, [(statement, ["x" * 100])] * 50)
        assert all(result.rows() == [("x" * 10_000_000,)] for result in results)


async def test_what_a_cancelled_statement_has_prepared_is_closed():
    slow = Statement("SELECT pg_sleep(%s)")
    async with Connected() as connection:
        await execute(connection, slow, [0.0])
        for _ in range(3):
            task = asyncio.create_task(execute(connection, slow, [60.0]))
            await server_connections.number_of("pg_sleep")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await execute(connection, slow, [0.0])
        assert (await execute(connection, NAMES, [])).rows() == [(1,)]


@pytest.mark.loops
async def test_many_statements_that_are_cancelled_leave_the_connection_idle():
    insert = Statement("INSERT INTO library_author (name) VALUES ('x')")
    async with Connected() as connection:
        many = [(insert, []), (Statement("SELECT pg_sleep(60)"), []), (insert, [])]
        task = asyncio.create_task(execute_many(connection, many))
        await server_connections.number_of("pg_sleep")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_idle(connection)
        assert await rows(connection, "SELECT 1") == [(1,)]
    assert not await Author.vinyl.exists()
