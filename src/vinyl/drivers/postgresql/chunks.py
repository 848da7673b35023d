"""Large results whose rows are worked on as they arrive, while the server makes the next ones.

    is_done = await execute_in_chunks(connection, statement, params, take)      in a coroutine

`take()` is called with some hundred rows at a time, in the context of the caller, from the event loop's callbacks. It
must neither wait nor take long: between its calls other tasks have their turns. What it raises is raised by the whole,
once all that the server has to say was read.

It takes libpq 17, which gives a result in chunks. Errors and cancellation are as in statements.py.
"""

from collections.abc import Callable, Generator, Sequence
from contextvars import copy_context
from time import monotonic
from typing import Any

from psycopg import capabilities, errors, generators

from vinyl.drivers.postgresql.connection import Connection
from vinyl.drivers.postgresql.statements import FATAL_ERROR, LOST, Statement, is_lost, may_repeat, send
from vinyl.drivers.postgresql.waiting import GIVE_WAY
from vinyl.fairness import TURN

# Rows: some tenths of a millisecond of the server's work, and of that of take().
CHUNK = 400

Take = Callable[[Sequence[Any]], None]


async def execute_in_chunks(connection: Connection, statement: Statement, params: Sequence[Any], take: Take) -> bool:
    """Execute the statement in one round trip; False if it is for execute(), and nothing was done."""
    if not capabilities.has_stream_chunked():
        return False
    with connection.lock:
        connection.check_open()
        is_repeatable = may_repeat(connection)
        if connection.must_begin or not send(connection, statement, params):
            return False
        connection.pgconn.set_chunked_rows_mode(CHUNK)
        try:
            await connection.complete(_received(connection, take))
        except (errors.FeatureNotSupported, *LOST) as error:
            if not is_lost(connection, error) or not is_repeatable:
                raise
            return False
    return True


def _received(connection: Connection, take: Take) -> Generator[Any, Any, None]:
    """Read all chunks: a generator of psycopg's kind, which gives way to other tasks too."""
    pgconn, transformer, context = connection.pgconn, connection.transformer, copy_context()
    failure: BaseException | None = None
    yield from generators.send(pgconn)
    end = monotonic() + TURN
    while (pgresult := (yield from generators.fetch(pgconn))) is not None:
        if failure is None:
            try:
                if pgresult.status == FATAL_ERROR:
                    raise errors.error_from_result(pgresult, encoding=transformer.encoding)
                if pgresult.ntuples:
                    transformer.set_pgresult(pgresult)
                    context.run(take, transformer.load_rows(0, pgresult.ntuples, tuple))
            except BaseException as error:
                failure = error
        if monotonic() >= end:
            yield GIVE_WAY
            end = monotonic() + TURN
    # A connection that is idle shall not keep the last rows.
    transformer.set_pgresult(None)
    if failure is not None:
        raise failure
