"""Which connection a query gets: borrowed for a statement, pinned to a task, never shared between tasks."""

import asyncio
import gc
import os
import threading
import time
import traceback

import pytest
from django.db import close_old_connections
from django.db import connections as django_connections
from django.db import transaction as django_transaction
from django.db.backends.signals import connection_created
from django.test import override_settings
from psycopg import IsolationLevel

import vinyl
from tests import settings
from tests.aliases import database
from tests.blocking import BlockingCall, watched
from tests.library.models import Author, Book
from vinyl import transaction
from vinyl.bridge import await_
from vinyl.lending.scopes import source

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

# In SQL, for each server.
SLEEP = {
    "postgresql": "SELECT pg_sleep(0.05)",
    "mariadb": "SELECT SLEEP(0.05)",
    "mysql": "SELECT SLEEP(0.05)",
}
SET_AND_SHOW = {
    "postgresql": ("SET application_name = 'held'", "SHOW application_name"),
    "mariadb": ("SET @application_name = 'held'", "SELECT @application_name"),
    "mysql": ("SET @application_name = 'held'", "SELECT @application_name"),
}


def in_use():
    return vinyl.connection.statistics()["pool_in_use"]


@pytest.mark.engine("postgresql", "mariadb", "mysql")
async def test_200_queries_run_side_by_side_as_far_as_the_pool_goes_in_one_thread():
    size = vinyl.connection.statistics()["pool_max"]
    await asyncio.gather(*(vinyl.connection.execute(SLEEP[settings.ENGINE]) for _ in range(size)))
    threads = threading.active_count()
    started = time.monotonic()
    await asyncio.gather(*(vinyl.connection.execute(SLEEP[settings.ENGINE]) for _ in range(200)))
    elapsed = time.monotonic() - started
    assert elapsed < 3 * (200 / size * 0.05)
    assert threading.active_count() == threads
    assert vinyl.connection.statistics()["pool_size"] == size


async def test_nothing_blocks_the_loop_and_no_thread_is_used_but_by_sqlite():
    # Importing a driver, and SQLite's threads, are the exceptions.
    await vinyl.connection.execute("SELECT 1")
    await vinyl.close()
    with watched(threads=settings.ENGINE == "sqlite"):
        author = await Author.vinyl(name="x").insert()
        async with transaction.atomic():
            book = await Book.vinyl.create(author=author, title="y")
            await book.update(stock=1)
        books = await Book.vinyl.select_related("author").prefetch_related("tags")
        assert [book.author for book in books] == [author]
        assert [author async for author in Author.vinyl.iterator()] == [author]
        await asyncio.gather(*(Author.vinyl.count() for _ in range(20)))
        await vinyl.run(lambda: Author.objects.get().books.get().delete())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), transaction.atomic():
                await Author.vinyl(name="z").insert()
                await asyncio.Event().wait()


async def test_the_watch_for_blocking_calls_sees_them():
    with watched(threads=True), pytest.raises(BlockingCall):
        await vinyl.run(lambda: time.sleep(0))
    with watched(threads=False), pytest.raises(BlockingCall):
        threading.Thread(target=print).start()
    with watched(threads=True), pytest.raises(BlockingCall):
        await vinyl.run(lambda: django_connections.create_connection("default").ensure_connection())
    connected = django_connections.create_connection("default")
    await vinyl.run(connected.ensure_connection)
    try:
        with watched(threads=True), pytest.raises(BlockingCall):
            await vinyl.run(lambda: connected.cursor().execute("SELECT 1"))
    finally:
        await vinyl.run(connected.close)


async def test_a_statement_gives_its_connection_back_at_once():
    await Author.vinyl.count()
    assert in_use() == 0
    await vinyl.run(Author.objects.count)
    assert in_use() == 0


async def test_between_two_statements_of_one_run_no_connection_is_held():
    seen = []

    async def look():
        seen.append(in_use())

    def code():
        Author.objects.count()
        await_(look())
        list(Author.objects.all())
        await_(look())

    await vinyl.run(code)
    assert seen == [0, 0]


