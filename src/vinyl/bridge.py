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

This module knows neither Django nor databases.
"""

import asyncio
import contextlib
import contextvars
import inspect
import sys
from asyncio import AbstractEventLoop, _get_running_loop, _set_running_loop
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

import greenlet
from greenlet import GreenletExit, getcurrent

from vinyl.errors import BridgeError

P = ParamSpec("P")
T = TypeVar("T")


class Inside(greenlet.greenlet):
    """The greenlet of one spawn(): `loop` is its caller's, `storage` is for whoever runs code in it, None at first.

    It must not refer to the task: the garbage collector cannot look into a greenlet that waits, so a task that nobody
    else refers to would never be collected.
    """

    loop: AbstractEventLoop | None
    storage: Any
    abandoned: bool

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
    inside = _inside(fn, outside.gr_context)
    passed = _enter(inside, args, kwargs)
    return await _rest(inside, passed)  # type: ignore[no-any-return]


def begin(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> tuple[bool, Any]:
    """Run `fn` in the bridge at once, as far as it gets without waiting, in a copy of the caller's context.

    Return True and its result, or False and a coroutine function that runs the rest and gives the result. That may be
    awaited by another task than the one that begins, or never, and beginning needs no event loop.
    """
    inside = _inside(fn, contextvars.copy_context())
    passed = _enter(inside, args, kwargs)
    if inside.dead:
        return True, passed
    return False, partial(_taken_up, inside, passed)


async def _taken_up(inside: Inside, passed: Any) -> Any:
    inside.parent = getcurrent()
    inside.loop = _get_running_loop()
    return await _rest(inside, passed)


def _inside(fn: Callable[..., Any], context: contextvars.Context | None) -> Inside:
    inside = Inside(fn, getcurrent())
    inside.loop = _get_running_loop()
    inside.storage = None
    inside.abandoned = False
    inside.gr_context = context
    return inside


def _enter(inside: Inside, args: Any, kwargs: Any) -> Any:
    """Start the greenlet; return what it passes out to be awaited, or its result."""
    loop = inside.loop
    _set_running_loop(None)
    try:
        return inside.switch(*args, **kwargs)
    finally:
        _set_running_loop(loop)


async def _rest(inside: Inside, passed: Any) -> Any:
    """Await what the greenlet passes out, until it ends."""
    loop = inside.loop
    while not inside.dead:
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
    if isinstance(passed, GreenletExit):
        # The greenlet library returns this one exception instead of raising it.
        raise passed
    return passed


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
        vars(getcurrent())["abandoned"] = True
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
    inside.abandoned = True
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
