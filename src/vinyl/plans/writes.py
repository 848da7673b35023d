"""Plans of what one instance writes: insert() without Django's compiler.

As the plans of queries they are learned from watching Django. An INSERT names its columns in the order of its
parameters, so each parameter is that column's attribute, converted by a binder; the statement belongs to a model, a
database, and the types of the values. What an instance has beyond plain values (expressions, defaults of the database,
files) is written by Django, and so is what a model does in its own way.

This module must not know querysets or managers.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import django.db
from django.db import models
from django.db.models import Field, Model
from django.db.models.manager import BaseManager

from vinyl import operations
from vinyl.common.mementos import remember
from vinyl.conf import uses_plans, verifies_plans
from vinyl.dispatch import dispatch
from vinyl.lending.scopes import run
from vinyl.loading.hydration import READ_FROM_ATTRIBUTES
from vinyl.plans import binders
from vinyl.plans.binders import OutOfPlan
from vinyl.plans.lanes import execute, execute_now
from vinyl.plans.learning import INSERTS, Params, Plan, compare, watched
from vinyl.plans.shapes import VALUES, Key, count_learned, forget_with

KINDS = VALUES | {bool, type(None)}
# Of Model, what writing an instance goes through.
_RELIED_ON = (
    *("_save_parents", "_save_table", "_do_insert", "_do_update", "_prepare_related_fields_for_save"),
    *("_get_pk_val", "_set_pk_val", "__setattr__", "__getattribute__"),
)
_plans: dict[tuple[Any, ...], Plan | None] = forget_with({})


def insert(instance: Any, using: str | None) -> Any:
    """Insert the instance in the caller's mode, by a plan if there is one."""
    model: Any = type(instance)
    if not uses_plans() or not is_plain(model):
        return dispatch(operations.insert, instance, using)
    return dispatch(_insert_now, instance, using, natively=_insert_natively)


def _insert_now(instance: Any, using: str | None) -> Any:
    alias = operations.alias_of(instance, using)
    key, values = _values(instance, alias)
    planned = _planned(key, values)
    if planned is None or verifies_plans():
        return _by_django(instance, alias, key, planned)
    remember(instance)
    return _finished(planned[0], instance, execute_now(*planned))


async def _insert_natively(instance: Any, using: str | None) -> Any:
    alias = operations.alias_of(instance, using)
    key, values = _values(instance, alias)
    planned = _planned(key, values)
    if planned is None or verifies_plans():
        return await run(_by_django, instance, alias, key, planned)
    remember(instance)
    return _finished(planned[0], instance, await execute(*planned))


_MISSING = object()


def _values(instance: Any, alias: str) -> tuple[Key | None, list[Any]]:
    """Return the values of the instance's columns, and by what they have a plan: None for what Django has to write."""
    attributes = instance.__dict__
    values = [attributes.get(field.attname, _MISSING) for field in instance._meta.local_concrete_fields]
    if not is_settled(instance):
        return None, values
    return (type(instance), alias, *map(type, values)), values


def is_settled(instance: Any) -> bool:
    """Whether the keys of the instances that it refers to are its own attributes by now."""
    state = vars(instance._state)
    if "incomplete_generic_keys" in state:
        return False
    cached = state.get("fields_cache")
    if not cached:
        return True
    fields = {field.name: field for field in instance._meta.local_concrete_fields}
    return all(name in fields and _has_key_of(instance, fields[name], related) for name, related in cached.items())


def _has_key_of(instance: Any, field: Any, related: Any) -> bool:
    own = instance.__dict__.get(field.attname)
    if related is None or own is None:
        return related is own
    return bool(related._is_pk_set() and own == related.__dict__.get(field.target_field.attname))


def _planned(key: Key | None, values: list[Any]) -> tuple[Plan, Params] | None:
    plan = None if key is None else _plans.get(key)
    if plan is None:
        return None
    try:
        return plan, plan.bind(values)
    except OutOfPlan:
        return None


def _by_django(instance: Any, alias: str, key: Key | None, planned: tuple[Plan, Params] | None) -> Any:
    """Have Django insert the instance; learn the plan from its statement, or verify that there is."""
    if planned is None and (key is None or key in _plans or not KINDS.issuperset(key[2:])):
        return operations.insert(instance, alias)
    fields = [field for field in instance._meta.local_concrete_fields if not _is_left_out(field, instance)]
    values = [instance.__dict__.get(field.attname) for field in fields]
    with watched(alias) as statements:
        operations.insert(instance, alias)
    if planned is not None:
        compare(*planned, statements)
    elif len(statements) == 1:
        assert key is not None
        count_learned()
        _plans[key] = _learned(instance, alias, fields, values, *statements[0])
    # Of several nothing is learned, for now: a backend asks for its server's version once.
    return instance