async def test_a_transaction_pins_one_connection_and_gives_it_back():
    async with transaction.atomic():
        assert in_use() == 1
        first = await backend()
        await Author.vinyl.count()
        assert await backend() == first
        assert in_use() == 1
    assert in_use() == 0


async def backend():
    """Identify the driver's connection that is in use."""
    return await vinyl.run(lambda: id(django_connections["default"].connection))


async def test_tasks_gathered_in_a_transaction_get_an_error_and_write_nothing():
    async with transaction.atomic():
        await Author.vinyl(name="owner").insert()
        results = await asyncio.gather(
            *(Author.vinyl(name=f"task {number}").insert() for number in range(10)), return_exceptions=True
        )
        await Author.vinyl(name="owner again").insert()
    assert [type(result) for result in results] == [vinyl.OwnershipError] * 10
    assert "gather()" in str(results[0])
    assert isinstance(results[0], transaction.TransactionManagementError)
    assert await Author.vinyl.values_list("name", flat=True) == ["owner", "owner again"]


async def test_a_task_started_in_a_transaction_and_awaited_after_it_gets_a_fresh_connection():
    async def later():
        await ended.wait()
        return await Author.vinyl.count()

    ended = asyncio.Event()
    async with transaction.atomic():
        await Author.vinyl(name="x").insert()
        task = asyncio.create_task(later())
    ended.set()
    assert await task == 1


async def test_a_stale_context_does_not_reach_the_next_transaction_of_another_task():
    async def later():
        await begun.wait()
        return await Author.vinyl.count()

    async def another():
        async with transaction.atomic():
            begun.set()
            await stop.wait()

    begun, stop = asyncio.Event(), asyncio.Event()
    async with transaction.atomic():
        task = asyncio.create_task(later())
    # Same wrapper and connection as before, likely, but another pin.
    other = asyncio.create_task(another())
    assert await task == 0
    stop.set()
    await other


async def test_run_uses_the_callers_transaction():
    with pytest.raises(LookupError):
        async with transaction.atomic():
            await vinyl.run(lambda: Author.objects.create(name="x"))
            assert await Author.vinyl.count() == 1
            raise LookupError
    assert not await Author.vinyl.exists()


async def test_a_coroutine_awaited_from_sync_code_is_in_its_transaction():
    async def count():
        return await Author.vinyl.count()

    def code():
        with django_transaction.atomic():
            Author.objects.create(name="x")
            assert await_(count()) == 1
            raise LookupError

    with pytest.raises(LookupError):
        await vinyl.run(code)
    assert not await Author.vinyl.exists()
    assert in_use() == 0


async def test_an_alias_has_a_pool_and_a_pin_of_its_own():
    async with transaction.atomic():
        async with transaction.atomic(using="other"):
            await Author.vinyl.using("other").create(name="x")
            assert vinyl.connections["other"].statistics()["pool_in_use"] == 1
        assert vinyl.connections["other"].statistics()["pool_in_use"] == 0
        assert in_use() == 1
    assert await Author.vinyl.count() == 0
    assert await Author.vinyl.using("other").count() == 1


async def test_hold_pins_without_a_transaction_and_closes_its_connection():
    async with vinyl.connection.hold():
        assert in_use() == 1
        await Author.vinyl(name="x").insert()
        async with vinyl.connection.hold():
            await Author.vinyl.count()
        assert in_use() == 1
    assert in_use() == 0
    assert vinyl.connection.statistics()["returns_bad"] == 1
    assert await Author.vinyl.count() == 1


@pytest.mark.engine("postgresql", "mariadb", "mysql")
async def test_settings_of_a_hold_reach_nobody_else():
    set_name, show = SET_AND_SHOW[settings.ENGINE]
    async with vinyl.connection.hold():
        await vinyl.connection.execute(set_name)
        assert await vinyl.connection.execute(show) == [("held",)]
    names = await asyncio.gather(*(vinyl.connection.execute(show) for _ in range(20)))
    assert [("held",)] not in names


