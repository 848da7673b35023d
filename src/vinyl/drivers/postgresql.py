"""PostgreSQL by psycopg 3, without threads.

psycopg's operations are generators that yield where they would block, and its synchronous and asynchronous classes
differ only in who waits. So this is psycopg's *synchronous* connection, whose `wait()` waits through the bridge:
Django's PostgreSQL backend, its cursors and its adapters work on it as they are. Only connecting is left to psycopg's
asynchronous class, which resolves host names without blocking.

Protocol of a wait that is cancelled: the statement is cancelled on the server too, by a request with a deadline of its
own, and its result is read to the end. What cannot be brought to an end in that time is closed instead. So a connection
that survives is idle, or in a transaction that can only be rolled back.

The module knows nothing of pools, scopes or models. See https://www.psycopg.org/psycopg3/docs/.
"""

import asyncio
import logging
import select
from collections.abc import Generator
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from psycopg import generators, sql, waiting
from psycopg.adapt import AdaptersMap
from psycopg.pq import ConnStatus, TransactionStatus

from vinyl.bridge import active, await_
from vinyl.drivers.persistence import persist
from vinyl.errors import OwnershipError

if not is_psycopg3 or tuple(map(int, psycopg.__version__.split(".")[:2])) < (3, 2):
    raise ImproperlyConfigured(
        f"The asynchronous mode needs psycopg 3.2 or newer, but {psycopg.__version__} is installed. Install it with "
        "'pip install django-vinyl[postgresql]'."
    )

# Seconds between looks at a socket that stays silent, to notice one that was closed on this side.
INTERVAL = 1.0
# Seconds that the server has to end a cancelled statement, before its connection is closed.
CANCEL_TIMEOUT = 5.0

logger = logging.getLogger("vinyl.postgresql")


class Connection(psycopg.Connection[Any]):
    """psycopg's synchronous connection, waiting through the bridge. Made by connect()."""

    # psycopg warns about connections that were deleted while open, unless they have a pool. These have one, of vinyl's.
    _pool = None
    # Whether the answer to a request that drop_cursor() has sent is still to be read.
    has_answer_to_come = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # psycopg's lock would block the whole thread, event loop included, and never be released.
        self.lock = _ExclusiveUse()  # type: ignore[assignment]

    def wait(  # type: ignore[override]
        self, gen: Generator[Any, Any, Any], interval: float = INTERVAL, **timeout: float
    ) -> Any:
        if not active():
            # Raises, before anything was sent that nobody would wait for.
            return await_(self._wait(gen, **timeout))
        try:
            first = next(gen)
        except StopIteration as stop:
            # Nothing to wait for, as in all that psycopg keeps on the client's side.
            return stop.value
        return await_(self._wait(_resumed(first, gen), **timeout))

    async def _wait(self, gen: Generator[Any, Any, Any], **timeout: float) -> Any:
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, INTERVAL, **timeout)
        except GeneratorExit:
            # The coroutine is being dropped: no loop will come back for what the server still has to say.
            self.pgconn.finish()
            raise
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._end_statement(gen)
            raise

    def read_answer(self) -> None:
        """Read the answer to the request that drop_cursor() has sent."""
        self.wait(generators.fetch_many(self.pgconn))
        self.has_answer_to_come = False

    async def _end_statement(self, gen: Generator[Any, Any, Any]) -> None:
        """Cancel the running statement on the server and read its result to the end, or close the connection."""
        deadline = asyncio.get_running_loop().time() + CANCEL_TIMEOUT
        cancel: Any = psycopg.AsyncConnection.cancel_safe
        try:
            await persist(lambda: cancel(self, timeout=CANCEL_TIMEOUT), deadline)
            await persist(lambda: waiting.wait_async(gen, self.pgconn.socket, INTERVAL), deadline)
        except psycopg.errors.QueryCanceled:
            pass
        except psycopg.Error as error:
            # The statement may have failed by itself before the request came. What counts is that it has ended.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                logger.warning("A cancelled statement could not be ended (%s); its connection is closed.", error)
                self.pgconn.finish()
        except TimeoutError:
            logger.warning(
                "The server did not end a cancelled statement within %g s; its connection is closed.", CANCEL_TIMEOUT
            )
            self.pgconn.finish()
        except BaseException:
            self.pgconn.finish()
            raise


