"""The mode: whether vinyl's calls are awaited or return at once.

* `set_async()` sets the mode of the process; async unless told otherwise.
* `async_mode()` and `sync_mode()` set it for the current context, and win over the process.
* `as_served()` sets it to what a request is served by: async where an event loop runs, sync where none does.
* Inside the bridge everything is synchronous, whatever was set.
* The body of a `@portable` coroutine function, called in the sync mode, runs in a third mode of its own: its calls are
  awaited as in the async mode, yet run synchronously as soon as they are, so that nothing ever suspends.

This module knows the bridge, but neither Django nor databases. Faces ask `current()`; nothing else decides.
"""

import enum
import functools
import inspect
from asyncio import _get_running_loop
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from vinyl import bridge
from vinyl._compat import COROUTINE_MARK, COROUTINE_MARK_VALUE
from vinyl.common.variables import temporarily
from vinyl.errors import ModeError

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")


class Mode(enum.Enum):
    """How a call of vinyl is carried out."""

    ASYNC = "async"
    SYNC = "sync"
    PORTABLE = "portable"
    # ASYNC where an event loop runs, SYNC where none does. It can be set; current() says which of the two it is.
    AS_SERVED = "as served"


_process = Mode.ASYNC
_context: ContextVar[Mode | None] = ContextVar("vinyl.mode", default=None)


def set_async(value: bool) -> None:
    """Set the mode of the whole process: True for async (as it starts), False for sync.

    Call it once, where the process starts: an ASGI server needs no call, a WSGI server calls `set_async(False)`.
    """
    global _process
    if not isinstance(value, bool):
        raise TypeError(f"set_async() takes True, for the async mode, or False, for the sync mode, not {value!r}.")
    _process = Mode.ASYNC if value else Mode.SYNC


def of_process() -> Mode:
    """Return the mode of the whole process, whatever is set for this context."""
    return _process


def is_async() -> bool:
    """Tell whether vinyl runs asynchronously here. False inside the bridge, and in a portable function run in sync."""
    return current() is Mode.ASYNC


def async_mode() -> AbstractContextManager[None]:
    """Use the async mode within this block, in this context only (a thread, or a task and those it starts)."""
    return using(Mode.ASYNC)


def sync_mode() -> AbstractContextManager[None]:
    """Use the sync mode within this block, in this context only (a thread, or a task and those it starts)."""
    return using(Mode.SYNC)


def as_served() -> AbstractContextManager[None]:
    """Within this block, in this context and in threads that are given it, use the async mode where a loop runs."""
    return using(Mode.AS_SERVED)


def using(mode: Mode) -> AbstractContextManager[None]:
    """Use `mode` within this block, in this context only."""
    return temporarily(_context, mode)


def current() -> Mode:
    """Return the mode in which a call made here is to be carried out."""
    if bridge.active():
        return Mode.SYNC
    mode = _context.get() or _process
    if mode is Mode.AS_SERVED:
        return Mode.SYNC if _get_running_loop() is None else Mode.ASYNC
    return mode


class ByMode(Generic[P, T]):
    """The base of decorators, which bring `__call__()`: a coroutine function to Django, unless the mode is sync.

    It binds as functions do, and has the attributes of what it decorates.
    """

    __wrapped__: Callable[P, Any]

    def __init__(self, function: Callable[P, Any]) -> None:
        functools.update_wrapper(self, function)

    @property
    def function(self) -> Callable[P, Any]:
        """What is decorated."""
        return self.__wrapped__

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        raise NotImplementedError

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.function!r}>"


def _coroutine_mark(function: object) -> Any:
    if current() is not Mode.SYNC:
        return COROUTINE_MARK_VALUE
    raise AttributeError(f"{function!r} is no coroutine function in the sync mode.")


# What iscoroutinefunction() looks for.
setattr(ByMode, COROUTINE_MARK, property(_coroutine_mark))


class portable(ByMode[P, T]):  # noqa: N801 (a decorator)
    """Make an `async def` that can be called in both modes: one source for ASGI and for WSGI.

    In the async mode calling it gives the coroutine. In the sync mode calling it runs the coroutine to its end and
    returns its value: each call of vinyl in it executes synchronously when it is awaited, and every `await`,
    `async with` and `async for` on vinyl's objects simply goes on. Awaiting something that really suspends
    (asyncio.sleep(), another library's I/O) raises ModeError at that line, since nobody is there to wait for it.

    Django treats it as an asynchronous view or middleware in the async mode and as a synchronous one in the sync mode,
    and asks anew for each request. Decorators such as require_GET ask once, when they are applied, so put `@portable`
    outermost, before them.
    """

    def __init__(self, function: Callable[P, Coroutine[Any, Any, T]]) -> None:
        if not callable(function) or isinstance(function, type) or inspect.isasyncgenfunction(function):
            raise TypeError(f"@vinyl.portable decorates a coroutine function (`async def`), not {function!r}.")
        super().__init__(function)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        coroutine = self.function(*args, **kwargs)
        if not inspect.isawaitable(coroutine):
            # Found out only now, since decorators make functions that are none of coroutines, yet give them.
            raise TypeError(
                f"@vinyl.portable decorates a coroutine function (`async def`), but {self.function!r} gave "
                f"{coroutine!r}, which cannot be awaited."
            )
        # What it gives in the sync mode vinyl.sync is about.
        given: Any = finish(coroutine) if current() is Mode.SYNC else coroutine
        return given  # type: ignore[no-any-return]

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: "portable[Concatenate[S, Q], T]", instance: S, owner: type | None = None
    ) -> Callable[Q, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return super().__get__(instance, owner)


def finish(result: Any) -> Any:
    """In the sync mode: return `result`, or what it gives when awaited, for user code that may be an `async def`."""
    if not inspect.isawaitable(result):
        return result
    if bridge.active():
        return bridge.await_(on_the_other_side(result))
    if isinstance(result, Coroutine):
        return run_to_end(result)
    raise ModeError(f"{result!r} cannot be awaited in the sync mode: only coroutines can be run to their end there.")


async def on_the_other_side(result: Awaitable[Any]) -> Any:
    """Await user code for the bridge: whatever mode the bridge was entered in, there is an event loop to wait on."""
    with using(Mode.ASYNC):
        return await result


# What asyncio says where it is asked to wait, and where gather() is, which looks for a loop that is to run later.
_NO_LOOP = ("no running event loop", "There is no current event loop")

_SUSPENDS = (
    "{}() awaited something that really suspends ({}), but it was called in the sync mode, where nothing can wait for "
    "it. Await only vinyl's calls in a portable function, or branch on vinyl.is_async()."
)


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the portable mode and return its value; raise ModeError inside it where it would suspend."""
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    with using(Mode.PORTABLE):
        try:
            waited_for = coroutine.send(None)
            coroutine.throw(ModeError(_SUSPENDS.format(name, repr(waited_for))))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except RuntimeError as error:
            if str(error).startswith(_NO_LOOP):
                raise ModeError(_SUSPENDS.format(name, "asyncio found no running event loop")) from error
            raise
        finally:
            coroutine.close()
    raise ModeError(f"{name}() went on to suspend after it was told that it cannot, and was closed.")
