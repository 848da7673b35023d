"""VinylQuerySet: Django's QuerySet, all of it, whose queries are awaited in the async mode.

Building a query is Django's. What queries (`get`, `count`, `update`, …) is Django's too, as one operation in the
caller's mode. Loading and Python's syntax are explained in results.py, methods of the project's own in methods.py.

The SQL machinery below sees the Django model (`query.model`); instances are of the vinyl class (`queryset.model`).
"""

import copy
import functools
import inspect
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import cache
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.db.models import Prefetch, QuerySet
from django.db.models import prefetch_related_objects as django_prefetch_related_objects
from django.db.models.query import ModelIterable, RawQuerySet

from vinyl import _compat, classes
from vinyl._install import OF_DELETING, muted
from vinyl.classes import class_of
from vinyl.content_types import have_at_hand
from vinyl.dispatch import Block, always_awaited, dispatch, in_block
from vinyl.errors import UnsupportedOperation
from vinyl.loading import VinylModelIterable
from vinyl.mementos import remember
from vinyl.methods import in_each_mode, own_methods
from vinyl.mode import Mode, current
from vinyl.models import saves_by_django
from vinyl.results import Results, Stream

# Django's default for iterator().
CHUNK_SIZE = 2000


def _operation(name: str, block: Block = nullcontext) -> Any:
    """Make the method that carries out Django's method of this name in the caller's mode."""

    @functools.wraps(getattr(QuerySet, name))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        return dispatch(in_block, block, getattr(super(VinylQuerySet, self), name), *args, **kwargs)

    return method


def _awaited(name: str, block: Block = nullcontext) -> Any:
    """Make Django's method of the name with an `a` before it, which is awaited in each mode."""

    @functools.wraps(getattr(QuerySet, f"a{name}"))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        return always_awaited(in_block, block, getattr(super(VinylQuerySet, self), name), *args, **kwargs)

    # Django's AsyncPaginator asks.
    return markcoroutinefunction(method)


