"""VinylModel: what instances of vinyl classes can do. Writing is explicit: insert, update, delete; there is no save().

Each method is one operation in the caller's mode. The work is Django's: the methods by which Model.save_base() writes
the tables of a model and its parents, its deletion collector, its refresh_from_db(). What is left out of save_base() is
guessing between INSERT and UPDATE, and signals.

A write that fails or is cancelled leaves the instance as it was before.
"""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DatabaseError, router, transaction
from django.db.models import Model, prefetch_related_objects
from django.db.models.constants import LOOKUP_SEP

from vinyl import _compat
from vinyl._install import muted
from vinyl.content_types import have_at_hand
from vinyl.dispatch import always_awaited, dispatch
from vinyl.errors import UnloadedAttribute, UnsupportedOperation
from vinyl.mode import finish, portable
from vinyl.variables import temporarily

_django_saves: ContextVar[bool] = ContextVar("vinyl.django_saves", default=False)


def saves_by_django() -> AbstractContextManager[None]:
    """Let Django's code call save() in this block: QuerySet.create() and its like make instances and save them."""
    return temporarily(_django_saves, True)


class VinylModel:
    """The base of all vinyl classes; subclass it to give a model's instances your own methods.

    Pass the subclass as `VinylManager(model=custom.Artifact)`. Methods may be `async def`: they are called in both
    modes, as if they were decorated with `vinyl.portable`. https://docs.djangoproject.com/en/stable/ref/models/instances/
    """

    is_vinyl_class = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()):
            if inspect.iscoroutinefunction(value):
                setattr(cls, name, portable(value))

    def insert(self, *, using: str | None = None) -> Any:
        """Insert this instance as a new row, and those of its parent models; give the instance.

        Afterwards it has what the database has set: its primary key, defaults, generated values, computed expressions.
        `using` is the alias of the database; else the routers choose. Raises IntegrityError as Django does.
        """
        return dispatch(_insert, self, using)

    def update(self, *, using: str | None = None, **values: Any) -> Any:
        """Write the row of this instance: all loaded fields, or just `values`, which are set first; give the instance.

        Values may be expressions, such as F("stock") - 1; what the database computes is read back. Raises NotUpdated,
        also as `Model.NotUpdated`, where there is no such row.
        """
        return dispatch(_update, self, using, values)

    def delete(self, *, using: str | None = None, keep_parents: bool = False) -> Any:
        """Delete the row and what depends on it, by the `on_delete` rules; give Django's pair of counts."""
        return dispatch(_delete, self, using, keep_parents)

    def refresh(self, *fields: str, using: str | None = None) -> Any:
        """Read the fields anew, all that are loaded if none is named; give the instance. Raises DoesNotExist."""
        return dispatch(_refresh, self, fields, using)

    def load(self, *lookups: str) -> Any:
        """Load deferred fields and relations, by the names that prefetch_related() takes; give the instance."""
        return dispatch(_load, self, lookups)

    # Templates must not call these.
    for _method in (insert, update, delete, refresh, load):
        vars(_method)["alters_data"] = True
    del _method

    # Django's names that an instance of a vinyl class answers differently.

    def adelete(self, using: str | None = None, keep_parents: bool = False) -> Any:
        """As delete(), awaited in each mode."""
        return always_awaited(_delete, self, using, keep_parents)

    def arefresh_from_db(self, using: str | None = None, fields: Iterable[str] | None = None) -> Any:
        """As refresh(), awaited in each mode."""
        return always_awaited(_refresh, self, tuple(fields or ()), using)

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Raise an error: Django calls this where a deferred field is read, users call refresh()."""
        missing = [name for name in fields or () if name not in self.__dict__]
        if missing:
            raise unloaded(self, missing[0], how="Take it out of the query's defer(), or add it to its only()")
        raise UnsupportedOperation(f"Use refresh() on {_label(self)}, where it is awaited in the async mode.")

    def save(
        self,
        force_insert: bool = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        """Raise an error: it would have to guess between insert() and update()."""
        if not _django_saves.get():
            raise UnsupportedOperation(
                f"{_label(self)} has no save() in vinyl, which would guess between INSERT and UPDATE. Call insert() "
                "for a new row and update() for an existing one, awaited in the async mode."
            )
        with _written_to(self, using):
            if force_insert or (self._state.adding and not force_update and not update_fields):  # type: ignore[attr-defined]
                finish(self.insert())
            elif update_fields is None:
                finish(self.update())
            else:
                finish(self.update(**_values(self, update_fields)))

    def asave(self, *args: Any, **kwargs: Any) -> Any:
        """Raise an error, as save()."""
        self.save()

    def __reduce__(self) -> Any:
        """Pickle and copy as Django does, to an instance of the model's vinyl class."""
        state: Any = super().__reduce__()[2]
        return object.__new__, (type(self),), state


