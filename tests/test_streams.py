"""Streams: iterator() gives results in bounded memory, and the connection back as soon as it can."""

import asyncio
import gc
import os
import sys
from contextlib import aclosing, suppress

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

import vinyl
from tests.hops import CancelledAt
from tests.library.models import Author, Tag
from vinyl import ImplicitQuery, VinylManager, VinylModel, transaction
from vinyl.lending import scopes

pytestmark = pytest.mark.usefixtures("db")

NAMES = ["Ann", "Bo", "Cy", "Di", "Ed"]


@pytest.fixture
def authors(db):
    """Five authors, each with a book; the books have two tags."""
    tags = [Tag.objects.create(label=label) for label in ("new", "old")]
    for name in NAMES:
        Author.objects.create(name=name).books.create(title=f"By {name}").tags.set(tags)


def in_use():
    return vinyl.connection.statistics().get("pool_in_use", 0)


def connected():
    return vinyl.connection.statistics().get("connections_num", 0)


async def cursors_on_the_server():
    return [name for (name,) in await vinyl.connection.execute("SELECT name FROM pg_cursors WHERE name <> ''")]


@pytest.mark.usefixtures("authors")
@pytest.mark.parametrize("method", ["iterator", "aiterator"])
async def test_a_stream_makes_a_chunk_at_a_time_and_keeps_nothing(method, monkeypatch):
    made = []
    author_class = Author.vinyl.vinyl_class
    from_db = author_class.from_db
    monkeypatch.setattr(author_class, "from_db", lambda *args: made.append(args) or from_db(*args))
    authors = Author.vinyl.order_by("id")
    names = []
    async for author in getattr(authors, method)(chunk_size=2):
        assert isinstance(author, VinylModel)
        names.append(author.name)
        assert len(made) <= len(names) + 1
    assert names == NAMES
    assert authors._result_cache is None


@pytest.mark.usefixtures("authors")
async def test_a_stream_prefetches_for_each_chunk():
    authors = Author.vinyl.prefetch_related("books__tags").order_by("id")
    found = [
        [(book.title, [tag.label for tag in book.tags.all()]) for book in author.books.all()]
        async for author in authors.iterator(chunk_size=2)
    ]
    assert found == [[(f"By {name}", ["new", "old"])] for name in NAMES]


async def test_a_stream_with_prefetches_asks_for_a_chunk_size_as_django_does():
    with pytest.raises(ValueError, match="chunk_size must be provided"):
        Author.vinyl.prefetch_related("books").iterator()


@pytest.mark.usefixtures("authors")
async def test_values_are_streamed_too():
    values = Author.vinyl.order_by("id").values_list("name", flat=True)
    assert [name async for name in values.iterator(chunk_size=2)] == NAMES


@pytest.mark.usefixtures("authors")
async def test_a_stream_that_has_come_to_its_end_stays_there():
    stream = Author.vinyl.iterator(chunk_size=2)
    assert len([author async for author in stream]) == 5
    assert in_use() == 0
    assert [author async for author in stream] == []


@pytest.mark.usefixtures("authors")
async def test_an_error_in_a_stream_is_raised_and_the_connection_given_back():
    stream = Author.vinyl.extra(where=["no_such_column = 1"]).iterator()
    with pytest.raises(Exception, match="no_such_column"):
        await anext(stream)
    assert in_use() == 0


@pytest.mark.usefixtures("authors")
async def test_break_gives_the_connection_back_at_once():
    async for author in Author.vinyl.order_by("id").iterator(chunk_size=2):
        assert author.name == "Ann"
        break
    assert in_use() == 0
    assert await Author.vinyl.count() == 5


@pytest.mark.usefixtures("authors")
async def test_aclose_gives_the_connection_back():
    async with aclosing(Author.vinyl.order_by("id").iterator(chunk_size=1)) as stream:
        assert (await anext(stream)).name == "Ann"
    assert in_use() == 0
    assert [author async for author in stream] == []


@pytest.mark.usefixtures("authors")
async def test_a_stream_that_was_never_started_can_be_closed():
    stream = Author.vinyl.iterator()
    await stream.aclose()
    assert [author async for author in stream] == []


@pytest.mark.asynchronous
@pytest.mark.usefixtures("authors")
@pytest.mark.parametrize("leave", ["break", "aclose"])
async def test_the_connection_of_a_stream_that_was_left_is_used_again(leave):
    for _ in range(3):
        stream = Author.vinyl.iterator(chunk_size=1)
        await anext(stream)
        if leave == "aclose":
            await stream.aclose()
        del stream
        assert in_use() == 0
        assert await Author.vinyl.count() == 5
    assert connected() == 1


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
@pytest.mark.usefixtures("authors")
@pytest.mark.parametrize("leave", ["break", "aclose"])
async def test_a_stream_that_was_left_leaves_no_cursor_on_the_server(leave):
    stream = Author.vinyl.iterator(chunk_size=1)
    await anext(stream)
    if leave == "aclose":
        await stream.aclose()
    del stream
    assert await cursors_on_the_server() == []
    assert connected() == 1


