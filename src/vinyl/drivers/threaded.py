"""Any Django backend, one daemon thread per connection; for SQLite, which has no other way.

Django's own connection and cursors do all work in their thread; the proxies here have the same shape and wait through
the bridge for that thread. All calls of a connection go to its thread in the order in which they were made.

Protocol of a call that is cancelled: the running statement is interrupted (where the driver has `interrupt()`, as
sqlite3 does), again and again until the call has returned, which is waited for within a deadline. A connection whose
thread is still busy then is never used again; its thread closes it when the call returns.

The module knows nothing of pools, scopes or models.
"""

import asyncio
import contextlib
import logging
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

from django.db import InterfaceError

from vinyl.bridge import await_
from vinyl.common.deadlines import TimeLimit, bounded, patience
from vinyl.drivers.persistence import persist

T = TypeVar("T")

# Seconds that a cancelled call has to return, before its connection is given up.
CANCEL_TIMEOUT = 5.0
# Seconds until a call that has not returned is interrupted again.
INTERRUPTED_EVERY = 0.02

logger = logging.getLogger("vinyl.threaded")


class _Job:
    """One call for a thread. The thread runs it, then wakes whoever waits for it in the event loop."""

    __slots__ = ("_context", "_error", "_function", "_loop", "_result", "_waiter", "done")

    def __init__(self, loop: AbstractEventLoop | None, function: Callable[[], Any], context: Context) -> None:
        self._loop = loop
        self._function = function
        self._context = context
        self._waiter: asyncio.Future[None] | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self.done = False

    @property
    def is_waited_for(self) -> bool:
        """Whether there is an event loop that waits for the result."""
        return self._loop is not None

    def run(self) -> None:
        """In the thread: run the call and report to the loop, if it is still there to be told."""
        try:
            self._result = self._context.run(self._function)
        except BaseException as error:
            self._error = error
            if self._loop is None:
                logger.warning("Closing a cursor or a connection failed: %s", error)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self.done = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until the call has returned. Cancelled, it leaves the call alone, which can be waited for again."""
        assert self._loop is not None
        if not self.done:
            self._waiter = self._loop.create_future()
            await self._waiter

    def result(self) -> Any:
        """Return the call's result or raise its error."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None
        return self._result


class Worker:
    """A daemon thread that runs one call after the other."""

    def __init__(self, name: str, time_limit: TimeLimit) -> None:
        self.usable = True
        self._time_limit = time_limit
        self.interrupt: Callable[[], None] | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """From the bridge: run a call in the thread and wait for its result."""
        limit = self._time_limit
        deadline = limit.begin(limit.executing)
        return await_(bounded(deadline, self._run(lambda: function(*args, **kwargs)), lambda: limit.executing))

    async def _run(self, function: Callable[[], T]) -> T:
        if not self.usable:
            raise InterfaceError("The connection is closed.")
        job = _Job(asyncio.get_running_loop(), function, copy_context())
        self._jobs.put(job)
        try:
            await job.wait()
        except GeneratorExit:
            # The coroutine is being dropped: no loop will come back for the result.
            self.usable = False
            self._interrupt()
            raise
        except BaseException:
            await self._end(job)
            raise
        return job.result()  # type: ignore[no-any-return]

    async def _end(self, job: _Job) -> None:
        """Interrupt a cancelled call and wait until it has returned, or give the thread up."""
        self._interrupt()
        seconds = patience(CANCEL_TIMEOUT)
        if not seconds:
            self.usable = False
            return
        try:
            await persist(lambda: self._until_interrupted(job), asyncio.get_running_loop().time() + seconds)
        except TimeoutError:
            self.usable = False
            logger.warning("A cancelled statement did not end within %.2g s; its connection is dropped.", seconds)
        except BaseException:
            self.usable = False
            raise

    async def _until_interrupted(self, job: _Job) -> None:
        """Wait until the call has returned. An interrupt that came before its statement had begun was of no effect."""
        while not job.done:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERRUPTED_EVERY):
                    await job.wait()
                    return
            self._interrupt()

    def _interrupt(self) -> None:
        if self.interrupt is not None:
            self.interrupt()

    def submit(self, function: Callable[[], Any]) -> None:
        """Run a call after what the thread has to do already, without waiting for it."""
        self._jobs.put(_Job(None, function, copy_context()))

    def stop(self, last: Callable[[], Any] | None = None) -> None:
        """Run `last` after what the thread has to do already, then let it end. Does not wait."""
        self.usable = False
        if last is not None:
            self.submit(last)
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            # Else the thread would keep the last result alive until the next call.
            del job


