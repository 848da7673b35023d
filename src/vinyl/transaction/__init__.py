"""Transactions, in both modes: Django's `atomic` and its friends, with Django's errors.

    async with transaction.atomic(): …           with transaction.atomic(): …
    @transaction.atomic on `async def`           @transaction.atomic on `def`
    @transaction.atomic(retries=3)               the same, run again after a conflict with another transaction
    async with transaction.atomic() as tx, tx.task_group() as group: …      tasks that share the transaction

Django's own code begins, nests, commits and rolls back; here is only how it is reached. The outermost block pins a
connection to the task (see pins.py). https://docs.djangoproject.com/en/stable/topics/db/transactions/
"""

import functools
import inspect
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import Any, TypeVar, overload

import django.db
from django.db import DEFAULT_DB_ALIAS, transaction

from vinyl import mode
from vinyl.common import deadlines
from vinyl.dispatch import dispatch
from vinyl.errors import ModeError
from vinyl.faces.blocks import KeepsTurn
from vinyl.faces.deadline_blocks import watching
from vinyl.lending import pins
from vinyl.lending.scopes import check_alias
from vinyl.lending.shared import SharedWrapper
from vinyl.transaction.retries import Attempt, attempts, pause, wait
from vinyl.transaction.task_groups import TransactionGroup

TransactionManagementError = transaction.TransactionManagementError
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Atomic(KeepsTurn["Transaction"]):
    """See atomic(). One object can be entered again, by any task, as Django's."""

    def __init__(self, using: str | None, savepoint: bool, durable: bool, retries: int = 0) -> None:
        super().__init__(using or DEFAULT_DB_ALIAS)
        self._options = (using, savepoint, durable)
        self._django = transaction.Atomic(*self._options)
        self._retries = retries

    def _enter(self) -> "Transaction":
        if self._retries:
            raise TypeError(
                "transaction.atomic(retries=…) was entered as a block, which cannot be run again. Decorate a function "
                "with it."
            )
        wrapper = _connection(self._using)
        if isinstance(wrapper, SharedWrapper):
            # It is in a transaction already, by which others are pinned.
            wrapper.hold()
        try:
            self._django.__enter__()
        except BaseException:
            if isinstance(wrapper, SharedWrapper):
                wrapper.release()
            raise
        self._entered.push()
        return Transaction(self._using)

    def _exit(self, *exc_info: Any) -> None:
        self._entered.pop()
        wrapper = _connection(self._using)
        try:
            self._end_in_time(*exc_info)
        finally:
            if isinstance(wrapper, SharedWrapper):
                wrapper.release()

    def _end_in_time(self, *exc_info: Any) -> None:
        deadline = deadlines.current()
        if exc_info[0] is None and deadline is not None and deadline.remaining <= 0:
            error = deadline.exceeded(f"a transaction was open on the database {self._using!r}")
            self._end(type(error), error, None)
            raise error
        self._end(*exc_info)

    def _end(self, *exc_info: Any) -> None:
        with (
            nullcontext() if exc_info[0] is None else deadlines.with_grace(),
            watching(_connection(self._using), f"a transaction was ended on the database {self._using!r}"),
        ):
            self._django.__exit__(*exc_info)

    def _name(self) -> str:
        return "transaction.atomic()"

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function, or a coroutine function, whose calls then run in the block."""
        return self._decorated(function)  # type: ignore[no-any-return]

    def _decorated(self, function: Callable[..., Any]) -> Any:
        if not callable(function):
            raise TypeError(f"transaction.atomic() decorates a function or a coroutine function, not {function!r}.")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"transaction.atomic() cannot decorate the generator function {function!r}: its body runs after the "
                "call, which the block would be for, has ended. Open the block in the body."
            )
        if isinstance(function, mode.portable):
            return mode.portable(self(function.function))
        if self._retries:
            return self._retrying(function)
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

    def _retrying(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                rounds = attempts(self._number_of_attempts())
                while True:
                    attempt = next(rounds)
                    with attempt, attempt.rewinding([*args, *kwargs.values()]):
                        async with _Once(attempt, *self._options):
                            return await function(*args, **kwargs)
                    await pause(attempt.delay)

            return awaited

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            rounds = attempts(self._number_of_attempts())
            while True:
                attempt = next(rounds)
                with attempt, attempt.rewinding([*args, *kwargs.values()]), _Once(attempt, *self._options):
                    return function(*args, **kwargs)
                wait(attempt.delay)

        return called

    def _number_of_attempts(self) -> int:
        # A conflict ends the whole transaction, so what is inside of another block cannot be run again alone.
        return 1 if _is_in_block(self._using) else 1 + self._retries


class _Once(Atomic):
    """The block of one attempt, which is told when it is committed."""

    def __init__(self, attempt: Attempt, *options: Any) -> None:
        super().__init__(*options)
        self._attempt = attempt

    def _enter(self) -> "Transaction":
        entered = super()._enter()
        # The first of the callbacks.
        transaction.on_commit(self._note, using=self._using)
        return entered

    def _note(self) -> None:
        self._attempt.is_committed = True


class Transaction:
    """What `async with transaction.atomic() as tx` gives."""

    def __init__(self, using: str) -> None:
        self._using = using

    def task_group(self) -> TransactionGroup:
        """Return an asyncio.TaskGroup whose tasks share the transaction, for `async with` in its block.

        Their queries, and those of the task that is in the block, go to its one connection, one after the other; a
        block of their own has it until it ends. Leaving the group waits for all of them, so that they are done before
        the COMMIT; if one fails the others are cancelled, and the group's error rolls back. Tasks that a member starts
        otherwise than by the group do not share it. Who gets no turn within the pool's `timeout` gets PoolTimeout.

        There are no tasks in the sync mode: ModeError. https://docs.python.org/3/library/asyncio-task.html#task-groups
        """
        if mode.current() is not mode.Mode.ASYNC:
            raise ModeError(
                "task_group() was used in the sync mode, in which there are no tasks. Call one function "
                "after the other, or branch on vinyl.is_async()."
            )
        return TransactionGroup(self._using)


@overload
def atomic(using: _Function, savepoint: bool = True, durable: bool = False, *, retries: int = 0) -> _Function: ...
@overload
def atomic(using: str | None = None, savepoint: bool = True, durable: bool = False, *, retries: int = 0) -> Atomic: ...
def atomic(using: Any = None, savepoint: bool = True, durable: bool = False, *, retries: int = 0) -> Any:
    """Return a block, or decorate a function, whose queries are committed together or not at all.

    In the async mode it is entered with `async with`, which borrows a connection and pins it to this task until the
    block ends: tasks started inside get OwnershipError, but for those of its task_group(), see Transaction. Cancelling
    rolls back; so does any exception. It nests with savepoints, as Django's atomic() does, whose parameters it has.

    With `retries` it decorates a function, which is called again, up to so many times, if its transaction has met
    another: a deadlock, a serialization failure, a row or a database that was locked for too long. Before that the
    instances among its arguments, in lists too, and those that it has written are what they were when it was called,
    and a moment has passed. Callbacks of on_commit() are called once. Inside of another block it is not called again:
    the conflict has ended that as well.
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ValueError(f"transaction.atomic() got retries={retries!r}. Give the number of retries, 0 or more.")
    if callable(using):
        return Atomic(None, savepoint, durable, retries)(using)
    return Atomic(using, savepoint, durable, retries)


