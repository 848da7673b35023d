"""The connection of a test's transaction, which everything in the process uses on its alias while the test lasts.

Django's TestCase, and pytest-django's `db`, run a test in a transaction of the connection of the thread that sets it
up. What vinyl reads and writes in the async mode has to be in it, from whichever thread its event loop runs in: Django
runs an `async def` test in a thread of its own, pytest's plugins in the same. So there is a registry, `by_alias`, empty
but for the time of such a test; _install.py has TestCase fill it.

* Inside the bridge `django.db.connections[alias]` is a *view* of the test's wrapper then: an object of the same class,
  with the very same attributes, so that the connection, blocks, savepoints, callbacks, the log and execute_wrappers are
  one. Only its cursors are others: they wait through the bridge for a thread, in which the driver's cursors are used.
* The connection is used by one thread at a time. Drivers see to that by themselves, or else (PEP 249's threadsafety) by
  a lock, which cursors of synchronous code take too. Who has it does not wait for an event loop, so it may be waited
  for in the loop's own thread.
* Tasks share the connection in turns: an operation has it from where it asks for the alias until it ends. A block of
  `transaction.atomic()` keeps the turn (see blocks.py), and is a savepoint; it is pinned, as every transaction is. An
  operation that awaits the project's own code leaves the connection to the tasks which that starts, in turns again.
* In a thread whose event loop runs, outside of the bridge, `connections[alias]` is a view too, for what only looks:
  assertNumQueries(), captureOnCommitCallbacks(). Django's guard keeps it from querying.
* In the thread of sync_to_async(), which is none of the test's where pytest's plugins run the loop, it is the wrapper.

This module knows neither pools nor event loops' sources of connections.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache, partial
from inspect import ismethod
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from asgiref.sync import SyncToAsync

from vinyl import bridge
from vinyl.common import process_wide
from vinyl.common.deadlines import TimeLimit
from vinyl.conf import deadline_of, pool_options
from vinyl.lending import pins
from vinyl.lending.pool import Member
from vinyl.lending.turns import Turns
from vinyl.lending.wrappers import CallsOfTheDriver, Scope, ScopedWrapper, Session

# The threadsafety of a driver whose connections threads may share.
CONNECTIONS_ARE_SAFE = 2
# Seconds that the server has to take the request to cancel a statement.
CANCEL_TIMEOUT = 5.0


class Shared:
    """The connection of a wrapper of Django's, for all threads and tasks, until end()."""

    def __init__(self, wrapper: Any) -> None:
        self.wrapper = wrapper
        self.alias: str = wrapper.alias
        self.lock = threading.RLock()
        self._time_limit = TimeLimit(self.alias, deadline_of(self.alias))
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()
        self._views: WeakSet[SharedWrapper] = WeakSet()
        self._worker: Any = None
        # Asked for now, since mysqlclient answers nobody while it waits.
        self._thread_id = getattr(wrapper.connection, "thread_id", lambda: None)()
        django_class: Any = type(wrapper)
        self._view_class = _view_class(django_class)
        # Django asks the wrapper by way of its `ops` and `features`, too.
        wrapper.inc_thread_sharing()
        self._create_cursor = wrapper.create_cursor
        if getattr(wrapper.Database, "threadsafety", 0) < CONNECTIONS_ARE_SAFE:
            wrapper.create_cursor = self._locked_cursor

    def end(self) -> None:
        """Leave the wrapper to its thread, as it was."""
        vars(self.wrapper).pop("create_cursor", None)
        self.wrapper.dec_thread_sharing()
        if self._worker is not None:
            self._worker.stop()

    def settle(self) -> None:
        """Wait until what the thread was left to do is done, such as closing the cursor of a stream that was left."""
        if self._worker is not None and self._worker.usable:
            done = threading.Event()
            self._worker.submit(done.set)
            done.wait()

    def _locked_cursor(self, name: str | None = None) -> Any:
        """Return a cursor for synchronous code, in place of the wrapper's create_cursor()."""
        from vinyl.drivers.threaded import LockedCursor

        with self.lock:
            return LockedCursor(self._create_cursor(name), self.lock)

    def view(self) -> "SharedWrapper":
        """Return a new view of the wrapper."""
        view: SharedWrapper = self._view_class.__new__(self._view_class)
        view.show(self)
        self._views.add(view)
        return view

    def cut_off(self, depth: int) -> None:
        """Let no task go on with what it has begun, and forget its blocks: the test that it was begun in ends."""
        for view in list(self._views):
            view.cut_off()
        self._views.clear()
        self.forget_blocks(depth)

    def turns(self) -> Turns:
        """Return the turns of the running task: those of its event loop, or of the operation that it is started in."""
        around = _operations.get().get(self.alias)
        if around is not None and not around.is_over:
            return around.turns
        loop = asyncio.get_running_loop()
        if loop not in self._turns:
            self._turns[loop] = self.new_turns()
        return self._turns[loop]

    def new_turns(self) -> Turns:
        return Turns(pool_options(self.alias, self.wrapper.settings_dict).timeout, self._time_limit)

    def cursor(self, name: str | None = None) -> Any:
        """Inside the bridge: return a cursor as Django makes it, all of whose methods wait through the bridge."""
        from vinyl.drivers.threaded import Cursor

        worker = self.worker
        return Cursor(worker, worker.run(self._create_cursor, name))

    @property
    def worker(self) -> Any:
        """The thread in which the connection is used; another one if a call in it could not be cancelled."""
        from vinyl.drivers.threaded import LockedWorker

        if self._worker is None or not self._worker.usable:
            if self._worker is not None:
                self._worker.stop()
            self._worker = LockedWorker(f"vinyl {self.alias}", self._time_limit, self.lock)
            self._worker.interrupt = self._cancel
        return self._worker

    def _cancel(self) -> None:
        """Have the running statement cancelled, and wait until the server knows: the next one must not be hit."""
        from vinyl.drivers import watch

        arguments = (self.wrapper, self._thread_id, CANCEL_TIMEOUT)
        # MySQL is told by a second connection, which Django opens in no event loop's thread.
        canceller = threading.Thread(target=watch.cancel, args=arguments, daemon=True)
        canceller.start()
        canceller.join(CANCEL_TIMEOUT)

    def undo(self, depth: int) -> None:
        """Have the innermost blocks rolled back, without waiting, until so many are left."""
        wrapper = self.wrapper
        savepoints = self.forget_blocks(depth)
        if savepoints and wrapper.connection is not None:
            sql = wrapper.ops.savepoint_rollback_sql(savepoints[0])
            self.worker.submit(partial(_execute, wrapper.connection, sql))
            wrapper.run_on_commit = [each for each in wrapper.run_on_commit if each[0].isdisjoint(savepoints)]
        wrapper.needs_rollback = False

    def forget_blocks(self, depth: int) -> list[str]:
        """Forget the innermost blocks until so many are left, and return their savepoints."""
        wrapper = self.wrapper
        number = len(wrapper.atomic_blocks) - depth
        if number <= 0:
            return []
        del wrapper.atomic_blocks[depth:]
        forgotten = wrapper.savepoint_ids[-number:]
        del wrapper.savepoint_ids[-number:]
        return [sid for sid in forgotten if sid is not None]


