"""gather() and start(): several queries at a time, with the results, errors and connections of queries one by one."""

import asyncio
import gc
import warnings
from contextlib import contextmanager

import pytest
from django.db import connections
from django.db.utils import DatabaseError

import vinyl
from tests import settings
from tests.library.models import Author, Book
from tests.plans import ENOUGH
from tests.wholeness import SLOW, assert_nothing_runs, assert_pool_is_whole

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def authors():
    # Before the test's loop runs, so that both modes find them.
    found = [Author.objects.create(name=name) for name in "abc"]
    Author.objects.using("other").create(name="other")
    return found


def names(authors):
    return [author.name for author in authors]


def failing():
    return Author.vinyl.raw("SELECT nonsense FROM nowhere")


async def test_what_is_gathered_is_given_in_order():
    for _ in range(ENOUGH):
        first, second, third, fourth = await vinyl.gather(
            Author.vinyl.filter(name="a"),
            Author.vinyl.exclude(name="a").order_by("-name"),
            Author.vinyl.using("other").values_list("name", flat=True),
            Author.vinyl.raw("SELECT id, name FROM library_author ORDER BY name"),
        )
        assert (names(first), names(second), third, names(fourth)) == (["a"], ["c", "b"], ["other"], ["a", "b", "c"])


async def test_gathering_nothing_gives_nothing():
    assert await vinyl.gather() == []


async def test_what_is_loaded_is_not_loaded_again():
    loaded, other = Author.vinyl.filter(name="a"), Author.vinyl.filter(name="b")
    (author,) = await loaded
    first, second, again = await vinyl.gather(loaded, other, other)
    assert first[0] is author
    assert second[0] is again[0]
    assert names(other) == ["b"]
    with vinyl.connection.execute_wrapper(lambda *args: pytest.fail("a query was executed")):
        assert await vinyl.gather(loaded, other) == [first, second]


async def test_prefetched_relations_are_loaded():
    book = await Book.vinyl.create(title="t", author=await Author.vinyl.get(name="a"))
    for _ in range(ENOUGH):
        (author,), _none = await vinyl.gather(
            Author.vinyl.filter(name="a").prefetch_related("books"), Author.vinyl.filter(name="z")
        )
        assert [each.pk for each in author.books.all()] == [book.pk]


@pytest.mark.parametrize("wrong", [None, "a", Author, [Author.vinyl.all()]])
def test_only_querysets_are_gathered(wrong):
    with pytest.raises(TypeError, match=r"vinyl\.gather\(\) takes querysets, not"):
        vinyl.gather(wrong)


async def test_an_error_is_raised_as_if_the_query_was_alone():
    for _ in range(ENOUGH):
        with pytest.raises(DatabaseError) as caught:
            await vinyl.gather(Author.vinyl.all(), failing(), Author.vinyl.filter(name="a"))
        assert not isinstance(caught.value, BaseExceptionGroup)
    assert await Author.vinyl.count() == 3


async def test_in_a_transaction_they_see_what_it_has_written():
    for _ in range(ENOUGH):
        async with vinyl.transaction.atomic():
            await Author.vinyl.create(name="new")
            first, second = await vinyl.gather(Author.vinyl.filter(name="new"), Author.vinyl.filter(name="a"))
            started = Author.vinyl.filter(name="new").start()
            found = await started if not isinstance(started, list) else started
            assert (names(first), names(second), names(found)) == (["new"], ["a"], ["new"])
            vinyl.transaction.set_rollback(True)
    assert await Author.vinyl.filter(name="new").count() == 0


@pytest.mark.asynchronous
async def test_a_started_query_runs_before_it_is_awaited():
    for _ in range(ENOUGH):
        executed = asyncio.Event()

        def note(execute, *args, executed=executed):
            executed.set()
            return execute(*args)

        with vinyl.connection.execute_wrapper(note):
            started = Author.vinyl.filter(name="a").start()
        await executed.wait()
        assert names(await started) == ["a"]
    await assert_pool_is_whole()


def test_in_the_sync_mode_they_are_there_at_once():
    with vinyl.sync_mode():
        assert names(Author.vinyl.filter(name="a").start()) == ["a"]
        assert [names(each) for each in vinyl.gather(Author.vinyl.filter(name="b"))] == [["b"]]


async def test_they_are_portable():
    @vinyl.portable
    async def load():
        (found,) = await vinyl.gather(Author.vinyl.filter(name="b"))
        return names(found) + names(await Author.vinyl.filter(name="c").start())

    result = load()
    assert (result if isinstance(result, list) else await result) == ["b", "c"]


def slow():
    """Return a queryset that takes long."""
    sql = f"SELECT id, name FROM library_author WHERE 0 <> ({SLOW})" if settings.ENGINE == "sqlite" else None
    return Author.vinyl.raw(sql or SLOW.replace("SELECT ", "SELECT 1 AS id, "))


@contextmanager
def noting(running):
    """Set the event when something is executed in the block."""

    def note(execute, *args):
        running.set()
        return execute(*args)

    with vinyl.connection.execute_wrapper(note):
        yield


@pytest.mark.loops
async def test_cancelling_cancels_each_and_leaves_nothing():
    # Connections that are there: cancelling a connection that is being made is another matter.
    await vinyl.gather(Author.vinyl.all(), Author.vinyl.filter(name="a"))
    running = asyncio.Event()

    async def gathered():
        with noting(running):
            await vinyl.gather(slow(), slow())

    task = asyncio.ensure_future(gathered())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_pool_is_whole()
    await assert_nothing_runs()


@pytest.mark.loops
async def test_dropping_the_coroutine_cancels_each_and_leaves_nothing():
    await vinyl.gather(Author.vinyl.all(), Author.vinyl.filter(name="a"))
    running = asyncio.Event()
    with noting(running):
        gathering = vinyl.gather(slow(), slow()).__await__()
        gathering.send(None)
    await running.wait()
    gathering.close()
    _, pending = await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=5)
    assert not pending
    await assert_pool_is_whole()
    await assert_nothing_runs()


@pytest.mark.asynchronous
async def test_cancelling_what_was_started_leaves_nothing():
    started = Author.vinyl.all().start()
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started
    await assert_pool_is_whole()


@pytest.mark.asynchronous
async def test_a_deadline_ends_them():
    with pytest.raises(vinyl.DeadlineExceeded):
        async with vinyl.deadline(0.05):
            while True:
                await vinyl.gather(Author.vinyl.all(), Author.vinyl.filter(name="a"))
    await assert_pool_is_whole()


def test_without_a_loop_nothing_is_left_unawaited():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="no running event loop"):
            Author.vinyl.all().start()
        gc.collect()
    assert connections["default"].alias == "default"
