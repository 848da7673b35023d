"""What can be done with one instance of a vinyl class: insert, update, delete, refresh, load, and find its neighbours.

The work is Django's: the methods by which Model.save_base() writes the tables of a model and its parents, its deletion
collector, its refresh_from_db(). What is left out of save_base() is guessing between INSERT and UPDATE, and signals.
A write that fails or is cancelled leaves the instance as it was before.

All of it is synchronous code, to be carried out in the bridge or in the sync mode. It must not know modes or managers.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db import DatabaseError, router, transaction
from django.db.models import Model
from django.db.models.constants import LOOKUP_SEP

from vinyl import _compat
from vinyl._install import OF_DELETING, muted
from vinyl.common.classes import class_of
from vinyl.common.content_types import have_at_hand
from vinyl.common.mementos import remember, rewound


def label(instance: Any) -> str:
    """Return the model's name, for messages."""
    return str(instance._meta.object_name)


def alias_of(instance: Any, using: str | None) -> str:
    """Return the alias of the database that an operation of this instance goes to."""
    return (
        using or getattr(instance._state, "written_to", None) or router.db_for_write(type(instance), instance=instance)
    )


@contextmanager
def written_to(instance: Any, using: str | None) -> Iterator[None]:
    """Have insert() and update() of this instance write to `using`, whatever parameters their overrides take."""
    instance._state.written_to = using
    try:
        yield
    finally:
        del instance._state.written_to


def _write_block(model: type[Model], using: str) -> AbstractContextManager[Any]:
    # As Model.save_base(): one statement needs no transaction of its own.
    if model._meta.parents:
        return transaction.atomic(using=using, savepoint=False)
    return transaction.mark_for_rollback_on_error(using=using)


def insert(instance: Any, using: str | None) -> Any:
    """Insert the rows of the instance, of its parent models first."""
    model = instance._meta.concrete_model
    alias = alias_of(instance, using)
    with rewound(instance), _write_block(model, alias):
        instance._prepare_related_fields_for_save(operation_name="insert")
        instance._save_parents(model, alias, None, (model,))
        had = frozenset(instance.__dict__)
        instance._save_table(cls=model, force_insert=True, using=alias)
        instance._state.db = alias
        instance._state.adding = False
        _read_back(instance, alias, had)
        have_at_hand(instance._meta.model, alias)
    return instance


def update(instance: Any, using: str | None, values: dict[str, Any]) -> Any:
    """Write the values, or all loaded fields, to the rows of the instance."""
    if not instance._is_pk_set():
        raise ValueError(
            f"This {label(instance)} has no primary key, so there is no row that update() could write. Insert it with "
            "insert() first."
        )
    fields = _fields_to_write(instance, values)
    model = instance._meta.concrete_model
    alias = alias_of(instance, using)
    with rewound(instance), _write_block(model, alias):
        for name, value in values.items():
            setattr(instance, name, value)
        instance._prepare_related_fields_for_save(operation_name="update", fields=fields)
        _forget_generated_from(instance, fields)
        _load_links(instance, model, alias)
        _give_parents_their_keys(instance, model)
        had = frozenset(instance.__dict__)
        _update_tables(instance, [*model._meta.all_parents, model], alias, frozenset(field.name for field in fields))
        instance._state.db = alias
        instance._state.adding = False
        _read_back(instance, alias, had)
    return instance


def _load_links(instance: Any, model: Any, using: str) -> None:
    """Load the links to parent models that were deferred: only("pk") leaves those out that are not the key."""
    tables = [model, *model._meta.all_parents]
    links = {link.attname for table in tables for link in table._meta.parents.values() if link is not None}
    missing = links - instance.__dict__.keys()
    if missing:
        read(instance, missing, using)


def _give_parents_their_keys(instance: Any, model: type[Model]) -> None:
    """Copy the links to parent models to the parents' primary keys, as Model.save() does before it writes them."""
    for parent, link in model._meta.parents.items():
        key: Any = parent._meta.pk
        if link is not None and getattr(instance, key.attname) is None:
            setattr(instance, key.attname, getattr(instance, link.attname))
        _give_parents_their_keys(instance, parent)


