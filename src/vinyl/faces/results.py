"""The results of a queryset: how they are loaded in each mode, and what Python's syntax may do with them.

Python's syntax that would query but cannot wait raises ImplicitQuery, which names the form that can. Once the queryset
was awaited it works, since the result is cached as in Django. Streams keep nothing but the current chunk.

This is what Django's QuerySet and RawQuerySet have in common. It must not know how either builds its query.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any, Self

from vinyl.dispatch import always_awaited, at_once, dispatch, require_async
from vinyl.errors import ImplicitQuery
from vinyl.mode import Mode, current


class Results:
    """Mixin before QuerySet or RawQuerySet. The methods that it does not explain are Python's and Django's."""

    # Of Django's class.
    model: Any
    _prefetch_done: bool
    _prefetch_related_lookups: tuple[Any, ...]
    _result_cache: list[Any] | None

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        """Load the queryset unless it is loaded, and give the list of its results."""
        require_async("await queryset", "list(queryset)")
        return self._loaded().__await__()

    async def _loaded(self) -> list[Any]:
        if not self._is_loaded:
            await dispatch(self._fetch_all)
        return list(self._result_cache or ())

    def __aiter__(self) -> AsyncIterator[Any]:
        """Load the queryset, as `await` does, then iterate over its results."""
        require_async("async for … in queryset", "for … in queryset")
        return Chunks(self._loaded, is_one=True)

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
        at_once(super()._fetch_all)  # type: ignore[misc]

    def __iter__(self) -> Iterator[Any]:
        self._require_loaded("Iterating over a queryset", "`async for … in queryset` or `for … in await queryset`")
        return super().__iter__()  # type: ignore[misc, no-any-return]

    def __len__(self) -> int:
        self._require_loaded("len() of a queryset", "`await queryset.count()` or `len(await queryset)`")
        return super().__len__()  # type: ignore[misc, no-any-return]

    def __bool__(self) -> bool:
        self._require_loaded("The truth value of a queryset", "`await queryset.exists()`")
        return super().__bool__()  # type: ignore[misc, no-any-return]


class Chunks:
    """An asynchronous iterator over what `fetch()` gives, awaited again and again until it gives nothing, or once.

    No asynchronous generator, which Python 3.11 does not close when who waits in it is dropped.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Iterable[Any]]], *, is_one: bool = False) -> None:
        self._fetch: Callable[[], Awaitable[Iterable[Any]]] | None = fetch
        self._is_one = is_one
        self._chunk: deque[Any] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self._chunk and self._fetch is not None:
            self._chunk.extend(await self._fetch())
            if self._is_one or not self._chunk:
                self._fetch = None
        if not self._chunk:
            raise StopAsyncIteration
        return self._chunk.popleft()


class Stream:
    """An asynchronous iterator over the results of a synchronous one, which is advanced by chunks in the bridge.

    Only the current chunk is in memory. The connection is in use from the first chunk on until the results are
    exhausted, `aclose()` was awaited, or the stream is no longer referred to, as when a loop over it was left by
    `break`. The last closes the database's cursor without waiting for the answer.
    """

    def __init__(self, iterator: Iterator[Any], chunk_size: int) -> None:
        self._iterator = iterator
        self._chunk_size = chunk_size
        self._chunk: deque[Any] = deque()

    def __aiter__(self) -> Self:
        return self

    def __iter__(self) -> Iterator[Any]:
        raise ImplicitQuery(
            "Iterating with `for` would query implicitly, which cannot be done in the async mode. Use `async for`, or "
            "run the code that iterates by `await vinyl.run(function)`."
        )

    async def __anext__(self) -> Any:
        if not self._chunk:
            await always_awaited(self._advance)
            if not self._chunk:
                raise StopAsyncIteration
        return self._chunk.popleft()

    def _advance(self) -> None:
        self._chunk.extend(islice(self._iterator, self._chunk_size))

    async def aclose(self) -> None:
        """End the stream and give the connection back. Results that were not given yet never are."""
        self._chunk.clear()
        iterator, self._iterator = self._iterator, iter(())
        close = getattr(iterator, "close", None)
        if close is not None:
            await always_awaited(close)
