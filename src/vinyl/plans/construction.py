"""Making a new instance by keyword arguments, without Django's Model.__init__() where that does nothing else.

    made(vinyl_class, {"title": "Emma", "author": jane})

Then an instance is its attributes, with defaults for those that are not given, in the order of the fields; relations
are set by Django's descriptors. None tells that Django's __init__() has to be called: the class has something to say
about how its instances are made, or there is an argument of another kind, for which Django may have an error.

This module knows nothing of databases or managers.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import DEFERRED, Model
from django.db.models.base import ModelState
from django.db.models.fields.reverse_related import ForeignObjectRel
from django.db.models.signals import post_init, pre_init

from vinyl.loading.hydration import is_intercepted, is_plain
from vinyl.loading.states import set_attributes
from vinyl.plans.shapes import CONSTANTS, VALUES, forget_with

# Defaults of these types can be shared by instances.
_UNCHANGEABLE = VALUES | CONSTANTS


class _Attributes:
    """The attributes of a class's new instances, in Django's order."""

    __slots__ = ("computed", "initial", "relations")

    def __init__(self, model: Any) -> None:
        fields = [field for field in model._meta.concrete_fields if not field.generated]
        self.relations = {
            field.name: field.attname
            for field in fields
            if isinstance(field.remote_field, ForeignObjectRel) and field.name != field.attname
        }
        self.initial: dict[str, Any] = {"_state": None}
        self.computed: list[tuple[str, Callable[[], Any]]] = []
        for field in fields:
            self.initial[field.attname] = None
            if _has_constant_default(field):
                self.initial[field.attname] = field.get_default()
            else:
                self.computed.append((field.attname, field.get_default))


def _has_constant_default(field: Any) -> bool:
    if not type(field).get_default.__module__.startswith("django.db.models.fields") or field.has_db_default():
        return False
    if not field.has_default():
        return True
    return not callable(field.default) and type(field.default) in _UNCHANGEABLE


# By the class, and how many listen to its signals: one that is patched for a test is asked again.
_known: dict[Any, _Attributes | None] = forget_with({})
_missing = object()


def made(model: Any, values: dict[str, Any]) -> Any:
    """Return a new instance of the vinyl class, or None where Django's __init__() has to make it."""
    if model.__init__ is not Model.__init__ or "_state" in values:
        return None
    key = model, len(pre_init.receivers), len(post_init.receivers)
    known: Any = _known.get(key, _missing)
    if known is _missing:
        known = _known[key] = _attributes_of(model)
    if known is None:
        return None
    for value in values.values():
        if value is DEFERRED:
            return None
    initial = known.initial
    # Names that are there keep their place.
    attributes = {**initial, **values}
    related = None
    if len(attributes) != len(initial):
        related = _taken_out(attributes, values, known)
        if related is None:
            return None
    for name, default in known.computed:
        if name not in values and (related is None or name not in related):
            attributes[name] = default()
    attributes["_state"] = ModelState()
    instance = object.__new__(model)
    set_attributes(instance, attributes)
    return instance if related is None else _with_related(instance, related, values)


def _attributes_of(model: Any) -> _Attributes | None:
    meta = model._meta
    if any(is_intercepted(model, field.attname) for field in meta.concrete_fields):
        return None
    return _Attributes(model) if is_plain(model) else None


def _taken_out(attributes: dict[str, Any], values: dict[str, Any], known: _Attributes) -> dict[str, str] | None:
    """Take the relations out of the attributes and return their names; None if there is anything else."""
    related: dict[str, str] = {}
    for name in values:
        if name not in known.initial:
            attname = known.relations.get(name)
            if attname is None or attname in values:
                return None
            del attributes[name]
            related[attname] = name
    return related


def _with_related(instance: Any, related: dict[str, str], values: dict[str, Any]) -> Any:
    try:
        for name in related.values():
            setattr(instance, name, values[name])
    except Exception:
        # Django comes to the same error, in its words and by its order.
        return None
    return instance