class LockedWorker(Worker):
    """A Worker for a connection that other threads use as well, those that take the lock."""

    def __init__(self, name: str, time_limit: TimeLimit, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        super().__init__(name, time_limit)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self._lock:
                # A call whose coroutine was dropped before it began must not come after what cleans up.
                if self.usable or not job.is_waited_for:
                    job.run()
            del job


class Connection:
    """A driver's connection, all of whose methods run in its thread. `close_at_end`: whether it is ours to close."""

    def __init__(self, worker: Worker, connection: Any, *, close_at_end: bool) -> None:
        vars(self).update(worker=worker, connection=connection, close_at_end=close_at_end, terminated=False)
        worker.interrupt = getattr(connection, "interrupt", None)

    def __getattr__(self, name: str) -> Any:
        return _proxied(self.worker, getattr(self.connection, name))

    def __setattr__(self, name: str, value: Any) -> None:
        # A transaction would be committed by setting sqlite3's isolation_level to what it is already.
        if getattr(self.connection, name, self) is not value:
            self.worker.run(setattr, self.connection, name, value)

    def close(self) -> None:
        """Close without waiting, as all that is left to do for the thread."""
        terminate(self)


class Cursor:
    """A driver's cursor, all of whose methods run in the thread of its connection."""

    def __init__(self, worker: Worker, cursor: Any) -> None:
        vars(self).update(worker=worker, cursor=cursor, dropped=False)

    def __getattr__(self, name: str) -> Any:
        # A cancelled statement may have begun. It must not stay open: SQLite goes on to interrupt, and to hold locks
        # for, as long as one is.
        return _proxied(self.worker, getattr(self.cursor, name), cancelled=self.close)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.cursor, name, value)

    def close(self) -> None:
        """Close without waiting: what the thread does next comes after it."""
        drop_cursor(self)

    def __iter__(self) -> Iterator[Any]:
        while rows := self.fetchmany(100):
            yield from rows

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class LockedCursor:
    """A driver's cursor for synchronous code, whose methods take the lock of a LockedWorker's connection."""

    def __init__(self, cursor: Any, lock: AbstractContextManager[Any]) -> None:
        vars(self).update(cursor=cursor, lock=lock)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.cursor, name)
        if not callable(value):
            return value

        def method(*args: Any, **kwargs: Any) -> Any:
            with self.lock:
                return value(*args, **kwargs)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.cursor, name, value)

    def __iter__(self) -> Iterator[Any]:
        while rows := self.fetchmany(100):
            yield from rows

    def __enter__(self) -> "LockedCursor":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _proxied(worker: Worker, value: Any, cancelled: Callable[[], None] = lambda: None) -> Any:
    """Return an attribute as it is, or a method as a function that runs it in the thread."""
    if not callable(value):
        return value

    def method(*args: Any, **kwargs: Any) -> Any:
        try:
            result = worker.run(value, *args, **kwargs)
        except Exception:
            raise
        except BaseException:
            cancelled()
            raise
        return Cursor(worker, result) if hasattr(result, "fetchone") else result

    return method


class Wrapper:
    """Mixin for a DatabaseWrapper of any backend."""

    # The project's own wrapper of this thread, where its connection is to be shared instead of opening one: a database
    # in memory belongs to its connection.
    shared: Any = None
    alias: str
    time_limit: TimeLimit

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        worker = Worker(f"vinyl {self.alias}", self.time_limit)
        if self.shared is not None:
            self.shared.ensure_connection()
            return Connection(worker, self.shared.connection, close_at_end=False)
        opened: list[Any] = []
        connect: Callable[[dict[str, Any]], Any] = super().get_new_connection  # type: ignore[misc]
        try:
            worker.run(lambda: opened.append(connect(conn_params)))
        except BaseException:
            # Cancelled, it may have been opened all the same.
            worker.stop(lambda: [connection.close() for connection in opened])
            raise
        return Connection(worker, opened[0], close_at_end=True)


def is_idle(connection: Connection) -> bool:
    """Tell whether the thread waits for work and the driver knows of no open transaction."""
    return connection.worker.usable and not getattr(connection.connection, "in_transaction", False)


def is_alive(connection: Connection) -> bool:
    """Tell whether the thread can be used: a connection of an unknown driver cannot be asked without a round trip."""
    return bool(connection.worker.usable)


def terminate(connection: Connection) -> None:
    """Let the thread close the connection after what it still has to do, and end."""
    if not connection.terminated:
        vars(connection)["terminated"] = True
        if not connection.worker.usable:
            connection.worker._interrupt()
        connection.worker.stop(connection.connection.close if connection.close_at_end else None)


def catch_up(connection: Connection) -> bool:
    """Nothing is left to be waited for: the thread does one thing after the other."""
    return True


def drop_cursor(cursor: Cursor) -> bool:
    """Have the thread close the cursor, before whatever it does next."""
    if not cursor.dropped:
        vars(cursor)["dropped"] = True
        cursor.worker.submit(cursor.cursor.close)
    return True
