"""psycopg's synchronous connection, waiting through the bridge.

Protocol of a wait that is cancelled: the statement is cancelled on the server too, by requests that go over connections
of their own, until its result has come, which is read to the end. What cannot be brought to an end within a deadline is
closed instead. So a connection that survives is idle, or in a transaction that can only be rolled back.

The module knows nothing of wrappers and pools.
"""

import asyncio
import logging
from collections.abc import Generator
from contextlib import suppress
from functools import cached_property
from typing import Any

import psycopg
from psycopg import generators, waiting
from psycopg.abc import Transformer
from psycopg.adapt import AdaptersMap
from psycopg.adapt import Transformer as AnyTransformer
from psycopg.pq import TransactionStatus

from vinyl.bridge import active, await_
from vinyl.common.deadlines import TimeLimit, bounded, patience
from vinyl.drivers.persistence import leave_behind, persist
from vinyl.drivers.postgresql.cursors import beginning
from vinyl.drivers.postgresql.prepared import Prepared
from vinyl.drivers.postgresql.times import load_faster
from vinyl.drivers.postgresql.waiting import Waiter
from vinyl.errors import OwnershipError

# Seconds between looks at a socket that is left to psycopg, by notifies().
INTERVAL = 1.0
# Seconds that the server has to end a cancelled statement, before its connection is closed.
CANCEL_TIMEOUT = 5.0
# Seconds until a statement that goes on is cancelled again: a request that has overtaken it was of no effect.
CANCELLED_EVERY = 0.1

# In a coroutine, and for a connection of either class.
_cancel_safe: Any = psycopg.AsyncConnection.cancel_safe

logger = logging.getLogger("vinyl.postgresql")


