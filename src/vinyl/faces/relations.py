"""Relations of vinyl instances: what was loaded can be used, anything else raises UnloadedAttribute.

For each relation of a model its vinyl class gets a guard in front of Django's descriptor. The guard lets through what
needs no query, and has prefetch_related() load instances of vinyl classes. To-many relations give related managers,
whose querysets are vinyl's and whose own methods (add, set, …) are operations in the caller's mode.

Deferred fields need no guard: Django loads them by refresh_from_db(), which VinylModel answers.
"""

import functools
from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db.models import Manager
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)

from vinyl import _compat
from vinyl._install import muted
from vinyl.common.classes import class_of
from vinyl.common.content_types import awaited_object, set_later
from vinyl.dispatch import always_awaited, dispatch
from vinyl.faces.methods import own_methods
from vinyl.faces.models import saves_by_django, unloaded
from vinyl.faces.queryset import as_vinyl

# What Django's related managers define by themselves, instead of handing it on to their queryset.
_OPERATIONS = (
    "add",
    "remove",
    "set",
    "clear",
    "create",
    "get_or_create",
    "update_or_create",
    "count",
    "exists",
)


def guards(model: type[Any]) -> dict[str, Any]:
    """Return the guards for a model's vinyl class, by attribute name."""
    found: dict[str, Any] = {
        field.name: GenericGuard(field.name, getattr(model, field.name))
        for field in model._meta.private_fields
        if hasattr(field, "ct_field")
    }
    for owner in model.__mro__:
        for name, descriptor in vars(owner).items():
            guard = _guard_for(name, descriptor)
            if guard is not None:
                found.setdefault(name, guard)
    return found


def _guard_for(name: str, descriptor: Any) -> Any:
    if isinstance(descriptor, ForwardManyToOneDescriptor):
        return ForwardGuard(name, descriptor)
    if isinstance(descriptor, ReverseOneToOneDescriptor):
        return ReverseOneGuard(name, descriptor)
    if isinstance(descriptor, ReverseManyToOneDescriptor):
        # Many-to-many and generic relations derive from it.
        return ManyGuard(name, descriptor)
    return None


class Guard:
    """Stands in front of one of Django's descriptors, and is it in all but reading from an instance."""

    def __init__(self, name: str, descriptor: Any) -> None:
        self.name = name
        self.descriptor = descriptor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.descriptor, name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        raise NotImplementedError

    def __set__(self, instance: Any, value: Any) -> None:
        self.descriptor.__set__(instance, value)


class SingleGuard(Guard):
    """A relation to one object."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if not self._can_answer(instance):
            raise unloaded(
                instance,
                self.name,
                f"Add select_related({self.name!r}) or prefetch_related({self.name!r}) to the query",
            )
        return self.descriptor.__get__(instance, owner)

    def _can_answer(self, instance: Any) -> bool:
        raise NotImplementedError

    def queryset(self, instance: Any) -> Any:
        """Return a queryset of the related objects, without the relation's filter."""
        return as_vinyl(self.descriptor.get_queryset(instance=instance)._chain())

    def get_prefetch_querysets(self, instances: list[Any], querysets: list[Any] | None = None) -> Any:
        if not querysets:
            querysets = [self.queryset(instances[0])]
        return self.descriptor.get_prefetch_querysets(instances, querysets)


class ForwardGuard(SingleGuard):
    """A foreign key or one-to-one field."""

    def _can_answer(self, instance: Any) -> bool:
        field = self.descriptor.field
        if field.is_cached(instance) or _cached_on_ancestor(field, instance):
            return True
        if any(name.attname not in instance.__dict__ for name, _ in field.related_fields):
            return False
        if None in field.get_local_related_value(instance):
            # There is no such object: None, or RelatedObjectDoesNotExist, is the answer.
            return True
        if field.remote_field.parent_link:
            field.set_cached_value(instance, _parent(instance, field))
            return True
        return False


def _cached_on_ancestor(field: Any, instance: Any) -> bool:
    """Whether a parent instance that was loaded with this one has the object. Django's descriptor looks there too."""
    current = instance
    while current is not None:
        link = current._meta.get_ancestor_link(field.model)
        current = link.get_cached_value(current, default=None) if link else None
        if current is not None and field.is_cached(current):
            return True
    return False


def _parent(instance: Any, link: Any) -> Any:
    """Make the parent instance of a child from the child's own data, which has all that was loaded of it."""
    model = link.remote_field.model
    loaded = instance.__dict__
    names = [field.attname for field in model._meta.concrete_fields if field.attname in loaded]
    parent = _compat.from_db(class_of(model))(instance._state.db, names, [loaded[name] for name in names])
    parent._state.adding = instance._state.adding
    return parent


class ReverseOneGuard(SingleGuard):
    """The other side of a one-to-one field."""

    def _can_answer(self, instance: Any) -> bool:
        return self.descriptor.related.is_cached(instance) or not instance._is_pk_set()


