"""asyncmy by hand: its pool, autocommit."""

from collections.abc import Sequence
from typing import Any

import asyncmy
from asyncmy.cursors import DictCursor

from benchmarks import rows
from benchmarks.adapters import sql
from benchmarks.adapters.base import AsynchronousAdapter
from benchmarks.target import DATABASE

INSERT = sql.insert(["%s"] * len(rows.BOOK_COLUMNS))
UPDATE = "UPDATE benchmarks_book SET rating = %s WHERE id = %s"
GET = f"{sql.FROM_BOOKS} WHERE b.id = %s"


class RawAsyncmy(AsynchronousAdapter):
    note = "rows are tuples, no model instances"
    count = staticmethod(sql.count)

    async def open(self) -> None:
        self.pool = await asyncmy.create_pool(
            host=self.target.host,
            port=self.target.port,
            user=self.target.user,
            db=DATABASE,
            minsize=self.target.pool,
            maxsize=self.target.pool,
            autocommit=True,
        )

    async def close(self) -> None:
        self.pool.close()
        await self.pool.wait_closed()

    async def query(self, statement: str, values: Sequence[Any] | None = None, cursor_class: Any = None) -> Any:
        async with self.pool.acquire() as connection, connection.cursor(cursor_class) as cursor:
            await cursor.execute(statement, values)
            return await cursor.fetchall()

    async def execute(self, statement: str, values: Sequence[Any]) -> Any:
        async with self.pool.acquire() as connection, connection.cursor() as cursor:
            return await cursor.execute(statement, values)

    async def get(self) -> Any:
        [book] = await self.query(GET, (rows.book_id(),))
        return book

    async def filter(self) -> Any:
        statement = f"{sql.FROM_BOOKS} WHERE b.published >= %s ORDER BY b.published LIMIT {rows.SOME}"
        return await self.query(statement, (rows.day(),))

    async def fetch(self) -> Any:
        return await self.query(sql.FETCH)

    async def values(self) -> Any:
        return await self.query(sql.FETCH, None, DictCursor)

    async def insert(self) -> Any:
        return await self.execute(INSERT, tuple(rows.new_book().values()))

    async def bulk_insert(self) -> Any:
        async with self.pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.executemany(INSERT, [tuple(book.values()) for book in rows.new_books()])
            return range(cursor.rowcount)

    async def update(self) -> Any:
        return await self.execute(UPDATE, (rows.rating(), rows.book_id()))

    async def select_related(self) -> Any:
        return await self.query(f"{sql.JOINED} WHERE b.id BETWEEN %s AND %s ORDER BY b.id", rows.book_range())

    async def prefetch(self) -> sql.Tree:
        async with self.pool.acquire() as connection, connection.cursor() as cursor:

            async def query(statement: str, value: Any) -> Any:
                await cursor.execute(statement, (value,))
                return await cursor.fetchall()

            authors = await query(f"{sql.FROM_AUTHORS} WHERE a.id >= %s {sql.ORDERED_AUTHORS}", rows.first_author())
            books = await query(f"{sql.FROM_BOOKS} WHERE b.author_id IN %s", tuple(row[0] for row in authors))
            tags = await query(f"{sql.FROM_TAGS} WHERE l.book_id IN %s", tuple(row[0] for row in books))
        return sql.tree(authors, books, tags)

    async def aggregate(self) -> Any:
        return await self.query(sql.AGGREGATE)

    async def transaction(self) -> Any:
        async with self.pool.acquire() as connection, connection.cursor() as cursor:
            await connection.begin()
            try:
                await cursor.execute(GET, (rows.book_id(),))
                book = await cursor.fetchone()
                changed = await cursor.execute(UPDATE, (book[sql.RATING] + 0.1, book[0]))
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()
            return changed