async def test_djangos_own_connection_is_untouched_by_the_bridge():
    plain = await asyncio.to_thread(lambda: [django_connections["default"], close_old_connections()][0])
    inside = await vinyl.run(lambda: django_connections["default"])
    assert type(plain).__module__ == type(inside).__module__
    assert isinstance(inside, type(plain))
    assert not isinstance(plain, type(inside))


async def test_connection_created_is_sent_once_per_connection():
    created = []

    def receiver(connection, **kwargs):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            created.append(cursor.fetchone())
        # The module's proxy is the same connection here.
        with django_connections[connection.alias].cursor() as cursor:
            cursor.execute("SELECT 2")

    connection_created.connect(receiver)
    try:
        await asyncio.gather(*(vinyl.connection.execute("SELECT 1") for _ in range(5)))
        await asyncio.gather(*(vinyl.connection.execute("SELECT 1") for _ in range(5)))
    finally:
        connection_created.disconnect(receiver)
    assert created == [(1,)] * vinyl.connection.statistics()["connections_num"]


def test_two_loops_one_after_the_other_work():
    async def use():
        author = await Author.vinyl(name="x").insert()
        await author.delete()
        return vinyl.connection.statistics()["connections_num"]

    assert [asyncio.run(use()), asyncio.run(use())] == [1, 1]


def test_a_loop_that_ends_closes_its_connections():
    pools = []

    async def main():
        await Author.vinyl.count()
        pools.append(source("default").pool)

    asyncio.run(main())
    assert pools[0].closed
    assert pools[0].statistics()["pool_size"] == 0


def test_a_thread_with_a_loop_of_its_own_works():
    def run():
        results.append(asyncio.run(Author.vinyl.create(name="thread")).name)

    results = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results == ["thread"]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_a_fork_gets_connections_of_its_own_and_leaves_its_parents_alone():
    await Author.vinyl(name="parent").insert()
    async with transaction.atomic():
        await Author.vinyl(name="in transaction").insert()
        pid = os.fork()
        if not pid:
            os._exit(in_the_child())
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await Author.vinyl(name="after the fork").insert()
    assert await Author.vinyl.count() == 3


def in_the_child():
    try:
        asyncio._set_running_loop(None)
        names = asyncio.run(read_names())
        gc.collect()
        return 0 if names == ["parent"] else 1
    except BaseException:
        traceback.print_exc()
        return 2


async def read_names():
    return await Author.vinyl.values_list("name", flat=True)


async def test_a_cursor_reads_on_one_connection_and_gives_it_back():
    await Author.vinyl.bulk_create([Author.vinyl(name=str(number)) for number in range(3)])
    async with vinyl.connection.cursor() as cursor:
        await cursor.execute("SELECT name FROM library_author ORDER BY id")
        assert in_use() == 1
        assert cursor.description[0][0] == "name"
        assert await cursor.fetchone() == ("0",)
        assert [row async for row in cursor] == [("1",), ("2",)]
    assert in_use() == 0


async def test_a_stream_that_is_left_early_gives_its_connection_back():
    await Author.vinyl.bulk_create([Author.vinyl(name=str(number)) for number in range(5)])
    stream = Author.vinyl.iterator(chunk_size=2)
    async for author in stream:
        assert author.name == "0"
        break
    await stream.aclose()
    assert in_use() == 0


async def test_raw_statements_that_leave_a_transaction_open_are_rolled_back():
    async with vinyl.connection.cursor() as cursor:
        await cursor.execute("BEGIN")
        await cursor.execute("INSERT INTO library_author (name) VALUES ('x')")
    assert in_use() == 0
    assert vinyl.connection.statistics()["returns_bad"] == 1
    assert not await Author.vinyl.exists()


