"""Rows to the results of a vinyl queryset.

The iterables here take the place of Django's: of instances, which are of vinyl classes, joined ones included, of
dictionaries, tuples and single values. Each has a loader generated for its columns, see hydration.py. A result is read
from the database as a whole, as by Django, then made into what it shall be, slice by slice; iterator() streams.

    loader_of(queryset, compiler, alias)      the function that turns rows of this query into results, to be kept
    load(loader, rows, connection)            its results, for which a large number of rows gives way to other tasks
    vinyl_iterable() and django_iterable()    an iterable class of Django's as vinyl's, and back

This module must not know querysets' methods or managers: only what Django's iterables use of a queryset.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import wraps
from inspect import getattr_static
from itertools import chain
from typing import Any

from django.db import router
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute, ForwardManyToOneDescriptor
from django.db.models.query import (
    BaseIterable,
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesIterable,
    ValuesListIterable,
)
from django.db.models.sql.constants import CURSOR, GET_ITERATOR_CHUNK_SIZE
from django.db.models.utils import create_namedtuple_class

from vinyl.common.content_types import have_at_hand
from vinyl.fairness import run_fairly
from vinyl.loading.hydration import (
    Loader,
    Row,
    comprehension,
    instances,
    is_plain,
    key_of_columns,
    may_wait,
    tuple_of,
    tuples,
)

# Rows that are fetched or loaded in one step: most take a few microseconds each.
SLICE = 500
# Loaders that are kept: more than the shapes of queries in most projects.
KEPT = 2000

_kept: dict[Any, tuple[Loader, Any]] = {}


def loader_of(queryset: Any, compiler: Any, alias: str) -> Loader | None:
    """Return the function that turns rows into results of the queryset; None where its iterable is the project's own.

    The compiler must have set up its query, by as_sql() or pre_sql_setup(). The function takes rows as the driver gives
    them, converters not applied yet, and the connection they were read from, or another wrapper of the same alias. It
    keeps neither the compiler nor its connection, and serves each execution of the same SQL, whatever the parameters.

    Known related objects are not its affair: they are those of one queryset, not of its SQL.
    """
    iterable_class = django_iterable(queryset._iterable_class)
    make = _LOADERS.get(iterable_class)
    if make is None:
        return None
    columns = key_of_columns(queryset.model, compiler)
    if columns is None:
        return make(queryset, compiler, alias)
    names = queryset._fields, tuple(_selected(queryset.query)) if iterable_class is not ModelIterable else None
    key = iterable_class, queryset.model, alias, names, columns
    kept = _kept.get(key)
    if kept is None:
        if len(_kept) >= KEPT:
            _kept.clear()
        # The select list keeps alive what the key names by its id().
        kept = _kept[key] = make(queryset, compiler, alias), compiler.select
    return kept[0]


def load(loader: Loader, rows: Sequence[Row], connection: Any) -> list[Any]:
    """Turn all rows into results. In the bridge, many rows give way to other tasks every few milliseconds."""
    results: list[Any] = []
    run_fairly(loading(loader, rows, connection, results), holds_collector=not may_wait(loader))
    return results


def fetch(cursor: Any) -> list[Row]:
    """Read all rows that a cursor has, as many at a time as load() makes results of."""
    rows: list[Row] = list(cursor.fetchmany(SLICE))
    if len(rows) == SLICE:
        run_fairly(_fetched(cursor, rows))
    return rows


def loading(loader: Loader, rows: Sequence[Row], connection: Any, results: list[Any]) -> Iterator[None]:
    """Turn rows into results, which are added to the list, in steps for run_fairly()."""
    for start in range(0, len(rows), SLICE):
        results += loader(rows[start : start + SLICE], connection)
        yield


def _fetched(cursor: Any, rows: list[Row]) -> Iterator[None]:
    while fetched := cursor.fetchmany(SLICE):
        rows += fetched
        yield


class VinylIterable(BaseIterable):  # type: ignore[type-arg]
    """Mixin before an iterable of Django's. Of iterator(), it is told whether the database keeps the rows meanwhile."""

    def __init__(
        self, queryset: Any, chunked_fetch: bool | None = None, chunk_size: int = GET_ITERATOR_CHUNK_SIZE
    ) -> None:
        super().__init__(queryset, bool(chunked_fetch), chunk_size)
        self._is_stream = chunked_fetch is not None

    def __iter__(self) -> Iterator[Any]:
        return self._stream() if self._is_stream else chain.from_iterable(self._all())

    def _all(self) -> Iterator[list[Any]]:
        """Read all rows, give the connection back, and only then make the results."""
        queryset: Any = self.queryset
        alias = queryset.db
        compiler = queryset.query.get_compiler(using=alias)
        cursor = compiler.execute_sql(CURSOR)
        rows: list[Row] = []
        if cursor is not None:
            with closing(cursor):
                rows = fetch(cursor)
        yield load(self._loader(compiler, alias), rows, compiler.connection)

    def _stream(self) -> Iterator[Any]:
        """Make the results of each chunk of rows as it is asked for, and read then if the database has a cursor."""
        queryset: Any = self.queryset
        alias = queryset.db
        compiler = queryset.query.get_compiler(using=alias)
        chunks = compiler.execute_sql(chunked_fetch=self.chunked_fetch, chunk_size=self.chunk_size)
        loader = self._loader(compiler, alias)
        for rows in chunks:
            yield from load(loader, rows, compiler.connection)

    def _loader(self, compiler: Any, alias: str) -> Loader:
        loader = loader_of(self.queryset, compiler, alias)
        assert loader is not None
        return loader


