"""psycopg 3 by hand: psycopg_pool, autocommit, and statements prepared as it does by itself."""

from collections.abc import Sequence
from typing import Any

import psycopg_pool
from psycopg.rows import dict_row, namedtuple_row, tuple_row

from benchmarks import rows
from benchmarks.adapters import sql
from benchmarks.adapters.base import AsynchronousAdapter

PLACES = ["%s"] * len(rows.BOOK_COLUMNS)
INSERT = f"{sql.insert(PLACES)} RETURNING id"
INSERT_ARRAYS = sql.insert_arrays(PLACES)
UPDATE = "UPDATE benchmarks_book SET rating = %s WHERE id = %s"
GET = f"{sql.FROM_BOOKS} WHERE b.id = %s"


class RawPsycopg(AsynchronousAdapter):
    note = "rows are named tuples, no model instances"
    count = staticmethod(sql.count)

    async def open(self) -> None:
        self.pool: Any = psycopg_pool.AsyncConnectionPool(
            self.target.url("postgresql"),
            min_size=self.target.pool,
            max_size=self.target.pool,
            open=False,
            kwargs={"autocommit": True},
        )
        await self.pool.open(wait=True)

    async def close(self) -> None:
        await self.pool.close()

    async def query(self, statement: str, values: Sequence[Any] = (), row_factory: Any = namedtuple_row) -> Any:
        async with self.pool.connection() as connection, connection.cursor(row_factory=row_factory) as cursor:
            await cursor.execute(statement, values)
            return await cursor.fetchall()

    async def get(self) -> Any:
        [book] = await self.query(GET, (rows.book_id(),))
        return book

    async def filter(self) -> Any:
        statement = f"{sql.FROM_BOOKS} WHERE b.published >= %s ORDER BY b.published LIMIT {rows.SOME}"
        return await self.query(statement, (rows.day(),))

    async def fetch(self) -> Any:
        return await self.query(sql.FETCH)

    async def values(self) -> Any:
        return await self.query(sql.FETCH, (), dict_row)

    async def insert(self) -> Any:
        [key] = await self.query(INSERT, tuple(rows.new_book().values()), tuple_row)
        return key

    async def bulk_insert(self) -> Any:
        return await self.query(INSERT_ARRAYS, sql.by_column(rows.new_books()), tuple_row)

    async def update(self) -> Any:
        async with self.pool.connection() as connection:
            return await connection.execute(UPDATE, (rows.rating(), rows.book_id()))

    async def select_related(self) -> Any:
        return await self.query(f"{sql.JOINED} WHERE b.id BETWEEN %s AND %s ORDER BY b.id", rows.book_range())

    async def prefetch(self) -> sql.Tree:
        async with self.pool.connection() as connection, connection.cursor(row_factory=namedtuple_row) as cursor:

            async def query(statement: str, value: Any) -> Any:
                await cursor.execute(statement, (value,))
                return await cursor.fetchall()

            authors = await query(f"{sql.FROM_AUTHORS} WHERE a.id >= %s {sql.ORDERED_AUTHORS}", rows.first_author())
            books = await query(f"{sql.FROM_BOOKS} WHERE b.author_id = ANY(%s)", [row[0] for row in authors])
            tags = await query(f"{sql.FROM_TAGS} WHERE l.book_id = ANY(%s)", [row[0] for row in books])
        return sql.tree(authors, books, tags)

    async def aggregate(self) -> Any:
        return await self.query(sql.AGGREGATE)

    async def transaction(self) -> Any:
        async with (
            self.pool.connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=namedtuple_row) as cursor,
        ):
            await cursor.execute(GET, (rows.book_id(),))
            book = await cursor.fetchone()
            return await cursor.execute(UPDATE, (book.rating + 0.1, book.id))
