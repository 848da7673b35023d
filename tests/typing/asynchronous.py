"""The types of the async mode, as `assert_type` states them."""

from typing import Any, assert_type

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Prefetch

import vinyl
from tests.typing.models import Author, Book, BookQuerySet, Letter, Novel, Plain
from vinyl import FrozenQuery, Operation, Param, VinylManager, VinylQuerySet, transaction


async def managers_are_those_of_the_model_that_they_are_read_from() -> None:
    assert_type(Book.vinyl, VinylManager[Book])
    assert_type(Book.annotated, VinylManager[Book])
    assert_type(Novel.vinyl, VinylManager[Novel])
    assert_type(Author.vinyl, VinylManager[Author])
    assert_type(vinyl.manager(User), VinylManager[User])
    assert_type(await vinyl.manager(User).get(pk=1), User)


async def results() -> None:
    assert_type(await Book.vinyl.get(pk=1), Book)
    assert_type(await Book.vinyl.first(), Book | None)
    assert_type(await Book.vinyl.filter(stock=1).last(), Book | None)
    assert_type(await Book.vinyl.latest("id"), Book)
    assert_type(await Book.vinyl.count(), int)
    assert_type(await Book.vinyl.exists(), bool)
    assert_type(await Book.vinyl.aggregate(), dict[str, Any])
    assert_type(await Book.vinyl.in_bulk([1]), dict[Any, Book])
    assert_type(await Book.vinyl.create(title="T"), Book)
    assert_type(await Book.vinyl.get_or_create(title="T"), tuple[Book, bool])
    assert_type(await Book.vinyl.bulk_create([Book.vinyl(title="T")]), list[Book])
    assert_type(await Book.vinyl.filter(pk=1).update(stock=2), int)
    assert_type(await Book.vinyl.filter(pk=1).delete(), tuple[int, dict[str, int]])
    assert_type(await Book.vinyl.aget(pk=1), Book)
    assert_type(await Book.vinyl.acount(), int)
    operation: Operation[Book] = Book.vinyl.get(pk=1)
    assert_type(await operation, Book)


async def querysets() -> None:
    books = Book.vinyl.filter(stock=1).exclude(pk=2).order_by("title").select_related("author")
    assert_type(books, VinylQuerySet[Book])
    assert_type(await books, list[Book])
    assert_type(await books[:10], list[Book])
    assert_type(await books[3], Book)
    async for book in books:
        assert_type(book, Book)
    async for book in Book.vinyl.iterator(chunk_size=10):
        assert_type(book, Book)
    assert_type(list(books), list[Book])
    assert_type(await books.start(), list[Book])
    assert_type(await (books | Book.vinyl.all()), list[Book])
    assert_type(await Book.vinyl.raw("SELECT * FROM book"), list[Book])


async def values() -> None:
    assert_type(await Book.vinyl.values("id"), list[dict[str, Any]])
    assert_type(await Book.vinyl.values("id").first(), dict[str, Any] | None)
    assert_type(await Book.vinyl.values_list("id", flat=True), list[Any])
    assert_type(await Book.vinyl.values_list("id", named=True), list[Any])


async def instances() -> None:
    book = Book.vinyl(title="T")
    assert_type(book, Book)
    assert_type(await book.insert(), Book)
    assert_type(await book.update(stock=1), Book)
    assert_type(await book.refresh("stock"), Book)
    assert_type(await book.load("author"), Book)
    assert_type(await book.delete(), tuple[int, dict[str, int]])
    letter = await Letter.vinyl.get(pk=1)
    assert_type(await letter.insert_or_wait(), Letter)
    plain = await Plain.vinyl.get(pk=1)
    assert_type(await vinyl.update(plain, x=1), Plain)
    assert_type(await vinyl.load(plain, "x"), Plain)
    await vinyl.delete(plain)
    await vinyl.prefetch_related_objects([book], "author")


