"""Plans of what is done with the row of one instance: update() and delete(), without Django's compiler and collector.

As those of insert() they are learned from watching Django. An UPDATE names its columns in the order of its parameters,
the key at the end; so each parameter is that column's value, or the instance's key, converted by a binder. A plan
belongs to a model, a database, the names of the columns, and the types of the values. A DELETE has the key alone.

What is Django's affair: models with parents, with generated fields, or with relations that deleting has to follow;
expressions and instances as values; an instance that refers to others by what is not its attribute yet. Where there is
no row to be updated Django is asked too, and says so. An instance is changed only when its row is.

This module must not know querysets or managers.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import django.db
from django.db.models.deletion import Collector

from vinyl import operations
from vinyl._install import OF_DELETING, muted
from vinyl.common.mementos import remember
from vinyl.conf import uses_plans, verifies_plans
from vinyl.dispatch import dispatch
from vinyl.lending.scopes import run
from vinyl.plans import binders
from vinyl.plans.binders import Binder, OutOfPlan
from vinyl.plans.lanes import execute, execute_now
from vinyl.plans.learning import Params, Plan, compare, watched
from vinyl.plans.shapes import Key, count_learned, forget_with
from vinyl.plans.writes import KINDS, binder_of, is_one_table, is_settled, is_written_as_it_is

Order = list[tuple[int | None, Any]]
_MISSING = object()
# None where no plan can be made.
_plans: dict[Key, Plan | None] = forget_with({})
# Whether deleting has relations to follow depends on models that refer to this one, which may be made later.
_deletable: dict[Any, bool] = forget_with({})


def update(instance: Any, using: str | None, values: dict[str, Any]) -> Any:
    """Write the instance's row in the caller's mode, by a plan if there is one."""
    model: Any = type(instance)
    if not uses_plans() or not _has_plain_key(model):
        return dispatch(operations.update, instance, using, values)
    return dispatch(_carry_out, _Update, instance, using, values, natively=_carry_out_natively)


def delete(instance: Any, using: str | None, keep_parents: bool) -> Any:
    """Delete the instance's row, and what depends on it, in the caller's mode; by a plan if there is one."""
    model: Any = type(instance)
    if not uses_plans() or not _has_plain_key(model) or not _is_deletable(model):
        return dispatch(operations.delete, instance, using, keep_parents)
    return dispatch(_carry_out, _Delete, instance, using, keep_parents, natively=_carry_out_natively)


def _carry_out(kind: "type[_Write]", instance: Any, using: str | None, argument: Any) -> Any:
    write = kind(instance, using, argument)
    planned = write.planned()
    if planned is None or verifies_plans():
        return write.by_django(planned)
    remember(instance)
    count = execute_now(*planned)
    return write.done(count) if write.is_done(count) else write.operation()


async def _carry_out_natively(kind: "type[_Write]", instance: Any, using: str | None, argument: Any) -> Any:
    write = kind(instance, using, argument)
    planned = write.planned()
    if planned is None or verifies_plans():
        return await run(write.by_django, planned)
    remember(instance)
    count = await execute(*planned)
    return write.done(count) if write.is_done(count) else await run(write.operation)


class _Write:
    """What is to be done with the row of an instance, as it is when that begins."""

    __slots__ = ("alias", "argument", "instance", "key", "values")

    key: Key | None
    values: list[Any]

    def __init__(self, instance: Any, using: str | None, argument: Any) -> None:
        self.instance, self.argument = instance, argument
        self.alias = operations.alias_of(instance, using)
        self._prepare(instance.__dict__, instance._meta.pk.attname)

    def _prepare(self, attributes: dict[str, Any], key: str) -> None:
        """Set `values`, the instance's key being the last, and `key`, by what they have a plan: None for Django's."""
        raise NotImplementedError

    def operation(self) -> Any:
        """Have Django do it."""
        raise NotImplementedError

    def is_done(self, count: int) -> bool:
        """Tell whether that was all if so many rows were changed."""
        raise NotImplementedError

    def done(self, count: int) -> Any:
        """Tell the instance; return the result."""
        raise NotImplementedError

    def _learned(self, sql: str, params: Params) -> Order | None:
        """Return what becomes of the values in Django's statement, if that is what it is expected to be."""
        raise NotImplementedError

    def planned(self) -> tuple[Plan, Params] | None:
        plan = None if self.key is None else _plans.get(self.key)
        if plan is None:
            return None
        try:
            return plan, plan.bind(self.values)
        except OutOfPlan:
            return None

    def by_django(self, planned: tuple[Plan, Params] | None) -> Any:
        """Have Django do it; learn the plan from its statement, or verify that there is."""
        teaches = self.key is not None and self.key not in _plans and KINDS.issuperset(map(type, self.values))
        if planned is None and not teaches:
            return self.operation()
        with watched(self.alias) as statements:
            result = self.operation()
        if planned is not None:
            compare(*planned, statements)
        elif len(statements) == 1:
            self._learn(*statements[0])
        return result

    def _learn(self, sql: str, params: Params) -> None:
        order = self._learned(sql, params)
        count_learned()
        assert self.key is not None
        plan = None if order is None else Plan(self.alias, "write", sql, tuple(order), type(self.instance))
        _plans[self.key] = plan

    def _key_binder(self, param: Any, **condition: Any) -> Binder | None:
        """Return what makes the parameter of the key, in a statement with this condition."""
        queryset = self.instance._meta.concrete_model._base_manager.using(self.alias).filter(**condition)
        compiler = queryset.query.get_compiler(using=self.alias)
        for value, lookup in binders.compared_values(queryset.query.where, frozenset()):
            binder = binders.of_lookup(lookup, value, compiler, compiler.connection)
            if binder is not None and type(bound := binder(value)) is type(param) and bound == param:
                return binder
        return None

    def _quoted(self) -> tuple[Callable[[str], str], str, str]:
        """Return what quotes names, the table's, and that of the key's column."""
        quote: Callable[[str], str] = django.db.connections[self.alias].ops.quote_name
        table = quote(self.instance._meta.db_table)
        return quote, table, f"{table}.{quote(self.instance._meta.pk.column)}"


