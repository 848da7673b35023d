"""A statement that is cancelled in a transaction leaves it fit for rollback only, on every engine.

What such a statement has done nobody knows. PostgreSQL refuses to go on by itself; MySQL, MariaDB and SQLite would
commit the rest.
"""

import asyncio
import contextlib

import anyio
import pytest
from django.db import Error, connections

import vinyl
from tests.hops import CancelledAt, Dropped, DroppedAt
from tests.library.models import Author
from tests.wholeness import SLOW, assert_nothing_runs, assert_pool_is_whole
from vinyl import transaction
from vinyl.transaction import TransactionManagementError

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

LATE = pytest.mark.parametrize("late", [False, True], ids=["early", "late"])


def insert(name):
    return Author.vinyl(name=name).insert()


async def names():
    return await Author.vinyl.order_by("name").values_list("name", flat=True)


async def cancelled(awaitable, hop=1, late=False):
    """Cancel it at the hop, swallow the cancellation, and go on; tell whether it was cancelled."""
    run = CancelledAt(awaitable, hop, late=late)
    try:
        await run
    except asyncio.CancelledError:
        asyncio.current_task().uncancel()
    return run.hops >= hop


async def in_a_task(coroutine):
    """Await it in a task of its own, which keeps the cancellation from the test."""
    return await asyncio.create_task(coroutine)


@LATE
async def test_the_block_refuses_the_next_query_and_rolls_back(late):
    async def main(hop):
        async with transaction.atomic():
            await insert("before")
            is_reached = await cancelled(insert("cancelled"), hop, late)
            if is_reached:
                with pytest.raises(TransactionManagementError, match="can't execute queries") as caught:
                    await insert("after")
                assert isinstance(caught.value.__cause__, asyncio.CancelledError)
                assert transaction.get_rollback()
        return is_reached

    hop = 1
    while await in_a_task(main(hop)):
        assert await names() == []
        await assert_pool_is_whole()
        hop += 1
    assert hop > 1
    assert await names() == ["before", "cancelled"]


async def test_so_does_a_block_whose_statement_was_ended_by_a_timeout():
    async with transaction.atomic():
        await insert("before")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await vinyl.connection.execute(SLOW)
        with pytest.raises(TransactionManagementError):
            await insert("after")
    assert await names() == []
    await assert_nothing_runs()


async def test_so_does_a_block_whose_statement_was_ended_by_a_scope_of_anyio():
    async with transaction.atomic():
        await insert("before")
        with anyio.move_on_after(0.05):
            await vinyl.connection.execute(SLOW)
        with pytest.raises(TransactionManagementError):
            await insert("after")
    assert await names() == []
    await assert_nothing_runs()


@LATE
@pytest.mark.parametrize("read", ["count", "stream", "cursor"])
async def test_a_cancelled_read_counts_as_well(read, late):
    async def from_stream():
        async for _ in Author.vinyl.iterator(chunk_size=1):
            pass

    async def by_cursor():
        async with vinyl.connection.cursor() as cursor:
            await cursor.execute("SELECT 1")

    async def main(hop):
        async with transaction.atomic():
            await insert("before")
            reads = {"count": Author.vinyl.count, "stream": from_stream, "cursor": by_cursor}
            is_reached = await cancelled(reads[read](), hop, late)
            if is_reached:
                with pytest.raises(TransactionManagementError):
                    await insert("after")
        return is_reached

    hop = 1
    while await in_a_task(main(hop)):
        assert await names() == []
        hop += 1
    assert hop > 1
    assert await names() == ["before"]


@LATE
async def test_after_the_inner_block_that_it_has_left_the_outer_one_goes_on(late):
    async def inner():
        async with transaction.atomic():
            await insert("inner, before")
            await CancelledAt(insert("inner, cancelled"), 1, late=late)

    async def main():
        async with transaction.atomic():
            await insert("outer, before")
            with pytest.raises(asyncio.CancelledError):
                await inner()
            asyncio.current_task().uncancel()
            await insert("outer, after")

    await in_a_task(main())
    assert await names() == ["outer, after", "outer, before"]
    assert vinyl.connection.statistics()["returns_bad"] == 0


async def test_an_inner_block_without_a_savepoint_takes_the_outer_one_with_it():
    async def main():
        async with transaction.atomic():
            await insert("outer")
            with contextlib.suppress(asyncio.CancelledError):
                async with transaction.atomic(savepoint=False):
                    await CancelledAt(insert("inner"), 1)
            asyncio.current_task().uncancel()
            with pytest.raises(TransactionManagementError):
                await insert("after")

    await in_a_task(main())
    assert await names() == []


@LATE
@pytest.mark.parametrize("fails", [False, True], ids=["RELEASE", "ROLLBACK TO"])
async def test_a_savepoint_that_is_cancelled_as_it_begins_or_ends_takes_the_transaction_with_it(fails, late):
    async def inner():
        with contextlib.suppress(LookupError):
            async with transaction.atomic():
                await insert("inner")
                if fails:
                    raise LookupError

    async def main(hop):
        async with transaction.atomic():
            await insert("outer")
            is_reached = await cancelled(inner(), hop, late)
            if is_reached and transaction.get_rollback():
                with pytest.raises(TransactionManagementError):
                    await insert("after")
        return is_reached

    # Whatever is committed is so as a whole, and each hop but those of the statement in the block ends it all.
    hop, ended = 1, 0
    while await in_a_task(main(hop)):
        found = await names()
        assert found in ([], ["outer"])
        ended += not found
        await Author.vinyl.all().delete()
        hop += 1
    assert ended >= 2
    assert await names() == (["outer"] if fails else ["inner", "outer"])


async def test_a_member_of_a_task_group_that_is_cancelled_alone_takes_the_transaction_with_it():
    async def member():
        await CancelledAt(insert("cancelled"), 1)

    async with transaction.atomic() as tx:
        async with tx.task_group() as group:
            group.create_task(member())
        with pytest.raises(TransactionManagementError):
            await insert("after")
    assert await names() == []


async def test_a_statement_that_is_dropped_loses_the_transaction():
    async with transaction.atomic():
        await insert("before")
        with pytest.raises(Dropped):
            await DroppedAt(insert("dropped"), 1)
        with pytest.raises(Error):
            await insert("after")
    assert await names() == []
    await assert_nothing_runs()
    await assert_pool_is_whole()


async def test_cancelling_what_is_no_statement_leaves_the_transaction_as_it_is():
    async def main():
        async with transaction.atomic():
            await insert("before")
            await cancelled(asyncio.sleep(10))
            await insert("after")

    await in_a_task(main())
    assert await names() == ["after", "before"]


async def test_leaving_a_loop_over_a_cursor_leaves_the_transaction_as_it_is():
    def read_one():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT id FROM library_author")
            for _ in cursor:
                break

    async with transaction.atomic():
        await insert("first")
        await insert("second")
        await vinyl.run(read_one)
        await insert("third")
    assert await names() == ["first", "second", "third"]
