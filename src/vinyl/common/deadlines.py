"""Deadlines: until when database work may wait, in this context.

`vinyl.deadline()` sets one for a block, see deadline_blocks.py; the settings may have a default for an alias. Whoever
waits for a database does it in two steps, so that nothing is sent for which no time is left:

    deadline = time_limit.begin()                       raises DeadlineExceeded if it has passed
    await bounded(deadline, coroutine, "what for")      cancels the coroutine at the deadline, and raises it then

What is cancelled brings its statement to an end, as after any cancellation, but within `patience()`: at most GRACE
seconds after the deadline. A transaction that fails is rolled back in the same time, see `with_grace()`; whoever cannot
be told of either closes the connection.

This module knows neither connections nor pools.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import Any, TypeVar

from vinyl.common.variables import temporarily
from vinyl.errors import DeadlineExceeded

T = TypeVar("T")

# Seconds after a deadline in which a statement is brought to its end, or a transaction is rolled back. What is promised
# is a tenth of a second; the rest of it is for a busy event loop.
GRACE = 0.06


class Deadline:
    """A time of time.monotonic(), and the seconds that were given until then. Without end it lifts a default."""

    __slots__ = ("seconds", "when")

    def __init__(self, when: float, seconds: float) -> None:
        self.when = when
        self.seconds = seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative where it has passed."""
        return self.when - monotonic()

    def check(self, doing: str) -> None:
        """Raise DeadlineExceeded if it has passed."""
        if self.remaining <= 0:
            raise self.exceeded(doing)

    def exceeded(self, doing: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The deadline of {self.seconds:g} s has passed while {doing}. What was under way is cancelled, and a "
            "transaction is rolled back. Allow more time, or ask for less."
        )


_current: ContextVar[Deadline | None] = ContextVar("vinyl.deadline", default=None)
# When a wait that is under way must have come to its end, clean-up included.
_end: ContextVar[float] = ContextVar("vinyl.deadline.end", default=inf)


def after(seconds: float | None) -> Deadline:
    """Return the deadline so many seconds from now, or that of this context if it is earlier. None: no end."""
    deadline = Deadline(inf, inf) if seconds is None else Deadline(monotonic() + seconds, seconds)
    outer = _current.get()
    return deadline if outer is None or deadline.when <= outer.when else outer


def current() -> Deadline | None:
    """Return the deadline of this context, or None."""
    deadline = _current.get()
    return None if deadline is None or deadline.when == inf else deadline


def setting(deadline: Deadline) -> AbstractContextManager[None]:
    """Set the deadline within this block, in this context only."""
    return temporarily(_current, deadline)


def with_grace() -> AbstractContextManager[None]:
    """Give what cleans up within this block, in this context, GRACE seconds if no more are left."""
    deadline = _current.get()
    if deadline is not None:
        deadline = Deadline(max(deadline.when, monotonic() + GRACE), deadline.seconds)
    return temporarily(_current, deadline)


def without_patience() -> AbstractContextManager[None]:
    """Have what is cancelled within this block, in this context, given up at once."""
    return temporarily(_end, -inf)


def patience(seconds: float) -> float:
    """Return how long the end of what was cancelled may be waited for: so many seconds, unless a deadline is nearer.

    None at all means that the connection is to be closed at once.
    """
    return min(seconds, max(_end.get() - monotonic(), 0.0))


class TimeLimit:
    """How long each wait for a connection to the database `alias`, and each statement on it, may take by default."""

    __slots__ = ("alias", "seconds")

    def __init__(self, alias: str, seconds: float | None = None) -> None:
        self.alias = alias
        self.seconds = seconds

    def begin(self, doing: str) -> Deadline | None:
        """Return the deadline of a wait that begins now, if any; raise DeadlineExceeded if it has passed already."""
        deadline = _current.get()
        if deadline is not None:
            deadline.check(doing)
            return None if deadline.when == inf else deadline
        return None if self.seconds is None else Deadline(monotonic() + self.seconds, self.seconds)

    @property
    def is_set(self) -> bool:
        """Whether there is a deadline, or a default."""
        return self.seconds is not None or _current.get() is not None

    @property
    def executing(self) -> str:
        return f"a statement was executed on the database {self.alias!r}"


def bounded(
    deadline: Deadline | None, coroutine: Coroutine[Any, Any, T], doing: Callable[[], str]
) -> Coroutine[Any, Any, T]:
    """Return a coroutine that is cancelled at the deadline and raises DeadlineExceeded then."""
    return coroutine if deadline is None else _bounded(deadline, coroutine, doing)


async def _bounded(deadline: Deadline, coroutine: Coroutine[Any, Any, T], doing: Callable[[], str]) -> T:
    with temporarily(_end, min(deadline.when + GRACE, _end.get())):
        try:
            async with asyncio.timeout(deadline.remaining) as timer:
                return await coroutine
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise deadline.exceeded(doing()) from error
