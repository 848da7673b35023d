"""A bounded pool of anything, for one event loop.

It knows neither Django nor drivers: it is given three callables and counts.

    open()        opens a member; awaited by the caller who needs it, never under a lock (there is none)
    close(value)  closes a member at once, without waiting, whatever state it is in
    check(value)  tells, without waiting, whether an idle member can still be used

Protocol: `take()` or `acquire()` lends a member, and `release()` gets it back, exactly once, told whether it is fit to
be lent again. Every exit accounts for the member: it is lent, idle, or closed and its place offered to who waits.

All state changes happen between two awaits, hence need no lock. Members go straight to whoever waits longest, so nobody
starves, and nobody who comes later can overtake. A waiter that is cancelled after a member was handed to it hands the
member on. Names and units are psycopg_pool's: https://www.psycopg.org/psycopg3/docs/api/pool.html
"""

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, TypeVar
from weakref import ref

from vinyl.common import whereabouts
from vinyl.conf import PoolOptions
from vinyl.errors import PoolClosed, PoolTimeout, TooManyRequests

T = TypeVar("T")

logger = logging.getLogger("vinyl.pool")


# How many of those who hold a member are named in a message.
NAMED_HOLDERS = 5


@dataclass(slots=True, eq=False)
class Member(Generic[T]):
    """One member of a pool: `value` is what open() returned. Times are seconds of time.monotonic().

    `holder` is the task that it was lent to; not kept alive by it.
    """

    value: T
    expires_at: float
    idle_since: float = 0.0
    lent_at: float = 0.0
    holder: "ref[asyncio.Task[Any]] | None" = None


def _holder(member: Member[Any]) -> str:
    task = None if member.holder is None else member.holder()
    return "a task that is gone" if task is None else whereabouts.of_task(task)


# A task that waits, not kept alive by that, and since when.
Wait = tuple["ref[asyncio.Task[Any]] | None", float]


@dataclass(slots=True)
class _Counters:
    requests_num: int = 0
    requests_queued: int = 0
    requests_wait_ms: float = 0
    requests_errors: int = 0
    usage_ms: float = 0
    returns_bad: int = 0
    connections_num: int = 0
    connections_ms: float = 0
    connections_errors: int = 0
    connections_lost: int = 0


