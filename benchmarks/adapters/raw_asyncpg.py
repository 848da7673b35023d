"""asyncpg by hand: its pool, with its cache of statements as it is by itself."""

from typing import Any

import asyncpg

from benchmarks import rows
from benchmarks.adapters import sql
from benchmarks.adapters.base import AsynchronousAdapter

PLACES = [f"${number}" for number in range(1, len(rows.BOOK_COLUMNS) + 1)]
INSERT = f"{sql.insert(PLACES)} RETURNING id"
INSERT_ARRAYS = sql.insert_arrays(PLACES)
UPDATE = "UPDATE benchmarks_book SET rating = $1 WHERE id = $2"
GET = f"{sql.FROM_BOOKS} WHERE b.id = $1"


class RawAsyncpg(AsynchronousAdapter):
    note = "rows are asyncpg's records, no model instances"
    count = staticmethod(sql.count)

    async def open(self) -> None:
        size = self.target.pool
        self.pool = await asyncpg.create_pool(min_size=size, max_size=size, **self.target.arguments)

    async def close(self) -> None:
        await self.pool.close()

    async def get(self) -> Any:
        return await self.pool.fetchrow(GET, rows.book_id())

    async def filter(self) -> Any:
        statement = f"{sql.FROM_BOOKS} WHERE b.published >= $1 ORDER BY b.published LIMIT {rows.SOME}"
        return await self.pool.fetch(statement, rows.day())

    async def fetch(self) -> Any:
        return await self.pool.fetch(sql.FETCH)

    async def values(self) -> Any:
        return [dict(row) for row in await self.pool.fetch(sql.FETCH)]

    async def insert(self) -> Any:
        return await self.pool.fetchval(INSERT, *rows.new_book().values())

    async def bulk_insert(self) -> Any:
        return await self.pool.fetch(INSERT_ARRAYS, *sql.by_column(rows.new_books()))

    async def update(self) -> Any:
        return await self.pool.execute(UPDATE, rows.rating(), rows.book_id())

    async def select_related(self) -> Any:
        return await self.pool.fetch(f"{sql.JOINED} WHERE b.id BETWEEN $1 AND $2 ORDER BY b.id", *rows.book_range())

    async def prefetch(self) -> sql.Tree:
        async with self.pool.acquire() as connection:
            authors = await connection.fetch(
                f"{sql.FROM_AUTHORS} WHERE a.id >= $1 {sql.ORDERED_AUTHORS}", rows.first_author()
            )
            books = await connection.fetch(
                f"{sql.FROM_BOOKS} WHERE b.author_id = ANY($1::bigint[])", [row[0] for row in authors]
            )
            tags = await connection.fetch(
                f"{sql.FROM_TAGS} WHERE l.book_id = ANY($1::bigint[])", [row[0] for row in books]
            )
        return sql.tree(authors, books, tags)

    async def aggregate(self) -> Any:
        return await self.pool.fetch(sql.AGGREGATE)

    async def transaction(self) -> Any:
        async with self.pool.acquire() as connection, connection.transaction():
            book = await connection.fetchrow(GET, rows.book_id())
            return await connection.execute(UPDATE, book["rating"] + 0.1, book["id"])
