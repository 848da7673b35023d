"""Queries that one line sends again and again, one for each object, and the edit that has them sent at once.

Without lazy loading these are calls in a loop, or in as many tasks:

    await book.load("author")                   select_related("author") in the query of the books
    await Author.vinyl.get(pk=book.author_id)   the same
    await author.books.filter(stock=0)          prefetch_related("books") in the query of the authors
    await author.books.count()                  annotate(Count("books"))

Which relation it is can be told from the SQL, as Django writes it: the condition compares a key with one value. The
object whose key that is stands in one of the frames that have led to the query. This module executes nothing; a query
that it cannot read is merely repeated.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType
from typing import Any

from django.apps import apps
from django.db.models import Model

from vinyl.common.whereabouts import Place

_LIST = re.compile(r"IN \(%s(?:, %s)*\)")
_TABLE = re.compile(r" FROM [`\"]([^`\"]+)[`\"]")
_CONDITION = re.compile(r"[`\"]([^`\"]+)[`\"]\.[`\"]([^`\"]+)[`\"] (?:= \(?%s\)?|IN \((%s(?:, %s)*)\)|= ANY\(%s\))")
_WRITES = {
    "INSERT": "bulk_create() of all objects",
    "UPDATE": "bulk_update() of all objects, or update() of a queryset",
    "DELETE": "delete() of a queryset",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation from one model's objects to others, and the method by which the queryset of the former loads it."""

    model: Any
    name: str
    method: str

    def __str__(self) -> str:
        return f"{self.model._meta.object_name}.{self.name}"

    def in_query(self, sql: str) -> str:
        """Return what is to be written for a query that asked for it, object by object."""
        if sql.startswith("SELECT COUNT("):
            return f'annotate(Count("{self.name}"))'
        if sql.startswith("SELECT 1 AS"):
            return f'annotate(Exists(…)), or {self.method}("{self.name}"),'
        is_filtered = len(_CONDITION.findall(sql)) > 1 or " AND " in sql.partition(" WHERE ")[2]
        if self.method == "prefetch_related" and is_filtered:
            return f'prefetch_related(Prefetch("{self.name}", queryset=…))'
        return f'{self.method}("{self.name}")'


@dataclass(frozen=True, slots=True)
class Query:
    """One execution. `sql` is without values, `duration` in seconds, `place` the line of the project's code, if any.

    `relation` is what it loads for one object, as far as that can be told.
    """

    sql: str
    duration: float
    alias: str
    place: Place | None
    relation: Relation | None = None


@dataclass(frozen=True, slots=True)
class Repetition:
    """Queries that differ by their values only, sent by one line. `loaded_at` is the line that got the objects."""

    queries: Sequence[Query]
    relation: Relation | None
    loaded_at: Place | None

    @property
    def cure(self) -> str:
        """The edit, in words."""
        sql = self.queries[0].sql
        if self.relation is not None:
            where = "" if self.loaded_at is None else f", at {self.loaded_at}"
            model = self.relation.model._meta.object_name
            return f"Add {self.relation.in_query(sql)} to the query that gets the {model} objects{where}."
        kind = sql.lstrip().partition(" ")[0].upper()
        if kind in _WRITES:
            return f"Write all at once: {_WRITES[kind]}."
        return "Ask for all at once, by a condition such as pk__in, or keep the result if the values are the same."

    def __str__(self) -> str:
        first = self.queries[0]
        what = "A statement was sent" if self.relation is None else f"{self.relation} was asked for"
        place = "code that is not the project's" if first.place is None else str(first.place)
        took = sum(query.duration for query in self.queries) * 1000
        return (
            f"{what} {len(self.queries)} times, {took:.1f} ms in all, by {place}:\n    {_shape(first)}\n    {self.cure}"
        )