class VinylQuerySet(Results, QuerySet[Any, Any]):
    """See the module's docstring, and https://docs.djangoproject.com/en/stable/ref/models/querysets/."""

    # The class of Django's, or of the project's, that this one stands before.
    django_class: type[QuerySet[Any, Any]] = QuerySet

    def __init__(self, model: Any = None, query: Any = None, using: str | None = None, hints: Any = None) -> None:
        super().__init__(model, query, using, hints)
        if self._iterable_class is ModelIterable:
            self._iterable_class = VinylModelIterable

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()):
            if inspect.isfunction(value) and not name.startswith("_"):
                setattr(cls, name, in_each_mode(value))

    @classmethod
    def as_manager(cls) -> Any:
        """Return a VinylManager with the methods of this queryset class: `vinyl = BookQuerySet.as_manager()`."""
        return classes.manager_class.from_queryset(cls)()

    # One object or value.
    get = _operation("get")
    first = _operation("first")
    last = _operation("last")
    earliest = _operation("earliest")
    latest = _operation("latest")
    count = _operation("count")
    exists = _operation("exists")
    contains = _operation("contains")
    aggregate = _operation("aggregate")
    in_bulk = _operation("in_bulk")
    explain = _operation("explain")
    # Writing.
    create = _operation("create", saves_by_django)
    get_or_create = _operation("get_or_create", saves_by_django)
    update_or_create = _operation("update_or_create", saves_by_django)
    bulk_create = _operation("bulk_create")
    bulk_update = _operation("bulk_update")
    update = _operation("update")

    # Django's names for asynchronous code.
    aget = _awaited("get")
    afirst = _awaited("first")
    alast = _awaited("last")
    aearliest = _awaited("earliest")
    alatest = _awaited("latest")
    acount = _awaited("count")
    aexists = _awaited("exists")
    acontains = _awaited("contains")
    aaggregate = _awaited("aggregate")
    ain_bulk = _awaited("in_bulk")
    aexplain = _awaited("explain")
    acreate = _awaited("create", saves_by_django)
    aget_or_create = _awaited("get_or_create", saves_by_django)
    aupdate_or_create = _awaited("update_or_create", saves_by_django)
    abulk_create = _awaited("bulk_create")
    abulk_update = _awaited("bulk_update")
    aupdate = _awaited("update")

    def _prepare_for_bulk_create(self, objs: list[Any]) -> Any:
        for each in objs:
            remember(each)
        return super()._prepare_for_bulk_create(objs)  # type: ignore[misc]

    def delete(self) -> Any:
        """Delete the rows and what depends on them, by the `on_delete` rules; give Django's pair of counts."""
        return dispatch(self._delete)

    def adelete(self) -> Any:
        """As delete(), awaited in each mode."""
        return always_awaited(self._delete)

    delete.alters_data = adelete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = adelete.queryset_only = True  # type: ignore[attr-defined]

    def _delete(self) -> Any:
        with muted(OF_DELETING):
            deleted = as_django(self).delete()
        self._result_cache = None
        return deleted

    def prefetch_related(self, *lookups: Any) -> Any:
        """As Django's; the querysets of Prefetch objects give instances of vinyl classes too."""
        return super().prefetch_related(*_vinyl_lookups(lookups))

    def raw(self, raw_query: Any, params: Any = (), translations: Any = None, using: str | None = None) -> Any:
        """As Django's: a queryset by SQL, which is awaited in the async mode and gives instances of the vinyl class."""
        queryset: Any = super().raw(raw_query, params, translations, using)
        queryset.__class__ = VinylRawQuerySet
        return queryset

    def fetch_mode(self, fetch_mode: Any) -> Any:
        """Refuse Django's FETCH_PEERS; the others change nothing, since vinyl never queries behind an attribute."""
        if fetch_mode is _compat.FETCH_PEERS:
            raise UnsupportedOperation(
                f"{self.model._meta.object_name} cannot fetch peers behind an attribute, where vinyl never queries. "
                "Add select_related() or prefetch_related() to the query, or call vinyl.prefetch_related_objects() "
                "with the instances that are there already."
            )
        return self._chain()  # type: ignore[attr-defined]

    # Streaming.

    def iterator(self, chunk_size: int | None = None) -> Any:
        """Iterate over the results without keeping them: with `async for` in the async mode, `for` in the sync mode."""
        iterator = super().iterator(chunk_size)
        return iterator if current() is Mode.SYNC else Stream(iterator, chunk_size or CHUNK_SIZE)

    def aiterator(self, chunk_size: int = CHUNK_SIZE) -> Stream:
        """As iterator(), for `async for` in each mode."""
        return Stream(super().iterator(chunk_size), chunk_size)

    # Combining. Of slices Django makes a queryset by the model's base manager.

    def __or__(self, other: Any) -> Any:
        return as_vinyl(super().__or__(other))

    def __xor__(self, other: Any) -> Any:
        return as_vinyl(super().__xor__(other))

    def __getitem__(self, k: Any) -> Any:
        """Give a slice as a queryset, and a result by its index: awaited in the async mode, `await queryset[3]`."""
        queries = isinstance(k, int) or (isinstance(k, slice) and k.step is not None)
        if queries and not self._is_loaded:
            return dispatch(super().__getitem__, k)
        return super().__getitem__(k)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the results too: Django's copy would load them anew, but prefetch nothing for them."""
        copied = super().__deepcopy__(memo)
        copied._result_cache = copy.deepcopy(self._result_cache, memo)
        return copied

    def __getstate__(self) -> Any:
        self._require_loaded("Pickling or copying a queryset", "`queryset.all()`, `pickle.dumps(queryset.query)`")
        return super().__getstate__()

    def __reduce__(self) -> Any:
        # The classes that queryset_class() makes cannot be found by their names.
        named = self.django_class if "django_class" in vars(type(self)) else type(self)
        return _unpickled, (named,), self.__getstate__()

    def __repr__(self) -> str:
        """Show the results of a loaded queryset; never query."""
        if self._is_loaded:
            return super().__repr__()
        label = self.model._meta.label if self.model is not None else None
        return f"<{type(self).__name__} of {label}, not loaded>"


