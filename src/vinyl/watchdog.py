"""A thread that tells which line of synchronous code blocks the event loop: `VINYL["WATCHDOG"] = 0.1`, in seconds.

It asks the loop to call back, again and again. If no answer comes in time while the loop's thread is in the bridge, a
warning goes to the logger `vinyl.watchdog`, with the line of the project's code that the thread is at, and another one
each time that the block has become ten times as long. What is in the bridge is known by its outermost function, which
whoever starts a watchdog names: this module knows neither the bridge nor databases.
"""

import linecache
import logging
import sys
import threading
import time
from asyncio import AbstractEventLoop
from types import CodeType

from vinyl.common import whereabouts

logger = logging.getLogger("vinyl.watchdog")

# Of the limit, how long the loop is left alone between two questions.
PAUSE = 0.25
# Of the time that a block has lasted, how much must be the thread's own for it to be said to compute: little, since
# other threads and processes may have had the rest.
COMPUTES = 0.1

_WAITS = (
    "It waits for something else than the database, such as a file, time.sleep() or a lock. A lock that somebody holds "
    "while waiting for the database is never released, since both are in this thread."
)
_COMPUTES = "It computes."


class Watchdog(threading.Thread):
    """Watches the loop that runs in the thread which makes it, until the loop is closed. It is a daemon thread."""

    def __init__(self, loop: AbstractEventLoop, seconds: float, outermost: CodeType) -> None:
        super().__init__(name="vinyl watchdog", daemon=True)
        self._loop = loop
        self._seconds = seconds
        self._outermost = outermost
        self._watched = threading.get_ident()
        self._answered = threading.Event()

    def run(self) -> None:
        while True:
            self._answered.clear()
            asked, computed = time.monotonic(), self._cpu_time()
            try:
                self._loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:
                # It is closed.
                return
            self._wait_for_answer(asked, computed)
            time.sleep(self._seconds * PAUSE)

    def _wait_for_answer(self, asked: float, computed: float) -> None:
        patience = self._seconds
        while not self._answered.wait(patience):
            if self._loop.is_closed():
                return
            seconds = time.monotonic() - asked
            self._look(seconds, self._cpu_time() - computed > COMPUTES * seconds)
            patience = 9 * seconds

    def _look(self, seconds: float, computes: bool) -> None:
        frames = whereabouts.with_callers(sys._current_frames().get(self._watched))
        if not frames or frames[0].f_code is not self._outermost:
            # The loop waits, or its own code blocks it.
            return
        place = whereabouts.innermost(frames[::-1]) or whereabouts.place_of_frame(frames[-1])
        line = linecache.getline(place.filename, place.line).strip()
        cause = _COMPUTES if computes else _WAITS
        message = "Synchronous code has blocked the event loop for %.2g s, at %s: %s\n%s"
        logger.warning(message, seconds, place, line, cause)

    def _cpu_time(self) -> float:
        """Return how many seconds the watched thread has computed, 0 where that cannot be known."""
        if not hasattr(time, "pthread_getcpuclockid"):
            return 0.0
        try:
            return time.clock_gettime(time.pthread_getcpuclockid(self._watched))
        except OSError:
            return 0.0
