"""Plain relations: those that prefetch_related() loads by one statement and one loop.

Foreign keys, their other sides and many-to-many relations that are loaded by Django's own managers, with integers as
keys. The statement of a relation is the one that Django compiles for a single instance, with as many keys as there are.
What is left on the instances is what Django leaves: related objects in their caches, related managers that have their
results.

    relation = relation_of(instance, "books")      None if it is not a plain one
    relation.related_of(instances)                 the related objects, if all of the instances have theirs
    relation.keys_of(instances)                    by which they are to be found
    relation.statements(keys)                      what has to be executed for them
    relation.give(instances, results)              makes the related objects of their rows, and gives them out

This module does not know how a statement is executed. All of it is synchronous code.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import django.db
from django.db.models import IntegerField, QuerySet
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
)
from django.db.models.manager import BaseManager

from vinyl.common.content_types import have_at_hand
from vinyl.fairness import run_fairly
from vinyl.loading.hydration import Row, may_wait
from vinyl.loading.rows import loader_of, loading
from vinyl.loading.states import attributes_of
from vinyl.plans.binders import column_field
from vinyl.plans.learning import Loader, Params, Plan
from vinyl.plans.recording import can_be_recorded, loaded
from vinyl.plans.shapes import LARGEST, SMALLEST, count_learned, forget_with

# Of the keys of a statement, where they are not one array.
MOST_KEYS = 500
# How many of these statements a relation keeps, each with another number of keys.
KEPT = 100

_relations: dict[tuple[Any, ...], Any] = forget_with({})


def relation_of(instance: Any, name: str) -> "Relation | None":
    """Return what is known of the relation, if it is a plain one."""
    alias = instance._state.db
    key = (type(instance), name, alias)
    if key not in _relations:
        guard = getattr(type(instance), name, None)
        if not hasattr(guard, "descriptor"):
            # No relation: a name that may be anything.
            return None
        count_learned()
        _relations[key] = _found(instance, name, guard)
    found: Relation | None = _relations[key]
    if found is not None and django.db.router.db_for_read(found.model, instance=instance) != found.alias:
        return None
    return found


class _Source(NamedTuple):
    """Where a relation is loaded from: Django's query for one instance, and the attributes that match."""

    queryset: Any
    field: Any
    instance_key: str
    related_key: str
    cache_name: str
    # Of a foreign key's other side: the cache of the foreign key, which knows its object.
    cache_name_there: str | None = None
    is_single: bool = False


def _found(instance: Any, name: str, guard: Any) -> "Relation | None":
    source_of = _SOURCES.get(type(guard.descriptor))
    source: _Source | None = None if source_of is None else source_of(guard, instance)
    if source is None or type(getattr(instance, source.instance_key)) is not int:
        return None
    queryset = source.queryset
    compiler = queryset.query.get_compiler(using=queryset.db)
    sql, params = compiler.as_sql()
    loader = loader_of(queryset, compiler, queryset.db)
    is_known = loader is not None and not may_wait(loader) and not queryset._prefetch_related_lookups
    bounds = _bounds(source.field, compiler.connection)
    if not is_known or bounds is None or sql.count(_ONE) != 1 or len(params) != 1:
        return None
    assert loader is not None
    kind = _Single if source.is_single else _Many
    return kind(name, source, sql, loader, bounds, compiler.connection.vendor == "postgresql")


_ONE = "IN (%s)"


def _bounds(field: Any, connection: Any) -> tuple[int, int] | None:
    """Return the range of the keys that the column of a foreign key can have, if they are integers."""
    field = column_field(field)
    if not isinstance(field, IntegerField):
        return None
    low, high = connection.ops.integer_field_range(field.get_internal_type())
    return SMALLEST if low is None else low, LARGEST if high is None else high


class Relation:
    """A plain relation of a model's vinyl class, on one database."""

    def __init__(
        self, name: str, source: _Source, sql: str, load: Loader, bounds: tuple[int, int], has_arrays: bool
    ) -> None:
        self.name = name
        self.model = source.queryset.model
        self.alias: str = source.queryset.db
        self._queryset_class = type(source.queryset)
        self._source = source
        self._sql = sql
        self._load = load
        self._lowest, self._highest = bounds
        self._instance_key = attrgetter(source.instance_key)
        # One statement for any number of keys.
        self._plan = self._made_plan("= ANY(%s)") if has_arrays else None
        self._plan_of = lru_cache(KEPT)(self._made_plan_of)

    def related_of(self, instances: list[Any]) -> list[Any] | None:
        """Return the related objects, if all of the instances have theirs; else None."""
        for instance in instances:
            # Where related managers look for their results. Django makes it for each relation, to-one too.
            attributes_of(instance).setdefault("_prefetched_objects_cache", {})
        return self._had(instances) if all(map(self._has_it, instances)) else None

    def keys_of(self, instances: list[Any]) -> list[int] | None:
        """Return the keys of the related objects; None if some have theirs, or one has no key that can be sent."""
        if any(map(self._has_it, instances)):
            return None
        keys = dict.fromkeys(map(self._instance_key, instances))
        keys.pop(None, None)
        are_sent = all(type(key) is int and self._lowest <= key <= self._highest for key in keys)
        return list(keys) if are_sent else None

    def statements(self, keys: list[int]) -> list[tuple[Plan, Params]]:
        """Return the statements that select what has these keys, with their parameters."""
        if not keys:
            return []
        if self._plan is not None:
            # The text of an array: the server knows of what type.
            return [(self._plan, ["{" + ",".join(map(str, keys)) + "}"])]
        parts = [keys[start : start + MOST_KEYS] for start in range(0, len(keys), MOST_KEYS)]
        return [(self._plan_of(len(part)), part) for part in parts]

    def give(self, instances: list[Any], results: Iterable[Sequence[Row]]) -> list[Any]:
        """Make the related objects of the statements' rows, and give them to the instances; return them."""
        have_at_hand(self.model, self.alias)
        connection = django.db.connections[self.alias]
        related: list[Any] = []
        # All of them first, since that may wait.
        steps = self._given(instances, list(results), connection, related)
        # A collector that came in between would take what is loaded for long-lived, and look at all of it again later.
        run_fairly(steps, holds_collector=True)
        return related

    def _given(
        self, instances: list[Any], results: list[Sequence[Row]], connection: Any, related: list[Any]
    ) -> Iterator[None]:
        for rows in results:
            yield from loading(self._load, rows, connection, related)
        self._give(instances, related)

    def _has_it(self, instance: Any) -> bool:
        raise NotImplementedError

    def _had(self, instances: list[Any]) -> list[Any]:
        raise NotImplementedError

    def _give(self, instances: list[Any], related: list[Any]) -> None:
        raise NotImplementedError

    def _made_plan_of(self, number: int) -> Plan:
        return self._made_plan(f"IN ({', '.join(['%s'] * number)})")

    def _made_plan(self, condition: str) -> Plan:
        return Plan(self.alias, "rows", self._sql.replace(_ONE, condition), (), self.model)


