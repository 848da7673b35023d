"""VinylQuerySet: Django's QuerySet, all of it, whose queries are awaited in the async mode.

Building a query is Django's. What queries (`get`, `count`, `update`, …) is Django's too, as one operation in the
caller's mode. Python's syntax that would query but cannot wait raises ImplicitQuery, which names the form that can;
once the queryset was awaited it works, since the result is cached as in Django.

The SQL machinery below sees the Django model (`query.model`); instances are of the vinyl class (`queryset.model`).
"""

import functools
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import islice
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.db.models import prefetch_related_objects as django_prefetch_related_objects
from django.db.models.query import ModelIterable

from vinyl._install import muted
from vinyl.classes import class_of
from vinyl.dispatch import always_awaited, dispatch, require_async
from vinyl.errors import ImplicitQuery
from vinyl.loading import VinylModelIterable
from vinyl.mode import Mode, current
from vinyl.models import saves_by_django

Block = Callable[[], AbstractContextManager[None]]


def _operation(name: str, block: Block = nullcontext) -> Any:
    """Make the method that carries out Django's method of this name in the caller's mode."""

    @functools.wraps(getattr(QuerySet, name))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        return dispatch(_in_block, block, getattr(super(VinylQuerySet, self), name), args, kwargs)

    return method


def _awaited(name: str, block: Block = nullcontext) -> Any:
    """Make Django's method of the name with an `a` before it, which is awaited in each mode."""

    @functools.wraps(getattr(QuerySet, f"a{name}"))
    def method(self: "VinylQuerySet", *args: Any, **kwargs: Any) -> Any:
        return always_awaited(_in_block, block, getattr(super(VinylQuerySet, self), name), args, kwargs)

    return method


