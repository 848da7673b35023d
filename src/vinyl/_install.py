"""Every change that vinyl makes to Django, and to asgiref: each named, small, reversible, and tested by a canary.

    route_connections   django.db.connections[alias] is the scope's wrapper inside the bridge, and so is each of those
                        that connections.all(initialized_only=True) gives
    mute_signals        model signals are not sent by vinyl's own operations, nor with a vinyl class as the sender,
                        but to the model's own fields
    route_models        database routers are asked about the Django model of a vinyl class
    await_natively      async_to_sync() waits in the bridge, instead of running another event loop in another thread
    call_natively       sync_to_async() runs in the bridge instead of a thread, where native_calls() holds
    join_tests          the transaction of a test is shared with vinyl, and pools are closed after each test and before
                        a test database is destroyed; done once django.test has been imported, by whoever runs tests

None changes anything for code outside of the bridge, of vinyl's own operations, and of native_calls(); but while a test
shares its transaction, `connections[alias]` is the test's in a thread whose event loop runs and in that of
sync_to_async(), too.
"""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import django.db
from asgiref.sync import AsyncToSync, SyncToAsync
from django.db.backends.signals import connection_created
from django.db.models import Field, signals
from django.db.models.signals import ModelSignal
from django.db.utils import ConnectionHandler, ConnectionRouter
from django.dispatch import Signal
from django.utils.connection import BaseConnectionHandler

from vinyl import bridge, calls
from vinyl.common.variables import temporarily
from vinyl.lending import scopes, shared

_muted: ContextVar[frozenset[Signal]] = ContextVar("vinyl.muted", default=frozenset())

_ALL = frozenset(value for value in vars(signals).values() if isinstance(value, ModelSignal))
# What deleting sends, also by the instances that it loads. An `on_delete=SET(function)` may save by `objects`.
OF_DELETING = frozenset({signals.pre_init, signals.post_init, signals.pre_delete, signals.post_delete})


def muted(some: frozenset[Signal] = _ALL) -> AbstractContextManager[None]:
    """Send none of these signals in this block, in this context, and let has_listeners() say that there are none."""
    return temporarily(_muted, _muted.get() | some)


def unmuted() -> AbstractContextManager[None]:
    """Send model signals again in this block, for code of the project's that an operation of vinyl's calls."""
    return temporarily(_muted, frozenset())


def _getitem(self: ConnectionHandler, alias: str) -> Any:
    if self is django.db.connections and bridge.active():
        return scopes.scoped(alias)
    if shared.by_alias and self is django.db.connections and (found := shared.found_outside(alias)) is not None:
        return found
    return BaseConnectionHandler.__getitem__(self, alias)


def _all(self: ConnectionHandler, initialized_only: bool = False) -> Sequence[Any]:
    if initialized_only and self is django.db.connections and bridge.active():
        return [self[alias] for alias in self if scopes.is_used(alias)]
    return (
        BaseConnectionHandler.all(self, initialized_only=True) if initialized_only else BaseConnectionHandler.all(self)
    )


def _send(self: Any, sender: Any, **named: Any) -> list[Any]:
    if not self.receivers or self in _muted.get():
        return []
    if getattr(sender, "is_vinyl_class", False):
        # Making an instance, which nobody is told but the fields that have connected a method of their own, as
        # ImageField does to find its dimensions: this is how they work.
        own = [receiver for receiver in self._live_receivers(sender._meta.model)[0] if is_of_a_field(receiver)]
        return [(receiver, receiver(signal=self, sender=sender, **named)) for receiver in own]
    return Signal.send(self, sender, **named)


def is_of_a_field(receiver: Any) -> bool:
    """Tell whether a signal's receiver is a method that a field has connected for itself."""
    return isinstance(getattr(receiver, "__self__", None), Field)


def _has_listeners(self: Signal, sender: Any = None) -> bool:
    return self not in _muted.get() and Signal.has_listeners(self, sender)


def route_connections() -> None:
    """Make `django.db.connections[alias]` the scope's wrapper inside the bridge."""
    ConnectionHandler.__getitem__ = _getitem  # type: ignore[method-assign,assignment]
    ConnectionHandler.all = _all  # type: ignore[method-assign,assignment]


def mute_signals() -> None:
    """Make model signals silent within muted()."""
    ModelSignal.send = _send  # type: ignore[method-assign]
    ModelSignal.has_listeners = _has_listeners  # type: ignore[method-assign]


def _db_for_read(self: ConnectionRouter, model: Any, **hints: Any) -> str:
    return _django_db_for_read(self, _django_model(model), **hints)


def _db_for_write(self: ConnectionRouter, model: Any, **hints: Any) -> str:
    return _django_db_for_write(self, _django_model(model), **hints)


def _django_model(model: Any) -> Any:
    return model._meta.model if getattr(model, "is_vinyl_class", False) else model


_django_db_for_read = ConnectionRouter.db_for_read
_django_db_for_write = ConnectionRouter.db_for_write


