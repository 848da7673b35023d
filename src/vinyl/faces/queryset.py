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
from django.db.models.query import RawQuerySet

from vinyl import _compat
from vinyl._install import OF_DELETING, muted
from vinyl.common import classes
from vinyl.common.classes import class_of
from vinyl.common.content_types import have_at_hand
from vinyl.common.mementos import remember
from vinyl.dispatch import Block, always_awaited, dispatch, in_block
from vinyl.errors import UnsupportedOperation
from vinyl.faces import side_by_side
from vinyl.faces.arguments import CheckedArguments, require_instances
from vinyl.faces.frozen import FrozenQuery, OpenQuery
from vinyl.faces.methods import in_each_mode, own_methods
from vinyl.faces.models import saves_by_django
from vinyl.faces.results import Results, Stream
from vinyl.loading.rows import django_iterable, vinyl_iterable
from vinyl.mode import Mode, current
from vinyl.plans import bulk_writes
from vinyl.plans.lanes import ask
from vinyl.plans.learning import chosen
from vinyl.plans.prefetching import prefetch
from vinyl.plans.recording import Recorded

# Django's default for iterator().
CHUNK_SIZE = 2000


def _operation(name: str, block: Block = nullcontext) -> Any:
    """Make the method that carries out Django's method of this name in the caller's mode."""

    @functools.wraps(getattr(QuerySet, name))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        return dispatch(in_block, block, getattr(super(VinylQuerySet, self), name), *args, **kwargs)

    return method


def _planned(name: str) -> Any:
    """Make the method that carries out Django's method of this name in the caller's mode, by a plan if there is one."""

    @functools.wraps(getattr(QuerySet, name))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        call = None if args else self._call(name, kwargs)
        return ask(dispatch, call, self._by_django, getattr(super(VinylQuerySet, self), name), *args, **kwargs)

    return method


def _planned_and_awaited(name: str) -> Any:
    """Make Django's method of the name with an `a` before it, as _planned()."""

    @functools.wraps(getattr(QuerySet, f"a{name}"))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        call = None if args else self._call(name, kwargs)
        return ask(always_awaited, call, self._by_django, getattr(super(VinylQuerySet, self), name), *args, **kwargs)

    # Django's AsyncPaginator asks.
    return markcoroutinefunction(method)


def _awaited(name: str, block: Block = nullcontext) -> Any:
    """Make Django's method of the name with an `a` before it, which is awaited in each mode."""

    @functools.wraps(getattr(QuerySet, f"a{name}"))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        return always_awaited(in_block, block, getattr(super(VinylQuerySet, self), name), *args, **kwargs)

    # Django's AsyncPaginator asks.
    return markcoroutinefunction(method)


def _bulk_create(name: str, carry_out: Any) -> Any:
    """Make bulk_create(), which has plans where it is told no more than the instances."""

    @functools.wraps(getattr(QuerySet, name))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        by_django = super(VinylQuerySet, self).bulk_create
        if len(args) != 1 or kwargs:
            return carry_out(by_django, *args, **kwargs)
        return carry_out(bulk_writes.create_now, self, *args, by_django, natively=bulk_writes.create)

    return method


