"""What one operation of each hot path is. Django is set up before this is imported, since models are."""

import asyncio
from collections.abc import Generator
from typing import Any

from django.db.models import Avg, Count

import vinyl
from benchmarks import rows
from benchmarks.models import Book
from benchmarks.stub import driver as stub_driver
from vinyl import Param, bridge
from vinyl.conf import PoolOptions
from vinyl.lending import scopes
from vinyl.lending.pool import Pool

books: Any = vinyl.manager(Book)
frozen: Any = books.filter(pk=Param("pk")).freeze()
djangos: Any = Book.objects
BOOK: dict[str, Any] = {**rows.new_book(), "author_id": 1, "publisher_id": 1}


def reference() -> Any:
    return djangos.get(pk=1)


def get_in_sync() -> Any:
    with vinyl.sync_mode():
        return books.get(pk=1)


class Turn:
    """One turn of the event loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def opened() -> object:
    return object()


class Asynchronous:
    """The operations that run in an event loop; this is made in it."""

    def __init__(self) -> None:
        self._pool: Pool[object] = Pool(
            "The pool of the benchmark",
            PoolOptions(),
            asyncio.get_running_loop(),
            open=opened,
            close_member=lambda member: None,
            check=lambda member: True,
        )

    async def go(self, by_bridge: bool) -> None:
        """Have planned queries go natively, or by way of the bridge, as with a driver that knows no other."""
        source: Any = await scopes.source_here("default")
        source.native = None if by_bridge else stub_driver

    async def close(self) -> None:
        self._pool.close()
        await vinyl.close()

    async def bridge(self) -> None:
        await bridge.spawn(bridge.await_, Turn())

    async def pool(self) -> None:
        self._pool.release(await self._pool.acquire(), reusable=True)

    async def build(self) -> Any:
        return books.filter(published__gte=rows.FIRST_DAY).order_by("published")

    async def get(self) -> Any:
        return await books.get(pk=1)

    async def frozen_get(self) -> Any:
        return await frozen.get(pk=1)

    async def filter(self) -> Any:
        return await books.filter(published__gte=rows.FIRST_DAY).order_by("published")[: rows.SOME]

    async def fetch(self) -> Any:
        return await books.filter(id__lte=rows.MANY)

    async def values(self) -> Any:
        return await books.filter(id__lte=rows.MANY).values()

    async def select_related(self) -> Any:
        return await books.select_related("author").filter(id__lte=rows.SOME).order_by("id")

    async def prefetch(self) -> Any:
        return await books.filter(id__lte=rows.SOME).prefetch_related("author", "publisher")

    async def annotate(self) -> Any:
        groups = books.values("author_id").annotate(count=Count("id"), mean=Avg("price"))
        return await groups.order_by("-count", "author_id")[: rows.GROUPS]

    async def gather(self) -> Any:
        return await vinyl.gather(books.filter(pk=1), books.filter(title="x"), books.order_by("published")[:1])

    async def insert(self) -> Any:
        return await books(**BOOK).insert()

    async def bulk_insert(self) -> Any:
        return await books.bulk_create([books(**BOOK) for _ in range(rows.SOME)])

    async def update(self) -> Any:
        return await books.filter(pk=1).update(rating=4.5)

    async def update_instance(self) -> Any:
        return await books(id=1, **BOOK).update(rating=4.5)

    async def transaction(self) -> Any:
        async with vinyl.transaction.atomic():
            book = await books.get(pk=1)
            return await books.filter(pk=book.pk).update(rating=book.rating + 0.1)
