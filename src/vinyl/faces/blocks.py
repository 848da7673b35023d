"""Blocks on one database that pin its connection to the task, until they end.

Where tasks share the connection, in a task_group() or in the transaction of a test, such a block keeps the turn on it:
savepoints nest, so it is this task's alone until then. The module knows neither transactions nor cursors.
"""

import asyncio
from typing import Any, TypeVar
from weakref import ref

from vinyl import mode
from vinyl.dispatch import BothWays
from vinyl.lending import pins
from vinyl.lending.scopes import turns_of_block
from vinyl.lending.turns import Turns

T = TypeVar("T")


class KeepsTurn(BothWays[T]):
    """Subclasses bring `_enter()` and `_exit()`; they push to `_entered` what they have pinned, and pop it."""

    def __init__(self, using: str) -> None:
        super().__init__()
        self._using = using
        self._entered = pins.Entered(using)
        # By task, the turns that it has taken for blocks on a connection that is shared.
        self._turns: dict[Any, list[Turns]] = {}

    async def __aenter__(self) -> T:
        turns = turns_of_block(self._using) if mode.current() is mode.Mode.ASYNC else None
        if turns is None:
            return await super().__aenter__()
        await turns.take()
        try:
            entered = await super().__aenter__()
        except BaseException:
            turns.give()
            raise
        self._turns.setdefault(asyncio.current_task(), []).append(turns)
        return entered

    async def __aexit__(self, *exc_info: Any) -> None:
        try:
            await super().__aexit__(*exc_info)
        finally:
            if self._turns:
                self._give_turn(asyncio.current_task())

    def _give_turn(self, task: Any) -> None:
        # A block that began before the connection was shared has taken none.
        taken = self._turns.pop(task, [])
        if taken:
            taken.pop().give()
        if taken:
            self._turns[task] = taken

    def _drop(self) -> None:
        opener = self._entered.drop()
        if opener is not None:
            self._openers.remove(ref(opener))