class VinylRawQuerySet(Results, RawQuerySet):  # type: ignore[type-arg]
    """What raw() gives. https://docs.djangoproject.com/en/stable/topics/db/sql/"""

    def prefetch_related(self, *lookups: Any) -> Any:
        """As that of other querysets."""
        return super().prefetch_related(*_vinyl_lookups(lookups))

    def using(self, alias: str | None) -> Any:
        """Return this query for another database."""
        queryset: Any = super().using(alias)
        queryset.__class__ = VinylRawQuerySet
        return queryset

    def iterator(self) -> Any:
        """Iterate over the results without keeping them: with `async for` in the async mode, `for` in the sync mode."""
        iterator = self._instances()
        return iterator if current() is Mode.SYNC else Stream(iterator, CHUNK_SIZE)

    def _instances(self) -> Iterator[Any]:
        have_at_hand(self.model, self.db)
        yield from super().iterator()

    def __getitem__(self, k: Any) -> Any:
        """Give a result, or a list of them, as Django's: awaited in the async mode."""
        if self._is_loaded:
            return super().__getitem__(k)
        return dispatch(super().__getitem__, k)


@cache
def queryset_class(django_class: Any) -> Any:
    """Return VinylQuerySet in front of a queryset class of the project."""
    if issubclass(django_class, VinylQuerySet):
        return django_class
    if django_class is QuerySet:
        return VinylQuerySet
    own = own_methods(django_class, QuerySet)
    namespace = {**own, "django_class": django_class, "__module__": django_class.__module__}
    return type(f"Vinyl{django_class.__name__}", (VinylQuerySet, django_class), namespace)


def _unpickled(django_class: type[QuerySet[Any, Any]]) -> Any:
    return object.__new__(queryset_class(django_class))


def as_vinyl(queryset: Any) -> Any:
    """Turn a queryset that nobody else has yet into a vinyl one."""
    if not isinstance(queryset, VinylQuerySet):
        queryset.__class__ = queryset_class(queryset.__class__)
        queryset.model = class_of(queryset.model)
        if queryset._iterable_class is ModelIterable:
            queryset._iterable_class = VinylModelIterable
        queryset._prefetch_related_lookups = tuple(_vinyl_lookups(queryset._prefetch_related_lookups))
    return queryset


def as_django(queryset: VinylQuerySet) -> Any:
    """Return a copy that is Django's own, with instances of the Django model."""
    plain: Any = queryset._chain()  # type: ignore[attr-defined]
    plain.__class__ = queryset.django_class
    plain.model = queryset.model._meta.model
    if plain._iterable_class is VinylModelIterable:
        plain._iterable_class = ModelIterable
    return plain


def prefetch_related_objects(objects: Iterable[Any], *lookups: Any) -> Any:
    """Load relations of instances that are there already, as Django's function of that name; awaited in async mode."""
    return dispatch(django_prefetch_related_objects, list(objects), *_vinyl_lookups(lookups))


def _vinyl_lookups(lookups: tuple[Any, ...]) -> list[Any]:
    return [_vinyl_lookup(lookup) if isinstance(lookup, Prefetch) else lookup for lookup in lookups]


def _vinyl_lookup(lookup: Any) -> Any:
    # Not copy.copy(): Prefetch pickles, and so copies, by evaluating its queryset.
    copied: Any = object.__new__(type(lookup))
    vars(copied).update(vars(lookup))
    if lookup.queryset is not None:
        copied.queryset = as_vinyl(lookup.queryset._chain())
    # Those of GenericPrefetch.
    if hasattr(lookup, "querysets"):
        copied.querysets = [as_vinyl(queryset._chain()) for queryset in lookup.querysets]
    return copied
