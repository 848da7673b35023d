"""Statements that are made once and executed often, without cursors and without the bridge.

    statement = Statement("SELECT … WHERE id = %s")            once, for all connections
    result = await execute(connection, statement, [1])         in a coroutine
    rows = result.rows(0, 100)                                 the values that Django's cursors give

The values are written into the SQL as by mysqlclient's cursors, with the connection's converters, and errors are those
of Django's cursors. Cancellation is that of all exchanges, see exchange.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

import MySQLdb
from django.db import IntegrityError
from django.db.backends.mysql.base import CursorWrapper

from vinyl.drivers.mysql.connection import Connection


class Statement:
    """SQL with Django's placeholders: `%s` for parameters, `%%` for a percent sign.

    `is_large` is for who executes it: whether its last result had many rows.
    """

    __slots__ = ("_encoded", "is_large", "sql")

    def __init__(self, sql: str) -> None:
        self.sql = sql
        # In the encoding of the connection that had it last; all of a database have the same.
        self._encoded = ("", b"")
        self.is_large = False

    def with_values(self, connection: Connection, params: Sequence[Any]) -> bytes:
        """Return what is sent."""
        encoding, encoded = self._encoded
        if encoding != connection.encoding:
            encoding = connection.encoding
            encoded = self.sql.encode(encoding)
            self._encoded = encoding, encoded
        values = tuple(map(connection.literal, params))
        try:
            return encoded % values
        except TypeError as error:
            raise MySQLdb.ProgrammingError(str(error)) from error


class Result:
    """What a statement has given. All of its rows are here, and converted."""

    __slots__ = ("_answer", "_rows")

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._rows: Sequence[Any] = answer.rows or ()

    def __len__(self) -> int:
        """The number of rows that were returned."""
        return len(self._rows)

    @property
    def rowcount(self) -> int:
        """The number of rows that were returned or changed, as of a cursor."""
        return int(self._answer.affected_rows)

    @property
    def lastrowid(self) -> int:
        """The key that the server has given to the row that was inserted, as of a cursor."""
        return int(self._answer.insert_id)

    def rows(self, start: int = 0, stop: int | None = None) -> list[tuple[Any, ...]]:
        """Return the rows from `start` to `stop`, or to the end."""
        return list(self._rows[start:stop])


async def execute(connection: Connection, statement: Statement, params: Sequence[Any]) -> Result:
    """Execute the statement, in one round trip."""
    try:
        return Result(await connection.answer_to(statement.with_values(connection, params)))
    except MySQLdb.OperationalError as error:
        if error.args[0] in CursorWrapper.codes_for_integrityerror:
            raise IntegrityError(*error.args) from error
        raise


async def execute_in_chunks(
    connection: Connection, statement: Statement, params: Sequence[Any], take: Callable[[Sequence[Any]], None]
) -> bool:
    """asyncmy gives the rows when all of them have arrived."""
    return False
