"""Statements on MySQL and MariaDB without cursors: values and errors are those of Django's cursors."""

import asyncio
import datetime
import decimal
import uuid

import pytest
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connections

import vinyl
from tests.aliases import database
from tests.library.models import Author
from tests.plans import ENOUGH
from vinyl import OwnershipError, transaction
from vinyl.lending import scopes

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

import MySQLdb.cursors
from django.db.backends.mysql.base import CursorWrapper

from vinyl.drivers.mysql import Statement, execute, is_idle

pytestmark = [
    pytest.mark.engine("mariadb", "mysql"),
    pytest.mark.usefixtures("nothing_known", "db"),
    pytest.mark.asynchronous,
]


class Connected:
    """A connection of the driver's, without pool and scope."""

    async def __aenter__(self):
        wrapper = await vinyl.run(lambda: connections["default"])
        self.connection = await vinyl.run(wrapper.get_new_connection, wrapper.get_connection_params())
        await vinyl.run(self.connection.autocommit, True)
        return self.connection

    async def __aexit__(self, *exc_info):
        self.connection.close()


async def by_cursor(connection, sql, params):
    """Execute by a cursor of Django's, and return what it says."""

    def call():
        cursor = CursorWrapper(connection.cursor())
        cursor.execute(sql, params)
        return cursor.fetchall(), cursor.rowcount, cursor.lastrowid

    return await vinyl.run(call)


VALUES = [
    5,
    2**63,
    True,
    0.1,
    1e300,
    decimal.Decimal("1.500"),
    datetime.date(2020, 2, 29),
    datetime.datetime(2020, 2, 29, 12, 0, 0, 7),
    datetime.time(1, 2, 3),
    datetime.timedelta(days=3, seconds=1),
    uuid.UUID(int=7).hex,
    "ä€\U0001f600 \\'\"\0\n\r\x1a%s",
    b"\0'\\",
    None,
]


@pytest.mark.parametrize("value", VALUES)
async def test_a_value_is_that_of_a_cursor(value):
    statement = Statement("SELECT %s AS value, 'a%%b'")
    async with Connected() as connection:
        expected, *_ = await by_cursor(connection, statement.sql, [value])
        for _ in range(2):
            rows = (await execute(connection, statement, [value])).rows()
            assert (rows, [*map(type, rows[0])]) == ([*expected], [*map(type, expected[0])])


async def test_counts_and_keys_are_those_of_a_cursor():
    insert = Statement("INSERT INTO library_author (name) VALUES (%s), (%s)")
    update = Statement("UPDATE library_author SET name = %s")
    select = Statement("SELECT name FROM library_author ORDER BY id")
    async with Connected() as connection:
        result = await execute(connection, insert, ["a", "b"])
        assert (len(result), result.rowcount, result.rows()) == (0, 2, [])
        _, count, key = await by_cursor(connection, insert.sql, ["c", "d"])
        assert (result.rowcount, result.lastrowid) == (count, key - 2)
        # The rows that match are counted, not those that change.
        assert [(await execute(connection, update, ["x"])).rowcount for _ in range(2)] == [4, 4]
        result = await execute(connection, select, [])
        assert (len(result), result.rowcount) == (4, 4)
        assert (result.rows(1, 3), result.rows(3)) == ([("x",), ("x",)], [("x",)])


ERRORS = [
    (OperationalError, "SELECT 1 FROM library_author WHERE nothing = %s", [1]),
    (IntegrityError, "INSERT INTO library_author (name) VALUES (%s)", [None]),
    (DataError, "INSERT INTO library_author (name) VALUES (%s)", ["x" * 1000]),
    (ProgrammingError, "SELECT FROM %s", [1]),
    (ProgrammingError, "SELECT %s, %s", [1]),
    (ProgrammingError, "SELECT %s", [1, 2]),
]


@pytest.mark.parametrize(("kind", "sql", "params"), ERRORS)
async def test_an_error_is_that_of_a_cursor(kind, sql, params):
    async with Connected() as connection:
        with pytest.raises(kind) as by_the_cursor, scopes.source("default").errors:
            await by_cursor(connection, sql, params)
        with pytest.raises(kind) as raised, scopes.source("default").errors:
            await execute(connection, Statement(sql), params)
        assert (type(raised.value), raised.value.args) == (type(by_the_cursor.value), by_the_cursor.value.args)
        assert is_idle(connection)
        assert (await execute(connection, Statement("SELECT %s"), [1])).rows() == [(1,)]


async def test_two_tasks_cannot_use_one_connection_at_a_time():
    async with Connected() as connection:
        with pytest.raises(OwnershipError):
            await asyncio.gather(*(execute(connection, Statement("SELECT SLEEP(%s)"), [0.05]) for _ in range(2)))


async def each_kind(using="default"):
    """Read and write, in ways that have plans."""
    authors = Author.vinyl.using(using)
    author = await Author.vinyl(name="a").insert(using=using)
    assert await authors.get(pk=author.pk) == author
    assert await authors.filter(pk=author.pk).count() == 1
    assert await authors.filter(pk=author.pk).update(name="c") == 1
    assert await authors.filter(pk=author.pk).values_list("pk", "name") == [(author.pk, "c")]
    assert await vinyl.gather(authors.filter(pk=author.pk), authors.filter(name="d")) == [[author], []]
    [found] = await authors.filter(pk=author.pk).prefetch_related("books")
    assert list(found.books.all()) == []
    await found.update(name="e")


@pytest.fixture
def cursors(monkeypatch):
    """The statements that are executed by cursors."""
    executed = []
    execute = CursorWrapper.execute

    def noted(self, query, args=None):
        executed.append(query)
        return execute(self, query, args)

    monkeypatch.setattr(CursorWrapper, "execute", noted)
    return executed


async def test_what_is_planned_needs_no_cursor_outside_of_a_transaction_and_in_one(cursors):
    for _ in range(ENOUGH):
        await each_kind()
    assert cursors
    cursors.clear()
    await each_kind()
    async with transaction.atomic():
        await each_kind()
    assert cursors == []


async def test_the_cursors_of_a_class_that_the_project_names_are_opened():
    executed = []

    class Counting(MySQLdb.cursors.Cursor):
        def execute(self, query, args=None):
            executed.append(query)
            return super().execute(query, args)

    with database({"cursorclass": Counting}) as alias:
        for _ in range(ENOUGH):
            executed.clear()
            await each_kind(alias)
            assert len(executed) >= 10
        await vinyl.close()
