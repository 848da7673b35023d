"""Whose turn it is on a connection that several tasks share: a lock that the task which has it can take again.

It is had for one operation, or by a block for as long as it lasts. This module knows no connections.
"""

import asyncio
from typing import Any

from vinyl.common import whereabouts
from vinyl.common.deadlines import TimeLimit, bounded
from vinyl.errors import PoolTimeout


class Turns:
    """The turns on one connection, in the order in which they are asked for."""

    def __init__(self, timeout: float, time_limit: TimeLimit) -> None:
        self._name = f"the transaction on the database {time_limit.alias!r}, which tasks share"
        self._time_limit = time_limit
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None
        self._times = 0

    @property
    def is_mine(self) -> bool:
        """Whether the running task has the turn."""
        return self._holder is not None and self._holder is asyncio.current_task()

    async def take(self) -> None:
        """Wait for the turn. Raise PoolTimeout if whoever has it keeps it for longer than `timeout` seconds.

        That is a task in a block of its own, waiting for something: maybe for this very task.
        """
        if not self.is_mine:
            # Where nobody has it there is no deadline either: it may be taken to roll back.
            waiting = f"a turn was waited for in {self._name}"
            deadline = self._time_limit.begin(waiting) if self._lock.locked() else None
            await bounded(deadline, self._acquire(), lambda: waiting)
            self._holder = asyncio.current_task()
        self._times += 1

    async def _acquire(self) -> None:
        try:
            async with asyncio.timeout(self._timeout) as limit:
                await self._lock.acquire()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise PoolTimeout(
                f"This task had no turn within {self._timeout:g} s (the pool's `timeout`) in {self._name}. Do not wait "
                "for other tasks in a block that they cannot enter. The turn has "
                f"{'nobody' if self._holder is None else whereabouts.of_task(self._holder)}"
            ) from error

    def give(self) -> None:
        """End the turn, unless it was taken more often. Waits for nothing."""
        self._times -= 1
        if not self._times:
            self._holder = None
            self._lock.release()