def _execute(connection: Any, sql: str) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
    finally:
        cursor.close()


by_alias: dict[str, Shared] = {}


class _Operation:
    """One that has a turn, and the turns of tasks that are started within it."""

    def __init__(self, shared: Shared, taken: Turns) -> None:
        self._taken = taken
        self.turns = shared.new_turns()
        self.is_over = False
        _operations.set({**_operations.get(), shared.alias: self})

    def end(self) -> None:
        self.is_over = True
        self._taken.give()


_operations: ContextVar[Mapping[str, _Operation]] = ContextVar("vinyl.operations", default=MappingProxyType({}))


def share(wrapper: Any) -> None:
    """Have everything in the process use the wrapper's connection for its alias, until its transaction ends."""
    shared = by_alias.get(wrapper.alias)
    if shared is None or shared.wrapper is not wrapper:
        if shared is not None:
            shared.end()
        by_alias[wrapper.alias] = Shared(wrapper)


@contextmanager
def ending(blocks: dict[str, Any]) -> Iterator[None]:
    """Let nobody use the connections of these blocks of a test, by alias, while they are rolled back.

    The connections whose transaction has ended by that are shared no longer.
    """
    ended = {alias: by_alias[alias] for alias in blocks if alias in by_alias}
    for alias, shared in ended.items():
        shared.settle()
        shared.lock.acquire()
        # What a task has left open is rolled back with the test.
        if blocks[alias] in shared.wrapper.atomic_blocks:
            shared.cut_off(shared.wrapper.atomic_blocks.index(blocks[alias]) + 1)
    try:
        yield
    finally:
        for alias, shared in ended.items():
            shared.lock.release()
            if not shared.wrapper.in_atomic_block:
                del by_alias[alias]
                shared.end()