class GenericGuard(SingleGuard):
    """A generic foreign key. Its descriptor is the field itself, or in Django 6.1 one that has the field."""

    @property
    def _field(self) -> Any:
        return getattr(self.descriptor, "field", self.descriptor)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        related = awaited_object(instance, self._field)
        content_type, key = self._reference(instance)
        if related is not None and key == related.pk:
            return related
        # Django would ask for the content type of an object that was there before.
        return None if content_type is None or key is None else super().__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        try:
            super().__set__(instance, value)
        except SynchronousOnlyOperation:
            set_later(instance, self._field, value)

    def _can_answer(self, instance: Any) -> bool:
        content_type, key = self._reference(instance)
        related = self._field.get_cached_value(instance, default=None)
        if related is None:
            return bool(self._field.is_cached(instance))
        try:
            is_of_type = content_type == self._field.get_content_type(obj=related, using=instance._state.db).pk
        except SynchronousOnlyOperation:
            # It would have to be looked up.
            return False
        return bool(is_of_type and related._meta.pk.to_python(key) == related.pk)

    def _reference(self, instance: Any) -> tuple[Any, Any]:
        """Return the primary keys of the content type and of the object."""
        content_type = instance._meta.get_field(self._field.ct_field).attname
        return getattr(instance, content_type), getattr(instance, self._field.fk_field)

    def get_prefetch_querysets(self, instances: list[Any], querysets: list[Any] | None = None) -> Any:
        querysets = [as_vinyl(queryset._chain()) for queryset in querysets or ()]
        given = {queryset.query.model for queryset in querysets}
        alias = instances[0]._state.db
        for key in {self._reference(instance)[0] for instance in instances} - {None}:
            model = self._field.get_content_type(id=key, using=alias).model_class()
            if model is not None and model not in given:
                querysets.append(as_vinyl(model._base_manager.using(alias).all()))
        objects, key_of, *rest = self.descriptor.get_prefetch_querysets(instances, querysets)
        # Django tells objects apart by their class, which it compares with the content type's model.
        return (objects, lambda related: (key_of(related)[0], related._meta.model), *rest)


class ManyGuard(Guard):
    """A relation to many objects: gives a related manager, which never needs to be loaded."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self.related_manager_cls(instance)

    def default_queryset(self, instance: Any) -> Any:
        """Return a queryset by the related model's default manager, without the relation's filter."""
        return self.related_manager_cls(instance).default_queryset()

    @cached_property
    def related_manager_cls(self) -> type[Any]:
        return _related_manager_class(self.descriptor.related_manager_cls)


class RelatedManager:
    """Mixin before the related manager class that Django makes for a relation."""

    django_class: type[Any]

    def __class_getitem__(cls, item: Any) -> type["RelatedManager"]:
        """Take the model that type checkers are told, as Django's managers do."""
        return cls

    def __call__(self, *, manager: str) -> Any:
        """Return the related manager by another manager of the related model, as in Django."""
        django_manager: Any = super().__call__(manager=manager)  # type: ignore[misc]
        return _related_manager_class(type(django_manager))(django_manager.instance)

    do_not_call_in_templates = True

    def get_queryset(self) -> Any:
        return as_vinyl(super().get_queryset())  # type: ignore[misc]

    def default_queryset(self) -> Any:
        """Return the queryset of the related model's default manager, without the relation's filter."""
        default: Any = super(self.django_class, self)
        return as_vinyl(default.get_queryset()._chain())

    def queryset_anew(self) -> Any:
        """Return the queryset that there would be if nothing had been prefetched."""
        return as_vinyl(self._apply_rel_filters(self.default_queryset()))  # type: ignore[attr-defined]

    def get_prefetch_querysets(self, instances: list[Any], querysets: list[Any] | None = None) -> Any:
        if not querysets:
            querysets = [self.default_queryset()]
        return super().get_prefetch_querysets(instances, querysets)  # type: ignore[misc]


def _related_manager_class(django_class: type[Any]) -> type[Any]:
    """Put RelatedManager, operations and the project's own methods in front of a related manager class of Django's."""
    # The base is the class of the related model's manager.
    namespace: dict[str, Any] = own_methods(django_class.__bases__[0], Manager)
    for name in _OPERATIONS:
        # remove() and clear() are there only for relations that can be null.
        if hasattr(django_class, name):
            namespace[name] = _operation(django_class, name, dispatch)
            namespace[f"a{name}"] = _operation(django_class, name, always_awaited)
    namespace.update(django_class=django_class, __module__=django_class.__module__)
    return type(django_class.__name__, (RelatedManager, django_class), namespace)


def _operation(django_class: type[Any], name: str, dispatcher: Callable[..., Any]) -> Any:
    django_method = getattr(django_class, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return dispatcher(_run_by_django, django_method, self, args, kwargs)

    return functools.wraps(django_method)(method)


def _run_by_django(django_method: Callable[..., Any], manager: Any, args: Any, kwargs: Any) -> Any:
    with saves_by_django(), muted():
        return django_method(manager, *args, **kwargs)