@dataclass(slots=True, eq=False)
class Pool(Generic[T]):
    """At most `options.max_size` members, opened when they are needed. `name` is for messages.

    `loop` is the only event loop that may use it. It is given, since members are also lent and released from inside of
    the bridge, where no loop is running.
    """

    name: str
    options: PoolOptions
    loop: asyncio.AbstractEventLoop
    open: Callable[[], Awaitable[T]]
    close_member: Callable[[T], None]
    check: Callable[[T], bool]
    closed: bool = False
    _size: int = 0
    _idle: deque[Member[T]] = field(default_factory=deque)
    _lent: set[Member[T]] = field(default_factory=set)
    # A waiter is woken with a member, or with None: the right to open one. The longest wait is the first; with each are
    # its task and when it has begun.
    _waiting: dict["asyncio.Future[Member[T] | None]", Wait] = field(default_factory=dict)
    _counters: _Counters = field(default_factory=_Counters)
    _filler: "asyncio.Task[None] | None" = None
    _trimmer: asyncio.TimerHandle | None = None

    def take(self) -> Member[T] | None:
        """Lend an idle member without waiting, or return None where there is none."""
        while self._idle:
            # The one used last is the likeliest to be alive, and lets the others grow old enough to be closed.
            member = self._idle.pop()
            now = monotonic()
            if now < member.expires_at and self._can_be_used(member):
                self._counters.requests_num += 1
                return self._lend(member, now)
            self._counters.connections_lost += 1
            self._drop(member)
        return None

    def _can_be_used(self, member: Member[T]) -> bool:
        try:
            return self.check(member.value)
        except Exception:
            logger.exception("%s: checking a connection failed; it is replaced.", self.name)
            return False

    async def acquire(self) -> Member[T]:
        """Lend a member: an idle one, a new one, or the next to be released, within `options.timeout` seconds.

        Cancelling it leaves the pool whole. Raises PoolTimeout, TooManyRequests, PoolClosed, and what open() raises.
        """
        member = self.take()
        if member is not None:
            return member
        self._counters.requests_num += 1
        try:
            return await self._acquire_slowly()
        except Exception:
            self._counters.requests_errors += 1
            raise

    async def _acquire_slowly(self) -> Member[T]:
        if self.closed:
            raise PoolClosed(f"{self.name} is closed. Queries made after vinyl.close() open a new one.")
        deadline = monotonic() + self.options.timeout
        if self._size < self.options.max_size:
            self._size += 1
            member = await self._open_member(deadline)
            self._fill()
        else:
            handed = await self._wait(deadline)
            member = handed if handed is not None else await self._open_member(deadline)
        return self._lend(member, monotonic())

    def _lend(self, member: Member[T], now: float) -> Member[T]:
        task = asyncio.current_task(self.loop)
        member.lent_at, member.holder = now, None if task is None else ref(task)
        self._lent.add(member)
        return member

    def release(self, member: Member[T], *, reusable: bool) -> None:
        """Get back a lent member; one that is not reusable is closed and its place given to who waits longest."""
        now = monotonic()
        self._lent.discard(member)
        self._counters.usage_ms += (now - member.lent_at) * 1000
        if not reusable:
            self._counters.returns_bad += 1
        if self.closed or not reusable or now >= member.expires_at:
            self._drop(member)
        elif self._waiting and not self._can_be_used(member):
            # Who takes an idle member checks it; who waits is handed this one as it is.
            self._counters.connections_lost += 1
            self._drop(member)
        elif not self._wake(member):
            member.idle_since = now
            self._idle.append(member)
            self._trim_later()

    def close(self) -> None:
        """Close the idle members now and the lent ones as they are released; who waits gets PoolClosed."""
        self.closed = True
        if self._filler is not None:
            self._filler.cancel()
        if self._trimmer is not None:
            self._trimmer.cancel()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(PoolClosed(f"{self.name} was closed while this query waited for a connection."))
        self.drop_idle()

    def drop_idle(self) -> None:
        """Close the idle members; who needs one next opens it anew."""
        while self._idle:
            self._drop(self._idle.pop())

    @property
    def free(self) -> int:
        """How many could be lent now to who does not mind opening them, without anybody waiting longer for it."""
        return 0 if self._waiting or self.closed else self.options.max_size - len(self._lent)

    def statistics(self) -> dict[str, int]:
        """Return the counters of psycopg_pool's get_stats(), and `pool_in_use`. Names in _ms are milliseconds."""
        counters = {name: int(getattr(self._counters, name)) for name in self._counters.__slots__}
        return {
            "pool_min": self.options.min_size,
            "pool_max": self.options.max_size,
            "pool_size": self._size,
            "pool_available": len(self._idle),
            "pool_in_use": self._size - len(self._idle),
            "requests_waiting": len(self._waiting),
            **counters,
        }

    async def _open_member(self, deadline: float) -> Member[T]:
        """Open a member, whose place in the size is counted already and given up if this fails."""
        started = monotonic()
        self._counters.connections_num += 1
        try:
            async with asyncio.timeout(deadline - started) as limit:
                value = await self.open()
        except BaseException as error:
            self._counters.connections_errors += 1
            self._vacate()
            if isinstance(error, TimeoutError) and limit.expired():
                raise PoolTimeout(
                    f"{self.name} could not connect within {self.options.timeout:g} s (its `timeout`). Is the server "
                    "reachable?"
                ) from error
            if isinstance(error, Exception):
                # A driver's error may name a host, but not the database.
                error.add_note(f"{self.name} could not open a connection.")
            raise
        self._counters.connections_ms += (monotonic() - started) * 1000
        member = Member(value, expires_at=monotonic() + self.options.max_lifetime)
        if self.closed:
            self._drop(member)
            raise PoolClosed(f"{self.name} was closed while this query connected.")
        return member

    async def _wait(self, deadline: float) -> Member[T] | None:
        """Wait for a member, or for the right to open one."""
        if self.options.max_waiting and len(self._waiting) >= self.options.max_waiting:
            raise TooManyRequests(
                f"{self.name} has all its {self.options.max_size} connections in use and {len(self._waiting)} callers "
                "waiting, which is its `max_waiting`. Raise it, or start less at a time."
            )
        self._counters.requests_queued += 1
        started = monotonic()
        waiter: asyncio.Future[Member[T] | None] = self.loop.create_future()
        task = asyncio.current_task(self.loop)
        self._waiting[waiter] = None if task is None else ref(task), started
        timer = self.loop.call_later(deadline - started, self._expire, waiter)
        try:
            return await waiter
        except BaseException:
            # Cancelled, or its coroutine is being dropped.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._hand_on(waiter.result())
            raise
        finally:
            timer.cancel()
            self._waiting.pop(waiter, None)
            self._counters.requests_wait_ms += (monotonic() - started) * 1000

    def _expire(self, waiter: "asyncio.Future[Member[T] | None]") -> None:
        if not waiter.done():
            waiter.set_exception(
                PoolTimeout(
                    f"{self.name} had no connection free within {self.options.timeout:g} s (its `timeout`): all "
                    f"{self.options.max_size} are in use and {len(self._waiting)} callers wait. Raise `max_size`, make "
                    "transactions shorter, or do not open a second connection while one is held. In use:"
                    f"{self.holders() or ' to be connected.'}"
                )
            )

    def holders(self) -> str:
        """Tell who has the members, a line of text for each, those first that have had one for longest."""
        now = monotonic()
        lent = self.lent()
        lines = [f"for {now - member.lent_at:.1f} s by {_holder(member)}" for member in lent[:NAMED_HOLDERS]]
        if len(lent) > NAMED_HOLDERS:
            lines.append(f"and {len(lent) - NAMED_HOLDERS} more")
        return "".join(f"\n    {line}" for line in lines)

    def lent(self) -> list[Member[T]]:
        """Return the members that are lent, those first that have been for longest. Any thread may ask."""
        return sorted(self._lent, key=lambda member: member.lent_at)

    def waiting(self) -> list[tuple["asyncio.Task[Any] | None", float]]:
        """Return the tasks that wait for a member, and since when, the longest wait first. Any thread may ask."""
        return [(None if task is None else task(), since) for task, since in list(self._waiting.values())]

    def _wake(self, handed: Member[T] | None) -> bool:
        """Hand a member, or the right to open one, to who waits longest. Tell whether somebody took it."""
        while self._waiting:
            waiter = next(iter(self._waiting))
            del self._waiting[waiter]
            if not waiter.done():
                if handed is not None:
                    handed.lent_at = monotonic()
                waiter.set_result(handed)
                return True
        return False

    def _hand_on(self, handed: Member[T] | None) -> None:
        """Take back what was handed to a waiter that was cancelled before it could take it."""
        if handed is None:
            self._vacate()
        else:
            self.release(handed, reusable=True)

    def _drop(self, member: Member[T]) -> None:
        try:
            self.close_member(member.value)
        except Exception:
            logger.exception("%s: closing a connection failed; it is dropped all the same.", self.name)
        self._vacate()
        self._fill()

    def _vacate(self) -> None:
        """Give up a place: whoever waits longest may open a member in it."""
        if self.closed or not self._wake(None):
            self._size -= 1

    def _fill(self) -> None:
        """Start opening members in the background until there are `min_size`."""
        is_filling = self._filler is not None and not self._filler.done()
        if self._size < self.options.min_size and not is_filling and not self.closed:
            # In a context of its own: the deadline of who happens to be here is not that of these connections.
            self._filler = self.loop.create_task(
                self._fill_up(), name=f"{self.name}: filling", context=contextvars.Context()
            )

    async def _fill_up(self) -> None:
        try:
            while self._size < self.options.min_size and not self.closed:
                self._size += 1
                member = await self._open_member(monotonic() + self.options.timeout)
                member.lent_at = monotonic()
                self.release(member, reusable=True)
        except Exception as error:
            # Whoever needs a connection will try again and be told; nobody waits for this one.
            logger.warning("%s: could not open a connection in advance: %s", self.name, error)

    def _trim_later(self) -> None:
        if self._trimmer is None:
            wait = self._idle[0].idle_since + self.options.max_idle - monotonic()
            self._trimmer = self.loop.call_later(max(wait, 0.0), self._trim)

    def _trim(self) -> None:
        """Close the members that nobody has needed for `max_idle` seconds, but keep `min_size`."""
        self._trimmer = None
        oldest = monotonic() - self.options.max_idle
        while self._idle and self._size > self.options.min_size and self._idle[0].idle_since <= oldest:
            self._drop(self._idle.popleft())
        if self._idle and self._size > self.options.min_size:
            self._trim_later()