def _resumed(first: Any, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Yield what was taken from the generator already, then go on with it."""
    sent = yield first
    while True:
        try:
            sent = yield gen.send(sent)
        except StopIteration as stop:
            return stop.value


class _ExclusiveUse:
    """In place of psycopg's lock: who finds it taken gets an error, since waiting would block the event loop."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken = False

    def __enter__(self) -> None:
        if self._taken:
            raise OwnershipError(
                "Two tasks used one PostgreSQL connection, or a cursor of it, at the same time. Give each task a "
                "cursor of its own."
            )
        self._taken = True

    def __exit__(self, *exc_info: object) -> None:
        self._taken = False


def connect(conninfo: str = "", *, context: Any = None, cursor_factory: Any = None, **kwargs: Any) -> Connection:
    """Connect without blocking the event loop; in place of psycopg.connect(), with its parameters."""
    connected = await_(psycopg.AsyncConnection.connect(conninfo, **kwargs))
    connection = Connection(connected.pgconn)
    connection._autocommit = connected._autocommit
    connection.prepare_threshold = connected.prepare_threshold
    if cursor_factory is not None:
        connection.cursor_factory = cursor_factory
    if context is not None:
        connection._adapters = AdaptersMap(context.adapters)
    # The asynchronous object was the means to connect; without this it would close the socket it no longer owns.
    del connected.pgconn
    return connection


class _Database:
    """The module psycopg, but for connect()."""

    connect = staticmethod(connect)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class Wrapper:
    """Mixin for a DatabaseWrapper derived from Django's PostgreSQL backend."""

    Database = _Database()
    # OPTIONS["pool"] is for psycopg's pool of threads; its values size vinyl's own pool instead.
    pool = None


def is_idle(connection: Connection) -> bool:
    """Tell whether the connection is open, in autocommit, outside of a transaction, and nothing runs on it."""
    status = connection.pgconn.transaction_status
    return (
        (status == TransactionStatus.IDLE or (connection.has_answer_to_come and status == TransactionStatus.ACTIVE))
        and connection.autocommit
        and connection._pipeline is None
    )


def is_alive(connection: Connection) -> bool:
    """Tell whether an idle connection can be used: its socket is open, and the server has sent nothing unasked for.

    What an idle connection has to say is mostly that the server has ended it. The rest (the configuration was reloaded,
    a late answer) is not worth telling apart from that: the connection is replaced.
    """
    if connection.pgconn.status != ConnStatus.OK:
        return False
    if connection.has_answer_to_come:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN | select.POLLPRI)
    return not poll.poll(0)


def terminate(connection: Connection) -> None:
    """Close the socket at once. The server rolls back what was not committed."""
    connection.close()


def drop_cursor(cursor: Any) -> bool:
    """Close a cursor; for one of the server's, send the request to close it and leave the answer to catch_up()."""
    is_done = not isinstance(cursor, psycopg.ServerCursor) or cursor.closed or _request_close(cursor)
    # The client's part only: that of ServerCursor would wait.
    psycopg.Cursor.close(cursor)
    return is_done


def _request_close(cursor: "psycopg.ServerCursor[Any]") -> bool:
    connection: Any = cursor.connection
    status = connection.pgconn.transaction_status
    if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR) and not cursor.withhold:
        # It ends with its transaction.
        return True
    if status != TransactionStatus.IDLE:
        return False
    try:
        connection.pgconn.send_query(sql.SQL("CLOSE {}").format(sql.Identifier(cursor.name)).as_bytes(connection))
        connection.has_answer_to_come = True
        # It fits into the socket's buffer, unless the server has not read for long.
        return bool(connection.pgconn.flush() == 0)
    except psycopg.Error:
        return False


def catch_up(connection: Connection) -> bool:
    """Read the answer to the request of drop_cursor(), if there was one."""
    if connection.has_answer_to_come:
        try:
            connection.read_answer()
        except psycopg.Error:
            return False
    return True
