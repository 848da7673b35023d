"""Every change that vinyl makes to Django: each named, small, reversible, and tested by a canary.

    route_connections   django.db.connections[alias] is the scope's wrapper inside the bridge, and so is each of those
                        that connections.all(initialized_only=True) gives
    mute_signals        model signals are not sent by vinyl's own operations, nor with a vinyl class as the sender,
                        but to the model's own fields
    route_models        database routers are asked about the Django model of a vinyl class

None changes anything for code outside of the bridge and outside of vinyl's own operations.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import django.db
from django.db.models import Field, signals
from django.db.models.signals import ModelSignal
from django.db.utils import ConnectionHandler, ConnectionRouter
from django.dispatch import Signal
from django.utils.connection import BaseConnectionHandler

from vinyl import bridge, scopes
from vinyl.variables import temporarily

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


def install() -> None:
    """Make all changes. Making them again changes nothing."""
    route_connections()
    mute_signals()
    route_models()


def uninstall() -> None:
    """Undo all changes."""
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