def repetitions(queries: Sequence[Query]) -> list[Repetition]:
    """Return the groups of queries of one shape and one line, those with most queries first."""
    groups: dict[Any, list[int]] = {}
    for index, query in enumerate(queries):
        groups.setdefault((query.alias, _shape(query), query.place), []).append(index)
    found = []
    for indexes in groups.values():
        if len(indexes) > 1:
            group = [queries[index] for index in indexes]
            relation = next((query.relation for query in group if query.relation is not None), None)
            found.append(Repetition(group, relation, _loaded_at(relation, queries[: indexes[0]])))
    return sorted(found, key=lambda repetition: -len(repetition.queries))


def _shape(query: Query) -> str:
    return _LIST.sub("IN (…)", query.sql)


def _loaded_at(relation: Relation | None, earlier: Sequence[Query]) -> Place | None:
    """Return the line that has sent the last query of the relation's objects before they were needed."""
    if relation is None:
        return None
    tables = {relation.model._meta.db_table}
    return next((query.place for query in reversed(earlier) if _table(query.sql) in tables), None)


def _table(sql: str) -> str | None:
    found = _TABLE.search(sql) if sql.startswith("SELECT ") else None
    return None if found is None else found[1]


def relation_of(sql: str, params: Any, frames: Iterable[FrameType]) -> Relation | None:
    """Return the relation that a query loads for one object. The frames are those that have led here."""
    table = _table(sql)
    condition = _CONDITION.search(sql, sql.find(" WHERE ")) if table is not None and " WHERE " in sql else None
    if condition is None or not isinstance(params, list | tuple):
        return None
    to_others = _to_others(table, condition[1], condition[2])
    if to_others is not None:
        return to_others
    candidates = _to_this(condition[1], condition[2]) if condition[1] == table else ()
    index = sql.count("%s", 0, condition.start())
    keys = _keys(params[index : index + (condition[3] or "%s").count("%s")])
    return _owned(candidates, keys, frames) if candidates else None


def _keys(values: Sequence[Any]) -> set[str]:
    # PostgreSQL is given keys as the text of an array.
    return {key for value in values for key in str(value).strip("{}").split(",")}


def _owned(candidates: Sequence[Any], keys: set[str], frames: Iterable[FrameType]) -> Relation | None:
    """Return the foreign key, of these, of an object in one of the frames, that has one of these keys as its value."""
    for instance in _instances(frames):
        for field in candidates:
            if isinstance(instance, field.model) and str(vars(instance).get(field.attname)) in keys:
                return Relation(instance._meta.model, field.name, "select_related")
    return Relation(candidates[0].model, candidates[0].name, "select_related") if len(candidates) == 1 else None


def _instances(frames: Iterable[FrameType]) -> Iterator[Any]:
    for frame in frames:
        yield from [value for value in list(frame.f_locals.values()) if isinstance(value, Model)]


def _foreign_keys(model: Any) -> list[Any]:
    return [field for field in model._meta.local_concrete_fields if field.is_relation]


@lru_cache(maxsize=1000)
def _to_this(table: str, column: str) -> Sequence[Any]:
    """Return the foreign keys to a column."""
    keys = [key for model in apps.get_models() for key in _foreign_keys(model)]
    return [key for key in keys if (key.target_field.model._meta.db_table, key.target_field.column) == (table, column)]


@lru_cache(maxsize=1000)
def _to_others(table: str, of: str, column: str) -> Relation | None:
    """Return the relation to objects of a table that have the key of one object in a column, be it of a link table."""
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.db_table == of]
    key = next((key for model in models for key in _foreign_keys(model) if key.column == column), None)
    if key is None:
        return None
    if of != table:
        return _many_to_many(key.related_model, key.model, column)
    name = key.remote_field.get_accessor_name()
    if name is None or key.remote_field.hidden:
        return None
    return Relation(key.related_model, name, "prefetch_related" if key.remote_field.multiple else "select_related")


def _many_to_many(owner: Any, through: Any, column: str) -> Relation | None:
    for field in owner._meta.many_to_many:
        if field.remote_field.through is through and field.m2m_column_name() == column:
            return Relation(owner, field.name, "prefetch_related")
    for relation in owner._meta.related_objects:
        if relation.many_to_many and relation.through is through and relation.field.m2m_reverse_name() == column:
            return Relation(owner, relation.get_accessor_name(), "prefetch_related")
    return None
