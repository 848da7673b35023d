"""The bridge: synchronous code that waits asynchronously.

    async side                              sync side (a greenlet)
    await spawn(fn, *args)       ────────►  fn(*args) runs
                                 ◄────────  await_(awaitable) hands the awaitable out
    awaits it on the event loop
                                 ────────►  … and await_() returns its result, or raises its error
                                 ◄────────  fn returns or raises, and so does spawn()

Protocol, and what the code below relies on:

* The greenlet runs in the Context of the task that awaits `spawn()`: context variables are shared both ways.
* While the greenlet runs there is no running event loop, since the code in it *is* synchronous: guards such as Django's
  `async_unsafe` let it pass. The loop is back as soon as the greenlet waits or ends. Nothing else of asyncio changes.
* Results and exceptions, cancellation included, pass as themselves, with tracebacks that show both sides. One thing
  cannot leave a coroutine as itself: StopIteration becomes RuntimeError (PEP 479).
* A coroutine that is closed or collected while its greenlet waits ends the greenlet: GeneratorExit is raised where it
  waits, and at each further await_() of its clean-up code, since no loop will come back to serve it.
* A greenlet whose function has returned is parked, and runs the next one in its thread: a new greenlet costs several
  times as much, much of it the kernel's work for its stack. One whose function has raised, was abandoned, or was not
  called from the main greenlet of its thread ends. A parked one refers to nothing of what it has run.

This module knows neither Django nor databases.
"""

import asyncio
import contextlib
import contextvars
import inspect
import sys
import threading
from asyncio import AbstractEventLoop, _get_running_loop, _set_running_loop
from collections.abc import Awaitable, Callable
from functools import partial
from types import CodeType
from typing import Any, ParamSpec, TypeVar

import greenlet
from greenlet import GreenletExit, getcurrent

from vinyl.errors import BridgeError

P = ParamSpec("P")
T = TypeVar("T")

# In each thread: as many as commonly end in one turn of the event loop before others begin. Each has a stack of 16 KB.
MOST_PARKED = 32


class Inside(greenlet.greenlet):
    """The greenlet of a spawn(): `loop` is its caller's, `storage` is for whoever runs code in it, None at first.

    Nobody may keep it for longer, since it is another spawn()'s afterwards. It must not refer to the task: the garbage
    collector cannot look into a greenlet that waits, so a task that nobody else refers to would never be collected.
    """

    loop: AbstractEventLoop | None = None
    storage: Any = None
    abandoned: bool = False
    # With what it runs, rather than to be used again.
    ends: bool = False

    @property
    def task(self) -> "asyncio.Task[Any] | None":
        """The task that awaits the spawn()."""
        return None if self.loop is None else asyncio.current_task(self.loop)