def route_models() -> None:
    """Ask database routers about the Django model: they compare it with those that they know."""
    ConnectionRouter.db_for_read = _db_for_read  # type: ignore[method-assign]
    ConnectionRouter.db_for_write = _db_for_write  # type: ignore[method-assign]


def _async_to_sync(self: "AsyncToSync[Any, Any]", *args: Any, **kwargs: Any) -> Any:
    if bridge.active():
        return calls.await_here(self, args, kwargs)
    return _asgirefs_async_to_sync(self, *args, **kwargs)


async def _sync_to_async(self: "SyncToAsync[Any, Any]", *args: Any, **kwargs: Any) -> Any:
    if self._thread_sensitive and calls.are_native():
        return await calls.run_natively(self, args, kwargs)
    return await _asgirefs_sync_to_async(self, *args, **kwargs)


_asgirefs_async_to_sync = AsyncToSync.__call__
_asgirefs_sync_to_async = SyncToAsync.__call__


def await_natively() -> None:
    """Make async_to_sync() wait through the bridge, where it is called in it."""
    AsyncToSync.__call__ = _async_to_sync  # type: ignore[method-assign]


def call_natively() -> None:
    """Make sync_to_async() run in the bridge, within native_calls()."""
    SyncToAsync.__call__ = _sync_to_async  # type: ignore[method-assign]


# What is changed of django.test, as Django has it; empty as long as nothing is.
_of_tests: dict[tuple[Any, str], Any] = {}


def _enter_atomics(enter: Any, cls: Any) -> Any:
    atomics = enter(cls)
    # In the bridge they are of a connection of vinyl's, which its task has pinned.
    for alias in () if bridge.active() else atomics:
        shared.share(BaseConnectionHandler.__getitem__(django.db.connections, alias))
    return atomics


def _rollback_atomics(rollback: Any, cls: Any, atomics: Any) -> None:
    with shared.ending(atomics):
        rollback(cls, atomics)


def _post_teardown(tear_down: Any, self: Any) -> None:
    tear_down(self)
    # As Django has its own connections closed, so that the next test gets new ones, or none.
    _close_pools()


def _destroy_test_db(destroy: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    _close_pools()
    if not bridge.active():
        # Those of Django's that synchronous code has left in the thread in which coroutines wait for it.
        SyncToAsync.single_thread_executor.submit(django.db.connections.close_all).result(scopes.CLOSE_TIMEOUT)
    return destroy(self, *args, **kwargs)


def _close_pools() -> None:
    # Tests that run in the bridge themselves go on to use theirs.
    if not bridge.active():
        scopes.close_all_sources()


def _change_tests(**kwargs: Any) -> None:
    """Make the changes of join_tests(), unless nobody has imported django.test yet, or they are made."""
    testcases: Any = sys.modules.get("django.test.testcases")
    # It may be in the middle of being imported.
    if _of_tests or not hasattr(testcases, "TestCase"):
        return
    from django.db.backends.base.creation import BaseDatabaseCreation

    _wrap(testcases.TestCase, "_enter_atomics", _enter_atomics)
    _wrap(testcases.TestCase, "_rollback_atomics", _rollback_atomics)
    _wrap(testcases.TransactionTestCase, "_post_teardown", _post_teardown)
    _wrap(BaseDatabaseCreation, "destroy_test_db", _destroy_test_db)


def _wrap(owner: Any, name: str, function: Any) -> None:
    """Have the function called instead of a method, or class method, with Django's own before the arguments."""
    original = _of_tests[owner, name] = vars(owner)[name]
    is_of_class = isinstance(original, classmethod)
    method = original.__func__ if is_of_class else original

    @wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(method, *args, **kwargs)

    setattr(owner, name, classmethod(called) if is_of_class else called)


def join_tests() -> None:
    """Have vinyl use the transactions of tests. They connect before they begin: that is when they are looked for."""
    _change_tests()
    connection_created.connect(_change_tests)


def install() -> None:
    """Make all changes. Making them again changes nothing."""
    route_connections()
    mute_signals()
    route_models()
    await_natively()
    call_natively()
    join_tests()


def uninstall() -> None:
    """Undo all changes."""
    AsyncToSync.__call__ = _asgirefs_async_to_sync  # type: ignore[method-assign]
    SyncToAsync.__call__ = _asgirefs_sync_to_async  # type: ignore[method-assign]
    connection_created.disconnect(_change_tests)
    while _of_tests:
        (changed, method), original = _of_tests.popitem()
        setattr(changed, method, original)
    ConnectionRouter.db_for_read = _django_db_for_read  # type: ignore[method-assign]
    ConnectionRouter.db_for_write = _django_db_for_write  # type: ignore[method-assign]
    for owner, name in (
        (ConnectionHandler, "__getitem__"),
        (ConnectionHandler, "all"),
        (ModelSignal, "send"),
        (ModelSignal, "has_listeners"),
    ):
        if name in vars(owner):
            delattr(owner, name)
