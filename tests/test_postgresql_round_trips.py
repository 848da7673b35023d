"""How often a PostgreSQL connection waits for its server: once a statement, even if a transaction begins with it."""

from contextlib import nullcontext

import psycopg
import pytest
from django.db import DatabaseError, connections

import vinyl
from tests.library.models import Author, Book, Tag
from tests.plans import ENOUGH
from vinyl import transaction

pytestmark = [pytest.mark.engine("postgresql"), pytest.mark.usefixtures("db"), pytest.mark.asynchronous]


async def cursor(function, *args):
    """Call the function with psycopg's cursor, in a transaction that has not begun yet."""

    def call():
        with connections["default"].cursor() as opened:
            return function(opened.cursor, *args)

    async with transaction.atomic():
        return await vinyl.run(call)


async def is_in_transaction():
    [[first]] = await vinyl.connection.execute("SELECT pg_current_xact_id()::text")
    [[second]] = await vinyl.connection.execute("SELECT pg_current_xact_id()::text")
    return first == second


@pytest.mark.loops
async def test_a_statement_is_one_round_trip(waits):
    await vinyl.connection.execute("SELECT 1")
    waits.clear()
    author = await Author.vinyl.create(name="x")
    assert len(waits) == 1
    assert await Author.vinyl.get(pk=author.pk) == author
    assert len(waits) == 2
    assert len(await Author.vinyl.all()) == 1
    assert len(waits) == 3


@pytest.mark.loops
async def test_begin_goes_out_with_the_first_statement_and_commit_is_one_more(waits):
    await vinyl.connection.execute("SELECT 1")
    waits.clear()
    async with transaction.atomic():
        await Author.vinyl.create(name="x")
        assert len(waits) == 1
        assert await is_in_transaction()
        assert len(waits) == 3
    assert len(waits) == 4
    assert await Author.vinyl.count() == 1


async def test_a_transaction_in_which_nothing_is_executed_does_not_wait(waits):
    await vinyl.connection.execute("SELECT 1")
    waits.clear()
    async with transaction.atomic():
        pass
    assert waits == []


@pytest.mark.parametrize(
    "sql", ["SELECT 1; SELECT 2", "SELECT ';'", "EXPLAIN SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x", "select 1"]
)
async def test_each_first_statement_runs_in_the_transaction(sql):
    async with transaction.atomic():
        await vinyl.connection.execute(sql)
        await Author.vinyl.create(name="x")
        assert await is_in_transaction()
        transaction.set_rollback(True)
    assert not await Author.vinyl.exists()


async def related():
    """Two authors with a book each, of which they are the editor too, and which has a tag."""
    tag = await vinyl.manager(Tag).create(label="new")
    for name in "ab":
        author = await Author.vinyl.create(name=name)
        book = await Book.vinyl.create(author=author, editor=author, title=name)
        await book.tags.add(tag)


async def shelf():
    authors = await Author.vinyl.order_by("id").prefetch_related("books__tags", "edited__tags")
    for author in authors:
        (book,), (edited,) = author.books.all(), author.edited.all()
        assert book == edited
        assert [tag.label for tag in (*book.tags.all(), *edited.tags.all())] == ["new", "new"]


@pytest.mark.loops
async def test_the_relations_of_a_level_are_prefetched_in_one_round_trip(waits):
    await related()
    for _ in range(ENOUGH):
        await shelf()
    waits.clear()
    await shelf()
    # The authors, their books of either kind, and the tags of both.
    assert len(waits) == 3
    async with transaction.atomic():
        waits.clear()
        await shelf()
        assert len(waits) == 3


async def test_what_is_prefetched_for_somebody_who_looks_is_sent_one_by_one(waits):
    await related()
    for _ in range(ENOUGH):
        await shelf()
    waits.clear()
    sent = []
    with vinyl.connection.execute_wrapper(lambda execute, *args: sent.append(args[0]) or execute(*args)):
        await shelf()
    assert len(waits) == len(sent) == 5


@pytest.mark.loops
@pytest.mark.parametrize("block", [nullcontext, transaction.atomic])
async def test_what_is_gathered_by_plans_is_one_round_trip(waits, block):
    await related()

    async def gathered():
        return await vinyl.gather(
            Author.vinyl.filter(name="a"), Author.vinyl.order_by("-id")[:1], vinyl.manager(Tag).values("label")
        )

    for _ in range(ENOUGH):
        await gathered()
    async with block():
        waits.clear()
        [first], [last], [tag] = await gathered()
        assert len(waits) == 1
    assert (first.name, last.name, tag) == ("a", "b", {"label": "new"})


async def test_copy_and_stream_begin_a_transaction_too():
    def copy(cursor):
        with cursor.copy("COPY (SELECT 1) TO STDOUT") as copied:
            return list(copied)

    assert [bytes(line) for line in await cursor(copy)] == [b"1\n"]
    assert await cursor(lambda cursor: list(cursor.stream("SELECT 1"))) == [(1,)]


async def test_a_first_statement_that_fails_leaves_the_transaction_for_rollback():
    with pytest.raises(DatabaseError, match="division by zero") as caught:
        async with transaction.atomic():
            try:
                await vinyl.connection.execute("SELECT 1 / 0")
            finally:
                status = await vinyl.run(lambda: connections["default"].connection.info.transaction_status)
    assert status == psycopg.pq.TransactionStatus.INERROR
    assert caught.value.__cause__.sqlstate == "22012"
    assert await vinyl.connection.execute("SELECT 1") == [(1,)]


async def test_if_begin_fails_the_statement_raises_its_error_and_is_not_executed():
    def insert(cursor):
        cursor.connection._begin_statement = b"BEGIN NONSENSE"
        try:
            cursor.execute("INSERT INTO library_author (name) VALUES ('x')")
        finally:
            cursor.connection._begin_statement = b""

    with pytest.raises(psycopg.errors.SyntaxError, match="NONSENSE"):
        await cursor(insert)
    assert not await Author.vinyl.exists()


async def test_the_transaction_has_the_properties_of_the_connection():
    def properties(cursor):
        connection = cursor.connection
        connection.read_only, connection.isolation_level = True, psycopg.IsolationLevel.SERIALIZABLE
        try:
            cursor.execute("SELECT current_setting('transaction_read_only'), current_setting('transaction_isolation')")
            return cursor.fetchone()
        finally:
            connection.rollback()
            connection.read_only = connection.isolation_level = None

    assert await cursor(properties) == ("on", "serializable")