class Connection(psycopg.Connection[Any]):
    """psycopg's synchronous connection, waiting through the bridge. Made by connect()."""

    # psycopg warns about connections that were deleted while open, unless they have a pool. These have one, of vinyl's.
    _pool = None
    # Whether the answer to a request that drop_cursor() has sent is still to be read.
    has_answer_to_come = False
    # Whether a cursor is going to send BEGIN with its statement.
    begins_later = False
    # Whether a task is left that will close it.
    _is_left_behind = False
    # Whether statements that are executed often may be prepared on the server, see statements.py.
    prepares = True
    time_limit: TimeLimit
    waiter: Waiter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # psycopg's lock would block the whole thread, event loop included, and never be released.
        self.lock = _ExclusiveUse()  # type: ignore[assignment]
        self.waiter = Waiter(self.pgconn)
        self.prepared = Prepared(self.pgconn)

    @cached_property
    def transformer(self) -> Transformer:
        """What adapts the values of statements.py, by the adapters that the connection has at its first use."""
        return AnyTransformer(self)

    @property
    def must_begin(self) -> bool:
        """Whether a transaction begins with the next statement."""
        return not self._autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """As psycopg's, by a class derived from the factory's, which itself stays what the project has set."""
        factory: Any = self.cursor_factory
        self.cursor_factory = beginning(factory)
        try:
            return super().cursor(*args, **kwargs)
        finally:
            self.cursor_factory = factory

    def wait(self, gen: Generator[Any, Any, Any], interval: float | None = None, timeout: float | None = None) -> Any:
        if not active():
            # Raises, before anything was sent that nobody would wait for.
            return await_(self._wait(gen, 0))
        limit = self.time_limit
        deadline = limit.begin(limit.executing)
        if interval is not None or timeout is not None:
            return await_(bounded(deadline, self._wait_for_notifies(gen, interval, timeout), lambda: limit.executing))
        try:
            state = next(gen)
        except StopIteration as stop:
            # Nothing to wait for, as in all that psycopg keeps on the client's side.
            return stop.value
        except BaseException:
            self.waiter.check()
            raise
        if deadline is None:
            return await_(self._wait(gen, state))
        return await_(bounded(deadline, self._wait(gen, state), lambda: limit.executing))

    async def complete(self, gen: Generator[Any, Any, Any]) -> Any:
        """In a coroutine: run a generator to its end, and return its result."""
        try:
            state = next(gen)
        except StopIteration as stop:
            return stop.value
        except BaseException:
            self.waiter.check()
            raise
        return await self._wait(gen, state)

    async def _wait(self, gen: Generator[Any, Any, Any], state: int) -> Any:
        """Wait for the end of a generator that has yielded `state`."""
        try:
            try:
                return await self.waiter.begin(gen, state)
            finally:
                self.waiter.stop()
        except GeneratorExit:
            # The coroutine is being dropped: it cannot wait for what the server still has to say.
            self._drop_statement(gen)
            raise
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._end_statement(gen)
            raise

    async def _resume(self, gen: Generator[Any, Any, Any]) -> Any:
        """Wait for the end of a generator that was left while it waited."""
        try:
            state = next(gen)
        except StopIteration as stop:
            return stop.value
        finally:
            self.waiter.check()
        try:
            return await self.waiter.begin(gen, state)
        finally:
            self.waiter.stop()

    async def _wait_for_notifies(
        self, gen: Generator[Any, Any, Any], interval: float | None, timeout: float | None
    ) -> Any:
        """Wait as long as psycopg wants to, which is what only its notifies() asks for."""
        self.waiter.detach()
        limits: dict[str, float] = {} if timeout is None else {"timeout": timeout}
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval or INTERVAL, **limits)
        except GeneratorExit:
            self._drop_statement(gen)
            raise

    def check_open(self) -> None:
        """Raise the error of a closed connection for one that a task is left to close.

        libpq would send more as long as it is in pipeline mode.
        """
        if self._is_left_behind:
            raise psycopg.OperationalError("the connection is closed")

    def _check_connection_ok(self) -> None:
        self.check_open()
        super()._check_connection_ok()

    def _start_query(self) -> Generator[Any, Any, None]:
        self.check_open()
        return iter(()) if self.begins_later else super()._start_query()  # type: ignore[return-value]

    def _check_intrans_gen(self, attribute: str) -> Generator[Any, Any, None]:
        # psycopg calls a lost connection one that is in a transaction, which is a ProgrammingError.
        self._check_connection_ok()
        yield from super()._check_intrans_gen(attribute)

    def _deallocate(self, name: bytes | None) -> Generator[Any, Any, None]:
        if name is None:
            # psycopg has the server forget all that is prepared, not only its own.
            self.prepared.clear()
        yield from super()._deallocate(name)

    def read_answer(self) -> None:
        """Read the answer to the request that drop_cursor() has sent."""
        self.wait(generators.fetch_many(self.pgconn))
        self.has_answer_to_come = False

    def _drop_statement(self, gen: Generator[Any, Any, Any]) -> None:
        """Close the connection, once the server was told, which would go on with the statement and keep its locks."""
        is_running = self.pgconn.transaction_status == TransactionStatus.ACTIVE
        self._is_left_behind = (
            is_running and psycopg.capabilities.has_cancel_safe() and leave_behind(lambda: self._cancel(gen))
        )
        if not self._is_left_behind:
            self.waiter.close()

    async def _cancel(self, gen: Generator[Any, Any, Any]) -> None:
        # Closed only afterwards: a pooler forgets whom it has served for a client that has gone.
        try:
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(CANCEL_TIMEOUT):
                    await self._cancel_until_ended(gen, CANCEL_TIMEOUT)
        finally:
            self.waiter.close()

    async def _cancel_until_ended(self, gen: Generator[Any, Any, Any], seconds: float) -> None:
        """Ask the server, again and again, to cancel the running statement, until the generator has its result."""
        while True:
            await _cancel_safe(self, timeout=seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCELLED_EVERY):
                    await self._resume(gen)
                    return

    def close(self) -> None:
        if not self._is_left_behind:
            self._closed = self._closed or not self.closed
            self.waiter.close()

    def __del__(self, *args: Any) -> None:
        # pgconn closes itself, as soon as nobody refers to it; unless it is that of a parent process.
        if "waiter" in vars(self):
            self.waiter.detach()
        super().__del__(*args)

    async def _end_statement(self, gen: Generator[Any, Any, Any]) -> None:
        """Cancel the running statement on the server and read its result to the end, or close the connection."""
        seconds = patience(CANCEL_TIMEOUT)
        if not seconds:
            self.waiter.close()
            return
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            await persist(lambda: self._cancel_until_ended(gen, seconds), deadline)
        except psycopg.errors.QueryCanceled:
            pass
        except psycopg.Error as error:
            # The statement may have failed by itself before the request came. What counts is that it has ended.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                logger.warning("A cancelled statement could not be ended (%s); its connection is closed.", error)
                self.waiter.close()
        except TimeoutError:
            logger.warning(
                "The server did not end a cancelled statement within %.2g s; its connection is closed.", seconds
            )
            self.waiter.close()
        except BaseException:
            self.waiter.close()
            raise


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


def connect(
    conninfo: str = "", *, time_limit: TimeLimit, context: Any = None, cursor_factory: Any = None, **kwargs: Any
) -> Connection:
    """Connect without blocking the event loop; in place of psycopg.connect(), with its parameters."""
    connected = await_(psycopg.AsyncConnection.connect(conninfo, **kwargs))
    connection = Connection(connected.pgconn)
    connection.time_limit = time_limit
    connection._autocommit = connected._autocommit
    connection.prepare_threshold = connected.prepare_threshold
    if cursor_factory is not None:
        connection.cursor_factory = cursor_factory
    if context is not None:
        connection._adapters = AdaptersMap(context.adapters)
        load_faster(connection._adapters)
    # The asynchronous object was the means to connect; without this it would close the socket it no longer owns.
    del connected.pgconn
    return connection
