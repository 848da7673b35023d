"""asgiref's two ways between synchronous and asynchronous code, without another thread or loop.

    async_to_sync(function)(…)     called in the bridge: awaited on the event loop that the bridge waits on
    sync_to_async(function)(…)     awaited where native_calls() holds: run in the bridge, on the running event loop

Both stay in the caller's task and context, and so in its transaction. As with asgiref, the other side sees which
exception the caller handles. `_install.py` puts these in asgiref's place; this module changes nothing by itself.

A task that was started inside a transaction may not use its connection. But where such tasks call sync_to_async(), as
Django's `Signal.asend()` has them do, asgiref has one thread for all of them: the functions follow one another, on the
connection of whoever has started the tasks. So here a function *visits* the transaction: one at a time is let in, while
the task that has started the others waits for them.
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
from vinyl.common.variables import temporarily
from vinyl.lending import pins
from vinyl.lending.scopes import run, run_in_callers_turn
from vinyl.mode import on_the_other_side

T = TypeVar("T")

_native: ContextVar[bool | None] = ContextVar("vinyl.native_calls", default=None)


class _Host:
    """Synchronous code that awaits a coroutine: meanwhile tasks may visit the transaction that it is in."""

    __slots__ = ("is_waiting", "visits")

    def __init__(self) -> None:
        self.is_waiting = True
        self.visits = asyncio.Lock()


_host: ContextVar[_Host | None] = ContextVar("vinyl.host", default=None)


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
    if value is not None:
        return value
    # asgiref brings them back to the thread whose code waits, since that has the transaction. Outside of one it does
    # not matter where they run, and a thread does not block the loop.
    return (_waiting_host() is not None and bool(pins.all_pinned())) or conf.makes_native_calls()


def _waiting_host() -> _Host | None:
    host = _host.get()
    return host if host is not None and host.is_waiting else None


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
        return await _run(function)
    return await asyncio.get_running_loop().create_task(_run(function), context=context)


async def _run(function: Callable[[], T]) -> T:
    """Run the function in the bridge, as a visit where a transaction that this task has inherited is another task's."""
    task = asyncio.current_task()
    closed = pins.closed_to(task)
    if not closed:
        return await run(function)
    host = _waiting_host()
    async with closed[0].visits if host is None else host.visits:
        for pin in closed:
            pin.admit(task)
        try:
            # If tasks share the transaction, it is the turn of the code that waits as long as it does.
            return await (run(function) if host is None else run_in_callers_turn(function))
        finally:
            for pin in closed:
                pin.dismiss(task)


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
    host = _Host()
    with temporarily(_host, host):
        try:
            return bridge.await_(on_the_other_side(result if error is None else _awaited_handling(error, result)))
        finally:
            host.is_waiting = False


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