def on_commit(func: Callable[[], Any], using: str | None = None, robust: bool = False) -> Coroutine[Any, Any, None]:
    """Register `func`, a function or a coroutine function, to be called after the transaction was committed.

    Outside of a transaction it is called at once, hence this is awaited in the async mode. The callbacks are awaited by
    the task that leaves the outermost block, one after the other. With `robust` their errors are logged, not raised.
    """
    if not callable(func):
        raise TypeError("on_commit()'s callback must be a callable.")
    callback = (
        functools.wraps(func)(lambda: mode.finish(func())) if hasattr(func, "__name__") else lambda: mode.finish(func())
    )
    return dispatch(  # type: ignore[no-any-return]
        lambda: transaction.on_commit(callback, using=using, robust=robust)
    )


def savepoint(using: str | None = None) -> Coroutine[Any, Any, str | None]:
    """Create a savepoint in the current transaction and give its id. Does nothing where there is no transaction."""
    return dispatch(lambda: _connection(using).savepoint())  # type: ignore[no-any-return]


def savepoint_commit(sid: str, using: str | None = None) -> Coroutine[Any, Any, None]:
    """Release a savepoint."""
    return dispatch(lambda: _connection(using).savepoint_commit(sid))  # type: ignore[no-any-return]


def savepoint_rollback(sid: str, using: str | None = None) -> Coroutine[Any, Any, None]:
    """Roll back to a savepoint."""
    return dispatch(lambda: _connection(using).savepoint_rollback(sid))  # type: ignore[no-any-return]


def get_rollback(using: str | None = None) -> bool:
    """Tell whether the innermost block will roll back. A plain call in both modes, since it asks no database."""
    return _current(using).get_rollback()  # type: ignore[no-any-return]


def set_rollback(rollback: bool, using: str | None = None) -> None:
    """Make the innermost block with a savepoint roll back when it ends. A plain call in both modes."""
    _current(using).set_rollback(rollback)


def _connection(using: str | None) -> Any:
    return django.db.connections[DEFAULT_DB_ALIAS if using is None else using]


def _is_in_block(using: str) -> bool:
    wrapper = _wrapper_here(using)
    return wrapper is not None and wrapper.in_atomic_block


def _wrapper_here(using: str | None) -> Any:
    """Return the wrapper that this context would go on with, outside of the bridge too; None if it has none yet."""
    alias = DEFAULT_DB_ALIAS if using is None else using
    check_alias(alias)
    return pins.pinned_here(alias) if mode.current() is mode.Mode.ASYNC else _connection(alias)


def _current(using: str | None) -> Any:
    """Return the wrapper of this context's transaction, outside of the bridge too."""
    wrapper = _wrapper_here(using)
    if wrapper is None:
        raise TransactionManagementError("The rollback flag doesn't work outside of an 'atomic' block.")
    return wrapper