def forget() -> None:
    """Share nothing any more, and leave the connections alone: in the child of a fork they are its parent's."""
    by_alias.clear()


def found_outside(alias: str) -> Any:
    """Outside of the bridge: return what the thread is to use for an alias that may be shared, or None for its own."""
    shared = by_alias.get(alias)
    if shared is None:
        return None
    if asyncio._get_running_loop() is not None:
        return shared.view()
    return shared.wrapper if _serves_event_loop() else None


def _serves_event_loop() -> bool:
    """Whether this is synchronous code that a coroutine waits for, by a thread-sensitive sync_to_async()."""
    is_in_single_thread: bool = SyncToAsync.deadlock_context.get(False)
    return is_in_single_thread or SyncToAsync.thread_sensitive_context.get(None) is not None


def _method(name: str) -> property:
    """Return Django's method of this name, for the view.

    TestCase refuses a database by attributes of the wrapper, which it replaces afterwards by the wrapper's own methods.
    """

    def get(self: "SharedWrapper") -> Any:
        attribute = vars(self).get(name)
        is_refused = attribute is not None and not ismethod(attribute)
        return attribute if is_refused else getattr(super(SharedWrapper, self), name)

    def put(self: "SharedWrapper", value: Any) -> None:
        vars(self)[name] = value

    return property(get, put)


