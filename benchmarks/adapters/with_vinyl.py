"""vinyl as an ordinary project would use it: managers for models that are not its own, and a pool of Django's alias."""

from typing import Any

from django.db.models import Avg, Count

import vinyl
from benchmarks import django_project, rows
from benchmarks.adapters.base import AsynchronousAdapter
from benchmarks.adapters.with_django import count
from benchmarks.target import Target


class Vinyl(AsynchronousAdapter):
    count = staticmethod(count)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        django_project.set_up(target)
        from benchmarks import models

        self.authors: Any = vinyl.manager(models.Author)
        self.books: Any = vinyl.manager(models.Book)

    async def close(self) -> None:
        await vinyl.close()

    async def get(self) -> Any:
        return await self.books.get(pk=rows.book_id())

    async def filter(self) -> Any:
        return await self.books.filter(published__gte=rows.day()).order_by("published")[: rows.SOME]

    async def fetch(self) -> Any:
        return await self.books.filter(id__lte=rows.MANY)

    async def values(self) -> Any:
        return await self.books.filter(id__lte=rows.MANY).values()

    async def insert(self) -> Any:
        return await self.books(**rows.new_book()).insert()

    async def bulk_insert(self) -> Any:
        return await self.books.bulk_create([self.books(**book) for book in rows.new_books()])

    async def update(self) -> Any:
        return await self.books.filter(pk=rows.book_id()).update(rating=rows.rating())

    async def select_related(self) -> Any:
        books = self.books.select_related("author", "publisher")
        return await books.filter(id__range=rows.book_range()).order_by("id")

    async def prefetch(self) -> Any:
        authors = self.authors.filter(id__gte=rows.first_author()).order_by("id")
        return await authors.prefetch_related("books__tags")[: rows.SOME]

    async def aggregate(self) -> Any:
        groups = self.books.values("author_id").annotate(count=Count("id"), mean=Avg("price"))
        return await groups.order_by("-count", "author_id")[: rows.GROUPS]

    async def transaction(self) -> Any:
        async with vinyl.transaction.atomic():
            book = await self.books.get(pk=rows.book_id())
            return await self.books.filter(pk=book.pk).update(rating=book.rating + 0.1)
