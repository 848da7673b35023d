"""Pins: which wrapper a context keeps, and for which task.

A transaction or a hold pins its wrapper: later operations of the same task find it through a context variable. A task
that inherited the context finds the pin as well, but may not use it while it lasts, since one connection serves one
task at a time; once the pin has ended it is as if there had been none. Tasks that are admitted share it, in turns.

A pin whose wrapper is abandoned while blocks are open is *lost*: their task is refused until it has left them, since
what it does next would be committed without them.

This module knows neither connections nor pools; of a wrapper only what `Pinned` names.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Protocol
from weakref import WeakSet, ref

from django.db.transaction import TransactionManagementError

from vinyl import bridge
from vinyl.common import process_wide
from vinyl.common.variables import temporarily
from vinyl.errors import OwnershipError
from vinyl.lending.turns import Turns


class Pinned(Protocol):
    """What a pin knows of its wrapper."""

    in_atomic_block: bool

    def abandon(self) -> None: ...


class Pin:
    """A wrapper kept for the task that runs in the bridge, under its alias in this context, until end()."""

    __slots__ = ("_alias", "_members", "_owner", "_process", "_visits", "blocks", "turns", "wrapper")

    def __init__(self, alias: str, wrapper: Pinned) -> None:
        inside = bridge.current()
        task = None if inside is None else inside.task
        self._alias = alias
        # Not the task's id(), which may be that of a task long gone, nor the task, which could not be collected as long
        # as a greenlet of it waits.
        self._owner = None if task is None else ref(task)
        self._process = _process
        self.wrapper: Pinned | None = wrapper
        # How many of those that Entered knows are open.
        self.blocks = 0
        self.turns: Turns | None = None
        self._visits: asyncio.Lock | None = None
        self._members: WeakSet[Any] = WeakSet()
        _pins.set({**_pins.get(), alias: self})

    def end(self) -> None:
        """Let go of the wrapper, in this context and in those that have inherited the pin; lost, it stays in them."""
        self.wrapper = None
        pins = _pins.get()
        if not self.blocks and pins.get(self._alias) is self:
            _pins.set({alias: pin for alias, pin in pins.items() if pin is not self})

    def abandon(self) -> None:
        """Have the wrapper closed without waiting. Blocks that are open are lost."""
        if self.wrapper is not None:
            self.wrapper.abandon()

    @property
    def is_lost(self) -> bool:
        return self.wrapper is None and self.blocks > 0

    @property
    def visits(self) -> asyncio.Lock:
        """What those take who visit the task of the pin, one after the other; see calls.py."""
        if self._visits is None:
            self._visits = asyncio.Lock()
        return self._visits

    def admit(self, task: Any) -> None:
        """Let another task use the wrapper, in its turns."""
        self._members.add(task)

    def join(self, task: Any) -> None:
        """Admit the running task, and have it find the wrapper, whichever context it was started in."""
        self.admit(task)
        if _pins.get().get(self._alias) is not self:
            _pins.set({**_pins.get(), self._alias: self})

    def dismiss(self, task: Any) -> None:
        """End what admit() began."""
        self._members.discard(task)

    def is_open_to(self, task: Any) -> bool:
        return (task is None if self._owner is None else self._owner() is task) or task in self._members

    @property
    def is_inherited(self) -> bool:
        """Whether it was set before a fork: a child process has the context, but the transaction is its parent's."""
        return self._process != _process


_pins: ContextVar[Mapping[str, Pin]] = ContextVar("vinyl.pins", default=MappingProxyType({}))
_execute_wrappers: ContextVar[Mapping[str, tuple[Any, ...]]] = ContextVar(
    "vinyl.execute_wrappers", default=MappingProxyType({})
)
_process = os.getpid()


def _after_fork() -> None:
    global _process
    _process = os.getpid()


os.register_at_fork(after_in_child=_after_fork)


def pinned(alias: str, task: Any) -> Any:
    """Return the wrapper that this context has pinned for the alias, or None; raise where another task pinned it."""
    pin = pin_here(alias)
    if pin is None:
        return None
    if pin.wrapper is None:
        if pin.is_open_to(task):
            raise _lost(alias)
        return None
    if not pin.is_open_to(task):
        what = "transaction" if pin.wrapper.in_atomic_block else "held connection"
        raise OwnershipError(
            f"This task was started inside a {what} of another task, on the database {alias!r}. A connection serves "
            "one task at a time, so only the task that opened the block may use it. Start tasks outside of the block, "
            "or await one query after the other in it, or start them by the task_group() of the transaction. gather(), "
            "create_task() and TaskGroup start tasks, and so does wait_for() on Python 3.11, where asyncio.timeout() "
            "does not."
        )
    return pin.wrapper


def _lost(alias: str) -> TransactionManagementError:
    return TransactionManagementError(
        f"The block that this task is in, on the database {alias!r}, has lost its connection, and is rolled back: a "
        "block inside of it was dropped, or left by another task. An asynchronous generator with a block in it, whose "
        "loop is left early, is to be closed by its own task: `async with contextlib.aclosing(generator)`."
    )