class SharedWrapper:
    """Mixin before the project's DatabaseWrapper class: a view of a wrapper, whose attributes it has."""

    # What is this view's own, and not an attribute of the wrapper.
    __slots__ = ("_depth", "_holds", "_operation", "_pin", "_shared", "is_spent", "scope")

    # Of Django's wrapper.
    alias: str
    atomic_blocks: list[Any]
    connection: Any
    needs_rollback: bool
    rollback_exc: BaseException | None

    _shared: Shared | None
    _pin: pins.Pin | None
    _operation: _Operation | None
    # It has no session of a pool.
    _member: Member[Session] | None = None
    scope: Scope | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Django makes another one of the class for the server without a database. It is no view.
        self._own(None)
        super().__init__(*args, **kwargs)

    def show(self, shared: Shared) -> None:
        """Be a view of what is shared."""
        self._own(shared)
        self.__dict__ = vars(shared.wrapper)  # type: ignore[misc]

    def cut_off(self) -> None:
        """Be a wrapper whose connection was closed in its transaction, which is what Django knows how to end."""
        self._unpin()
        own = {name: list(vars(self)[name]) for name in ("atomic_blocks", "savepoint_ids", "run_on_commit")}
        closed = {"connection": None, "closed_in_transaction": True, "needs_rollback": True}
        self.__dict__ = {**vars(self), **own, **closed}  # type: ignore[misc]

    def _own(self, shared: Shared | None) -> None:
        self._shared, self._pin, self._operation, self.scope = shared, None, None, None
        self._holds = self._depth = 0
        self.is_spent = False

    @property
    def execute_wrappers(self) -> MutableSequence[Any]:
        """The wrapper's own, and inside the bridge those of this context, and of the process, once."""
        wrappers: list[Any] = vars(self)["execute_wrappers"]
        if not bridge.active():
            return wrappers
        own = [each for each in wrappers if each is not process_wide.through]
        return [*own, *pins.execute_wrappers(self.alias)]

    @execute_wrappers.setter
    def execute_wrappers(self, value: list[Any]) -> None:
        vars(self)["execute_wrappers"] = value

    def execute_wrapper(self, wrapper: Callable[..., Any]) -> AbstractContextManager[None]:
        return pins.execute_wrapper(self.alias, wrapper)

    @property
    def wrap_database_errors(self) -> Any:
        return CallsOfTheDriver(self)

    def call_has_failed(self, error: BaseException) -> None:
        """As ScopedWrapper's, but for the test's own transaction, of which the test is to see the rest."""
        if not self.atomic_blocks or not self.atomic_blocks[-1]._from_testcase:
            ScopedWrapper.call_has_failed(self, error)  # type: ignore[arg-type]

    @property
    def create_cursor(self) -> Any:
        # A property, since the wrapper may have an attribute of this name.
        if self._shared is None or not bridge.active():
            return super().create_cursor  # type: ignore[misc]
        return self._shared.cursor

    def ensure_connection(self) -> None:
        self.before_use()
        # Whoever only looks may do so in an event loop.
        if self.connection is None:
            super().ensure_connection()  # type: ignore[misc]

    def before_use(self) -> None:
        ScopedWrapper.before_use(self)  # type: ignore[arg-type]
        self.take_turn()

    def validate_thread_sharing(self) -> None:
        """Several threads share it."""

    forget_time_zone = ScopedWrapper.forget_time_zone

    connect, temporary_connection = _method("connect"), _method("temporary_connection")
    cursor, chunked_cursor = _method("cursor"), _method("chunked_cursor")

    # Turns and pins.

    def take_turn(self) -> None:
        """Inside the bridge: have the connection for this run, unless it is had by a block already."""
        if self._operation is None and self._pin is None and self._shared is not None and bridge.active():
            self._operation = bridge.await_(_begun(self._shared))

    def leave_scope(self) -> None:
        """The run of the bridge ends, and with it the turn, unless a block has taken it too."""
        self.scope = None
        operation, self._operation = self._operation, None
        if operation is not None:
            operation.end()

    def hold(self) -> None:
        """Pin the connection to the task until release() is called as often."""
        if self._pin is None:
            self._depth = len(self.atomic_blocks)
            self._pin = pins.Pin(self.alias, self)  # type: ignore[arg-type]
        self._holds += 1

    def release(self) -> None:
        """End a hold. What was set on the connection stays, as in the sync mode."""
        self._holds -= 1
        if not self._holds:
            self._unpin()

    def abandon(self) -> None:
        """Roll back what was done since it was pinned, without waiting."""
        if self._pin is not None and self._shared is not None:
            self._unpin()
            self._shared.undo(self._depth)

    def _unpin(self) -> None:
        pin, self._pin = self._pin, None
        self._holds = 0
        if pin is not None:
            pin.end()


async def _begun(shared: Shared) -> _Operation:
    turns = shared.turns()
    await turns.take()
    return _Operation(shared, turns)


@cache
def _view_class(django_class: type) -> Any:
    members = {"__slots__": (), "__module__": django_class.__module__, "__doc__": SharedWrapper.__doc__}
    return type(django_class.__name__, (SharedWrapper, django_class), members)
