"""Tortoise ORM, with its pools of asyncpg and of asyncmy."""

from typing import Any

from tortoise import Tortoise, connections
from tortoise.functions import Avg, Count
from tortoise.transactions import in_transaction

from benchmarks import rows
from benchmarks.adapters import tortoise_models
from benchmarks.adapters.base import AsynchronousAdapter
from benchmarks.adapters.tortoise_models import Author, Book


class TortoiseAdapter(AsynchronousAdapter):
    note = "bulk_create() does not set primary keys, so bulk_insert does less than that of the others"

    async def open(self) -> None:
        size = self.target.pool
        connection = {
            "engine": "tortoise.backends.asyncpg" if self.target.is_postgresql else "tortoise.backends.mysql",
            "credentials": {**self.target.arguments, "password": "", "minsize": size, "maxsize": size},
        }
        application = {"models": [tortoise_models.__name__], "default_connection": "default"}
        await Tortoise.init(
            config={"connections": {"default": connection}, "apps": {"models": application}},
            _enable_global_fallback=True,
        )

    async def close(self) -> None:
        await connections.close_all()

    def count(self, authors: Any) -> tuple[int, int, int]:
        books = [book for author in authors for book in author.books]
        return len(authors), len(books), sum(len(book.tags) for book in books)

    async def get(self) -> Any:
        return await Book.get(id=rows.book_id())

    async def filter(self) -> Any:
        return await Book.filter(published__gte=rows.day()).order_by("published").limit(rows.SOME)

    async def fetch(self) -> Any:
        return await Book.filter(id__lte=rows.MANY)

    async def values(self) -> Any:
        return await Book.filter(id__lte=rows.MANY).values()

    async def insert(self) -> Any:
        return await Book.create(**rows.new_book())

    async def bulk_insert(self) -> Any:
        books = [Book(**book) for book in rows.new_books()]
        await Book.bulk_create(books)
        return books

    async def update(self) -> Any:
        return await Book.filter(id=rows.book_id()).update(rating=rows.rating())

    async def select_related(self) -> Any:
        books = Book.filter(id__range=rows.book_range()).select_related("author", "publisher")
        return await books.order_by("id")

    async def prefetch(self) -> Any:
        authors = Author.filter(id__gte=rows.first_author()).order_by("id").limit(rows.SOME)
        return await authors.prefetch_related("books__tags")

    async def aggregate(self) -> Any:
        groups = Book.annotate(count=Count("id"), mean=Avg("price")).group_by("author_id")
        ordered = groups.order_by("-count", "author_id").limit(rows.GROUPS)
        return await ordered.values("author_id", "count", "mean")

    async def transaction(self) -> Any:
        async with in_transaction() as connection:
            book = await Book.get(id=rows.book_id(), using_db=connection)
            return await Book.filter(id=book.id).using_db(connection).update(rating=book.rating + 0.1)