def unloaded(instance: Any, name: str, how: str) -> UnloadedAttribute:
    """Return the error for an attribute that was not loaded; `how` says what to add to the query."""
    return UnloadedAttribute(
        f"{_label(instance)}.{name} was not loaded with this instance, and vinyl never queries behind an attribute. "
        f"{how}, or load it now with `await instance.load({name!r})` (without await in the sync mode)."
    )


def _label(instance: Any) -> str:
    return str(instance._meta.object_name)


def _alias(instance: Any, using: str | None) -> str:
    return (
        using or getattr(instance._state, "written_to", None) or router.db_for_write(type(instance), instance=instance)
    )


@contextmanager
def _written_to(instance: Any, using: str | None) -> Iterator[None]:
    """Have insert() and update() of this instance write to `using`, whatever parameters their overrides take."""
    instance._state.written_to = using
    try:
        yield
    finally:
        del instance._state.written_to


@contextmanager
def _rewound(instance: Any) -> Iterator[None]:
    """Restore the instance if the block fails, so that it never claims what the database does not have."""
    state = instance._state
    values, state_values, cached = dict(instance.__dict__), dict(state.__dict__), dict(state.fields_cache)
    try:
        yield
    except BaseException:
        instance.__dict__.clear()
        instance.__dict__.update(values)
        state.__dict__.clear()
        state.__dict__.update(state_values, fields_cache=cached)
        raise


def _write_block(model: type[Model], using: str) -> AbstractContextManager[Any]:
    # As Model.save_base(): one statement needs no transaction of its own.
    if model._meta.parents:
        return transaction.atomic(using=using, savepoint=False)
    return transaction.mark_for_rollback_on_error(using=using)


def _insert(instance: Any, using: str | None) -> Any:
    instance._prepare_related_fields_for_save(operation_name="insert")
    model = instance._meta.concrete_model
    alias = _alias(instance, using)
    with _rewound(instance), _write_block(model, alias):
        instance._save_parents(model, alias, None, (model,))
        instance._save_table(cls=model, force_insert=True, using=alias)
        instance._state.db = alias
        instance._state.adding = False
        _read_back(instance, alias)
        have_at_hand(model, alias)
    return instance


def _update(instance: Any, using: str | None, values: dict[str, Any]) -> Any:
    if not instance._is_pk_set():
        raise ValueError(
            f"This {_label(instance)} has no primary key, so there is no row that update() could write. Insert it with "
            "insert() first."
        )
    fields = _fields_to_write(instance, values)
    model = instance._meta.concrete_model
    alias = _alias(instance, using)
    with _rewound(instance), _write_block(model, alias):
        for name, value in values.items():
            setattr(instance, name, value)
        instance._prepare_related_fields_for_save(operation_name="update", fields=fields)
        _forget_generated_from(instance, fields)
        _give_parents_their_keys(instance, model)
        _update_tables(instance, [*model._meta.all_parents, model], alias, frozenset(field.name for field in fields))
        instance._state.db = alias
        instance._state.adding = False
        _read_back(instance, alias)
    return instance


def _give_parents_their_keys(instance: Any, model: type[Model]) -> None:
    """Copy the links to parent models to the parents' primary keys, as Model.save() does before it writes them."""
    for parent, link in model._meta.parents.items():
        key: Any = parent._meta.pk
        if link is not None and getattr(instance, key.attname) is None:
            setattr(instance, key.attname, getattr(instance, link.attname))
        _give_parents_their_keys(instance, parent)


