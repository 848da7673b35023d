"""psycopg's cursors, which send a transaction's BEGIN together with its first statement.

psycopg sends BEGIN when the first statement comes, and waits for the answer. Here both are one round trip, for what
Django's ORM sends. Other statements wait for BEGIN first: those that libpq's pipeline mode cannot carry, which are COPY
and several statements in one string, and those of psycopg's other methods, such as copy() and stream().

The module knows psycopg's cursors from within: how they begin a query, and send it.
"""

from collections.abc import Generator
from functools import cache, partial
from typing import Any, Protocol

from vinyl.drivers.postgresql.pipelines import check, exchange

# With what a statement begins that may go out together with BEGIN.
_FIRST_WORDS = (b"SELECT ", b"INSERT ", b"UPDATE ", b"DELETE ", b"WITH ", b"SAVEPOINT ", b"SET ", b"(SELECT ")

Steps = Generator[Any, Any, None]


class _Connection(Protocol):
    """What a cursor has of its connection."""

    begins_later: bool
    _pipeline: Any

    @property
    def must_begin(self) -> bool: ...
    def _start_query(self) -> Steps: ...
    def _get_tx_start_command(self) -> bytes: ...


class _Beginning:
    """Mixin for a cursor class of psycopg's that executes in the client's or in the server's way."""

    __slots__ = ()

    _conn: _Connection
    _pgconn: Any

    def _execute_gen(self, query: Any, params: Any = None, **how: Any) -> Steps:
        steps: Steps = super()._execute_gen(query, params, **how)  # type: ignore[misc]
        connection = self._conn
        return self._deferring(steps) if connection.must_begin and connection._pipeline is None else steps

    def _deferring(self, steps: Steps) -> Steps:
        """Have the connection not begin the transaction by itself as a statement is executed."""
        self._conn.begins_later = True
        try:
            yield from steps
        finally:
            self._conn.begins_later = False

    def _maybe_prepare_gen(self, pgq: Any, **how: Any) -> Steps:
        connection = self._conn
        if not connection.begins_later:
            return super()._maybe_prepare_gen(pgq, **how)  # type: ignore[misc, no-any-return]
        connection.begins_later = False
        query = bytes(pgq.query)
        if b";" not in query and query.startswith(_FIRST_WORDS):
            return self._begin_with(pgq, how.get("binary"))
        return self._begin_before(pgq, how)

    def _begin_before(self, pgq: Any, how: dict[str, Any]) -> Steps:
        yield from self._conn._start_query()
        yield from super()._maybe_prepare_gen(pgq, **how)  # type: ignore[misc]

    def _begin_with(self, pgq: Any, binary: bool | None) -> Steps:
        begin = partial(self._pgconn.send_query_params, self._conn._get_tx_start_command(), None)
        send: Any = partial(self._execute_send, pgq, force_extended=True, binary=binary)  # type: ignore[attr-defined]
        begun, *results = yield from exchange(self._pgconn, [begin, send])
        check([begun], self._encoding)  # type: ignore[attr-defined]
        self._check_results(results)  # type: ignore[attr-defined]
        self._set_results(results)  # type: ignore[attr-defined]


@cache
def beginning(cursor_class: Any) -> Any:
    """Return the cursor class with this way to begin a transaction."""
    members = {"__slots__": (), "__module__": cursor_class.__module__, "__doc__": cursor_class.__doc__}
    return type(cursor_class.__name__, (_Beginning, cursor_class), members)
