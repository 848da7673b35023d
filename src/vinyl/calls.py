"""asgiref's two ways between synchronous and asynchronous code, without another thread or loop.

    async_to_sync(function)(…)     called in the bridge: awaited on the event loop that the bridge waits on
    sync_to_async(function)(…)     awaited where native_calls() holds: run in the bridge, on the running event loop

Both stay in the caller's task and context, and so in its transaction. As with asgiref, the other side sees which
exception the caller handles. `_install.py` puts these in asgiref's place; this module changes nothing by itself.
"""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from vinyl import bridge, conf
from vinyl._compat import context_of
from vinyl.mode import on_the_other_side
from vinyl.scopes import run
from vinyl.variables import temporarily

T = TypeVar("T")

_native: ContextVar[bool | None] = ContextVar("vinyl.native_calls", default=None)


def native_calls(value: bool = True) -> AbstractContextManager[None]:
    """Run what sync_to_async() would give to a thread in the bridge instead, within this block, in this context only.

    That is what Django's own asynchronous methods do: `Model.objects.aget()`, `aauthenticate()`, and those of packages.
    They query on vinyl's connections then, and in the transaction of vinyl's in which they are awaited. Functions that
    may run in any thread (`thread_sensitive=False`, or with an executor) go on to have one.

    It wins over `VINYL["NATIVE_CALLS"]`; with False it gives calls to threads again.
    """
    return temporarily(_native, value)


def given(value: bool | None) -> AbstractContextManager[None]:
    """As native_calls(), with what requested() has returned before."""
    return temporarily(_native, value)


def requested() -> bool | None:
    """Return what the innermost native_calls() of this context has asked for, or None where there is none."""
    return _native.get()


def are_native() -> bool:
    """Tell whether thread-sensitive calls made here are to run in the bridge."""
    value = requested()
    return conf.makes_native_calls() if value is None else value


async def run_natively(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what asgiref's SyncToAsync `call` is to do, in the bridge.

    Where asgiref would finish the function although its caller is cancelled, it is cancelled where it waits.
    """
    function = partial(call.func, *args, **kwargs)
    error = sys.exception()
    if error is not None:
        function = partial(_handling, error, function)
    context = context_of(call)
    if context is None:
        return await run(function)
    return await asyncio.get_running_loop().create_task(run(function), context=context)


def _handling(error: BaseException, function: Callable[[], T]) -> T:
    try:
        raise error
    except BaseException:
        return function()
    finally:
        # Its traceback holds this frame.
        del error


def await_here(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what asgiref's AsyncToSync `call` is to do, in the bridge: on the event loop that it waits on."""
    result = call.awaitable(*args, **kwargs)
    # What is portable or native has run already.
    if not inspect.isawaitable(result):
        return result
    error = sys.exception()
    return bridge.await_(on_the_other_side(result if error is None else _awaited_handling(error, result)))


async def _awaited_handling(error: BaseException, awaitable: Awaitable[T]) -> T:
    # Whoever awaits may handle another exception, which would become the context of this one.
    context = error.__context__
    try:
        raise error
    except BaseException:
        error.__context__ = context
        return await awaitable
    finally:
        del error
