"""Pools whose connections are all in use: who waits for them in vain is told who has them, and nobody hangs."""

import asyncio
import contextvars

import pytest
from django.db import OperationalError

import vinyl
from tests.aliases import counts, database
from tests.library.models import Author
from vinyl import PoolTimeout, transaction

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

# Everything here is over in less.
SOON = 20


@pytest.fixture
def one():
    """An alias of the default database with a pool of one connection."""
    with database(pool={"max_size": 1, "timeout": 0.5}) as alias:
        yield alias


@pytest.fixture
def two():
    """Another alias like it."""
    with database(pool={"max_size": 1, "timeout": 0.5}) as alias:
        yield alias


def in_a_context_of_its_own(coroutine):
    """Start a task that inherits no transaction, as one that was started before."""
    return asyncio.create_task(coroutine, context=contextvars.Context())


async def count(alias):
    return await Author.vinyl.using(alias).count()


async def assert_goes_on(*aliases):
    for alias in aliases:
        assert counts(alias, "pool_in_use", "requests_waiting") == (0, 0)
        assert await asyncio.gather(*(count(alias) for _ in range(5))) == [0] * 5


@pytest.mark.parametrize("block", ["atomic", "hold"])
async def test_a_block_of_one_database_may_use_another_whose_pool_is_as_small(one, two, block):
    async with transaction.atomic(using=one) if block == "atomic" else vinyl.connections[one].hold():
        assert await count(one) == await count(two) == await count(one) == 0
        async with transaction.atomic(using=two):
            assert await count(one) == await count(two) == 0
    await assert_goes_on(one, two)


@pytest.mark.parametrize("block", ["atomic", "hold"])
async def test_who_waits_in_a_block_for_a_task_that_needs_the_connection_is_named(one, block):
    async def waits_for_another():
        async with transaction.atomic(using=one) if block == "atomic" else vinyl.connections[one].hold():
            return await in_a_context_of_its_own(count(one))

    async with asyncio.timeout(SOON):
        with pytest.raises(PoolTimeout) as caught:
            await asyncio.create_task(waits_for_another(), name="the first")
    assert repr(one) in str(caught.value)
    assert f"by task 'the first' at \"{__file__}\", line " in str(caught.value)
    assert str(caught.value).endswith("in waits_for_another")
    await assert_goes_on(one)


async def test_two_tasks_that_each_need_the_connection_of_the_other_do_not_hang(one, two):
    async def first_one_then(first, second):
        async with transaction.atomic(using=first):
            ready.append(first)
            while len(ready) < 2:
                await asyncio.sleep(0)
            return await Author.vinyl.using(second).count()

    ready = []
    async with asyncio.timeout(SOON):
        ended = await asyncio.gather(first_one_then(one, two), first_one_then(two, one), return_exceptions=True)
    errors = [error for error in ended if error != 0]
    assert errors
    assert {type(error) for error in errors} == {PoolTimeout}
    assert all("in first_one_then" in str(error) for error in errors)
    await assert_goes_on(one, two)


@pytest.mark.session
async def test_a_query_within_a_stream_that_has_the_only_connection_names_its_own_line(one):
    await Author.vinyl.bulk_create([Author.vinyl(name=str(number)) for number in range(4)])
    names = []
    async with asyncio.timeout(SOON):
        async for author in Author.vinyl.using(one).order_by("id").iterator(chunk_size=2):
            names.append(author.name)
            if len(names) == 1:
                with pytest.raises(PoolTimeout, match="only_connection_names_its_own_line"):
                    await Author.vinyl.using(one).count()
    assert names == ["0", "1", "2", "3"]
    assert counts(one, "pool_in_use") == (0,)


async def test_of_many_who_wait_in_vain_each_gets_an_error_of_its_own(one):
    async with asyncio.timeout(SOON), vinyl.connections[one].hold():
        waiting = [in_a_context_of_its_own(count(one)) for _ in range(20)]
        errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in errors} == {PoolTimeout}
    assert len(set(map(id, errors))) == 20
    assert isinstance(errors[0], OperationalError)
    await assert_goes_on(one)


async def test_while_one_pool_is_exhausted_others_are_served(one, two):
    async with asyncio.timeout(SOON), vinyl.connections[one].hold():
        waiting = [in_a_context_of_its_own(count(one)) for _ in range(20)]
        for _ in range(20):
            assert await count(two) == await count("default") == 0
        await asyncio.gather(*waiting, return_exceptions=True)
    await assert_goes_on(one, two)