@pytest.mark.session
@pytest.mark.engine("postgresql")
async def test_a_connection_that_the_server_has_closed_is_replaced():
    async with vinyl.connection.cursor() as holding:
        async with vinyl.connection.cursor() as cursor:
            await cursor.execute("SELECT pg_backend_pid()")
            [pid] = await cursor.fetchone()
        await holding.execute("SELECT pg_terminate_backend(%s)", [pid])
        await holding.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
        while await holding.fetchone():
            await holding.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
        assert await vinyl.connection.execute("SELECT pg_backend_pid()") != [(pid,)]
    assert vinyl.connection.statistics()["connections_lost"] == 1
    assert await vinyl.connection.execute("SELECT 1") == [(1,)]
    assert in_use() == 0


async def test_unknown_aliases_are_djangos_error():
    with pytest.raises(django_connections.exception_class, match="'nowhere'"):
        vinyl.connections["nowhere"]
    with pytest.raises(django_connections.exception_class, match="'nowhere'"):
        await Author.vinyl.using("nowhere").count()


def test_autocommit_off_is_refused_with_its_cure(settings_off):
    with pytest.raises(Exception, match="AUTOCOMMIT"):
        asyncio.run(Author.vinyl.count())


@pytest.fixture
def settings_off(monkeypatch):
    monkeypatch.setitem(django_connections.settings["default"], "AUTOCOMMIT", False)


@pytest.mark.parametrize("block", [transaction.atomic, vinyl.connection.hold], ids=["atomic", "hold"])
async def test_a_block_that_another_task_leaves_is_rolled_back_with_an_error(block):
    async def generator():
        async with block():
            await Author.vinyl(name="x").insert()
            yield

    halves = generator()
    await asyncio.create_task(anext(halves))
    with pytest.raises(vinyl.OwnershipError, match="left by another task"):
        await asyncio.create_task(anext(halves))
    assert await Author.vinyl.exists() == (block is not transaction.atomic)
    assert in_use() == 0


async def test_one_block_object_serves_many_tasks():
    async def insert(name):
        async with block, block:
            await Author.vinyl(name=name).insert()

    block = transaction.atomic()
    await asyncio.gather(*(insert(str(number)) for number in range(20)))
    assert await Author.vinyl.count() == 20


@pytest.mark.loops
async def test_each_kind_of_loop_serves():
    author = await Author.vinyl(name="x").insert()
    async with transaction.atomic():
        await author.update(name="y")
    assert await asyncio.gather(*(Author.vinyl.get(name="y") for _ in range(20))) == [author] * 20
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), transaction.atomic():
            await author.update(name="z")
            await asyncio.Event().wait()
    assert await Author.vinyl.values_list("name", flat=True) == ["y"]


@pytest.mark.engine("postgresql")
async def test_connections_follow_the_time_zone_that_a_test_sets():
    show = "SHOW TIME ZONE"
    assert await vinyl.connection.execute(show) == [("UTC",)]
    with override_settings(USE_TZ=False, TIME_ZONE="Africa/Nairobi"):
        assert await vinyl.connection.execute(show) == [("Africa/Nairobi",)]
    assert await vinyl.connection.execute(show) == [("UTC",)]
    async with transaction.atomic():
        assert await vinyl.run(_time_zone_of_djangos_code_in_a_test) == ("Africa/Nairobi",)
    assert await vinyl.connection.execute(show) == [("UTC",)]


def _time_zone_of_djangos_code_in_a_test():
    with override_settings(USE_TZ=False, TIME_ZONE="Africa/Nairobi"), django_connections["default"].cursor() as cursor:
        cursor.execute("SHOW TIME ZONE")
        return cursor.fetchone()


@pytest.mark.engine("postgresql", "mariadb", "mysql")
async def test_django_reaches_a_server_without_a_database():
    def ask():
        with django_connections["default"]._nodb_cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone()

    assert await vinyl.run(ask) == (1,)


@pytest.mark.engine("postgresql")
async def test_djangos_isolation_level_is_that_of_the_connection():
    with database({"isolation_level": IsolationLevel.SERIALIZABLE}) as alias:
        async with transaction.atomic(using=alias):
            assert await vinyl.connections[alias].execute("SHOW transaction_isolation") == [("serializable",)]