class _Single(Relation):
    """A foreign key."""

    def _has_it(self, instance: Any) -> bool:
        state = attributes_of(instance).get("_state")
        return state is not None and self._source.cache_name in vars(state).get("fields_cache", ())

    def _had(self, instances: list[Any]) -> list[Any]:
        had = {id(each): each for each in (one._state.fields_cache[self._source.cache_name] for one in instances)}
        return [each for each in had.values() if each is not None]

    def _give(self, instances: list[Any], related: list[Any]) -> None:
        key = self._source.related_key
        by_key = {attributes_of(each)[key]: each for each in related}
        for instance in instances:
            instance._state.fields_cache[self._source.cache_name] = by_key.get(self._instance_key(instance))


class _Many(Relation):
    """The other side of a foreign key, or a many-to-many relation."""

    def _has_it(self, instance: Any) -> bool:
        return self._source.cache_name in attributes_of(instance)["_prefetched_objects_cache"]

    def _had(self, instances: list[Any]) -> list[Any]:
        return [each for one in instances for each in one._prefetched_objects_cache[self._source.cache_name]]

    def _give(self, instances: list[Any], related: list[Any]) -> None:
        source = self._source
        by_key: defaultdict[Any, list[Any]] = defaultdict(list)
        # Of rows that were loaded a moment ago nothing is deferred, so no descriptor need be asked.
        for each in related:
            by_key[attributes_of(each)[source.related_key]].append(each)
        for instance in instances:
            theirs = by_key.get(self._instance_key(instance), [])
            if source.cache_name_there is not None:
                for each in theirs:
                    each._state.fields_cache[source.cache_name_there] = instance
            # What is built on it goes to the database that the routers choose.
            late = (_not_prefetched, instance, self.name)
            results = loaded(self._queryset_class, self.model, theirs, late)
            attributes_of(instance)["_prefetched_objects_cache"][source.cache_name] = results


def _not_prefetched(instance: Any, name: str) -> Any:
    return getattr(instance, name).queryset_anew()


def _is_plain(manager: Any) -> bool:
    return type(manager).get_queryset is BaseManager.get_queryset and can_be_recorded(manager._queryset_class, QuerySet)


def _of_foreign_key(guard: Any, instance: Any) -> _Source | None:
    field = guard.descriptor.field
    if len(field.related_fields) != 1 or not field.remote_field.multiple:
        return None
    if not _is_plain(field.remote_field.model._base_manager):
        return None
    local, foreign = field.related_fields[0]
    queryset = guard.queryset(instance).filter(**{f"{foreign.name}__in": [getattr(instance, local.attname)]})
    # As Django: of each instance there is one.
    queryset.query.clear_ordering()
    return _Source(queryset, field, local.attname, foreign.attname, field.cache_name, is_single=True)


def _of_other_side(guard: Any, instance: Any) -> _Source | None:
    relation = guard.descriptor.rel
    field = relation.field
    if len(field.related_fields) != 1 or not _is_plain(relation.related_model._default_manager):
        return None
    queryset = guard.default_queryset(instance).filter(**{f"{field.name}__in": [instance]})
    local, foreign = field.related_fields[0]
    name = relation.cache_name
    return _Source(queryset, field, foreign.attname, local.attname, name, field.cache_name)


def _of_many_to_many(guard: Any, instance: Any) -> _Source | None:
    manager = guard.__get__(instance)
    link = manager.through._meta.get_field(manager.source_field_name)
    if len(link.related_fields) != 1 or not _is_plain(manager.model._default_manager):
        return None
    queryset, *_, cache_name, _ = manager.get_prefetch_querysets([instance])
    local, foreign = link.related_fields[0]
    return _Source(queryset, link, foreign.attname, f"_prefetch_related_val_{local.attname}", cache_name)


_SOURCES: dict[Any, Callable[[Any, Any], _Source | None]] = {
    ForwardManyToOneDescriptor: _of_foreign_key,
    ReverseManyToOneDescriptor: _of_other_side,
    ManyToManyDescriptor: _of_many_to_many,
}
