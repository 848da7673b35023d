"""Running a transaction again after a conflict with another: how often, after how long, and with what it began with.

    rounds = attempts(3)
    while True:
        attempt = next(rounds)
        with attempt, attempt.rewinding(arguments):
            …                       # the transaction; `attempt.is_committed` is set as soon as it is
            return …
        await pause(attempt.delay)  # only after a conflict

This module does not know how a transaction is begun or ended.
"""

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from vinyl import bridge, mode
from vinyl.common import mementos
from vinyl.transaction.conflicts import is_conflict

# Seconds: what the first delay is at most, and any. Between them it doubles with each attempt.
FIRST_DELAY = 0.02
LONGEST_DELAY = 1.0

logger = logging.getLogger("vinyl.transaction")


class Attempt:
    """One attempt. As a block it ends the error of a conflict, unless it is the last."""

    def __init__(self, number: int, *, is_last: bool) -> None:
        self.is_committed = False
        self._number = number
        self._is_last = is_last

    @property
    def delay(self) -> float:
        """How many seconds to wait until the next. At random, so that those who have met do not meet again."""
        return random.uniform(0, min(FIRST_DELAY * 2 ** (self._number - 1), LONGEST_DELAY))

    def rewinding(self, arguments: Iterable[Any]) -> AbstractContextManager[None]:
        """Restore, unless it is committed, the instances in these arguments and those that are written in the block."""
        return mementos.attempt(arguments, lambda: self.is_committed)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        # A callback of on_commit() can meet a conflict too, but what it belongs to is done.
        if error is None or self.is_committed or not is_conflict(error):
            return False
        if self._is_last:
            if self._number > 1:
                error.add_note(f"The transaction was tried {self._number} times.")
            return False
        logger.info("A transaction is run again after a conflict, attempt %d: %s", self._number, error)
        return True


def attempts(number: int) -> Iterator[Attempt]:
    """Yield this many attempts."""
    for each in range(1, number + 1):
        yield Attempt(each, is_last=each == number)


async def pause(seconds: float) -> None:
    """Wait, from code that is awaited in each mode."""
    if mode.current() is mode.Mode.ASYNC:
        await asyncio.sleep(seconds)
    else:
        wait(seconds)


def wait(seconds: float) -> None:
    """Wait, from synchronous code, in the bridge without blocking the event loop."""
    if bridge.active():
        bridge.await_(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)
