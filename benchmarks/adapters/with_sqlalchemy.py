"""SQLAlchemy's asynchronous ORM, with a session for each operation, which is its unit of work.

What only reads does so by the engine's AUTOCOMMIT view, as SQLAlchemy advises: it saves BEGIN and ROLLBACK.
"""

from typing import Any, ClassVar

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload, selectinload

from benchmarks import rows
from benchmarks.adapters.base import AsynchronousAdapter
from benchmarks.adapters.sqlalchemy_models import Author, Book


class WithSQLAlchemy(AsynchronousAdapter):
    scheme: ClassVar[str]

    async def open(self) -> None:
        self.engine = create_async_engine(
            self.target.url(self.scheme),
            pool_size=self.target.pool,
            max_overflow=0,
            pool_timeout=60,
            skip_autocommit_rollback=True,
        )
        reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.writer = async_sessionmaker(self.engine, expire_on_commit=False)
        self.reader = async_sessionmaker(reading, expire_on_commit=False)

    async def close(self) -> None:
        await self.engine.dispose()

    def count(self, authors: Any) -> tuple[int, int, int]:
        books = [book for author in authors for book in author.books]
        return len(authors), len(books), sum(len(book.tags) for book in books)

    async def read(self, statement: Any) -> Any:
        async with self.reader() as session:
            return (await session.scalars(statement)).all()

    async def get(self) -> Any:
        async with self.reader() as session:
            return await session.get(Book, rows.book_id())

    async def filter(self) -> Any:
        books = select(Book).where(Book.published >= rows.day())
        return await self.read(books.order_by(Book.published).limit(rows.SOME))

    async def fetch(self) -> Any:
        return await self.read(select(Book).where(Book.id <= rows.MANY))

    async def values(self) -> Any:
        books = select(*Book.__table__.c).where(Book.id <= rows.MANY)
        async with self.reader() as session:
            return [dict(book) for book in (await session.execute(books)).mappings()]

    async def insert(self) -> Any:
        async with self.writer() as session:
            book = Book(**rows.new_book())
            session.add(book)
            await session.commit()
            return book

    async def bulk_insert(self) -> Any:
        async with self.writer() as session:
            books = [Book(**book) for book in rows.new_books()]
            session.add_all(books)
            await session.commit()
            return books

    async def update(self) -> Any:
        change = update(Book).where(Book.id == rows.book_id()).values(rating=rows.rating())
        async with self.writer() as session:
            result = await session.execute(change, execution_options={"synchronize_session": False})
            await session.commit()
            return result.rowcount

    async def select_related(self) -> Any:
        related = joinedload(Book.author, innerjoin=True), joinedload(Book.publisher, innerjoin=True)
        books = select(Book).options(*related).where(Book.id.between(*rows.book_range()))
        return await self.read(books.order_by(Book.id))

    async def prefetch(self) -> Any:
        related = selectinload(Author.books).selectinload(Book.tags)
        authors = select(Author).options(related).where(Author.id >= rows.first_author())
        return await self.read(authors.order_by(Author.id).limit(rows.SOME))

    async def aggregate(self) -> Any:
        count, mean = func.count(Book.id).label("count"), func.avg(Book.price).label("mean")
        groups = select(Book.author_id, count, mean).group_by(Book.author_id)
        async with self.reader() as session:
            result = await session.execute(groups.order_by(count.desc(), Book.author_id).limit(rows.GROUPS))
            return result.mappings().all()

    async def transaction(self) -> Any:
        async with self.writer() as session, session.begin():
            book = await session.get(Book, rows.book_id())
            book.rating += 0.1
            return book


class WithAsyncpg(WithSQLAlchemy):
    scheme = "postgresql+asyncpg"


class WithPsycopg(WithSQLAlchemy):
    scheme = "postgresql+psycopg"


class WithAsyncmy(WithSQLAlchemy):
    scheme = "mysql+asyncmy"
