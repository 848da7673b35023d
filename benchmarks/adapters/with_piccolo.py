"""Piccolo, with its pool of asyncpg."""

from typing import Any

from piccolo.query.functions import Avg, Count

from benchmarks import rows
from benchmarks.adapters.base import AsynchronousAdapter
from benchmarks.adapters.piccolo_tables import ENGINE, Book


class Piccolo(AsynchronousAdapter):
    unsupported = {"prefetch": "it does not follow foreign keys backwards"}

    async def open(self) -> None:
        await ENGINE.start_connection_pool(min_size=self.target.pool, max_size=self.target.pool)

    async def close(self) -> None:
        await ENGINE.close_connection_pool()

    async def get(self) -> Any:
        return await Book.objects().get(Book.id == rows.book_id())

    async def filter(self) -> Any:
        books = Book.objects().where(Book.published >= rows.day())
        return await books.order_by(Book.published).limit(rows.SOME)

    async def fetch(self) -> Any:
        return await Book.objects().where(Book.id <= rows.MANY)

    async def values(self) -> Any:
        return await Book.select().where(Book.id <= rows.MANY)

    async def insert(self) -> Any:
        book = new(rows.new_book())
        await book.save()
        return book

    async def bulk_insert(self) -> Any:
        return await Book.insert(*map(new, rows.new_books()))

    async def update(self) -> Any:
        await Book.update({Book.rating: rows.rating()}).where(Book.id == rows.book_id())
        return True

    async def select_related(self) -> Any:
        first, last = rows.book_range()
        books = Book.objects(Book.author, Book.publisher).where((Book.id >= first) & (Book.id <= last))
        return await books.order_by(Book.id)

    async def aggregate(self) -> Any:
        count, mean = Count(Book.id, alias="count"), Avg(Book.price, alias="mean")
        groups = Book.select(Book.author, count, mean).group_by(Book.author)
        ordered = groups.order_by(Count(Book.id), ascending=False).order_by(Book.author)
        return await ordered.limit(rows.GROUPS)

    async def transaction(self) -> Any:
        async with ENGINE.transaction():
            book = await Book.objects().get(Book.id == rows.book_id())
            await Book.update({Book.rating: book.rating + 0.1}).where(Book.id == book.id)
            return book


def new(values: dict[str, Any]) -> Book:
    """Make a book; Piccolo names its foreign keys without _id."""
    return Book(**{name.removesuffix("_id"): value for name, value in values.items()})
