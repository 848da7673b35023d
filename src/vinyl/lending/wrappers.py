"""The DatabaseWrapper of a scope: Django's own, with a connection that it borrows for as long as it needs one.

`wrapper_class_for()` derives it, once, from the wrapper class of the project's ENGINE, so PostGIS, CockroachDB and
other backends derived from Django's keep what is theirs. Django's code finds it through `django.db.connections` inside
the bridge (see scopes.py) and uses it as it uses any wrapper.

Protocol. A wrapper belongs to one scope: one run of the bridge, or, while it is pinned, the task that pinned it.

* It borrows a connection when a cursor is opened and gives it back when the last cursor is closed, unless it is
  *pinned*: by a transaction (`set_autocommit(False)`, which is how Django's `atomic` begins one) or by a hold.
* Pinning puts the wrapper in the context, where later runs of the bridge by the same task find it; another task that
  inherited the context gets an OwnershipError. When the pin ends, who still has it in the context gets a fresh wrapper.
* `settle()` is called wherever a reason to keep the connection may have ended, and decides alone.
* A connection is given back as reusable only if its driver proves it idle; else it is destroyed.
* A statement that is ended in a transaction, by a cancellation or a deadline, leaves it fit for rollback only, on every
  database: what the statement has done nobody knows, and PostgreSQL alone refuses to go on by itself.
* A wrapper without a source owns its connection, as Django's do. That is how a source opens one: Django's `connect()`
  does all it always does (time zone, role, init_command, connection_created).
"""

from collections.abc import Callable, MutableSequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, cached_property, partial
from time import monotonic
from typing import Any, Protocol
from weakref import WeakSet, ref

from django.db import Error, OperationalError, ProgrammingError
from django.db.utils import DatabaseErrorWrapper

from vinyl import bridge
from vinyl.common import deadlines
from vinyl.common.deadlines import TimeLimit
from vinyl.drivers import Driver, driver_for
from vinyl.drivers.limits import StatementLimit
from vinyl.errors import DeadlineExceeded
from vinyl.lending import pins
from vinyl.lending.pool import Member


class Session:
    """What a pool lends: a driver's connection, and the attributes that connecting has set on its wrapper.

    `kept_for` is "transaction" or "hold" while it is pinned, `begun_at` when its driver was last called, as of
    time.monotonic(): for vinyl.activity().
    """

    __slots__ = ("attributes", "begun_at", "connection", "kept_for", "limit")

    def __init__(self, connection: Any, attributes: dict[str, Any]) -> None:
        self.connection = connection
        self.attributes = attributes
        self.limit = StatementLimit()
        self.kept_for: str | None = None
        self.begun_at = 0.0


class Source(Protocol):
    """Where wrappers borrow sessions from, and are kept while no scope needs them."""

    def borrow(self) -> Member[Session]: ...

    def give_back(self, member: Member[Session], *, reusable: bool) -> None: ...

    def keep(self, wrapper: "ScopedWrapper") -> None: ...

    def in_thread(self, callback: Callable[[], None]) -> None: ...


class InScope(Protocol):
    """What a scope knows of its wrappers, be they of a pool's connections or of a test's, see shared.py."""

    scope: "Scope | None"
    # Whether it is not kept for others when it is not needed any more, see Scope.end().
    is_spent: bool

    def leave_scope(self) -> None: ...

    def forget_time_zone(self) -> None: ...


class CallsDriver(Protocol):
    """What CallsOfTheDriver knows of its wrapper."""

    _member: Member[Session] | None

    def call_has_failed(self, error: BaseException) -> None: ...


class Scope:
    """What one run of the bridge has taken: its wrappers, and the cursors that it has opened."""

    __slots__ = ("_cursors", "before_first_use", "wrappers")

    def __init__(self, before_first_use: "Callable[[ScopedWrapper], None] | None" = None) -> None:
        self.wrappers: dict[str, InScope] = {}
        # Called once, before a connection is used for the first time.
        self.before_first_use = before_first_use
        self._cursors: WeakSet[_OpenCursor] = WeakSet()

    def opened(self, cursor: "_OpenCursor") -> None:
        self._cursors.add(cursor)

    def end(self, *, failed: bool, dropped: bool = False) -> None:
        """Give back what the run still has, but for what is pinned, or read from later by a cursor it has returned.

        One that is dropped may have been found by the garbage collector, which may have taken its wrappers apart.
        """
        for wrapper in self.wrappers.values():
            wrapper.is_spent |= dropped
        if failed:
            # Django closes the cursor of a statement that has failed, but not of one that was cancelled.
            for cursor in list(self._cursors):
                cursor.drop()
        while self.wrappers:
            _, wrapper = self.wrappers.popitem()
            wrapper.leave_scope()


