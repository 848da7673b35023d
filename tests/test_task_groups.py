"""`tx.task_group()`: tasks that share a transaction, statement by statement."""

import asyncio
import contextvars

import pytest
from django.db import IntegrityError
from django.test import override_settings

import vinyl
from tests.library.models import Author
from vinyl import OwnershipError, PoolTimeout, transaction

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.asynchronous]


async def names():
    return sorted(await Author.vinyl.values_list("name", flat=True))


def insert(name):
    return Author.vinyl(name=name).insert()


@pytest.mark.loops
async def test_what_the_tasks_write_is_committed_with_the_block_on_one_connection():
    async with transaction.atomic() as tx:
        async with tx.task_group() as group:
            tasks = [group.create_task(insert(f"{number:02}")) for number in range(20)]
            await insert("own")
            assert vinyl.connection.statistics()["pool_in_use"] == 1
        assert [task.result().name for task in tasks] == [f"{number:02}" for number in range(20)]
        # Another task, in a context without the transaction, sees nothing yet.
    assert await names() == [*(f"{number:02}" for number in range(20)), "own"]


async def test_a_task_that_fails_cancels_the_others_and_rolls_back():
    is_waiting, was_cancelled = asyncio.Event(), []

    async def waits():
        await insert("first")
        is_waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.append(True)
            raise

    async def fails():
        await is_waiting.wait()
        raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        async with transaction.atomic() as tx, tx.task_group() as group:
            group.create_task(waits())
            group.create_task(fails())
    assert caught.group_contains(LookupError)
    assert was_cancelled == [True]
    assert await names() == []


async def test_leaving_waits_for_the_tasks_before_the_commit():
    may_end = asyncio.Event()

    async def late():
        await may_end.wait()
        await insert("late")

    async with transaction.atomic() as tx, tx.task_group() as group:
        group.create_task(late())
        asyncio.get_running_loop().call_soon(may_end.set)
    assert await names() == ["late"]


async def test_a_block_of_a_task_has_the_connection_until_it_ends():
    order = []

    async def block(name, fails):
        try:
            async with transaction.atomic():
                order.append(name)
                await insert(name)
                await asyncio.sleep(0)
                await insert(f"{name} again")
                order.append(name)
                if fails:
                    raise LookupError
        except LookupError:
            pass

    async with transaction.atomic() as tx, tx.task_group() as group:
        for number in range(4):
            group.create_task(block(str(number), fails=bool(number % 2)))
        group.create_task(insert("single"))
    assert [order[0::2], order[1::2]] == [["0", "1", "2", "3"]] * 2
    assert await names() == ["0", "0 again", "2", "2 again", "single"]


async def test_a_stream_of_one_task_goes_on_between_the_statements_of_another():
    await Author.vinyl.bulk_create([Author.vinyl(name=f"{number:03}") for number in range(300)])
    read = []

    async def reads():
        async for author in Author.vinyl.order_by("name").iterator(chunk_size=50):
            read.append(author.name)
            await asyncio.sleep(0)

    async def writes():
        for number in range(20):
            await insert(f"x{number}")

    async with transaction.atomic() as tx, tx.task_group() as group:
        group.create_task(reads())
        group.create_task(writes())
    assert [name for name in read if not name.startswith("x")] == [f"{number:03}" for number in range(300)]


async def test_an_error_of_the_database_in_a_task_rolls_all_of_it_back():
    await insert("there")
    there = await Author.vinyl.get()

    with pytest.raises(ExceptionGroup) as caught:
        async with transaction.atomic() as tx, tx.task_group() as group:
            group.create_task(insert("new"))
            group.create_task(Author.vinyl(pk=there.pk, name="twice").insert())
    assert caught.group_contains(IntegrityError)
    assert await names() == ["there"]


async def test_cancelling_the_block_cancels_the_tasks_and_rolls_back():
    is_waiting = asyncio.Event()

    async def waits():
        await insert("first")
        is_waiting.set()
        await asyncio.Event().wait()

    async def whole():
        async with transaction.atomic() as tx, tx.task_group() as group:
            group.create_task(waits())

    task = asyncio.create_task(whole())
    await is_waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names() == []


async def test_a_task_that_a_member_starts_by_itself_does_not_share_the_transaction():
    async def member():
        with pytest.raises(OwnershipError, match=r"start them by the task_group\(\) of the transaction"):
            await asyncio.create_task(insert("stray"))

    async with transaction.atomic() as tx, tx.task_group() as group:
        group.create_task(member())
    assert await names() == []


async def test_a_member_can_start_further_members():
    async def member():
        await group.create_task(insert("second"))
        await insert("first")

    async with transaction.atomic() as tx, tx.task_group() as group:
        group.create_task(member())
    assert await names() == ["first", "second"]


async def test_a_member_that_is_started_in_a_context_of_its_own_shares_the_transaction():
    with pytest.raises(LookupError):
        async with transaction.atomic() as tx:
            async with tx.task_group() as group:
                group.create_task(insert("first"), context=contextvars.Context())
            assert await names() == ["first"]
            raise LookupError
    assert await names() == []


@pytest.fixture
def impatience():
    with override_settings(VINYL={"POOL": {"default": {"timeout": 0.5}}}):
        yield


@pytest.mark.usefixtures("impatience")
async def test_who_waits_for_a_task_that_waits_for_its_turn_is_told():
    with pytest.raises(ExceptionGroup) as caught:
        async with transaction.atomic() as tx, tx.task_group() as group, transaction.atomic():
            await group.create_task(insert("never"))
    (error,) = [each for each in caught.value.exceptions if isinstance(each, PoolTimeout)]
    assert "no turn within 0.5 s" in str(error)
    assert str(error).endswith("in test_who_waits_for_a_task_that_waits_for_its_turn_is_told")


async def test_a_group_belongs_to_its_block_and_its_task():
    async with transaction.atomic() as tx:
        pass
    with pytest.raises(OwnershipError, match="entered outside of its transaction on the database 'default'"):
        async with tx.task_group():
            pass

    async def nested():
        async with transaction.atomic() as inner:
            with pytest.raises(OwnershipError, match="in a block of a task that shares its transaction"):
                async with inner.task_group():
                    pass

    async with transaction.atomic() as tx, tx.task_group() as group:
        group.create_task(nested())


async def test_a_second_group_and_one_of_an_inner_block_are_like_the_first():
    async with transaction.atomic() as tx:
        for name in ("a", "b"):
            async with tx.task_group() as group:
                group.create_task(insert(name))
    async with transaction.atomic(), transaction.atomic() as inner, inner.task_group() as group:
        group.create_task(insert("c"))
    assert await names() == ["a", "b", "c"]


def test_there_are_no_tasks_in_the_sync_mode():
    with vinyl.sync_mode(), transaction.atomic() as tx, pytest.raises(vinyl.ModeError, match="there are no tasks"):
        tx.task_group()