def _update_tables(instance: Any, tables: list[type[Model]], using: str, names: frozenset[str]) -> None:
    try:
        for table in tables:
            # Without a field to write, Django only asks whether the row is there.
            instance._save_table(cls=table, force_update=True, using=using, update_fields=names or None)
    except DatabaseError as error:
        if not _compat.is_not_updated(error):
            raise
        raise instance.NotUpdated(
            f"No row of {_label(instance)} with the primary key {instance.pk!r} was updated on the database {using!r}: "
            "it was deleted meanwhile, or never inserted. Insert it with insert(), or write by a queryset's update(), "
            "which counts the rows it has matched."
        ) from error


def _fields_to_write(instance: Any, values: dict[str, Any]) -> list[Any]:
    """Return the fields of these values, or of all that are loaded; raise ValueError for what update() cannot write."""
    meta = instance._meta
    writable = [field for field in meta.concrete_fields if not field.generated and not _is_key(field, meta)]
    if not values:
        return [field for field in writable if field.attname in instance.__dict__]
    by_name = {name: field for field in writable for name in (field.name, field.attname)}
    unknown = [name for name in values if name not in by_name]
    if unknown:
        raise ValueError(
            f"update() of {_label(instance)} cannot write {', '.join(map(repr, unknown))}: not a field of the model, "
            "a primary key, generated by the database, or many-to-many. There are: "
            f"{', '.join(field.name for field in writable)}."
        )
    return list(dict.fromkeys(by_name[name] for name in values))


def _is_key(field: Any, meta: Any) -> bool:
    """Whether the field is part of the primary key, of the model's own table or of a parent's."""
    return field in meta.pk_fields or any(field in parent._meta.pk_fields for parent in meta.all_parents)


def _forget_generated_from(instance: Any, fields: list[Any]) -> None:
    """Drop the values that the database will compute anew from these fields, so that they are read back."""
    loaded = instance.__dict__
    for field in instance._meta.concrete_fields:
        if field.generated and field.attname in loaded and not _compat.referenced_fields(field).isdisjoint(fields):
            del loaded[field.attname]


def _read_back(instance: Any, using: str) -> None:
    """Read what the database has computed, as far as the statement did not return it already."""
    names = [
        field.attname
        for field in instance._meta.concrete_fields
        if hasattr(instance.__dict__.get(field.attname), "resolve_expression")
        or (field.generated and field.attname not in instance.__dict__)
    ]
    if names:
        _read(instance, names, using)


def _values(instance: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the instance's own values of the fields named, as update() takes them."""
    fields = dict.fromkeys(instance._meta.get_field(name) for name in names)
    return {field.attname: getattr(instance, field.attname) for field in fields}


def _delete(instance: Any, using: str | None, keep_parents: bool) -> tuple[int, dict[str, int]]:
    # Django collects instances by their class. A twin of the model's own class goes with those that cascades load.
    model = instance._meta.model
    twin: Any = object.__new__(model)
    twin.__dict__.update(instance.__dict__)
    with muted():
        counts = Model.delete(twin, using=_alias(instance, using), keep_parents=keep_parents)
    for field in instance._meta.pk_fields:
        setattr(instance, field.attname, None)
    return counts


def _refresh(instance: Any, fields: tuple[str, ...], using: str | None) -> Any:
    _read(instance, fields or None, using)
    return instance


def _read(instance: Any, fields: Iterable[str] | None, using: str | None = None) -> None:
    """Read fields as Django does, by another instance, whose making it would signal."""
    with muted():
        Model.refresh_from_db(instance, using=using, fields=fields)


def _load(instance: Any, lookups: tuple[str, ...]) -> Any:
    deferred = instance.get_deferred_fields()
    relations = []
    columns = []
    for lookup in lookups:
        name = lookup.split(LOOKUP_SEP)[0]
        field = _field(instance, name)
        if getattr(field, "attname", None) in deferred:
            columns.append(field.attname)
        # By `author_id` just the column is meant, by `author` the object.
        if field is None or (field.is_relation and name == field.name):
            relations.append(lookup)
    if columns:
        _read(instance, columns)
    prefetch_related_objects([instance], *relations)
    return instance


def _field(instance: Any, name: str) -> Any:
    """Return the field of this name, or None where it may be a relation's accessor or another descriptor."""
    meta = instance._meta
    for field in meta.get_fields():
        if name in (field.name, getattr(field, "attname", None)):
            return field
    return None