def pinned_here(alias: str) -> Any:
    """Outside of the bridge: return the wrapper that the running task has pinned for the alias, or None."""
    # Without a loop there is no task, and what was inherited from one is not this code's.
    return pinned(alias, None if asyncio._get_running_loop() is None else asyncio.current_task())


def pin_here(alias: str) -> Pin | None:
    """Return the pin of this context for the alias, if it still has its wrapper, or is lost."""
    pin = _pins.get().get(alias)
    if pin is None or pin.is_inherited or (pin.wrapper is None and not pin.is_lost):
        return None
    return pin


def turns() -> list[Turns]:
    """Return the turns to be taken for an operation in this context: none, unless tasks share a transaction.

    They are in the order of their aliases, so that two who take several do not wait for each other.
    """
    pins = _pins.get()
    return (
        [pin.turns for _, pin in sorted(pins.items()) if pin.turns is not None and pin.wrapper is not None]
        if pins
        else []
    )


def closed_to(task: Any) -> list[Pin]:
    """Return the pins of this context that the task may not use, since another task has set them."""
    pins = _pins.get()
    if not pins:
        return []
    return [pin for pin in pins.values() if not (pin.wrapper is None or pin.is_inherited or pin.is_open_to(task))]


def all_pins() -> Mapping[str, Pin]:
    """Return the pins of this context, by alias. They compare equal as long as none is set or ended."""
    return _pins.get()


def all_pinned() -> list[Any]:
    """Return the wrappers that this context has pinned, of whichever alias."""
    return [pin.wrapper for pin in _pins.get().values() if pin.wrapper is not None and not pin.is_inherited]


def abandon(alias: str) -> None:
    """Close the connection that this context has pinned for the alias, if any, without waiting."""
    pin = _pins.get().get(alias)
    if pin is not None:
        pin.abandon()


class Entered:
    """The pins with which a block was entered, by task, to find out when it is left by another or without its pin."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._pins: dict[Any, list[Pin]] = {}

    def push(self) -> None:
        """Remember the pin with which the task in the bridge has entered the block. The sync mode has no pins."""
        inside = bridge.current()
        if inside is not None:
            pin = _pins.get()[self._alias]
            pin.blocks += 1
            self._pins.setdefault(inside.task, []).append(pin)

    def pop(self) -> None:
        """Forget the pin. Roll back and raise unless this task, in this context, leaves what it has entered."""
        inside = bridge.current()
        if inside is None:
            return
        pin = self._popped(inside.task)
        if pin is None:
            for task in list(self._pins):
                self._give_up(task)
            raise OwnershipError(
                f"A block on the database {self._alias!r} was left by another task than entered it. It is rolled back. "
                "Enter and leave it in one coroutine, not in the halves of a fixture or of an asynchronous generator "
                "that different tasks run."
            )
        if pin.wrapper is None or _pins.get().get(self._alias) is not pin:
            _end_lost(pin)
            raise TransactionManagementError(
                f"A block on the database {self._alias!r} has lost its connection before it ended: it was closed in "
                "the block, or the block was left in another context than it was entered in. It is rolled back."
            )

    def drop(self) -> Any:
        """Forget the pin of this context, roll back without waiting, and return the task that has entered, if any."""
        pin = _pins.get().get(self._alias)
        if pin is None:
            return None
        task = next((task for task, pins in self._pins.items() if pin in pins), None)
        if task is not None:
            self._popped(task)
        _end_lost(pin)
        return task

    def _give_up(self, task: Any) -> None:
        while (pin := self._popped(task)) is not None:
            _end_lost(pin)

    def _popped(self, task: Any) -> Pin | None:
        pins = self._pins.get(task)
        if not pins:
            return None
        pin = pins.pop()
        pin.blocks -= 1
        if not pins:
            del self._pins[task]
        return pin


def _end_lost(pin: Pin) -> None:
    """One of the blocks of a pin has ended: abandon the wrapper, and let go of the pin if it was the last block."""
    pin.abandon()
    if not pin.blocks:
        pin.end()


@contextmanager
def execute_wrapper(alias: str, wrapper: Callable[..., Any], *, outermost: bool = False) -> Iterator[None]:
    """Apply `wrapper` around the execution of each query on the alias, in this context only."""
    outer = _execute_wrappers.get()
    there = outer.get(alias, ())
    with temporarily(_execute_wrappers, {**outer, alias: (wrapper, *there) if outermost else (*there, wrapper)}):
        yield


@contextmanager
def outermost_wrapper(connection: Any, wrapper: Callable[..., Any]) -> Iterator[None]:
    """Apply `wrapper` around all other wrappers of what the connection executes: vinyl's, here, or Django's own."""
    if bridge.active():
        with execute_wrapper(connection.alias, wrapper, outermost=True):
            yield
        return
    connection.execute_wrappers.insert(0, wrapper)
    try:
        yield
    finally:
        connection.execute_wrappers.remove(wrapper)


def execute_wrappers(alias: str) -> list[Any]:
    """Return the wrappers of this context on the alias, the outermost first, then those of the process."""
    return [*_execute_wrappers.get().get(alias, ()), *process_wide.wrappers]
