"""Cancelling a coroutine at an exact place: where it suspends for the n-th time."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any


class CancelledAt:
    """Awaits a coroutine and cancels the awaiting task as the coroutine suspends for the n-th time.

    That is the real thing: the future that the coroutine waits for is cancelled, as by task.cancel() from outside.
    Several numbers cancel several times, so that clean-up is cancelled too. `hops` counts the suspensions.
    """

    def __init__(self, awaitable: Awaitable[Any], *at: int) -> None:
        self.awaitable = awaitable
        self.at = at
        self.hops = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self.awaitable.__await__()
        step: Callable[[Any], Any] = inner.send
        value: Any = None
        while True:
            try:
                waited_for = step(value)
            except StopIteration as stop:
                return stop.value
            self.hops += 1
            if self.hops in self.at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                value = yield waited_for
                step = inner.send
            except BaseException as error:
                step, value = inner.throw, error


async def cancelled_at_each_hop(
    operation: Callable[[], Awaitable[Any]], check: Callable[[bool], Awaitable[None]], again: int = 0
) -> int:
    """Run the operation, cancelled at its first hop, its second, and so on until it ends by itself; give their number.

    `check(finished)` is awaited after each run. With `again` it is cancelled a second time, so many hops later.
    """
    hop = 0
    while True:
        hop += 1
        at = (hop, hop + again) if again else (hop,)
        run = CancelledAt(operation(), *at)

        async def main(run: CancelledAt = run) -> bool:
            try:
                await run
            except asyncio.CancelledError:
                return False
            return True

        # In a task of its own, which keeps the cancellation from the test.
        finished = await asyncio.create_task(main())
        await check(finished)
        if run.hops < hop:
            assert finished
            return hop - 1
