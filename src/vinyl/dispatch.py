"""One operation, carried out in the caller's mode. All faces go through here, and none decides by itself.

    async       an awaitable that runs the operation in the bridge
    sync        the operation runs now, and its result is returned
    portable    an awaitable that runs the operation synchronously when it is awaited, and never suspends

An operation is synchronous Django code. While it runs the mode is sync, so that what Django's code calls on vinyl's own
objects (a queryset's `get()` from `get_or_create()`, say) executes at once.
"""

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, suppress
from functools import partial
from types import FrameType
from typing import Any, Concatenate, Generic, NoReturn, ParamSpec, Self, TypeVar, overload
from weakref import ref

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import SynchronousOnlyOperation

from vinyl._compat import COROUTINE_MARK, COROUTINE_MARK_VALUE
from vinyl.common import whereabouts
from vinyl.errors import ImplicitQuery, ModeError
from vinyl.lending.scopes import run
from vinyl.mode import ByMode, Mode, current, using

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")
Block = Callable[[], AbstractContextManager[None]]
Native = Callable[..., Coroutine[Any, Any, Any]]

_NOT_AWAITED = (
    "Use `await`, or run the synchronous code that uses it, such as the rendering of a template, by "
    "`await vinyl.run(function, …)`."
)


class Operation(Coroutine[Any, Any, Any]):
    """The coroutine of an operation. What uses it as if it were the result raises ImplicitQuery.

    `if queryset.exists():` without `await` would hold always, and a template would show the coroutine.
    """

    __slots__ = ("__weakref__", "_coroutine", "_made_at")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        if whereabouts.observers:
            # A task that is made of it has no line of the project's.
            self._made_at = whereabouts.here(None if asyncio._get_running_loop() is None else asyncio.current_task())

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *exc_info: Any) -> Any:
        return self._coroutine.throw(*exc_info)

    def close(self) -> None:
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "cr_")):
            return getattr(self._coroutine, name)
        raise AttributeError(f"There is no {name!r} before the query is awaited: {_NOT_AWAITED}")

    def __bool__(self) -> bool:
        # asyncio asks for the truth of a task's coroutine where it shows the task.
        if sys._getframe(1).f_globals.get("__name__", "").startswith("asyncio."):
            return True
        return self._refuse()

    def _refuse(self, *args: Any) -> NoReturn:
        self._coroutine.close()
        raise ImplicitQuery(f"A query was used as if it were its result. {_NOT_AWAITED}")

    __str__ = __len__ = __iter__ = __getitem__ = __contains__ = _refuse
    __int__ = __float__ = __index__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __truediv__ = _refuse
    __hash__ = object.__hash__


def dispatch(operation: Callable[..., Any], /, *args: Any, natively: Native | None = None, **kwargs: Any) -> Any:
    """Carry out the operation in the caller's mode; `natively` is a coroutine function that does the same."""
    mode = current()
    if mode is Mode.ASYNC:
        return Operation(natively(*args) if natively is not None else run(operation, *args, **kwargs))
    if mode is Mode.SYNC:
        return at_once(operation, *args, **kwargs)
    return Operation(_when_awaited(operation, *args, **kwargs))