class _Update(_Write):
    """An update() of these values, or of all fields that are loaded."""

    __slots__ = ("names",)

    def _prepare(self, attributes: dict[str, Any], key: str) -> None:
        model: Any = type(self.instance)
        given = self.argument
        if given:
            self.names = tuple(given)
            self.values = [*given.values(), attributes.get(key, _MISSING)]
        else:
            self.names = tuple([name for name in _writable(model) if name in attributes])
            self.values = [*map(attributes.__getitem__, self.names), attributes.get(key, _MISSING)]
        is_for_plan = bool(self.names) and self._is_settled(attributes)
        kinds = tuple(map(type, self.values))
        self.key = (model, self.alias, bool(given), self.names, kinds) if is_for_plan else None

    def _is_settled(self, attributes: dict[str, Any]) -> bool:
        """Whether all that there is to be done is to write the values."""
        if not is_settled(self.instance):
            return False
        if not self.argument:
            return True
        cached = self.instance._state.fields_cache
        # What the instance refers to may be another one afterwards; and what it was given before, the database's.
        model: Any = type(self.instance)
        is_cached = cached and any(_cache_names(model).get(name) in cached for name in self.names)
        return not is_cached and not any(hasattr(type(value), "resolve_expression") for value in attributes.values())

    def operation(self) -> Any:
        return operations.update(self.instance, self.alias, self.argument)

    def is_done(self, count: int) -> bool:
        return count > 0

    def done(self, count: int) -> Any:
        for name, value in self.argument.items():
            setattr(self.instance, name, value)
        state = self.instance._state
        state.db, state.adding = self.alias, False
        return self.instance

    def _learned(self, sql: str, params: Params) -> Order | None:
        model: Any = type(self.instance)
        meta, connection = model._meta, django.db.connections[self.alias]
        writable = _writable(model)
        if not all(name in writable and is_written_as_it_is(meta, writable[name]) for name in self.names):
            return None
        positions = {name: index for index, name in enumerate(self.names)}
        fields = [field for field in meta.local_concrete_fields if field.attname in positions]
        written = fields
        if len(params) <= len(fields):
            # Django writes NULL so, up to a version.
            written = [field for field in fields if self.values[positions[field.attname]] is not None]
        quote, table, key = self._quoted()
        columns = ", ".join(f"{quote(field.column)} = {'%s' if field in written else 'NULL'}" for field in fields)
        if sql != f"UPDATE {table} SET {columns} WHERE {key} = %s" or len(params) != len(written) + 1:
            return None
        order: Order = []
        for field, param in zip(written, params, strict=False):
            index = positions[field.attname]
            order.append((index, binder_of(field, self.values[index], param, connection)))
        order.append((len(self.names), self._key_binder(params[-1], pk=self.values[-1])))
        return None if any(binder is None for _, binder in order) else order


class _Delete(_Write):
    """A delete() of a row that nothing depends on, as far as Django is to know."""

    __slots__ = ()

    def _prepare(self, attributes: dict[str, Any], key: str) -> None:
        self.values = [attributes.get(key, _MISSING)]
        self.key = (type(self.instance), self.alias, None, type(self.values[0]))

    def operation(self) -> Any:
        return operations.delete(self.instance, self.alias, self.argument)

    def is_done(self, count: int) -> bool:
        return True

    def done(self, count: int) -> Any:
        setattr(self.instance, self.instance._meta.pk.attname, None)
        return count, {self.instance._meta.label: count}

    def _learned(self, sql: str, params: Params) -> Order | None:
        _, table, key = self._quoted()
        if sql != f"DELETE FROM {table} WHERE {key} IN (%s)" or len(params) != 1:
            return None
        binder = self._key_binder(params[0], pk__in=[self.values[0]])
        return None if binder is None else [(0, binder)]


@cache
def _has_plain_key(model: Any) -> bool:
    """Tell whether an instance is a row of one table, with a key of one column, and no column is made of others."""
    meta = model._meta
    return (
        is_one_table(model)
        and len(meta.pk_fields) == 1
        and is_written_as_it_is(meta, meta.pk)
        and not any(field.generated for field in meta.local_concrete_fields)
    )


def _is_deletable(model: Any) -> bool:
    """Tell whether deleting has no relations to follow."""
    known = _deletable.get(model)
    if known is None:
        count_learned()
        with muted(OF_DELETING):
            known = Collector(using=django.db.DEFAULT_DB_ALIAS).can_fast_delete(model._meta.model)
        _deletable[model] = known
    return known


@cache
def _writable(model: Any) -> dict[str, Any]:
    """Return the fields that update() writes, by their attributes: all that are not the key, in Django's order."""
    meta = model._meta
    return {field.attname: field for field in meta.local_concrete_fields if field not in meta.pk_fields}


@cache
def _cache_names(model: Any) -> dict[str, str]:
    """Return under what the object of a foreign key is cached, by its attribute and by its name."""
    fields = [field for field in model._meta.local_concrete_fields if field.is_relation]
    return {name: field.cache_name for field in fields for name in (field.name, field.attname)}
