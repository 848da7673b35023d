"""Blocks in asynchronous generators: closed, they end as in the sync mode; dropped, the block around is lost."""

import asyncio
import gc
from contextlib import AsyncExitStack, aclosing

import pytest
from django.db.transaction import TransactionManagementError

import vinyl
from tests.library.models import Author
from vinyl import transaction

pytestmark = pytest.mark.usefixtures("db")

BLOCKS = {
    "atomic": lambda: transaction.atomic(),
    "cursor": lambda: vinyl.connection.cursor(),
    "hold": lambda: vinyl.connection.hold(),
}
blocks = pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)

# What a block that has lost its connection must not do elsewhere.
WORK = {
    "planned": lambda: Author.vinyl.filter(name="none").count(),
    "written": lambda: Author.vinyl.create(name="after"),
    "by hand": lambda: vinyl.connection.execute("INSERT INTO library_author (name) VALUES ('after')"),
    "synchronous": lambda: vinyl.run(lambda: Author.objects.create(name="after")),
    "side by side": lambda: vinyl.gather(Author.vinyl.all(), Author.vinyl.all()),
    "in an inner block": lambda: in_block(transaction.atomic()),
    "in a hold": lambda: in_block(vinyl.connection.hold()),
    "with a cursor": lambda: in_block(vinyl.connection.cursor()),
}


async def in_block(block):
    async with block:
        await Author.vinyl.create(name="after")


async def names():
    return sorted(await Author.vinyl.values_list("name", flat=True))


async def generator(block, name):
    async with block:
        yield await Author.vinyl.create(name=name)
        yield None


async def leave_early(given):
    async with aclosing(given):
        async for _ in given:
            break


@blocks
async def test_a_generator_that_is_closed_in_a_transaction_leaves_that_as_it_is(block):
    async with transaction.atomic():
        await Author.vinyl.create(name="before")
        await leave_early(generator(block(), "in the generator"))
        await Author.vinyl.create(name="after")
    # As Django's, which an error of any kind rolls back.
    kept = [] if block is BLOCKS["atomic"] else ["in the generator"]
    assert await names() == ["after", "before", *kept]


@blocks
async def test_a_generator_that_is_closed_outside_of_a_transaction_ends_its_own(block):
    await leave_early(generator(block(), "in the generator"))
    await Author.vinyl.create(name="after")
    kept = [] if block is BLOCKS["atomic"] else ["in the generator"]
    assert await names() == ["after", *kept]


async def test_a_generator_can_be_closed_while_others_are_in_the_same_block():
    block = transaction.atomic()
    async with block:
        await Author.vinyl.create(name="before")
        await leave_early(generator(block, "in the generator"))
    assert await names() == ["before"]


async def test_a_generator_may_have_its_block_on_an_exit_stack():
    async def stacked():
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(transaction.atomic())
            yield await Author.vinyl.create(name="in the generator")

    async with transaction.atomic():
        await leave_early(stacked())
        await Author.vinyl.create(name="after")
    assert await names() == ["after"]


async def dropped(block):
    """Leave a loop over a generator by `break`, and wait until asyncio has closed that, in a task of its own."""
    others = asyncio.all_tasks()
    async for _ in generator(block, "in the generator"):
        break
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.gather(*asyncio.all_tasks() - others)


@pytest.mark.asynchronous
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
@blocks
async def test_what_follows_a_dropped_block_is_not_committed_without_the_block_around(block, work):
    with pytest.raises(TransactionManagementError, match="before it ended"):
        async with transaction.atomic():
            await Author.vinyl.create(name="before")
            await dropped(block())
            for _ in range(2):
                with pytest.raises(TransactionManagementError, match=r"contextlib\.aclosing"):
                    await work()
    assert await names() == []
    await work()


@pytest.mark.asynchronous
async def test_all_blocks_around_a_dropped_one_are_lost_and_none_after_them():
    with pytest.raises(TransactionManagementError, match="before it ended"):
        async with transaction.atomic():
            await Author.vinyl.create(name="outer")
            with pytest.raises(TransactionManagementError, match="before it ended"):
                async with transaction.atomic():
                    await Author.vinyl.create(name="inner")
                    await dropped(transaction.atomic())
            with pytest.raises(TransactionManagementError, match=r"contextlib\.aclosing"):
                await Author.vinyl.create(name="after the inner one")
    async with transaction.atomic():
        await Author.vinyl.create(name="next")
    assert await names() == ["next"]


@pytest.mark.asynchronous
async def test_a_dropped_block_that_is_the_outermost_is_rolled_back_alone():
    await dropped(transaction.atomic())
    await Author.vinyl.create(name="after")
    assert await names() == ["after"]


@pytest.mark.asynchronous
async def test_what_follows_a_block_that_another_task_has_left_is_not_committed_without_the_block_around():
    async def halves():
        async with transaction.atomic():
            yield
            yield

    with pytest.raises(TransactionManagementError, match="before it ended"):
        async with transaction.atomic():
            await Author.vinyl.create(name="before")
            given = halves()
            await anext(given)
            with pytest.raises(vinyl.OwnershipError, match="left by another task"):
                await asyncio.create_task(given.athrow(LookupError))
            with pytest.raises(TransactionManagementError, match=r"contextlib\.aclosing"):
                await Author.vinyl.create(name="after")
    assert await names() == []


@pytest.mark.asynchronous
async def test_an_object_that_many_blocks_are_made_of_keeps_no_task_that_was_dropped():
    block = transaction.atomic()
    for _ in range(3):
        await dropped(block)
    assert (block._entered._pins, block._openers) == ({}, [])
