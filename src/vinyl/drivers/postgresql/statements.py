"""Statements that are made once and executed often, without cursors and without the bridge.

    statement = Statement("SELECT … WHERE id = %s")            once, for all connections
    result = await execute(connection, statement, [1])         in a coroutine
    results = await execute_many(connection, [(statement, [1]), …])
    rows = result.rows(0, 100)                                 the values that Django's cursors give, slice by slice

Parameters are bound on the server, and adapted as psycopg's own cursors do with the adapters of the connection. Each
call is one round trip, a transaction's BEGIN included. A statement that a connection executes for the second time, with
parameters of the same types, is prepared there. Results are text, which psycopg's C code loads as fast as the binary
format or faster, but for floats.

What is prepared can be lost: by DISCARD ALL, or as a pooler gives the client another session of the server's. It can
become invalid too, as a table gets another column. The connection forgets what it has prepared then; outside of a
transaction the statement is executed again, unprepared, since nothing was done yet. A server that has lost statements
of several connections has a pooler in front of it, and is not asked to prepare any more.

Errors are psycopg's. Cancellation is that of all waits, see connection.py.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg import capabilities, errors, generators
from psycopg._queries import _query2pg_nocache
from psycopg.abc import Transformer
from psycopg.pq import ExecStatus, TransactionStatus

from vinyl.common.deadlines import bounded
from vinyl.drivers.postgresql.connection import Connection
from vinyl.drivers.postgresql.pipelines import Send, check, exchange

COMMAND_OK, FATAL_ERROR = ExecStatus.COMMAND_OK, ExecStatus.FATAL_ERROR
IDLE = TransactionStatus.IDLE
# A prepared statement is not there, or another one of its name is.
LOST = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement)


class Statement:
    """SQL with Django's placeholders: `%s` for parameters, `%%` for a percent sign.

    `is_large` is for who executes it: whether its last result had many rows.
    """

    __slots__ = ("formats", "is_large", "query")

    def __init__(self, sql: str) -> None:
        # In the encoding that Django asks for on each connection.
        self.query, self.formats, order, _ = _query2pg_nocache(sql.encode(), "utf-8")
        if order is not None:
            raise TypeError("A statement takes its parameters in order, so its placeholders are '%s', without names.")
        self.is_large = False


class Result:
    """What a statement has given. Its rows are converted as they are asked for; the connection may be gone by then.

    Loaders ask the connection for its parameters as they are made, so that is done while it is there. The transformer
    keeps them by their types, for all results of the connection.
    """

    __slots__ = ("_pgresult", "_transformer")

    def __init__(self, transformer: Transformer, pgresult: Any) -> None:
        self._transformer = transformer
        self._pgresult = pgresult
        if pgresult.ntuples:
            transformer.set_pgresult(pgresult)

    def __len__(self) -> int:
        """The number of rows that were returned."""
        return self._pgresult.ntuples  # type: ignore[no-any-return]

    @property
    def rowcount(self) -> int:
        """The number of rows that were returned or changed, or -1, as of a cursor."""
        count = self._pgresult.command_tuples
        return -1 if count is None else count

    def rows(self, start: int = 0, stop: int | None = None) -> list[tuple[Any, ...]]:
        """Return the rows from `start` to `stop`, or to the end."""
        pgresult, transformer = self._pgresult, self._transformer
        count = pgresult.ntuples
        if transformer.pgresult is not pgresult:
            # Another one was executed on the connection meanwhile.
            transformer.set_pgresult(pgresult)
        end = count if stop is None else min(stop, count)
        rows = transformer.load_rows(start, end, tuple)
        if end == count:
            # A connection that is idle shall not keep what nobody else does.
            transformer.set_pgresult(None)
        return rows


async def execute(connection: Connection, statement: Statement, params: Sequence[Any]) -> Result:
    """Execute the statement, in one round trip."""
    limit = connection.time_limit
    if not limit.is_set:
        return await _execute(connection, statement, params)
    deadline = limit.begin(limit.executing)
    return await bounded(deadline, _execute(connection, statement, params), lambda: limit.executing)


async def execute_many(connection: Connection, statements: Iterable[tuple[Statement, Sequence[Any]]]) -> list[Result]:
    """Execute them all in one round trip, in this order; outside of a transaction all are done, or none."""
    limit = connection.time_limit
    deadline = limit.begin(limit.executing)
    return await bounded(deadline, _execute_many(connection, list(statements)), lambda: limit.executing)


async def _execute(connection: Connection, statement: Statement, params: Sequence[Any]) -> Result:
    with connection.lock:
        connection.check_open()
        is_repeatable = may_repeat(connection)
        try:
            return await _attempt(connection, statement, params)
        except (errors.FeatureNotSupported, *LOST) as error:
            if not is_lost(connection, error) or not is_repeatable:
                raise
        # Nothing was done, and what was prepared is forgotten.
        return await _attempt(connection, statement, params)


async def _execute_many(connection: Connection, statements: list[tuple[Statement, Sequence[Any]]]) -> list[Result]:
    with connection.lock:
        connection.check_open()
        is_repeatable = may_repeat(connection)
        try:
            return await _Batch(connection, statements).run()
        except (errors.FeatureNotSupported, *LOST) as error:
            if not is_lost(connection, error) or not is_repeatable:
                raise
        return await _Batch(connection, statements).run()


def may_repeat(connection: Connection) -> bool:
    """Tell whether nothing is done if the next statement fails."""
    return connection._autocommit and connection.pgconn.transaction_status == IDLE


def is_lost(connection: Connection, error: psycopg.Error) -> bool:
    """Tell whether the error is about what was prepared, which is forgotten then."""
    if isinstance(error, LOST):
        connection.prepared.lose()
        return True
    if error.diag.source_function != "RevalidateCachedQuery":
        # It is another error of this class, and would come again.
        return False
    connection.prepared.retire()
    return True


async def _attempt(connection: Connection, statement: Statement, params: Sequence[Any]) -> Result:
    if connection.must_begin or not send(connection, statement, params):
        return (await _Batch(connection, [(statement, params)]).run())[0]
    [pgresult] = await connection.complete(generators.execute(connection.pgconn))
    if pgresult.status == FATAL_ERROR:
        raise errors.error_from_result(pgresult, encoding=connection.transformer.encoding)
    return Result(connection.transformer, pgresult)


def send(connection: Connection, statement: Statement, params: Sequence[Any]) -> bool:
    """Have libpq send the statement alone; False, and nothing is sent, if it is to be prepared before."""
    pgconn, transformer = connection.pgconn, connection.transformer
    values = _dump(transformer, statement, params)
    if connection.prepares and (prepared := connection.prepared).is_trusted:
        key = (statement, transformer.types)
        name = prepared.get(key)
        if name:
            pgconn.send_query_prepared(name, values, transformer.formats)
            return True
        if name is not None:
            return False
        prepared.note(key)
    pgconn.send_query_params(statement.query, values, transformer.types, transformer.formats)
    return True


def _dump(transformer: Transformer, statement: Statement, params: Sequence[Any]) -> Sequence[Any]:
    if len(params) != len(statement.formats):
        raise psycopg.ProgrammingError(
            f"The statement has {len(statement.formats)} placeholders, but {len(params)} parameters were passed."
        )
    return transformer.dump_sequence(params, statement.formats)


class _Batch:
    """One round trip: a BEGIN where one is due, what has to be prepared or closed, and the statements."""

    def __init__(self, connection: Connection, statements: Iterable[tuple[Statement, Sequence[Any]]]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._sends: list[Send] = []
        # Of what the results are to be: those of the statements, and whether a name is prepared.
        self._executed: list[int] = []
        self._new: dict[tuple[Statement, Any], tuple[int, bytes]] = {}
        if connection.must_begin:
            begin = connection._get_tx_start_command()
            self._sends.append(partial(self._pgconn.send_query_params, begin, None))
        self._closing = dict.fromkeys(connection.prepared.names_to_close(), 0)
        for name in self._closing:
            self._closing[name] = len(self._sends)
            self._sends.append(partial(_send_close, self._pgconn, name))
        for statement, params in statements:
            self._add(statement, params)

    def _add(self, statement: Statement, params: Sequence[Any]) -> None:
        connection, transformer = self._connection, self._connection.transformer
        values = _dump(transformer, statement, params)
        types, formats = transformer.types, transformer.formats
        name: bytes | None = None
        if connection.prepares and connection.prepared.is_trusted:
            name = self._name(statement, types)
        if name:
            send = partial(self._pgconn.send_query_prepared, name, values, formats)
        else:
            send = partial(self._pgconn.send_query_params, statement.query, values, types, formats)
        self._executed.append(len(self._sends))
        self._sends.append(send)

    def _name(self, statement: Statement, types: Any) -> bytes | None:
        """Return the name under which the statement is prepared, or is going to be; None the first time."""
        key = (statement, types)
        prepared = self._connection.prepared
        name = prepared.get(key)
        if name is None:
            prepared.note(key)
        elif not name:
            if key in self._new:
                return self._new[key][1]
            name = prepared.new_name()
            self._new[key] = (len(self._sends), name)
            self._sends.append(partial(self._pgconn.send_prepare, name, statement.query, types))
        return name

    async def run(self) -> list[Result]:
        connection, transformer = self._connection, self._connection.transformer
        try:
            pgresults = await connection.complete(exchange(self._pgconn, self._sends))
        except BaseException:
            if capabilities.has_send_close_prepared():
                # Some may be there. Closing one that is not is no error.
                connection.prepared.close_later(name for _, name in self._new.values())
            else:
                connection.prepared.closed(self._closing)
            raise
        connection.prepared.closed(
            name for name, index in self._closing.items() if pgresults[index].status == COMMAND_OK
        )
        for key, (index, name) in self._new.items():
            if pgresults[index].status == COMMAND_OK:
                connection.prepared.note(key, name)
        check(pgresults, transformer.encoding)
        return [Result(transformer, pgresults[index]) for index in self._executed]


def _send_close(pgconn: Any, name: bytes) -> None:
    if capabilities.has_send_close_prepared():
        pgconn.send_close_prepared(name)
    else:
        pgconn.send_query_params(b"DEALLOCATE " + name, None)