@cache
def is_plain(model: Any) -> bool:
    """Tell whether all that writing an instance of the model does is Django's, to one table."""
    meta = model._meta
    return (
        is_one_table(model)
        and all(is_written_as_it_is(meta, field) for field in meta.local_concrete_fields)
        # Their content types are to be at hand once there is an instance.
        and not any(hasattr(field, "content_type_field_name") for field in meta.private_fields)
    )


@cache
def is_one_table(model: Any) -> bool:
    """Tell whether instances are of one table, and written by Django's own methods."""
    meta = model._meta
    return (
        not meta.parents
        and all(getattr(meta.model, name) is getattr(Model, name) for name in _RELIED_ON)
        and isinstance(meta.base_manager, BaseManager)
        and type(meta.base_manager).get_queryset is BaseManager.get_queryset
    )


def is_written_as_it_is(meta: Any, field: Any) -> bool:
    """Tell whether a field's attribute is its value, which Django writes by its own conversions."""
    return (
        _writes_what_is_there(field)
        and binders.is_plain(field)
        and not field.generated
        and type(inspect.getattr_static(meta.model, field.attname)) in READ_FROM_ATTRIBUTES
    )


def _writes_what_is_there(field: Any) -> bool:
    if type(field).pre_save in _OF_TIMES:
        return not (field.auto_now or field.auto_now_add)
    return bool(type(field).pre_save is Field.pre_save)


_OF_TIMES = frozenset({models.DateField.pre_save, models.DateTimeField.pre_save, models.TimeField.pre_save})


def _finished(plan: Plan, instance: Any, rows: Any) -> Any:
    if plan.asks in INSERTS:
        attributes = instance.__dict__
        for field, value in zip(instance._meta.db_returning_fields, rows[0], strict=True):
            attributes[field.attname] = value
    state = instance._state
    state.db, state.adding = plan.alias, False
    return instance


def _is_left_out(field: Any, instance: Any) -> bool:
    return bool(field.primary_key and getattr(instance, field.attname) is None)


def _learned(instance: Any, alias: str, fields: list[Any], values: list[Any], sql: str, params: Any) -> Plan | None:
    connection = django.db.connections[alias]
    quote = connection.ops.quote_name
    meta = instance._meta
    columns = ", ".join(quote(field.column) for field in fields)
    blanks = ", ".join(["%s"] * len(fields))
    expected = f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES ({blanks})"
    asks = _asks(meta, connection)
    if asks == "insert":
        returned = ", ".join(f"{quote(meta.db_table)}.{quote(field.column)}" for field in meta.db_returning_fields)
        expected += f" RETURNING {returned}"
    if asks is None or sql != expected or len(params) != len(fields) or are_converted(meta, connection):
        return None
    positions = {field.attname: index for index, field in enumerate(meta.local_concrete_fields)}
    order: list[tuple[int | None, Any]] = []
    for field, value, param in zip(fields, values, params, strict=True):
        binder = binder_of(field, value, param, connection)
        if binder is None:
            return None
        order.append((positions[field.attname], binder))
    return Plan(alias, asks, sql, tuple(order), type(instance))


def _asks(meta: Any, connection: Any) -> str | None:
    """Return what an INSERT is asked for: rows, the key that the database has made, or nothing."""
    if not meta.db_returning_fields:
        return "write"
    if connection.features.can_return_columns_from_insert:
        return "insert"
    return "insert_id" if meta.db_returning_fields == [meta.pk] else None


def binder_of(field: Any, value: Any, param: Any, connection: Any) -> Callable[[Any], Any] | None:
    """Return what makes of a field's value the parameter that Django has sent for it, if that is known."""
    binder: Callable[[Any], Any] | None = _itself
    if value is not None and value is not True and value is not False:
        binder = binders.of_field(field, value, connection)
    is_its = binder is not None and type(bound := binder(value)) is type(param) and bound == param
    return binder if is_its else None


def are_converted(meta: Any, connection: Any) -> bool:
    """Whether what the statement returns is no attribute yet."""
    return any(
        connection.ops.get_db_converters(column) + field.get_db_converters(connection)
        for field in meta.db_returning_fields
        for column in [field.get_col(meta.db_table)]
    )


def _itself(value: Any) -> Any:
    return value
