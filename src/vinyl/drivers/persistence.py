"""Waiting for the end of a cancelled statement, even if it is cancelled again.

Who leaves a COMMIT behind cannot know when it takes effect: it might well be after others have looked. So the end of a
statement is waited for within a deadline of its own, whatever happens. This module knows no driver.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def persist(step: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Await `step()` to its end, anew each time it is cancelled; raise TimeoutError at `deadline`, of the loop's time.

    Only for a caller that is handling a CancelledError already and raises it afterwards: that one then speaks for all.
    """
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                return await step()
        except asyncio.CancelledError:
            continue