def _update_tables(instance: Any, tables: list[Any], using: str, names: frozenset[str]) -> None:
    try:
        for table in tables:
            if names:
                instance._save_table(cls=table, force_update=True, using=using, update_fields=names)
            elif not table._base_manager.using(using).filter(pk=instance._get_pk_val(table._meta)).exists():
                # There is nothing to write. Without names Django would write all fields, the deferred ones too.
                raise _compat.ObjectNotUpdated
    except (DatabaseError, _compat.ObjectNotUpdated) as error:
        if not _compat.is_not_updated(error):
            raise
        raise instance.NotUpdated(
            f"No row of {label(instance)} with the primary key {instance.pk!r} was updated on the database {using!r}: "
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
            f"update() of {label(instance)} cannot write {', '.join(map(repr, unknown))}: not a field of the model, "
            "a primary key, generated by the database, or many-to-many. There are: "
            f"{', '.join(field.name for field in writable)}."
        )
    for name in values:
        field = by_name[name]
        if name == field.name != field.attname and field.attname in values:
            raise ValueError(
                f"update() of {label(instance)} got {field.name!r} and {field.attname!r}, which are one field. Give "
                "one of them."
            )
    return [by_name[name] for name in values]


def _is_key(field: Any, meta: Any) -> bool:
    """Whether the field is part of the primary key, of the model's own table or of a parent's."""
    return field in meta.pk_fields or any(field in parent._meta.pk_fields for parent in meta.all_parents)


def _forget_generated_from(instance: Any, fields: list[Any]) -> None:
    """Drop the values that the database will compute anew from these fields, so that they are read back."""
    loaded = instance.__dict__
    for field in instance._meta.concrete_fields:
        if field.generated and field.attname in loaded and not _compat.referenced_fields(field).isdisjoint(fields):
            del loaded[field.attname]


def _read_back(instance: Any, using: str, had: frozenset[str]) -> None:
    """Read what the database has computed, as far as the statement did not return it already.

    `had` are the attributes from before: Django drops those of expressions that the statement could not return.
    """
    loaded = instance.__dict__
    names = [
        field.attname
        for field in instance._meta.concrete_fields
        if hasattr(loaded.get(field.attname), "resolve_expression")
        or (field.attname not in loaded and (field.generated or field.attname in had))
    ]
    if names:
        read(instance, names, using)


def values_of(instance: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the instance's own values of the fields named, as update() takes them."""
    fields = dict.fromkeys(instance._meta.get_field(name) for name in names)
    return {field.attname: getattr(instance, field.attname) for field in fields}


def delete(instance: Any, using: str | None, keep_parents: bool) -> tuple[int, dict[str, int]]:
    """Delete the instance's rows and what depends on them."""
    remember(instance)
    # Django collects instances by their class. A twin of the model's own class goes with those that cascades load.
    model = instance._meta.model
    twin: Any = object.__new__(model)
    twin.__dict__.update(instance.__dict__)
    with muted(OF_DELETING):
        counts = Model.delete(twin, using=alias_of(instance, using), keep_parents=keep_parents)
    for field in instance._meta.pk_fields:
        setattr(instance, field.attname, None)
    return counts


def refresh(instance: Any, fields: tuple[str, ...], using: str | None) -> Any:
    """Read the fields anew."""
    _check_names(instance, "refresh", fields)
    read(instance, fields or None, using)
    return instance


def read(instance: Any, fields: Iterable[str] | None, using: str | None = None) -> None:
    """Read fields as Django does, by another instance, whose making it would signal."""
    with muted():
        Model.refresh_from_db(instance, using=using, fields=fields)


def load(instance: Any, lookups: tuple[str, ...], prefetch: Callable[[list[Any], Any], None]) -> Any:
    """Read deferred fields, and load relations by `prefetch`."""
    _check_names(instance, "load", lookups)
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
        elif name != lookup:
            raise ValueError(f"load() of {label(instance)} cannot follow {lookup!r}: {name!r} is no relation.")
    if columns:
        read(instance, columns)
    prefetch([instance], relations)
    return instance


def _check_names(instance: Any, method: str, names: Iterable[Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"{method}() of {label(instance)} takes the names of fields and relations, not {name!r}. Prefetch "
                "objects are for vinyl.prefetch_related_objects([instance], …)."
            )


def neighbour(find: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what one of Django's methods has found, get_next_by_…() for example, as an instance of the vinyl class."""
    with muted():
        found = find(*args, **kwargs)
    instance: Any = object.__new__(class_of(found._meta.model))
    # Django keeps what it has found, so the state must not be shared.
    state = copy.copy(found._state)
    state.fields_cache = dict(found._state.fields_cache)
    instance.__dict__.update(found.__dict__, _state=state)
    return instance


def _field(instance: Any, name: str) -> Any:
    """Return the field of this name, or None where it may be a relation's accessor or another descriptor."""
    meta = instance._meta
    for field in meta.get_fields():
        if name in (field.name, getattr(field, "attname", None)):
            return field
    return None