def _in_block(block: Block, method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with block():
        return method(*args, **kwargs)


class VinylQuerySet(QuerySet[Any, Any]):
    """See the module's docstring, and https://docs.djangoproject.com/en/stable/ref/models/querysets/."""

    # The class of Django's, or of the project's, that this one stands before.
    django_class: type[QuerySet[Any, Any]] = QuerySet
    # Of Django's QuerySet.
    _prefetch_done: bool
    _prefetch_related_lookups: tuple[Any, ...]

    def __init__(self, model: Any = None, query: Any = None, using: str | None = None, hints: Any = None) -> None:
        super().__init__(model, query, using, hints)
        if self._iterable_class is ModelIterable:
            self._iterable_class = VinylModelIterable

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

    def delete(self) -> Any:
        """Delete the rows and what depends on them, by the `on_delete` rules; give Django's pair of counts."""
        return dispatch(self._delete)

    def adelete(self) -> Any:
        """As delete(), awaited in each mode."""
        return always_awaited(self._delete)

    delete.alters_data = adelete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = adelete.queryset_only = True  # type: ignore[attr-defined]

    def _delete(self) -> Any:
        with muted():
            deleted = as_django(self).delete()
        self._result_cache = None
        return deleted

    def prefetch_related(self, *lookups: Any) -> Any:
        """As Django's; the querysets of Prefetch objects give instances of vinyl classes too."""
        return super().prefetch_related(*_vinyl_lookups(lookups))

    # Loading.

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        """Load the queryset unless it is loaded, and give the list of its results."""
        require_async("await queryset", "list(queryset)")
        return self._loaded().__await__()

    async def _loaded(self) -> list[Any]:
        if not self._is_loaded:
            await dispatch(self._fetch_all)
        return list(self._result_cache or ())

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Load the queryset, as `await` does, then iterate over its results."""
        require_async("async for … in queryset", "for … in queryset")
        for result in await self._loaded():
            yield result

    def iterator(self, chunk_size: int | None = None) -> Any:
        """Iterate over the results without keeping them: with `async for` in the async mode, `for` in the sync mode."""
        iterator = super().iterator(chunk_size)
        return iterator if current() is Mode.SYNC else _stream(iterator, chunk_size or 2000)

    def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[Any]:
        """As iterator(), for `async for` in each mode."""
        return _stream(super().iterator(chunk_size), chunk_size)

    # Combining. Of slices Django makes a queryset by the model's base manager.

    def __or__(self, other: Any) -> Any:
        return as_vinyl(super().__or__(other))

    def __xor__(self, other: Any) -> Any:
        return as_vinyl(super().__xor__(other))

    # What cannot wait. Each asks for a loaded queryset in the async mode, or is Django's.

    @property
    def _is_loaded(self) -> bool:
        return self._result_cache is not None and (self._prefetch_done or not self._prefetch_related_lookups)

    def _require_loaded(self, form: str, awaitable: str) -> None:
        if not self._is_loaded and current() is not Mode.SYNC:
            name = self.model._meta.object_name if self.model is not None else "the model"
            raise ImplicitQuery(
                f"{form} would query {name} implicitly, which cannot be done in the async mode. Use {awaitable}; or "
                "`await` the queryset before, which keeps its result."
            )

    def _fetch_all(self) -> None:
        self._require_loaded("This", "`await queryset`")
        super()._fetch_all()

    def __iter__(self) -> Iterator[Any]:
        self._require_loaded("Iterating over a queryset", "`async for … in queryset` or `for … in await queryset`")
        return super().__iter__()

    def __len__(self) -> int:
        self._require_loaded("len() of a queryset", "`await queryset.count()` or `len(await queryset)`")
        return super().__len__()

    def __bool__(self) -> bool:
        self._require_loaded("The truth value of a queryset", "`await queryset.exists()`")
        return super().__bool__()

    def __getitem__(self, k: Any) -> Any:
        """Give a slice as a queryset, and a result by its index: awaited in the async mode, `await queryset[3]`."""
        queries = isinstance(k, int) or (isinstance(k, slice) and k.step is not None)
        if queries and not self._is_loaded:
            return dispatch(super().__getitem__, k)
        return super().__getitem__(k)

    def __getstate__(self) -> Any:
        self._require_loaded("Pickling a queryset", "`pickle.dumps(queryset.query)`")
        return super().__getstate__()

    def __reduce__(self) -> Any:
        return _unpickled, (self.django_class,), self.__getstate__()

    def __repr__(self) -> str:
        """Show the results of a loaded queryset; never query."""
        if self._is_loaded:
            return super().__repr__()
        label = self.model._meta.label if self.model is not None else None
        return f"<{type(self).__name__} of {label}, not loaded>"


async def _stream(iterator: Iterator[Any], chunk_size: int) -> AsyncIterator[Any]:
    """Give the results of a synchronous iterator, which is advanced a chunk at a time in the bridge."""
    try:
        while chunk := await always_awaited(lambda: list(islice(iterator, chunk_size))):
            for result in chunk:
                yield result
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await always_awaited(close)


@cache
def queryset_class(django_class: Any) -> Any:
    """Return VinylQuerySet in front of a queryset class of the project."""
    if issubclass(django_class, VinylQuerySet):
        return django_class
    if django_class is QuerySet:
        return VinylQuerySet
    name = f"Vinyl{django_class.__name__}"
    return type(
        name, (VinylQuerySet, django_class), {"django_class": django_class, "__module__": django_class.__module__}
    )


def _unpickled(django_class: type[QuerySet[Any, Any]]) -> Any:
    return object.__new__(queryset_class(django_class))


def as_vinyl(queryset: Any) -> Any:
    """Turn a queryset that nobody else has yet into a vinyl one."""
    if not isinstance(queryset, VinylQuerySet):
        queryset.__class__ = queryset_class(queryset.__class__)
        queryset.model = class_of(queryset.model)
        if queryset._iterable_class is ModelIterable:
            queryset._iterable_class = VinylModelIterable
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
    if lookup.queryset is None or isinstance(lookup.queryset, VinylQuerySet):
        return lookup
    # Not copy.copy(): Prefetch pickles, and so copies, by evaluating its queryset.
    copied = object.__new__(type(lookup))
    vars(copied).update(vars(lookup), queryset=as_vinyl(lookup.queryset._chain()))
    return copied
