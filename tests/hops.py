"""Ending a coroutine at an exact place: where it suspends for the n-th time, its n-th hop."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol

import anyio


class CancelledAt:
    """Awaits a coroutine and cancels the awaiting task as the coroutine suspends for the n-th time.

    That is the real thing: the future that the coroutine waits for is cancelled, as by task.cancel() from outside.
    Several numbers cancel several times, so that clean-up is cancelled too. `late` cancels when the future is done but
    before the task goes on: what it has waited for has come to pass. `hops` counts the suspensions.
    """

    def __init__(self, awaitable: Awaitable[Any], *at: int, late: bool = False) -> None:
        self.awaitable = awaitable
        self.at = at
        self.late = late
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
            finally:
                # An error that is thrown in and comes out again refers to this frame. It must not outlive its handlers,
                # nor what its traceback refers to: connections, for example.
                value = None
            self.hops += 1
            if self.hops in self.at:
                self._end(inner, waited_for)
            try:
                value = yield waited_for
                step = inner.send
            except BaseException as error:
                step, value = inner.throw, error

    def _end(self, inner: Generator[Any, Any, Any], waited_for: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.late and waited_for is not None:
            # The task asks to be woken only after this, hence is cancelled before.
            waited_for.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


class CancelledFrom(CancelledAt):
    """As CancelledAt, but by a scope of anyio's, which cancels in each round of the loop until the coroutine ends."""

    def __await__(self) -> Generator[Any, Any, Any]:
        with anyio.CancelScope() as self._scope:  # noqa: ASYNC100 – what awaits in it is the `yield from`
            return (yield from super().__await__())
        raise asyncio.CancelledError

    def _end(self, inner: Generator[Any, Any, Any], waited_for: Any) -> None:
        self._scope.cancel()


class DroppedAt(CancelledAt):
    """As CancelledAt, but closes the coroutine there, as the garbage collector does, and raises Dropped."""

    def _end(self, inner: Generator[Any, Any, Any], waited_for: Any) -> None:
        inner.close()
        raise Dropped


class Dropped(Exception):
    """The coroutine was closed."""


class Run(Protocol):
    """An operation, to be carried out once."""

    async def prepare(self) -> None: ...

    async def run(self) -> None: ...

    async def check(self, *, finished: bool) -> None:
        """Raise AssertionError unless all is as it has to be after run(), whether that was ended early or not."""


async def ended_at_each_hop(
    operation: Callable[[], Run], ended_at: Callable[[Awaitable[Any], int], CancelledAt]
) -> int:
    """Carry out the operation, ended at its first hop, its second, … until it ends by itself; give their number.

    `ended_at(awaitable, hop)` makes a CancelledAt, say.
    """
    hop = 0
    while True:
        hop += 1
        each = operation()
        await each.prepare()
        run = ended_at(each.run(), hop)
        # In a task of its own, which keeps the cancellation from the test.
        finished = await asyncio.create_task(_is_finished(run))
        await each.check(finished=finished)
        if run.hops < hop:
            assert finished
            return hop - 1


async def _is_finished(run: CancelledAt) -> bool:
    try:
        await run
    except (asyncio.CancelledError, Dropped):
        return False
    return True
