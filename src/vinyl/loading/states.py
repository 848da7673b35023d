"""The `_state` of instances, which is made when it is first asked for.

Most instances are read and dropped, and nobody asks for their state: which database they are of, what is cached of
their relations. Rows of the default database are loaded without one, which spares an object and a dictionary each.

Nobody can tell. `instance._state` makes it, and so does `instance.__dict__`, for all that copies or pickles it. Only
who loads rows may write `__dict__` past that, by set_attributes().

This module knows nothing of databases or queries.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models.base import ModelState

from vinyl import _compat


class _Plain:
    """Its instances have Python's own `__dict__`."""


_own_dict: Any = vars(_Plain)["__dict__"]
# `instance.__dict__` as it is, without a state that nobody has asked for.
attributes_of = _own_dict.__get__
# As `instance.__dict__ = attributes`, for instances of vinyl classes.
set_attributes = _own_dict.__set__


def loaded_state(alias: str) -> dict[str, Any]:
    """Return the attributes of the state that Django gives an instance loaded from this database."""
    state = {"adding": False, "db": alias}
    return state if _compat.FETCH_ONE is None else {**state, "fetch_mode": _compat.FETCH_ONE}


_default = loaded_state(DEFAULT_DB_ALIAS)


class _LateState:
    """A descriptor that `_state` in the instance's own attributes goes before."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            raise AttributeError(f"type object {owner.__name__!r} has no attribute '_state'" if owner else "_state")
        state = ModelState()
        vars(state).update(_default)
        # Of two threads that ask at once, both get the same.
        return attributes_of(instance).setdefault("_state", state)


def _with_state(instance: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = attributes_of(instance)
    if "_state" not in attributes:
        _late_state.__get__(instance)
    return attributes


_late_state = _LateState()


class HasLateState(_Plain):
    """Mixin before a model, see the module's docstring."""

    _state = _late_state
    __dict__ = property(_with_state, set_attributes)
