"""Waiting for the end of a cancelled statement, even if it is cancelled again, or leaving it behind.

Who leaves a COMMIT behind cannot know when it takes effect: it might well be after others have looked. So the end of a
statement is waited for within a deadline of its own, whatever happens. This module knows no driver.
"""

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

# The event loop keeps its tasks by weak references only.
_left_behind: set[asyncio.Task[Any]] = set()


async def persist(step: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Await `step()` to its end, however often the caller is cancelled; raise TimeoutError at `deadline`.

    That is of the loop's time. Only for a caller that is handling a CancelledError already and raises it afterwards:
    that one then speaks for all.
    """
    while True:
        # In a task of its own. A scope of anyio's cancels the caller's in each round of the loop until it is left, so a
        # step that was begun anew each time would never come further than its first wait.
        running = asyncio.ensure_future(step())
        try:
            if not await _has_ended(running, deadline):
                running.cancel()
                await _has_ended(running)
                if running.cancelled():
                    raise TimeoutError
        finally:
            # The coroutine is being dropped.
            running.cancel()
        # It was cancelled by itself where the loop, as it shuts down, cancels every task.
        if not running.cancelled():
            return running.result()


async def _has_ended(running: "Future[Any]", deadline: float | None = None) -> bool:
    """Wait, until the deadline, for the future to be done."""
    now = asyncio.get_running_loop().time
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([running], timeout=None if deadline is None else max(deadline - now(), 0))
        if deadline is not None and now() >= deadline:
            break
    return running.done()


def leave_behind(step: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Have the step run though nobody waits for it; False where no event loop runs any more, as in a finalizer."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    task = loop.create_task(step(), context=Context())
    _left_behind.add(task)
    task.add_done_callback(_left_behind.discard)
    return True
