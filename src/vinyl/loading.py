"""Rows to instances of vinyl classes.

It takes the place of Django's ModelIterable in a vinyl queryset, and reads what the compiler says of the columns
(`select`, `klass_info`, `annotation_col_map`) as that does: instances, joined instances, annotations, known related
objects. The instances, joined ones included, are of the vinyl classes, and are made by their from_db(), as in Django.

It must not know querysets' methods or managers: only what Django's iterables use of a queryset.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db.models.query import ModelIterable

from vinyl import _compat
from vinyl.classes import class_of
from vinyl.content_types import have_at_hand

Row = Sequence[Any]


class VinylModelIterable(ModelIterable):  # type: ignore[type-arg]
    """Yields an instance of the queryset's vinyl class for each row."""

    def __iter__(self) -> Iterator[Any]:
        queryset: Any = self.queryset
        alias = queryset.db
        compiler = queryset.query.get_compiler(using=alias)
        results = compiler.execute_sql(chunked_fetch=self.chunked_fetch, chunk_size=self.chunk_size)
        have_at_hand(queryset.model, alias)
        klass_info = compiler.klass_info
        from_row = _instance_from_row(queryset.model, klass_info, compiler.select, alias)
        joined = [_Joined(info, compiler.select, alias) for info in klass_info.get("related_klass_infos", [])]
        annotations = list(compiler.annotation_col_map.items()) if compiler.annotation_col_map else []
        known = _known_related(queryset)
        for row in compiler.results_iter(results):
            instance = from_row(row)
            for relation in joined:
                relation.populate(row, instance)
            for name, column in annotations:
                setattr(instance, name, row[column])
            for link in known:
                link(instance)
            yield instance


def _instance_from_row(
    model: Any, klass_info: dict[str, Any], select: Sequence[Any], alias: str
) -> Callable[[Row], Any]:
    columns = klass_info["select_fields"]
    start, end = columns[0], columns[-1] + 1
    names = [column[0].target.attname for column in select[start:end]]
    from_db = _compat.from_db(class_of(model))
    return lambda row: from_db(alias, names, row[start:end])


class _Joined:
    """The instances of one select_related() relation, with those joined to them in turn."""

    def __init__(self, klass_info: dict[str, Any], select: Sequence[Any], alias: str) -> None:
        model = klass_info["model"]
        positions = {select[index][0].target.attname: index for index in klass_info["select_fields"]}
        # A child's columns may stand in any order, since those of the parent were selected already.
        self._names = [f.attname for f in model._meta.concrete_fields if f.attname in positions]
        self._values = operator.itemgetter(*(positions[name] for name in self._names))
        self._is_single = len(self._names) == 1
        self._key = positions[model._meta.pk_fields[0].attname]
        self._alias = alias
        self._from_db = _compat.from_db(class_of(model))
        self._set_here, self._set_there = klass_info["local_setter"], klass_info["remote_setter"]
        self._joined = [_Joined(info, select, alias) for info in klass_info.get("related_klass_infos", [])]

    def populate(self, row: Row, instance: Any) -> None:
        related = None
        # Each part of a primary key is NOT NULL, so one of them tells whether the outer join has found a row.
        if row[self._key] is not None:
            values = self._values(row)
            related = self._from_db(self._alias, self._names, (values,) if self._is_single else values)
            for relation in self._joined:
                relation.populate(row, related)
        self._set_here(instance, related)
        if related is not None:
            self._set_there(related, instance)


def _known_related(queryset: Any) -> list[Callable[[Any], None]]:
    """Return functions that set the objects a queryset was reached from: author.books.all() knows its author."""
    return [_known(queryset, field, objects) for field, objects in queryset._known_related_objects.items()]


def _known(queryset: Any, field: Any, objects: dict[Any, Any]) -> Callable[[Any], None]:
    meta = queryset.model._meta
    names = [field.attname if name == "self" else meta.get_field(name).attname for name in field.from_fields]
    key = operator.attrgetter(*names)

    def link(instance: Any) -> None:
        # Not over what select_related() has loaded, and not by a deferred column.
        if not field.is_cached(instance) and all(name in instance.__dict__ for name in names):
            related = objects.get(key(instance))
            if related is not None:
                setattr(instance, field.name, related)

    return link