class VinylModelIterable(VinylIterable, ModelIterable):  # type: ignore[type-arg]
    """Yields an instance of the queryset's vinyl class for each row."""

    def _loader(self, compiler: Any, alias: str) -> Loader:
        queryset: Any = self.queryset
        have_at_hand(queryset.model, alias)
        loader = super()._loader(compiler, alias)
        links = _known_related(queryset, alias)
        return _linking(loader, links) if links else loader


class VinylValuesIterable(VinylIterable, ValuesIterable):
    """Yields a dictionary for each row."""


class VinylValuesListIterable(VinylIterable, ValuesListIterable):  # type: ignore[type-arg]
    """Yields a tuple for each row."""


class VinylNamedValuesListIterable(VinylIterable, NamedValuesListIterable):
    """Yields a named tuple for each row."""


class VinylFlatValuesListIterable(VinylIterable, FlatValuesListIterable):  # type: ignore[type-arg]
    """Yields a single value for each row."""


_VINYL_ITERABLES: dict[Any, Any] = {
    ModelIterable: VinylModelIterable,
    ValuesIterable: VinylValuesIterable,
    ValuesListIterable: VinylValuesListIterable,
    NamedValuesListIterable: VinylNamedValuesListIterable,
    FlatValuesListIterable: VinylFlatValuesListIterable,
}
_DJANGO_ITERABLES = {vinyls: djangos for djangos, vinyls in _VINYL_ITERABLES.items()}


def vinyl_iterable(iterable_class: Any) -> Any:
    """Return vinyl's in place of an iterable class of Django's; one of the project's own is itself."""
    return _VINYL_ITERABLES.get(iterable_class, iterable_class)


def django_iterable(iterable_class: Any) -> Any:
    """Return Django's iterable class, of which this is vinyl's; others are themselves."""
    return _DJANGO_ITERABLES.get(iterable_class, iterable_class)


def _load_instances(queryset: Any, compiler: Any, alias: str) -> Loader:
    return instances(queryset.model, compiler, alias)


def _load_dictionaries(queryset: Any, compiler: Any, alias: str) -> Loader:
    names = _selected(queryset.query)
    return comprehension(compiler, lambda _, values: "{" + ", ".join(map("{!r}: {}".format, names, values)) + "}")


def _load_tuples(queryset: Any, compiler: Any, alias: str) -> Loader:
    return tuples(compiler)


def _load_named_tuples(queryset: Any, compiler: Any, alias: str) -> Loader:
    query = queryset.query
    made = create_namedtuple_class(
        *(queryset._fields or [*query.extra_select, *query.values_select, *query.annotation_select])
    )
    return comprehension(
        compiler, lambda names, values: f"{names.of(tuple.__new__)}({names.of(made)}, {tuple_of(values)})"
    )


def _load_values(queryset: Any, compiler: Any, alias: str) -> Loader:
    return comprehension(compiler, lambda _, values: values[0])


def _selected(query: Any) -> list[str]:
    # Columns of extra(select=…) are always at the start of the row.
    return (
        list(query.selected)
        if query.selected
        else [*query.extra_select, *query.values_select, *query.annotation_select]
    )


_LOADERS: dict[Any, Callable[[Any, Any, str], Loader]] = {
    ModelIterable: _load_instances,
    ValuesIterable: _load_dictionaries,
    ValuesListIterable: _load_tuples,
    NamedValuesListIterable: _load_named_tuples,
    FlatValuesListIterable: _load_values,
}


def _linking(loader: Loader, links: list[Callable[[Any], None]]) -> Loader:
    @wraps(loader)
    def load_and_link(rows: Sequence[Row], connection: Any) -> list[Any]:
        loaded = loader(rows, connection)
        for link in links:
            for instance in loaded:
                link(instance)
        return loaded

    return load_and_link


def _known_related(queryset: Any, alias: str) -> list[Callable[[Any], None]]:
    """Return functions that set the objects a queryset was reached from: author.books.all() knows its author."""
    return [
        _known_by_key(field, objects)
        if _is_set_by_key(queryset.model, field, objects, alias)
        else _known(queryset, field, objects)
        for field, objects in queryset._known_related_objects.items()
    ]


def _is_set_by_key(model: Any, field: Any, objects: dict[Any, Any], alias: str) -> bool:
    """Whether setting the attribute does no more than to set its key and what is cached: nobody is asked by Django."""
    return (
        is_plain(model)
        and type(getattr_static(model._meta.model, field.name)) is ForwardManyToOneDescriptor
        and type(getattr_static(model._meta.model, field.attname)) is ForeignKeyDeferredAttribute
        and not any(hasattr(each, "allow_relation") for each in router.routers)
        and all(related._state.db == alias for related in objects.values())
    )


def _known_by_key(field: Any, objects: dict[Any, Any]) -> Callable[[Any], None]:
    ((_, target),) = field.related_fields

    def link(instance: Any) -> None:
        attributes = vars(instance)
        # It has none where the column was deferred.
        related = objects.get(attributes.get(field.attname))
        if related is not None:
            cache = attributes["_state"].fields_cache
            if field.cache_name not in cache:
                attributes[field.attname] = getattr(related, target.attname)
                cache[field.cache_name] = related

    return link


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
