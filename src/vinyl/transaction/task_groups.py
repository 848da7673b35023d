"""Tasks that share the transaction of the task which starts them: `tx.task_group()`; see transaction.Transaction.

Each operation of a member waits for its turn on the connection; a block of its own keeps the turn until it ends, since
savepoints nest. Starting, settling and cancelling the members is asyncio's TaskGroup's.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Coroutine
from typing import Any, TypeVar

from vinyl.errors import OwnershipError
from vinyl.lending.pins import Pin, pin_here
from vinyl.lending.scopes import source
from vinyl.lending.turns import Turns

T = TypeVar("T")


class TransactionGroup(asyncio.TaskGroup):
    """A TaskGroup whose tasks use the transaction of the block on `alias`, which the running task is in."""

    def __init__(self, alias: str) -> None:
        super().__init__()
        self._alias = alias
        self._pin: Pin | None = None

    async def __aenter__(self) -> "TransactionGroup":
        pin = pin_here(self._alias)
        if pin is None or pin.wrapper is None or not pin.is_open_to(asyncio.current_task()):
            raise OwnershipError(
                f"task_group() was entered outside of its transaction on the database {self._alias!r}. Enter it in the "
                "block, by the task that has entered that."
            )
        if pin.turns is None:
            connections = source(self._alias)
            pin.turns = Turns(connections.pool.options.timeout, connections.time_limit)
        elif pin.turns.is_mine:
            raise OwnershipError(
                "task_group() was entered in a block of a task that shares its transaction with others: they wait "
                "until that block has ended. Start the tasks by the group that there is, outside of the block."
            )
        self._pin = pin
        await super().__aenter__()
        return self

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> "asyncio.Task[T]":
        """Start a task that shares the transaction. Parameters and errors are asyncio's."""
        if not inspect.isawaitable(coro):
            raise TypeError(f"create_task() of a task_group() takes a coroutine, not {coro!r}.")
        member = self._member(coro)
        try:
            return super().create_task(member, name=name, context=context)
        except BaseException:
            member.close()
            coro.close()
            raise

    async def _member(self, coro: Coroutine[Any, Any, T]) -> T:
        assert self._pin is not None
        self._pin.join(asyncio.current_task())
        return await coro