class VinylQuerySet(Results, CheckedArguments, Recorded):
    """Django's QuerySet, all of it; what queries is awaited in the async mode.

    Subclass it for methods that only vinyl's queries shall have, and put `vinyl = BookQuerySet.as_manager()` on the
    model. https://docs.djangoproject.com/en/stable/ref/models/querysets/
    """

    # The class of Django's, or of the project's, that this one stands before.
    django_class: type[QuerySet[Any, Any]] = QuerySet

    # Kept as Django's own, so that the queryset is Django's as soon as its class is.
    @property
    def _iterable_class(self) -> Any:
        return vinyl_iterable(self._built("_iterable_class"))

    @_iterable_class.setter
    def _iterable_class(self, iterable_class: Any) -> None:
        vars(self)["_iterable_class"] = django_iterable(iterable_class)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()):
            if inspect.isfunction(value) and not name.startswith("_"):
                setattr(cls, name, in_each_mode(value))

    @classmethod
    def as_manager(cls) -> Any:
        """Return a VinylManager with the methods of this queryset class: `vinyl = BookQuerySet.as_manager()`."""
        return classes.manager_class.from_queryset(cls)()

    def freeze(self) -> FrozenQuery:
        """Return the query as a function: the shortest way to its results, again and again."""
        return FrozenQuery(self, ())

    def start(self) -> Any:
        """Begin to load now, and give the list of results when that is awaited; in the sync mode give it at once."""
        return side_by_side.start(self)

    def _with_params(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenQuery:
        return OpenQuery.begin(self, name, args, kwargs)

    # One object or value.
    get = _planned("get")
    first = _planned("first")
    last = _planned("last")
    earliest = _operation("earliest")
    latest = _operation("latest")
    count = _planned("count")
    exists = _planned("exists")
    contains = _operation("contains")
    aggregate = _operation("aggregate")
    in_bulk = _operation("in_bulk")
    explain = _operation("explain")
    # Writing.
    create = _operation("create", saves_by_django)
    get_or_create = _operation("get_or_create", saves_by_django)
    update_or_create = _operation("update_or_create", saves_by_django)
    bulk_create = _bulk_create("bulk_create", dispatch)
    bulk_update = _operation("bulk_update")
    update = _planned("update")

    # Django's names for asynchronous code.
    aget = _planned_and_awaited("get")
    afirst = _planned_and_awaited("first")
    alast = _planned_and_awaited("last")
    aearliest = _awaited("earliest")
    alatest = _awaited("latest")
    acount = _planned_and_awaited("count")
    aexists = _planned_and_awaited("exists")
    acontains = _awaited("contains")
    aaggregate = _awaited("aggregate")
    ain_bulk = _awaited("in_bulk")
    aexplain = _awaited("explain")
    acreate = _awaited("create", saves_by_django)
    aget_or_create = _awaited("get_or_create", saves_by_django)
    aupdate_or_create = _awaited("update_or_create", saves_by_django)
    abulk_create = markcoroutinefunction(_bulk_create("abulk_create", always_awaited))
    abulk_update = _awaited("bulk_update")
    aupdate = _planned_and_awaited("update")

    async def _loaded(self) -> list[Any]:
        if not self._is_loaded:
            self._keep(await ask(dispatch, self._call("fetch"), self._by_django, super()._fetch_all))
        return list(self._result_cache or ())

    def _fetch_all(self) -> None:
        self._require_loaded("This", "`await queryset`")
        if not self._is_loaded:
            self._keep(ask(dispatch, self._call("fetch"), self._by_django, super()._fetch_all))

    def _keep(self, results: list[Any] | None) -> None:
        # Django's way keeps them by itself.
        if results is not None:
            self._result_cache = results
            self._prefetch_done = True

    def _prepare_for_bulk_create(self, objs: list[Any]) -> Any:
        for each in objs:
            remember(each)
        return super()._prepare_for_bulk_create(objs)

    def delete(self) -> Any:
        """Delete the rows and what depends on them, by the `on_delete` rules; give Django's pair of counts."""
        return ask(dispatch, self._call_of_delete(), self._by_django, self._delete)

    def adelete(self) -> Any:
        """As delete(), awaited in each mode."""
        return ask(always_awaited, self._call_of_delete(), self._by_django, self._delete)

    delete.alters_data = adelete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = adelete.queryset_only = True  # type: ignore[attr-defined]

    def _call_of_delete(self) -> Any:
        return self._call("delete") if _deletes_as_django(self.django_class) else None

    def _delete(self) -> Any:
        plain = as_django(self)
        found = chosen.get()
        if found is not None and found[0] is self.model and plain._db is None:
            # The routers were asked already.
            plain._db = found[1]
        with muted(OF_DELETING):
            deleted = plain.delete()
        self._result_cache = None
        return deleted

    def _prefetch_related_objects(self) -> None:
        prefetch(self._result_cache or [], self._prefetch_related_lookups)
        self._prefetch_done = True

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
        return self._chain()

    # Streaming.

    def iterator(self, chunk_size: int | None = None) -> Any:
        """Iterate over the results without keeping them: with `async for` in the async mode, `for` in the sync mode."""
        iterator = super().iterator(chunk_size)
        return iterator if current() is Mode.SYNC else Stream(iterator, chunk_size or CHUNK_SIZE)

    def aiterator(self, chunk_size: int = CHUNK_SIZE) -> Stream:
        """As iterator(), for `async for` in each mode."""
        return Stream(super().iterator(chunk_size), chunk_size or CHUNK_SIZE)

    # Combining. Of slices Django makes a queryset by the model's base manager.

    def __or__(self, other: Any) -> Any:
        return as_vinyl(super().__or__(other))

    def __xor__(self, other: Any) -> Any:
        return as_vinyl(super().__xor__(other))

    def __getitem__(self, k: Any) -> Any:
        """Give a slice as a queryset, and a result by its index: awaited in the async mode, `await queryset[3]`."""
        # As in Django, a step of 0 is none.
        queries = isinstance(k, int) or (isinstance(k, slice) and bool(k.step))
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
        queryset._prefetch_related_lookups = tuple(_vinyl_lookups(queryset._prefetch_related_lookups))
    return queryset


@cache
def _deletes_as_django(django_class: Any) -> bool:
    return django_class.delete is QuerySet.delete and django_class._raw_delete is QuerySet._raw_delete


def as_django(queryset: VinylQuerySet) -> Any:
    """Return a copy that is Django's own, with instances of the Django model."""
    plain: Any = queryset._chain()
    plain.__class__ = queryset.django_class
    plain.model = queryset.model._meta.model
    return plain


def prefetch_related_objects(objects: Iterable[Any], *lookups: Any) -> Any:
    """Load relations of instances that are there already, as Django's function of that name; awaited in async mode."""
    if not isinstance(objects, Iterable):
        raise TypeError(f"prefetch_related_objects() takes a list of instances, not {objects!r}.")
    return dispatch(_prefetch, list(objects), _vinyl_lookups(lookups))


def _prefetch(objects: list[Any], lookups: list[Any]) -> None:
    require_instances(objects)
    prefetch(objects, lookups)


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
