"""Transactions, in both modes: Django's `atomic` and its friends, with Django's errors.

    async with transaction.atomic(): …           with transaction.atomic(): …
    @transaction.atomic on `async def`           @transaction.atomic on `def`

Django's own code begins, nests, commits and rolls back; here is only how it is reached. The outermost block pins a
connection to the task (see pins.py). https://docs.djangoproject.com/en/stable/topics/db/transactions/
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import django.db
from django.db import DEFAULT_DB_ALIAS, transaction

from vinyl import mode, pins
from vinyl.dispatch import BothWays, dispatch

TransactionManagementError = transaction.TransactionManagementError


class Atomic(BothWays):
    """See atomic(). One object can be entered again, by any task, as Django's."""

    def __init__(self, using: str | None, savepoint: bool, durable: bool) -> None:
        self._using = using or DEFAULT_DB_ALIAS
        self._django = transaction.Atomic(using, savepoint, durable)
        self._entered = pins.Entered(self._using)

    def _enter(self) -> None:
        self._django.__enter__()
        self._entered.push()

    def _exit(self, *exc_info: Any) -> None:
        self._entered.pop()
        self._django.__exit__(*exc_info)

    def _drop(self) -> None:
        pins.abandon(self._using)

    def _name(self) -> str:
        return "transaction.atomic()"

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Decorate a function, or a coroutine function, whose calls then run in the block."""
        if isinstance(function, mode.portable):
            return mode.portable(self(function.function))
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                async with self:
                    return await function(*args, **kwargs)

            return awaited

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return called


def atomic(using: Any = None, savepoint: bool = True, durable: bool = False) -> Any:
    """Return a block, or decorate a function, whose queries are committed together or not at all.

    In the async mode it is entered with `async with`, which borrows a connection and pins it to this task until the
    block ends: tasks started inside get OwnershipError. Cancelling rolls back; so does any exception. It nests with
    savepoints, as Django's atomic() does, whose parameters it has.
    """
    if callable(using):
        return Atomic(None, savepoint, durable)(using)
    return Atomic(using, savepoint, durable)


def on_commit(func: Callable[[], Any], using: str | None = None, robust: bool = False) -> Any:
    """Register `func`, a function or a coroutine function, to be called after the transaction was committed.

    Outside of a transaction it is called at once, hence this is awaited in the async mode. The callbacks are awaited by
    the task that leaves the outermost block, one after the other. With `robust` their errors are logged, not raised.
    """
    if not callable(func):
        raise TypeError("on_commit()'s callback must be a callable.")
    callback = (
        functools.wraps(func)(lambda: mode.finish(func())) if hasattr(func, "__name__") else lambda: mode.finish(func())
    )
    return dispatch(lambda: transaction.on_commit(callback, using=using, robust=robust))


def savepoint(using: str | None = None) -> Any:
    """Create a savepoint in the current transaction and give its id. Does nothing where there is no transaction."""
    return dispatch(lambda: _connection(using).savepoint())


def savepoint_commit(sid: str, using: str | None = None) -> Any:
    """Release a savepoint."""
    return dispatch(lambda: _connection(using).savepoint_commit(sid))


def savepoint_rollback(sid: str, using: str | None = None) -> Any:
    """Roll back to a savepoint."""
    return dispatch(lambda: _connection(using).savepoint_rollback(sid))


def get_rollback(using: str | None = None) -> bool:
    """Tell whether the innermost block will roll back. A plain call in both modes, since it asks no database."""
    return _current(using).get_rollback()  # type: ignore[no-any-return]


def set_rollback(rollback: bool, using: str | None = None) -> None:
    """Make the innermost block with a savepoint roll back when it ends. A plain call in both modes."""
    _current(using).set_rollback(rollback)


def _connection(using: str | None) -> Any:
    return django.db.connections[using or DEFAULT_DB_ALIAS]


def _current(using: str | None) -> Any:
    """Return the wrapper of this context's transaction, outside of the bridge too."""
    if mode.current() is not mode.Mode.ASYNC:
        return _connection(using)
    wrapper = pins.pinned_here(using or DEFAULT_DB_ALIAS)
    if wrapper is None:
        raise TransactionManagementError("The rollback flag doesn't work outside of an 'atomic' block.")
    return wrapper
