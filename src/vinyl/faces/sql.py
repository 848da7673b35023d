"""`vinyl.connection` and `vinyl.connections[alias]`: SQL by hand, in both modes.

    rows = await connection.execute("SELECT id, name FROM shop_artist WHERE born < %s", [1960])
    async with connection.cursor() as cursor: …
    async with connection.hold(): …              # the same connection until the block ends, without a transaction

In the sync mode the same calls go to Django's ordinary connection of the thread, without `await` and with `with`.
The faces keep no state; placeholders and values are those of the database's driver (PEP 249).
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import django.db
from django.db import DEFAULT_DB_ALIAS

from vinyl import bridge, mode
from vinyl.dispatch import BothWays, dispatch, require_async
from vinyl.errors import ModeError
from vinyl.faces.blocks import KeepsTurn
from vinyl.faces.results import Chunks
from vinyl.lending import pins, scopes, shared

Row = tuple[Any, ...]


class Connection:
    """The connection of one alias, whichever is the scope's."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def __repr__(self) -> str:
        return f"<vinyl connection {self.alias!r}>"

    def execute(self, sql: str, params: Any = None) -> Any:
        """Execute one statement. Give all its rows as a list of tuples, or the row count if it returns no rows.

        Raises Django's database errors. Outside of a transaction the connection is given back at once.
        """
        return dispatch(self._execute, sql, params)

    def _execute(self, sql: str, params: Any) -> Any:
        with django.db.connections[self.alias].cursor() as cursor:
            cursor.execute(sql, params)
            if cursor.description is None:
                return cursor.rowcount
            # mysqlclient's cursors give a tuple.
            return list(cursor.fetchall())

    def cursor(self) -> "CursorBlock":
        """Return a cursor for `async with` (or `with`): PEP 249's methods, awaited. It pins its connection."""
        return CursorBlock(self.alias)

    def hold(self) -> "HoldBlock":
        """Return a block for `async with` (or `with`) all of whose queries go to one connection of its own.

        For what belongs to a session: settings, advisory locks, temporary tables. The connection is closed afterwards,
        so that none of it reaches anybody else. In the sync mode Django's connection of the thread stays as it is.
        """
        return HoldBlock(self.alias)

    def execute_wrapper(self, wrapper: Callable[..., Any]) -> AbstractContextManager[None]:
        """Apply `wrapper` to each execution in the block, as Django's execute_wrapper() does, in this context only.

        A plain `with` in both modes. The wrapper is a synchronous function, called where the query is executed.
        """
        if not callable(wrapper) or inspect.iscoroutinefunction(wrapper):
            raise TypeError(
                "execute_wrapper() takes a synchronous function, called as wrapper(execute, sql, params, many, "
                f"context), not {wrapper!r}."
            )
        if mode.current() is mode.Mode.ASYNC:
            return pins.execute_wrapper(self.alias, wrapper)
        return django.db.connections[self.alias].execute_wrapper(wrapper)

    @property
    def queries(self) -> list[dict[str, str]]:
        """The queries logged so far, as Django's `connection.queries`: by all tasks of this loop, if DEBUG is True."""
        if mode.current() is mode.Mode.ASYNC:
            if self.alias in shared.by_alias:
                return list(shared.by_alias[self.alias].wrapper.queries_log)
            return list(scopes.source(self.alias).queries_log)
        return django.db.connections[self.alias].queries

    def statistics(self) -> dict[str, int]:
        """Return the counters of this event loop's pool, with psycopg_pool's names. The sync mode has no pool: {}."""
        return scopes.source(self.alias).pool.statistics() if mode.current() is mode.Mode.ASYNC else {}


class Connections:
    """The connections of all aliases: `connections[alias]`, as in Django."""

    def __getitem__(self, alias: str) -> Connection:
        scopes.check_alias(alias)
        return Connection(alias)

    def __iter__(self) -> Iterator[str]:
        return iter(django.db.connections)


class HoldBlock(KeepsTurn[None]):
    """See Connection.hold()."""

    def _enter(self) -> None:
        if bridge.active():
            django.db.connections[self._using].hold()  # type: ignore[attr-defined]
            self._entered.push()

    def _exit(self, *exc_info: Any) -> None:
        self._entered.pop()
        if bridge.active():
            django.db.connections[self._using].release()  # type: ignore[attr-defined]


class CursorBlock(BothWays["Cursor"]):
    """See Connection.cursor()."""

    def __init__(self, alias: str) -> None:
        super().__init__()
        self._alias = alias
        self._cursor: Any = None

    def _enter(self) -> "Cursor":
        self._cursor = django.db.connections[self._alias].cursor()
        return Cursor(self._cursor)

    def _exit(self, *exc_info: Any) -> None:
        self._cursor.close()

    def _drop(self) -> None:
        pins.abandon(self._alias)


class Cursor:
    """A cursor, whose methods that may wait are awaited in the async mode. Attributes and errors are PEP 249's."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def description(self) -> Any:
        """PEP 249's description of the columns, or None."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """The number of rows that the last statement has returned or changed."""
        return self._cursor.rowcount  # type: ignore[no-any-return]

    def execute(self, sql: str, params: Any = None) -> Any:
        """Execute one statement."""
        return dispatch(self._cursor.execute, sql, params)

    def executemany(self, sql: str, param_list: Sequence[Any]) -> Any:
        """Execute one statement for each set of parameters."""
        return dispatch(self._cursor.executemany, sql, param_list)

    def callproc(self, procname: str, params: Sequence[Any] | None = None) -> Any:
        """Call a stored procedure."""
        return dispatch(self._cursor.callproc, procname, params)

    def fetchone(self) -> Any:
        """Give the next row, or None."""
        return dispatch(self._cursor.fetchone)

    def fetchmany(self, size: int | None = None) -> Any:
        """Give the next rows, at most `size`."""
        return dispatch(self._cursor.fetchmany, *(() if size is None else (size,)))

    def fetchall(self) -> Any:
        """Give all rows that are left."""
        return dispatch(self._cursor.fetchall)

    def __iter__(self) -> Iterator[Row]:
        if mode.current() is not mode.Mode.SYNC:
            raise ModeError("A cursor cannot be iterated with `for` in the async mode. Use `async for row in cursor`.")
        return iter(self._cursor)

    def __aiter__(self) -> AsyncIterator[Row]:
        require_async("async for row in cursor", "for row in cursor")
        return Chunks(lambda: self.fetchmany(100))


connections = Connections()
connection = Connection(DEFAULT_DB_ALIAS)


def close() -> Any:
    """Close the pools of the running event loop; in the sync mode, Django's connections of this thread.

    Connections in use are closed when they are given back, who waits for one gets PoolClosed, and a later query opens a
    new pool. asyncio.run() does it by itself at its end.
    """
    return dispatch(_close)


def _close() -> None:
    inside = bridge.current()
    if inside is None:
        django.db.connections.close_all()
    elif inside.loop is not None:
        scopes.close_sources(inside.loop)
