"""SQLite's ways to fail: a file that is locked or full, and a transaction that SQLite itself has ended."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, OperationalError

import vinyl
from tests.aliases import counts, database
from tests.library.models import Author, Book
from vinyl import transaction
from vinyl.drivers import threaded

pytestmark = [pytest.mark.engine("sqlite"), pytest.mark.usefixtures("db")]

# Seconds that a slow machine may need for the rest; less than SQLite waits for a lock.
SLACK = 3


@pytest.mark.asynchronous
async def test_a_writer_who_finds_the_file_locked_gets_an_error_and_others_read_meanwhile():
    with database({"timeout": 0.2, "transaction_mode": "IMMEDIATE"}) as alias:
        await Author.vinyl.using(alias).count()
        async with transaction.atomic():
            await Author.vinyl(name="first").insert()
            writing = asyncio.create_task(Author.vinyl.using(alias).create(name="second"))
            while not writing.done():
                assert await vinyl.connections["other"].execute("SELECT 1") == [(1,)]
            with pytest.raises(OperationalError, match="locked"):
                await writing
            with pytest.raises(OperationalError, match="locked"):
                async with transaction.atomic(using=alias):
                    raise AssertionError("It was begun.")
        assert counts(alias, "pool_in_use", "returns_bad") == (0, 0)
        await Author.vinyl.using(alias).create(name="second")
    assert await Author.vinyl.values_list("name", flat=True) == ["first", "second"]


@pytest.mark.asynchronous
async def test_a_cancelled_statement_that_waits_for_a_lock_is_given_up_in_time_and_writes_nothing(monkeypatch):
    # What the documentation says, and less of it for this test.
    assert threaded.CANCEL_TIMEOUT == 5
    monkeypatch.setattr(threaded, "CANCEL_TIMEOUT", 0.2)
    with database({"timeout": 30}) as alias:
        await Author.vinyl.using(alias).count()
        async with transaction.atomic():
            await Author.vinyl.create(name="first")
            with noting_execution(alias) as executed:
                writing = asyncio.create_task(Author.vinyl.using(alias).create(name="second"))
                await executed.wait()
            started = time.monotonic()
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            assert time.monotonic() - started < 0.2 + SLACK
            assert counts(alias, "pool_in_use", "pool_size", "returns_bad") == (0, 0, 1)
        for thread in threads_of(alias):
            await asyncio.to_thread(thread.join, SLACK)
        assert threads_of(alias) == []
    assert await Author.vinyl.values_list("name", flat=True) == ["first"]


@contextmanager
def noting_execution(alias):
    """Give an event that is set as something is executed on the alias in the block."""
    executed = asyncio.Event()

    def note(execute, *args):
        executed.set()
        return execute(*args)

    with vinyl.connections[alias].execute_wrapper(note):
        yield executed


def threads_of(alias):
    return [thread for thread in threading.enumerate() if thread.name == f"vinyl {alias}"]


async def test_a_transaction_that_fills_the_disk_fails_with_that_error_and_leaves_nothing():
    with database({"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA max_page_count = 1"}) as alias:
        with pytest.raises(OperationalError, match="full"):
            async with transaction.atomic(using=alias):
                await Author.vinyl.using(alias).create(name="x")
                async with transaction.atomic(using=alias):
                    await Author.vinyl.using(alias).bulk_create([Author.vinyl(name="x" * 100) for _ in range(2000)])
        assert await Author.vinyl.using(alias).count() == 0
    await Author.vinyl.create(name="y")


@pytest.mark.parametrize("nested", [False, True], ids=["outermost", "savepoint"])
async def test_a_transaction_that_sqlite_has_rolled_back_itself_ends_with_its_error(nested):
    author = await Author.vinyl.create(name="x")
    book = await Book.vinyl.create(author=author, title="one")
    again = f"INSERT OR ROLLBACK INTO library_author (id, name) VALUES ({author.pk}, 'again')"
    with pytest.raises(IntegrityError):
        async with transaction.atomic():
            await book.update(title="two")
            if nested:
                async with transaction.atomic():
                    await vinyl.connection.execute(again)
            else:
                await vinyl.connection.execute(again)
    assert await Book.vinyl.values_list("title", flat=True) == ["one"]
    await book.update(title="three")
