"""`vinyl.deadline()`: a block whose database work ends in time, in both modes.

In the async mode it sets the deadline of this context, and whoever waits looks at it: see deadlines.py. In the sync
mode it is also a wrapper around each execution on Django's connections of the thread, `objects` included: see
drivers/watch.py.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from math import inf
from typing import Any

import django.db
from django.db import Error

from vinyl import bridge, mode
from vinyl.common import deadlines
from vinyl.common.deadlines import TimeLimit
from vinyl.dispatch import require_async
from vinyl.drivers.limits import StatementLimit
from vinyl.drivers.watch import Watch
from vinyl.errors import DeadlineExceeded, ModeError


class deadline:  # noqa: N801 (called like a function)
    """Bound all database work of a block to so many seconds: `async with`, or `with` in the sync mode.

    Waiting for a connection, connecting and executing end at the deadline, or at most a tenth of a second later, with
    DeadlineExceeded, an OperationalError; a transaction in the block is rolled back. The statement is cancelled on the
    server, which is told the limit as well; a server that does not react loses the connection. What else the block
    waits for is not bounded: that is what asyncio.timeout() is for. Tasks that are started inside inherit it.

    Blocks nest, and the earliest deadline counts. `deadline(None)` has none, and lifts the default that the settings
    may have for an alias. The sync mode cannot bound the connecting: that is for the driver's `connect_timeout`.
    """

    def __init__(self, seconds: float | None) -> None:
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if seconds is not None and not (is_number and 0 <= seconds < inf):
            raise ValueError(f"vinyl.deadline() got {seconds!r}. Give a number of seconds, 0 or more, or None.")
        self._seconds = seconds
        self._block: ExitStack | None = None

    def __enter__(self) -> None:
        if mode.current() is not mode.Mode.SYNC:
            raise ModeError("`with deadline()` was used in the async mode. Use `async with deadline()`.")
        self._enter()

    def __exit__(self, *exc_info: object) -> None:
        assert self._block is not None
        self._block.close()

    async def __aenter__(self) -> None:
        require_async("async with deadline()", "with deadline()")
        self._enter()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__()

    def _enter(self) -> None:
        if self._block is not None:
            raise TypeError("A deadline() was entered twice. Its time begins where it is entered: make another one.")
        self._block = ExitStack()
        self._block.enter_context(deadlines.setting(deadlines.after(self._seconds)))
        if not bridge.active() and mode.current() is not mode.Mode.ASYNC:
            self._block.enter_context(_guarding())


def watching(wrapper: Any, doing: str) -> AbstractContextManager[None]:
    """Bound what this block does on one of Django's ordinary connections, other than executing; raise accordingly."""
    deadline = deadlines.current()
    return nullcontext() if deadline is None or bridge.active() else _watching(wrapper, deadline, doing)


@contextmanager
def _watching(wrapper: Any, deadline: deadlines.Deadline, doing: str) -> Iterator[None]:
    try:
        with Watch(wrapper, deadline):
            yield
    except Error as error:
        if deadline.remaining > 0:
            raise
        if wrapper.in_atomic_block:
            # What the statement has done nobody knows. PostgreSQL refuses to go on by itself.
            wrapper.needs_rollback, wrapper.rollback_exc = True, error
        else:
            # It may be broken, or a cancellation may be on its way.
            wrapper.close()
        if isinstance(error, DeadlineExceeded):
            raise
        raise deadline.exceeded(doing) from error


@contextmanager
def _guarding() -> Iterator[None]:
    """Have each execution on the thread's connections look at the deadline, unless a block around does so already."""
    with ExitStack() as guards:
        for alias in django.db.connections:
            wrapper = django.db.connections[alias]
            if not any(isinstance(each, _Guard) for each in wrapper.execute_wrappers):
                guard = _Guard(wrapper)
                guards.enter_context(wrapper.execute_wrapper(guard))
                guards.callback(guard.restore)
        yield


class _Guard:
    """Around each execution on one of Django's ordinary connections."""

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self._connection: Any = None
        self._limit = StatementLimit()
        self._executing = TimeLimit(wrapper.alias).executing

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        # Django releases a savepoint after it has rolled back to it, too.
        with deadlines.with_grace() if sql.startswith(("ROLLBACK TO", "RELEASE SAVEPOINT")) else nullcontext():
            deadline = deadlines.current()
            if deadline is not None:
                deadline.check(self._executing)
            with watching(self._wrapper, self._executing):
                self._tell(None if deadline is None else deadline.remaining, sql)
                result = execute(sql, params, many, context)
                if deadline is not None:
                    # Not everything that is ended fails by that: MySQL's SLEEP() does not.
                    deadline.check(self._executing)
                return result

    def _tell(self, remaining: float | None, sql: str = "") -> None:
        if self._wrapper.connection is not self._connection:
            self._connection, self._limit = self._wrapper.connection, StatementLimit()
        self._limit.tell(self._wrapper, remaining, sql)

    def restore(self) -> None:
        """Put back what the project has set, as the block ends."""
        if self._wrapper.connection is not None and self._wrapper.connection is self._connection:
            try:
                self._limit.tell(self._wrapper, None)
            except Error:
                # Nobody can use it as it is now. In a transaction this is found out by who goes on with it.
                self._wrapper.close()
