"""One operation, carried out in the caller's mode. All faces go through here, and none decides by itself.

    async       an awaitable that runs the operation in the bridge
    sync        the operation runs now, and its result is returned
    portable    an awaitable that runs the operation synchronously when it is awaited, and never suspends

An operation is synchronous Django code. While it runs the mode is sync, so that what Django's code calls on vinyl's own
objects (a queryset's `get()` from `get_or_create()`, say) executes at once.
"""

import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from vinyl.errors import ImplicitQuery, ModeError
from vinyl.mode import Mode, current, using
from vinyl.scopes import run

Block = Callable[[], AbstractContextManager[None]]

_NOT_AWAITED = (
    "Use `await`, or run the synchronous code that uses it, such as the rendering of a template, by "
    "`await vinyl.run(function, …)`."
)


class Operation(Coroutine[Any, Any, Any]):
    """The coroutine of an operation. What uses it as if it were the result raises ImplicitQuery.

    `if queryset.exists():` without `await` would hold always, and a template would show the coroutine.
    """

    __slots__ = ("__weakref__", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

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


def dispatch(operation: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Carry out the operation in the caller's mode."""
    mode = current()
    if mode is Mode.ASYNC:
        return Operation(run(operation, *args, **kwargs))
    if mode is Mode.SYNC:
        return operation(*args, **kwargs)
    return Operation(_when_awaited(operation, *args, **kwargs))


def always_awaited(operation: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Carry out an operation that is awaited in each mode, as those of Django's names that begin with `a`."""
    if current() is Mode.PORTABLE:
        return Operation(_when_awaited(operation, *args, **kwargs))
    return Operation(run(operation, *args, **kwargs))


def in_block(block: Block, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call the function within `block()`: an operation, such as dispatch(in_block, muted, function, …)."""
    with block():
        return function(*args, **kwargs)


async def _when_awaited(operation: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with using(Mode.SYNC):
        return operation(*args, **kwargs)


def require_async(form: str, instead: str) -> None:
    """Raise ModeError if the asynchronous `form` is used in the sync mode, where `instead` is meant."""
    if current() is Mode.SYNC:
        raise ModeError(f"`{form}` was used in the sync mode. Use `{instead}`, or vinyl.async_mode().")


class BothWays:
    """A block that is entered with `async with` in the async mode and with `with` in the sync mode.

    Subclasses bring three operations: `_enter()`, `_exit(*exc_info)`, and `_drop()`, which ends the block without
    waiting, since the coroutine it stands in is being dropped.
    """

    def _enter(self) -> Any:
        raise NotImplementedError

    def _exit(self, *exc_info: Any) -> Any:
        raise NotImplementedError

    def _drop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        if current() is not Mode.SYNC:
            raise ModeError(f"`with {self._name()}` was used in the async mode. Use `async with {self._name()}`.")
        return self._enter()

    def __exit__(self, *exc_info: Any) -> Any:
        return self._exit(*exc_info)

    async def __aenter__(self) -> Any:
        require_async(f"async with {self._name()}", f"with {self._name()}")
        return await dispatch(self._enter)

    async def __aexit__(self, *exc_info: Any) -> Any:
        if exc_info[0] is GeneratorExit:
            self._drop()
            return None
        return await dispatch(self._exit, *exc_info)

    def _name(self) -> str:
        return type(self).__name__.removesuffix("Block").lower() + "()"
