"""What an instance was like, so that a write that came to nothing, or an attempt at a transaction, can be undone in it.

    Memento(instance)       takes the state; restore() puts it back
    attempt(arguments, …)   a block whose instances are restored when it fails: those in the arguments, and each that
                            is written in it, of which remember() is told before

This module knows nothing of databases, modes or vinyl's own classes.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.models import FileField, Model

from vinyl.common.variables import temporarily

_remembered: ContextVar[dict[int, "Memento"] | None] = ContextVar("vinyl.remembered", default=None)


class Memento:
    """The attributes and the state of an instance at a time; `deep`: the contents of its lists and dictionaries too."""

    __slots__ = ("_cached", "_instance", "_state", "_values")

    def __init__(self, instance: Any, *, deep: bool = False) -> None:
        for field in instance._meta.concrete_fields:
            if isinstance(field, FileField) and field.attname in instance.__dict__:
                # Makes a FieldFile of a file that was assigned, which knows afterwards that it is stored.
                getattr(instance, field.attname)
        self._instance = instance
        self._values = dict(instance.__dict__)
        self._state = dict(instance._state.__dict__)
        self._cached = dict(instance._state.fields_cache)
        if deep:
            names = self._values.keys() & {field.attname for field in instance._meta.concrete_fields}
            changeable = {name: self._values[name] for name in names if isinstance(self._values[name], list | dict)}
            self._values.update(copy.deepcopy(changeable))

    def restore(self) -> None:
        instance, state = self._instance, self._instance._state
        instance.__dict__.clear()
        instance.__dict__.update(self._values)
        state.__dict__.clear()
        state.__dict__.update(self._state, fields_cache=self._cached)


@contextmanager
def rewound(instance: Any) -> Iterator[None]:
    """Restore the instance if the block fails, so that it never claims what the database does not have."""
    remember(instance)
    memento = Memento(instance)
    try:
        yield
    except BaseException:
        memento.restore()
        raise


def remember(instance: Any) -> None:
    """Before a write: have the instance restored if the attempt that this is part of, if any, comes to nothing."""
    remembered = _remembered.get()
    if remembered is not None and id(instance) not in remembered:
        remembered[id(instance)] = Memento(instance, deep=True)


@contextmanager
def attempt(arguments: Iterable[Any], is_done: Callable[[], bool]) -> Iterator[None]:
    """Restore the instances in these arguments and those written in the block, if that fails before it is done."""
    remembered: dict[int, Memento] = {}
    with temporarily(_remembered, remembered):
        for instance in _instances_in(arguments):
            remember(instance)
        try:
            yield
        except BaseException:
            if not is_done():
                for memento in remembered.values():
                    memento.restore()
            raise


def _instances_in(arguments: Iterable[Any]) -> Iterator[Any]:
    """Yield the instances among the arguments and in the collections among them."""
    for argument in arguments:
        if isinstance(argument, Model):
            yield argument
        elif isinstance(argument, list | tuple | set | frozenset):
            yield from (each for each in argument if isinstance(each, Model))
        elif isinstance(argument, dict):
            yield from (each for each in argument.values() if isinstance(each, Model))