async def relations() -> None:
    author = await Author.vinyl.get(pk=1)
    assert_type(await author.books.filter(stock=1), list[Book])
    assert_type(await author.books.create(title="T"), Book)
    await author.books.add(await Book.vinyl.get(pk=1))
    assert_type(await author.books(manager="cheap").all(), list[Book])


async def own_methods() -> None:
    assert_type(await Book.cheap.by(await Author.vinyl.get(pk=1)), list[Book])
    assert_type(await Book.cheap.get(pk=1), Book)
    assert_type(await Book.own.get(pk=1), Book)
    assert_type(Book.own.all(), BookQuerySet)
    assert_type(await Book.own.filter(pk=1).in_print().total(), int)
    await Book.own.in_print()
    assert_type(await Book.own_too.filter(pk=1).in_print(), list[Book])
    assert_type(await Book.djangos.get(pk=1), Book)
    assert_type(await Book.djangos.filter(pk=1), list[Book])
    await Book.djangos.in_print().filter(pk=1).in_print()


async def several_queries() -> None:
    books, authors, titles = await vinyl.gather(
        Book.vinyl.all(), Author.vinyl.filter(pk=1), Book.vinyl.values_list("title", flat=True)
    )
    assert_type(books, list[Book])
    assert_type(authors, list[Author])
    assert_type(titles, list[Any])
    (found,) = await vinyl.gather(Book.vinyl.raw("SELECT * FROM book"))
    assert_type(found, list[Book])
    each = [Book.vinyl.filter(pk=key) for key in range(9)]
    assert_type(await vinyl.gather(*each), list[list[Book]])


async def frozen_queries() -> None:
    cheap = Book.vinyl.filter(price__lt=Param("limit")).freeze()
    assert_type(cheap, FrozenQuery[Book])
    assert_type(await cheap(limit=3), list[Book])
    assert_type(await cheap.first(limit=3), Book | None)
    assert_type(await cheap.count(limit=3), int)
    assert_type(await cheap.queryset(limit=3).filter(stock=1), list[Book])


async def transactions() -> None:
    async with transaction.atomic(), vinyl.deadline(2):
        await transaction.on_commit(lambda: None)
    async with transaction.atomic(using="other") as tx, tx.task_group() as group:
        assert_type(await group.create_task(move(1, target="x")), Book)
    coroutine = move(1, target="x")
    assert_type(await coroutine, Book)
    assert_type(await move_again(1), Book)


@transaction.atomic
async def move(source: int, *, target: str) -> Book:
    return await Book.vinyl.get(pk=source, title=target)


@transaction.atomic(retries=3)
async def move_again(source: int) -> Book:
    return await Book.vinyl.get(pk=source)


@vinyl.portable
async def portable(source: int) -> Book:
    return await Book.vinyl.get(pk=source)


class Views:
    @vinyl.portable
    async def portable(self, source: int) -> Book:
        return await Book.vinyl.get(pk=source)


def synchronous(source: int) -> str:
    return str(source)


async def functions() -> None:
    assert_type(await portable(1), Book)
    assert_type(await Views().portable(1), Book)
    assert_type(await vinyl.run(synchronous, 1), str)
    rows = await vinyl.connection.execute("SELECT 1", [])
    assert_type(rows, Any)
    async with vinyl.connections["other"].cursor() as cursor:
        await cursor.execute("SELECT 1")
        assert_type(await cursor.fetchone(), tuple[Any, ...] | None)
        async for row in cursor:
            assert_type(row, tuple[Any, ...])
    async with vinyl.connection.hold():
        pass
    await vinyl.close()


async def what_takes_querysets_of_djangos() -> None:
    Prefetch("books", Book.vinyl.filter(stock=1))
    Author.vinyl.filter(Exists(Book.vinyl.filter(author=OuterRef("pk"))))


def errors() -> None:
    assert_type(vinyl.NotUpdated(), vinyl.NotUpdated)
    errors: list[type[vinyl.VinylError]] = [vinyl.UnloadedAttribute, vinyl.DeadlineExceeded, vinyl.PoolTimeout]
    assert errors