@pytest.mark.asynchronous
@pytest.mark.usefixtures("authors")
async def test_in_a_transaction_a_stream_can_be_left_and_the_transaction_goes_on():
    async with transaction.atomic():
        async for author in Author.vinyl.order_by("id").iterator(chunk_size=1):
            await author.update(name="Al")
            break
        assert await Author.vinyl.filter(name="Al").count() == 1
    assert await Author.vinyl.filter(name="Al").count() == 1
    assert in_use() == 0
    assert connected() == 1


@pytest.mark.session
@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
@pytest.mark.usefixtures("authors")
async def test_a_stream_that_is_cancelled_leaves_no_cursor_on_the_server_not_even_as_it_closes_it():
    async def main(hop):
        stream = Author.vinyl.iterator(chunk_size=2)
        run = CancelledAt(read(stream), hop)
        with suppress(asyncio.CancelledError):
            await run
        return run.hops >= hop

    async def read(stream):
        return [author async for author in stream]

    hop = 1
    while await asyncio.create_task(main(hop)):
        assert await cursors_on_the_server() == []
        assert in_use() == 0
        hop += 1
    # DECLARE, FETCH and CLOSE at least.
    assert hop > 3


# Of a cycle the garbage collector may come to psycopg's cursor first.
@pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning")
@pytest.mark.asynchronous
@pytest.mark.usefixtures("authors")
async def test_a_stream_that_only_the_garbage_collector_finds_gives_its_connection_back():
    stream = Author.vinyl.iterator(chunk_size=1)
    await anext(stream)
    cycle = [stream]
    cycle.append(cycle)
    del stream, cycle
    gc.collect()
    assert in_use() == 0
    assert await Author.vinyl.count() == 5


@pytest.mark.asynchronous
@pytest.mark.usefixtures("authors")
async def test_a_stream_that_another_thread_drops_gives_its_connection_back():
    streams = [Author.vinyl.iterator(chunk_size=1)]
    await anext(streams[0])
    await asyncio.to_thread(streams.clear)
    while in_use():
        await asyncio.sleep(0)
    assert await Author.vinyl.count() == 5


@pytest.mark.asynchronous
@pytest.mark.usefixtures("authors")
async def test_streams_run_side_by_side():
    async def names():
        return [author.name async for author in Author.vinyl.order_by("id").iterator(chunk_size=1)]

    assert await asyncio.gather(*(names() for _ in range(5))) == [NAMES] * 5


@pytest.mark.asynchronous
@pytest.mark.usefixtures("authors")
async def test_other_queries_run_while_a_stream_is_open():
    async for author in Author.vinyl.iterator(chunk_size=1):
        assert (await author.load("books")).books.all()[0].title == f"By {author.name}"


@pytest.mark.asynchronous
@pytest.mark.usefixtures("authors")
async def test_a_stream_cannot_be_iterated_by_for_and_says_so():
    with pytest.raises(ImplicitQuery, match="async for"):
        list(Author.vinyl.iterator())


@pytest.mark.usefixtures("authors")
def test_in_the_sync_mode_a_stream_is_an_ordinary_iterator():
    with vinyl.sync_mode():
        assert [author.name for author in Author.vinyl.order_by("id").iterator(chunk_size=2)] == NAMES


def resident():
    """Return the bytes of memory that this process has."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def million(db):
    """A model of a view with a million rows."""
    numbers = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000000) SELECT id FROM n"
    with isolate_apps("tests.library"):

        class Number(models.Model):
            id = models.IntegerField(primary_key=True)

            vinyl = VinylManager()

            class Meta:
                app_label = "library"
                managed = False

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE VIEW library_number AS {numbers}")
        yield Number
        cursor.execute("DROP VIEW library_number")


# Where the driver, as mysqlclient, reads all rows of an answer at once, memory is not bounded; nor without a session,
# which is what keeps a cursor on the server.
@pytest.mark.session
@pytest.mark.engine("sqlite", "postgresql")
@pytest.mark.asynchronous
async def test_a_million_rows_are_streamed_in_less_than_50_mb(million):
    if not sys.platform.startswith("linux"):
        pytest.skip(f"not on {sys.platform}, where the memory of a process is not found so")
    count, most = 0, 0
    start = resident()
    async for _ in million.vinyl.iterator():
        count += 1
        if count % 5_000 == 0:
            most = max(most, resident())
    assert count == 1_000_000
    assert most - start < 50_000_000


@pytest.mark.usefixtures("authors")
@pytest.mark.asynchronous
async def test_a_wrapper_that_a_finalizer_gives_back_serves_nobody_else():
    # The garbage collector may have taken it apart before.
    stream = Author.vinyl.iterator(chunk_size=1)
    await anext(stream)
    source = scopes.source("default")
    spare = list(source._spare)
    del stream
    gc.collect()
    assert source._spare == spare
    assert await Author.vinyl.count() == len(NAMES)