def at_once(operation: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Carry out the operation now, and say in terms of modes where Django refuses to, in a running event loop."""
    try:
        return operation(*args, **kwargs)
    except SynchronousOnlyOperation as error:
        if type(error) is not SynchronousOnlyOperation:
            raise
        # Django's own error, which knows nothing of modes.
        raise ModeError(
            "A query was made in the sync mode in a thread whose event loop is running, and which it would block. Use "
            "the async mode there, vinyl.async_mode() or vinyl.set_async(True), and `await`."
        ) from error


def always_awaited(operation: Callable[..., Any], /, *args: Any, natively: Native | None = None, **kwargs: Any) -> Any:
    """Carry out an operation that is awaited in each mode, as those of Django's names that begin with `a`."""
    if current() is Mode.PORTABLE:
        return Operation(_when_awaited(operation, *args, **kwargs))
    return Operation(natively(*args) if natively is not None else run(operation, *args, **kwargs))


def run_synchronous(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
    """Run synchronous code, Django's or of the project's, on vinyl's connections; awaited in each mode.

    Inside, Django's ORM waits on the event loop instead of blocking it, in the caller's transaction if there is one. It
    gives what `function` returns and raises what it raises. Code that blocks otherwise (time.sleep(), reading from a
    socket) blocks the event loop: it is not run in a thread.
    """
    if not callable(function):
        raise TypeError(f"vinyl.run() takes a function and its arguments, not {function!r}.")
    code = getattr(function, "__func__", function)
    # What is portable is synchronous in the bridge.
    if inspect.isfunction(code) and inspect.iscoroutinefunction(code):
        raise TypeError(f"vinyl.run() takes a synchronous function, not {function!r}: await what that gives.")
    # Not as arguments of ours, which have names that the function's may have too.
    awaited: Coroutine[Any, Any, T] = always_awaited(partial(function, *args, **kwargs))
    return awaited


def now(result: Coroutine[Any, Any, T]) -> T:
    """Return the result of a call that was made in the sync mode, for type checkers: they take it for an awaitable.

    It does nothing else. In the async mode, where there is something to await, it raises ModeError.
    """
    if isinstance(result, Coroutine):
        result.close()
        raise ModeError(
            "vinyl.now() was given a call that is to be awaited, since the mode is not sync here. Use `await`; or make "
            "the call in vinyl.sync_mode(), or in a process that has called vinyl.set_async(False)."
        )
    return result


class native(ByMode[P, T]):  # noqa: N801 (a decorator)
    """Make an asynchronous function of a synchronous one, a view or a method say, that is carried out by vinyl.run().

    In the async mode calling it gives what is to be awaited, and Django treats it as an asynchronous view. In the sync
    mode it is the synchronous function that it was, to its callers and to Django. Cancelling whoever awaits it raises
    CancelledError in the function, where it waits for the database.

    Decorators such as login_required ask once, when they are applied, what they decorate. Below `@native` they are part
    of the synchronous code; above it they must be able to decorate asynchronous views.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        asks = (iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        if not callable(function) or isinstance(function, type | ByMode) or any(ask(function) for ask in asks):
            raise TypeError(
                f"@vinyl.native decorates a synchronous function (`def`) that gives its result by `return`, not "
                f"{function!r}."
            )
        super().__init__(function)
        if current() is not Mode.SYNC:
            # method_decorator() and View.as_view() hand on what is among a function's attributes, and nothing else.
            vars(self)[COROUTINE_MARK] = COROUTINE_MARK_VALUE

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        # What it gives in the sync mode vinyl.sync is about.
        awaited: Coroutine[Any, Any, T] = dispatch(partial(self.function, *args, **kwargs))
        return awaited

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: "native[Concatenate[S, Q], T]", instance: S, owner: type | None = None
    ) -> Callable[Q, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return super().__get__(instance, owner)


def in_block(block: Block, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call the function within `block()`: an operation, such as dispatch(in_block, muted, function, …)."""
    with block():
        return function(*args, **kwargs)


async def _when_awaited(operation: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with using(Mode.SYNC):
        return at_once(operation, *args, **kwargs)


def require_async(form: str, instead: str) -> None:
    """Raise ModeError if the asynchronous `form` is used in the sync mode, where `instead` is meant."""
    if current() is Mode.SYNC:
        raise ModeError(f"`{form}` was used in the sync mode. Use `{instead}`, or vinyl.async_mode().")


def _opener() -> Any:
    """Return who enters or leaves an `async with` here: the running task, or where there is none the thread."""
    is_task = current() is Mode.ASYNC and asyncio._get_running_loop() is not None
    return (asyncio.current_task() if is_task else None) or threading.current_thread()


def _is_left_in_a_generator() -> bool:
    """Tell whether the `async with` that is being left stands in an asynchronous generator, whose aclose() may wait."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name == "__aexit__":
        frame = frame.f_back
    return frame is not None and bool(frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR)


class BothWays(Generic[T]):
    """A block that is entered with `async with` in the async mode and with `with` in the sync mode.

    Subclasses bring three operations: `_enter()`, `_exit(*exc_info)`, and `_drop()`, which ends the block without
    waiting, since the coroutine it stands in is being dropped. An asynchronous generator that is closed by whoever has
    iterated over it gets the same GeneratorExit, but may wait.
    """

    def __init__(self) -> None:
        self._openers: list[ref[Any]] = []

    def _enter(self) -> T:
        raise NotImplementedError

    def _exit(self, *exc_info: Any) -> None:
        raise NotImplementedError

    def _drop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> T:
        if current() is not Mode.SYNC:
            raise ModeError(f"`with {self._name()}` was used in the async mode. Use `async with {self._name()}`.")
        entered: T = at_once(self._enter)
        return entered

    def __exit__(self, *exc_info: Any) -> None:
        self._exit(*exc_info)

    async def __aenter__(self) -> T:
        require_async(f"async with {self._name()}", f"with {self._name()}")
        entered: T = await dispatch(self._enter)
        self._openers.append(ref(_opener()))
        return entered

    async def __aexit__(self, *exc_info: Any) -> None:
        # The opener is asked for last: as the interpreter ends, not even the greenlet that runs can be.
        if exc_info[0] is GeneratorExit and not (_is_left_in_a_generator() and ref(_opener()) in self._openers):
            self._drop()
            return
        # Whether another may leave the block is for _exit() to say.
        with suppress(ValueError):
            self._openers.remove(ref(_opener()))
        await dispatch(self._exit, *exc_info)

    def _name(self) -> str:
        return type(self).__name__.removesuffix("Block").lower() + "()"
