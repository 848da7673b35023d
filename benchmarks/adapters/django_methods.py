"""The workloads by Django's methods that begin with `a`, which Django has itself and django-async-backend too."""

from typing import Any

from django.db.models import Avg, Count

from benchmarks import rows
from benchmarks.adapters.base import AsynchronousAdapter
from benchmarks.adapters.with_django import count


class DjangoMethods(AsynchronousAdapter):
    """Uses these two managers, and instances of this model."""

    authors: Any
    books: Any
    new: Any
    count = staticmethod(count)

    async def get(self) -> Any:
        return await self.books.aget(pk=rows.book_id())

    async def filter(self) -> Any:
        books = self.books.filter(published__gte=rows.day()).order_by("published")
        return [book async for book in books[: rows.SOME]]

    async def fetch(self) -> Any:
        return [book async for book in self.books.filter(id__lte=rows.MANY)]

    async def values(self) -> Any:
        return [book async for book in self.books.filter(id__lte=rows.MANY).values()]

    async def insert(self) -> Any:
        return await self.books.acreate(**rows.new_book())

    async def bulk_insert(self) -> Any:
        return await self.books.abulk_create([self.new(**book) for book in rows.new_books()])

    async def update(self) -> Any:
        return await self.books.filter(pk=rows.book_id()).aupdate(rating=rows.rating())

    async def select_related(self) -> Any:
        books = self.books.select_related("author", "publisher")
        return [book async for book in books.filter(id__range=rows.book_range()).order_by("id")]

    async def prefetch(self) -> Any:
        authors = self.authors.filter(id__gte=rows.first_author()).order_by("id")
        return [author async for author in authors.prefetch_related("books__tags")[: rows.SOME]]

    async def aggregate(self) -> Any:
        groups = self.books.values("author_id").annotate(count=Count("id"), mean=Avg("price"))
        return [group async for group in groups.order_by("-count", "author_id")[: rows.GROUPS]]