def current_scope() -> Scope | None:
    """Return the scope of the run of the bridge that the caller is in, or None outside of the bridge."""
    inside = bridge.current()
    return None if inside is None else inside.storage


class CallsOfTheDriver(DatabaseErrorWrapper):
    """The block in which Django calls the driver, and by which the wrapper learns how that has ended."""

    wrapper: Any

    def __init__(self, wrapper: CallsDriver) -> None:
        self.wrapper = wrapper

    def __enter__(self) -> None:
        member = self.wrapper._member
        if member is not None:
            member.value.begun_at = monotonic()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            self.wrapper.call_has_failed(error)
        super().__exit__(kind, error, traceback)


class ScopedWrapper:
    """Mixin before a driver's mixin and the project's DatabaseWrapper class. See the module's docstring."""

    # Of Django's wrapper.
    alias: str
    autocommit: bool
    closed_in_transaction: bool
    connection: Any
    ensure_timezone: Callable[[], bool]
    in_atomic_block: bool
    needs_rollback: bool
    rollback_exc: BaseException | None
    run_and_clear_commit_hooks: Callable[[], None]
    run_commit_hooks_on_set_autocommit_on: bool
    driver: Driver
    source: Source | None = None
    # The scope that keeps the wrapper when it ends; None for a wrapper that has outlived its scope.
    scope: Scope | None = None
    is_spent = False
    _member: Member[Session] | None = None
    _pin: pins.Pin | None = None
    _cursors = 0
    _holds = 0
    # Whether it was Django's atomic that has begun the transaction.
    _is_atomic = False
    # Whether the connection has something left on it that its driver's is_idle() cannot see.
    _is_tainted = False

    @cached_property
    def time_limit(self) -> TimeLimit:
        """The alias's, where a source has set it. Django makes wrappers too, for a server without a database."""
        return TimeLimit(self.alias)

    @property
    def execute_wrappers(self) -> MutableSequence[Any]:
        """The wrappers of this context: a list made anew, since Django only reads it.

        What connecting executes is not theirs: whether the pool connects is an accident of who else has queried.
        """
        if self.source is None:
            return []
        wrappers = pins.execute_wrappers(self.alias)
        if self.is_limited:
            # The innermost, so that what it executes is nobody else's.
            wrappers.append(self._limited)
        return wrappers

    @execute_wrappers.setter
    def execute_wrappers(self, value: object) -> None:
        """Django's wrapper starts with an empty list, which would be shared by all who borrow this one in turn."""

    @property
    def is_limited(self) -> bool:
        """Whether the server knows how long a statement may take, or is to know."""
        return self._member is not None and (self.time_limit.is_set or self._member.value.limit.is_told)

    @property
    def is_free_or_pinned(self) -> bool:
        """Whether nothing but a pin needs a connection that the wrapper has."""
        return self.connection is None or self._pin is not None

    def execute_wrapper(self, wrapper: Callable[..., Any]) -> AbstractContextManager[None]:
        return pins.execute_wrapper(self.alias, wrapper)

    def _limited(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Execute, once the server knows how long that may take."""
        deadline = self.time_limit.begin(self.time_limit.executing)
        assert self._member is not None
        self._member.value.limit.tell(self, None if deadline is None else deadline.remaining, sql)
        try:
            return execute(sql, params, many, context)
        except DeadlineExceeded:
            raise
        except OperationalError as error:
            if deadline is None or deadline.remaining > 0:
                raise
            # The server was faster, or the connection has not survived.
            exceeded = deadline.exceeded(self.time_limit.executing)
            self.call_has_failed(exceeded)
            raise exceeded from error

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return CallsOfTheDriver(self)

    def call_has_failed(self, error: BaseException) -> None:
        """Have the transaction rolled back if the error, or a deadline, has cancelled a call of the driver's in it.

        Not if the call was dropped: its driver closes the connection. Besides, a loop over a cursor that is left by
        `break` ends Django's generator by the same GeneratorExit.
        """
        is_cancelled = isinstance(error, DeadlineExceeded) or not isinstance(error, Exception | GeneratorExit)
        if self.in_atomic_block and is_cancelled:
            self.needs_rollback = True
            self.rollback_exc = error

    # Connecting. The pool decides when a connection is opened, checked or replaced; Django's wrapper asks for one.

    def ensure_connection(self) -> None:
        self.before_use()
        if self.source is None:
            super().ensure_connection()  # type: ignore[misc]
        elif self.connection is None:
            if self.closed_in_transaction:
                if self.in_atomic_block:
                    raise ProgrammingError("Cannot open a new connection in an atomic block.")
                # Django has let go of the connection by itself, and forgets its transaction as it connects anew.
                self.abandon()
                self.reset()
            self._member = self.source.borrow()
            vars(self).update(self._member.value.attributes)
            self.connection = self._member.value.connection
            self.autocommit = True

    def before_use(self) -> None:
        """Tell the scope, before anything is counted or pinned, that the connection is going to be used."""
        scope = current_scope()
        if scope is not None and scope.before_first_use is not None:
            before, scope.before_first_use = scope.before_first_use, None
            before(self)

    def connect(self) -> None:
        if self.source is not None:
            self.ensure_connection()
            return
        try:
            super().connect()  # type: ignore[misc]
        except BaseException:
            if self.connection is not None:
                self.driver.terminate(self.connection)
                self.connection = None
            raise

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        self.settle()

    def close_if_health_check_failed(self) -> None:
        """The pool checks what it lends."""

    def close_if_unusable_or_obsolete(self) -> None:
        """The pool replaces what has become too old, and what is not proven idle."""

    def validate_thread_sharing(self) -> None:
        """Tasks own connections here, not threads; see pins.py."""

    def forget_time_zone(self) -> None:
        """Take the time zone from the settings anew, as Django has its own wrappers do where a test changes them."""
        for cached in ("timezone", "timezone_name"):
            vars(self).pop(cached, None)
        self.ensure_timezone()

    # Cursors.

    def _cursor(self, name: str | None = None) -> Any:
        self.before_use()
        self._cursors += 1
        try:
            cursor = super()._cursor(name)  # type: ignore[misc]
        except BaseException:
            self.cursor_closed()
            raise
        inside = bridge.current()
        opened = _OpenCursor(self, cursor.cursor, None if inside is None else inside.task)
        cursor.close = opened.close
        if inside is not None and inside.storage is not None:
            inside.storage.opened(opened)
        return cursor

    def _rollback(self) -> None:
        with deadlines.with_grace():
            super()._rollback()  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        with deadlines.with_grace():
            super()._savepoint_rollback(sid)  # type: ignore[misc]

    def _savepoint_commit(self, sid: str) -> None:
        # Django releases a savepoint after it has rolled back to it, too.
        with deadlines.with_grace():
            super()._savepoint_commit(sid)  # type: ignore[misc]

    def cursor_closed(self, *, cleanly: bool = True) -> None:
        self._cursors -= 1
        self._is_tainted |= not cleanly
        self.settle()

    # Pins.

    @property
    def is_busy(self) -> bool:
        """Whether there is a reason to keep the connection: an open cursor, a hold, or a transaction."""
        return bool(self._cursors or self._holds or self.in_atomic_block or not self.autocommit)

    def hold(self) -> None:
        """Pin the connection until release() is called as often."""
        self.before_use()
        self._holds += 1
        try:
            self.ensure_connection()
            self._pin_to_task("hold")
        except BaseException:
            self._holds -= 1
            self.settle()
            raise

    def release(self) -> None:
        """End a hold. The connection is closed then: settings made on it in the hold must not reach anybody else."""
        self._holds -= 1
        if not self._holds and not self.in_atomic_block:
            self.abandon()

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        self.before_use()
        if self.source is None:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)  # type: ignore[misc]
            return
        if not autocommit:
            # Only atomic forces it. It has ended the transaction, one way or the other, when it asks for autocommit.
            self._is_atomic = force_begin_transaction_with_broken_autocommit
        # SQLite's BEGIN is a statement of its own, during which nothing else keeps the connection.
        self._holds += 1
        try:
            if autocommit and self._is_atomic and self._is_lost():
                self._end_without_connection()
                return
            if not autocommit:
                self.ensure_connection()
                self._pin_to_task("transaction")
            with deadlines.with_grace() if autocommit else nullcontext():
                super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)  # type: ignore[misc]
        except BaseException as error:
            if not autocommit or self.autocommit:
                raise
            if not self._is_atomic or not isinstance(error, Error):
                # The transaction could not be ended in an orderly way (cancelled again, a broken connection).
                self.abandon()
                raise
            # It must not take the place of what has ended the block, which may be a cancellation.
            self._end_without_connection()
        finally:
            self._holds -= 1
            self.settle()

    def _end_without_connection(self) -> None:
        """Go on without the connection, which was lost after its transaction had been committed or rolled back."""
        self.autocommit = True
        self._give_back(reusable=False)
        if self.run_commit_hooks_on_set_autocommit_on:
            self.run_and_clear_commit_hooks()
            self.run_commit_hooks_on_set_autocommit_on = False

    def _is_lost(self) -> bool:
        """Whether the connection has been closed under a transaction."""
        return self.connection is None or not self.driver.is_alive(self.connection)

    def _pin_to_task(self, kept_for: str) -> None:
        if self._pin is None:
            self._pin = pins.Pin(self.alias, self)
            if self._member is not None:
                self._member.value.kept_for = kept_for

    def _unpin(self) -> None:
        pin, self._pin = self._pin, None
        if pin is not None:
            pin.end()
            if self._member is not None:
                self._member.value.kept_for = None

    # The end.

    def settle(self) -> None:
        """Give the connection back unless there is a reason to keep it."""
        if self.source is None:
            return
        if self.connection is None and not self.in_atomic_block:
            # Django has let go of a connection that was closed in a transaction.
            self.autocommit = True
        if not self.is_busy:
            self._unpin()
            self._give_back(reusable=True)
            if self.scope is None:
                self._find_scope()

    def leave_scope(self) -> None:
        """The run of the bridge that has kept the wrapper ends; what is still busy outlives it."""
        self.settle()
        self.scope = None
        if self.source is not None and not self.is_busy and not self.is_spent:
            self.source.keep(self)

    def _find_scope(self) -> None:
        """Be kept by the current run of the bridge, since whoever has called it may go on to use the wrapper."""
        if self.is_spent:
            return
        scope = current_scope()
        if scope is not None and self.alias not in scope.wrappers:
            self.scope = scope
            scope.wrappers[self.alias] = self
        elif self.source is not None:
            self.source.keep(self)

    def abandon(self) -> None:
        """Close the connection without waiting and forget the transaction, which the server rolls back."""
        self.in_atomic_block = False
        self.autocommit = True
        self._unpin()
        self._give_back(reusable=False)
        self.settle()

    def reset(self) -> None:
        """Forget what belonged to the scope that has ended."""
        vars(self).update(
            in_atomic_block=False,
            savepoint_state=0,
            savepoint_ids=[],
            atomic_blocks=[],
            commit_on_exit=True,
            needs_rollback=False,
            rollback_exc=None,
            closed_in_transaction=False,
            errors_occurred=False,
            run_on_commit=[],
            run_commit_hooks_on_set_autocommit_on=False,
        )

    def _give_back(self, *, reusable: bool) -> None:
        member, self._member = self._member, None
        connection, self.connection = self.connection, None
        if member is not None and self.source is not None:
            is_its_own = connection is member.value.connection and not self._is_tainted
            reusable = reusable and is_its_own and self.driver.is_idle(connection)
            self._is_tainted = False
            self.source.give_back(member, reusable=reusable)

    def __copy__(self) -> "ScopedWrapper":
        """Copy without what there is one of: the borrowed connection has to be given back once."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self), _member=None, _pin=None)
        return copied

    def __del__(self) -> None:
        # A task that was dropped in the middle of a transaction: nobody is left to end it.
        member, self._member = self._member, None
        if member is not None and self.source is not None:
            self.source.in_thread(partial(self.source.give_back, member, reusable=False))


class _OpenCursor:
    """Tells the wrapper, once, when a cursor is closed: by its user, by the scope, or by the garbage collector."""

    __slots__ = ("__weakref__", "_cursor", "_opener", "_wrapper")

    def __init__(self, wrapper: ScopedWrapper, cursor: Any, opener: Any) -> None:
        self._wrapper: ScopedWrapper | None = wrapper
        self._cursor = cursor
        # The task, by a weak reference as in pins.py.
        self._opener = None if opener is None else ref(opener)

    def close(self) -> None:
        inside = bridge.current()
        wrapper = self._wrapper
        if wrapper is None:
            return
        if inside is None or self._opener is None or self._opener() is not inside.task:
            # A generator that reads from it is being dropped, wherever that happens to be. It cannot wait there.
            self._drop_in_thread()
            return
        try:
            # One of the server's waits for the answer.
            with deadlines.with_grace():
                self._cursor.close()
        except BaseException as error:
            wrapper.call_has_failed(error)
            self.drop()
            raise
        self._wrapper = None
        wrapper.cursor_closed()

    def drop(self) -> None:
        """Close without waiting."""
        wrapper, self._wrapper = self._wrapper, None
        if wrapper is not None:
            wrapper.cursor_closed(cleanly=wrapper.driver.drop_cursor(self._cursor))

    def _drop_in_thread(self) -> None:
        wrapper, self._wrapper = self._wrapper, None
        if wrapper is not None and wrapper.source is not None:
            wrapper.is_spent = True
            wrapper.source.in_thread(_OpenCursor(wrapper, self._cursor, None).drop)

    __del__ = _drop_in_thread


@cache
def wrapper_class_for(django_class: type) -> type[ScopedWrapper]:
    """Derive the wrapper class of scopes from the DatabaseWrapper class of an ENGINE."""
    driver = driver_for(django_class)
    return type(
        django_class.__name__,
        (ScopedWrapper, driver.Wrapper, django_class),
        {"driver": driver, "__module__": django_class.__module__, "__doc__": ScopedWrapper.__doc__},
    )