async def spawn(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the synchronous `fn` in the bridge and return its result; what it waits for with await_() is awaited here.

    Cancelling the awaiting task raises CancelledError inside, where `fn` waits. `fn` may clean up, and wait again to do
    so; it is not cancelled a second time unless the task is.
    """
    outside = getcurrent()
    if outside.gr_context is None:
        # No context variable was ever set in this thread, and asking for the context is what creates it.
        contextvars.copy_context()
    inside = _inside(outside, outside.gr_context)
    job = [fn, args, kwargs]
    passed = _enter(inside, job)
    if passed is not job:
        await _rest(inside, job, passed)
    result = _result(inside, job)
    # An error that the function has handled and kept refers to this frame, and must not keep the greenlet.
    del inside
    return result  # type: ignore[no-any-return]


def begin(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> tuple[bool, Any]:
    """Run `fn` in the bridge at once, as far as it gets without waiting, in a copy of the caller's context.

    Return True and its result, or False and a coroutine function that runs the rest and gives the result. That may be
    awaited once, by another task than the one that begins, or never, and beginning needs no event loop.
    """
    inside = _inside(getcurrent(), contextvars.copy_context())
    job = [fn, args, kwargs]
    passed = _enter(inside, job)
    if passed is job:
        return True, _result(inside, job)
    return False, partial(_taken_up, inside, job, passed)


async def _taken_up(inside: Inside, job: list[Any], passed: Any) -> Any:
    inside.parent = getcurrent()
    inside.loop = _get_running_loop()
    await _rest(inside, job, passed)
    return _result(inside, job)


class _Parked(threading.local):
    """The greenlets of this thread that wait for a job."""

    def __init__(self) -> None:
        self.greenlets: list[Inside] = []


_parked = _Parked()


def close_parked() -> None:
    """Let go of the greenlets that this thread keeps to be used again; one that calls this is not kept either."""
    _parked.greenlets.clear()
    inside = current()
    if inside is not None:
        inside.ends = True


def _serve(job: list[Any]) -> list[Any]:
    """Run a job, which is a function and its arguments, leave its result in its place, and be parked until the next.

    It returns, which ends the greenlet, where that is not to be used again; a function that raises ends it too.
    """
    while True:
        fn, args, kwargs = job
        job.clear()
        job.append(fn(*args, **kwargs))
        inside = getcurrent()
        assert type(inside) is Inside
        outside = inside.parent
        assert outside is not None
        # A parked greenlet's parent is the main one of its thread, so that it keeps no other alive.
        if inside.ends or outside.parent is not None or len(_parked.greenlets) >= MOST_PARKED:
            return job
        # As in await_(), it refers neither to its own greenlet, nor to anything but by a list that _result() empties.
        del fn, args, kwargs, inside
        job = outside.switch(job)


# What is outermost in each greenlet of the bridge.
OUTERMOST: CodeType = _serve.__code__


def _inside(outside: greenlet.greenlet, context: contextvars.Context | None) -> Inside:
    """Return a greenlet to run a job in: a parked one, whose parent is the main greenlet, or else a new one."""
    greenlets = _parked.greenlets
    inside = greenlets.pop() if greenlets and outside.parent is None else Inside(_serve, outside)
    inside.loop = _get_running_loop()
    inside.gr_context = context
    return inside


def _enter(inside: Inside, job: list[Any]) -> Any:
    """Start a job; return what it passes out to be awaited, or the job itself when it has ended."""
    loop = inside.loop
    _set_running_loop(None)
    try:
        return inside.switch(job)
    finally:
        _set_running_loop(loop)


async def _rest(inside: Inside, job: list[Any], passed: Any) -> None:
    """Await what the job passes out, until it ends."""
    loop = inside.loop
    while passed is not job:
        if inside.dead:
            # The greenlet library returns GreenletExit instead of raising it.
            raise passed
        error = None
        try:
            value = await passed.pop()
        except GeneratorExit:
            _abandon(inside)
            raise
        except BaseException:
            # Thrown in below, outside of this handler: else the error would become the context of what `fn` raises.
            error = sys.exc_info()
        _set_running_loop(None)
        try:
            passed = inside.switch(value) if error is None else inside.throw(*error)
        finally:
            _set_running_loop(loop)
            # The error's traceback holds this frame: without this, the two would keep each other alive.
            del error
    # See spawn().
    del inside


def _result(inside: Inside, job: list[Any]) -> Any:
    """Return the result of a job that has ended, and park its greenlet if that is to be used again."""
    if not inside.dead:
        inside.loop = inside.storage = inside.gr_context = None
        _parked.greenlets.append(inside)
    return job.pop()


def await_(awaitable: Awaitable[T]) -> T:
    """Wait for `awaitable` from synchronous code that runs in the bridge, and return its result.

    It is awaited by the task that awaits spawn(), in the same Context. Outside of the bridge a coroutine given here is
    closed and BridgeError says what to do.
    """
    inside = getcurrent()
    if type(inside) is not Inside:
        _close(awaitable)
        raise BridgeError(
            "await_() was called outside of the bridge, so there is no event loop to wait on. In a coroutine, use "
            "`await`; to call synchronous code that waits with await_(), use `await vinyl.run(function)`."
        )
    if inside.abandoned:
        _close(awaitable)
        raise GeneratorExit
    outside = inside.parent
    assert outside is not None
    # The garbage collector cannot look into a greenlet that waits: what this frame refers to while it does could never
    # be collected. So it refers neither to its own greenlet, nor to the awaitable but by a list that spawn() empties.
    passed = [awaitable]
    del awaitable, inside
    try:
        return outside.switch(passed)  # type: ignore[no-any-return]
    except GreenletExit:
        # The greenlet library ends a greenlet that nobody can reach any more, e.g. one collected in another thread.
        vars(getcurrent()).update(abandoned=True, ends=True)
        raise


def active() -> bool:
    """Tell whether the caller runs in the bridge."""
    return type(getcurrent()) is Inside


def current() -> Inside | None:
    """Return the greenlet of the spawn() that the caller runs in, or None outside of the bridge."""
    inside = getcurrent()
    return inside if type(inside) is Inside else None


def _abandon(inside: Inside) -> None:
    """End a greenlet whose coroutine was closed: it can clean up, but no longer wait."""
    inside.abandoned = inside.ends = True
    loop = _get_running_loop()
    _set_running_loop(None)
    # It ends in whoever closes or collects the coroutine, which may be code in another greenlet of this thread.
    with contextlib.suppress(ValueError):
        inside.parent = getcurrent()
    try:
        inside.throw(GeneratorExit)
    except (GeneratorExit, greenlet.error):
        # greenlet.error: collected in a thread that is not the greenlet's, whose library ends it in its own thread.
        pass
    finally:
        _set_running_loop(loop)


def _close(awaitable: Awaitable[Any]) -> None:
    """Close a coroutine that will never be awaited, so that Python need not warn about it."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
