"""Connections that the server ends: idle, in a statement, in a transaction, in a stream, in between."""

import asyncio

import pytest
from django.db import DatabaseError, OperationalError

import vinyl
from tests import server_connections
from tests.aliases import counts, database
from tests.library.models import Author
from tests.server_connections import own_number, sleep
from tests.wholeness import assert_answers_are_not_mixed_up
from vinyl import transaction

pytestmark = [
    pytest.mark.engine("postgresql", "mariadb", "mysql"),
    pytest.mark.usefixtures("db"),
    pytest.mark.asynchronous,
    pytest.mark.direct,
]


async def end_when_it_runs(marker):
    """End the connection of a statement once the server runs it."""
    await server_connections.end(await server_connections.number_of(marker))


async def sleep_and_be_ended(marker):
    """Execute a statement whose connection is ended meanwhile, and return its error."""
    ending = asyncio.create_task(end_when_it_runs(marker))
    with pytest.raises(OperationalError) as caught:
        await vinyl.connection.execute(sleep(60, marker))
    await ending
    return caught.value


# Idle.


@pytest.mark.loops
async def test_idle_connections_that_the_server_has_ended_are_all_replaced_before_they_are_lent():
    numbers = await asyncio.gather(*(own_number() for _ in range(5)))
    assert len(set(numbers)) == 5
    await server_connections.end(*numbers)
    found = await asyncio.gather(*(own_number() for _ in range(20)))
    assert set(found).isdisjoint(numbers)
    assert counts("default", "connections_lost", "returns_bad", "requests_errors", "pool_in_use") == (5, 0, 0, 0)


async def test_only_the_connection_that_the_server_has_ended_is_replaced():
    numbers = await asyncio.gather(*(own_number() for _ in range(3)))
    await server_connections.end(numbers[1])
    found = await asyncio.gather(*(own_number() for _ in range(3)))
    assert len(set(found) & set(numbers)) == 2
    assert counts("default", "connections_lost", "connections_num") == (1, 4)


async def test_a_connection_that_was_ended_as_its_holder_went_on_is_not_handed_to_who_waits():
    async def hold():
        async with vinyl.connections[alias].cursor() as cursor:
            await cursor.execute("SELECT 1")
            held.set()
            await leave.wait()

    held, leave = asyncio.Event(), asyncio.Event()
    with database(pool={"max_size": 1}) as alias:
        number = await own_number(alias)
        holder = asyncio.create_task(hold())
        await held.wait()
        waiter = asyncio.create_task(own_number(alias))
        while not vinyl.connections[alias].statistics()["requests_waiting"]:
            await asyncio.sleep(0)
        await server_connections.end(number)
        leave.set()
        await holder
        assert await waiter != number
        assert sum(counts(alias, "connections_lost", "returns_bad")) == 1
        assert counts(alias, "pool_in_use", "pool_size") == (0, 1)


# In a statement.


async def test_a_statement_whose_connection_is_ended_raises_and_only_its_connection_is_replaced(marker):
    before = await asyncio.gather(*(own_number() for _ in range(3)))
    await sleep_and_be_ended(marker)
    assert counts("default", "returns_bad", "pool_in_use", "pool_size") == (1, 0, 2)
    after = await asyncio.gather(*(own_number() for _ in range(3)))
    assert len(set(before) & set(after)) == 2
    await assert_answers_are_not_mixed_up(50)


async def test_statements_of_other_tasks_go_on_as_one_connection_is_ended(marker):
    others = [asyncio.create_task(echo_slowly(number)) for number in range(5)]
    await sleep_and_be_ended(marker)
    assert await asyncio.gather(*others) == [0, 1, 2, 3, 4]
    assert counts("default", "returns_bad") == (1,)


async def echo_slowly(number):
    async with vinyl.connection.cursor() as cursor:
        await cursor.execute(sleep(0.05))
        await cursor.execute("SELECT %s", [number])
        return (await cursor.fetchone())[0]


async def test_many_statements_whose_connections_are_all_ended_each_raise(marker):
    running = [asyncio.create_task(vinyl.run(executed, sleep(60, f"{marker}{n}"))) for n in range(5)]
    numbers = [await server_connections.number_of(f"{marker}{n}") for n in range(5)]
    await server_connections.end(*numbers)
    errors = await asyncio.gather(*running, return_exceptions=True)
    assert [isinstance(error, OperationalError) for error in errors] == [True] * 5
    assert counts("default", "returns_bad", "pool_in_use", "pool_size") == (5, 0, 0)
    await assert_answers_are_not_mixed_up(50)


def executed(sql):
    return list(Author.objects.raw(sql))


# In a transaction.


@pytest.mark.parametrize("nested", [False, True], ids=["outermost", "savepoint"])
async def test_a_transaction_whose_statement_loses_its_connection_fails_with_that_error(marker, nested):
    errors = []
    with pytest.raises(OperationalError) as caught:
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            async with transaction.atomic() if nested else vinyl.connection.cursor():
                errors.append(await sleep_and_be_ended(marker))
                raise errors[0]
    assert caught.value is errors[0]
    assert not await Author.vinyl.exists()
    assert counts("default", "returns_bad", "pool_in_use") == (1, 0)
    await assert_answers_are_not_mixed_up(50)


async def test_a_transaction_that_begins_on_a_held_connection_that_was_lost_fails_with_an_operational_error(marker):
    async with vinyl.connection.hold():
        await sleep_and_be_ended(marker)
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                pytest.fail("There is nothing to begin it on.")
    assert counts("default", "pool_in_use") == (0,)
    await assert_answers_are_not_mixed_up(50)


@pytest.mark.parametrize("statement", ["SELECT", "INSERT", "SAVEPOINT", "COMMIT"])
async def test_a_transaction_that_is_ended_between_two_statements_fails_at_the_next(statement):
    reached = []
    with pytest.raises(OperationalError):
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            await transaction.on_commit(lambda: reached.append("on_commit"))
            await server_connections.end(await own_number())
            if statement == "SELECT":
                await Author.vinyl.count()
            elif statement == "INSERT":
                await Author.vinyl(name="y").insert()
            elif statement == "SAVEPOINT":
                async with transaction.atomic():
                    reached.append("the inner block")
            if statement != "COMMIT":
                reached.append("the statement after")
    assert reached == []
    assert not await Author.vinyl.exists()
    assert counts("default", "returns_bad", "pool_in_use") == (1, 0)
    await assert_answers_are_not_mixed_up(50)


async def test_an_error_of_the_block_is_not_hidden_by_a_rollback_on_a_lost_connection():
    with pytest.raises(LookupError):
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            await server_connections.end(await own_number())
            raise LookupError
    assert not await Author.vinyl.exists()
    assert counts("default", "pool_in_use") == (0,)


async def test_an_error_of_a_savepoints_block_is_not_hidden_by_a_rollback_on_a_lost_connection():
    with pytest.raises(DatabaseError):
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            with pytest.raises(LookupError):
                async with transaction.atomic():
                    await server_connections.end(await own_number())
                    raise LookupError
            await Author.vinyl(name="y").insert()
    assert not await Author.vinyl.exists()
    assert counts("default", "pool_in_use") == (0,)
    await assert_answers_are_not_mixed_up(50)


async def test_a_cancellation_of_a_block_is_not_hidden_by_a_lost_connection():
    async def insert_and_wait():
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            await server_connections.end(await own_number())
            lost.set()
            await asyncio.Event().wait()

    lost = asyncio.Event()
    task = asyncio.create_task(insert_and_wait())
    await lost.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await Author.vinyl.exists()
    assert counts("default", "pool_in_use") == (0,)


async def test_tasks_that_share_a_transaction_all_end_when_it_loses_its_connection(marker):
    async def insert(name):
        await Author.vinyl(name=name).insert()

    async def lose():
        await vinyl.connection.execute(sleep(60, marker))

    # Not from within: all that is done there waits for the turn of its task.
    ending = asyncio.create_task(end_when_it_runs(marker))
    with pytest.raises(ExceptionGroup) as caught:
        async with transaction.atomic() as tx, tx.task_group() as group:
            for number in range(5):
                group.create_task(insert(str(number)))
            group.create_task(lose())
    await ending
    assert caught.group_contains(OperationalError)
    assert not await Author.vinyl.exists()
    assert counts("default", "pool_in_use") == (0,)
    await assert_answers_are_not_mixed_up(50)


# In a hold, and in a stream.


async def test_a_hold_whose_connection_is_ended_fails_at_the_next_statement_and_is_left_as_ever():
    async with vinyl.connection.hold():
        number = await own_number()
        await server_connections.end(number)
        with pytest.raises(OperationalError):
            await own_number()
    assert await own_number() != number
    assert counts("default", "pool_in_use") == (0,)


async def names_of_a_stream_that_is_ended(alias, names):
    """Stream the names of authors into a list; after the second the stream's connection is ended."""
    await Author.vinyl.bulk_create([Author.vinyl(name=str(number)) for number in range(10)])
    number = await own_number(alias)
    async for author in Author.vinyl.using(alias).order_by("id").iterator(chunk_size=2):
        names.append(author.name)
        if len(names) == 2:
            await server_connections.end(number)


@pytest.mark.engine("postgresql")
async def test_a_stream_whose_connection_is_ended_raises_and_gives_nothing_twice():
    names = []
    with database(pool={"max_size": 1}) as alias:
        with pytest.raises(OperationalError):
            await names_of_a_stream_that_is_ended(alias, names)
        assert names == ["0", "1"]
        assert counts(alias, "pool_in_use", "returns_bad") == (0, 1)
        assert await Author.vinyl.using(alias).count() == 10


@pytest.mark.engine("mariadb", "mysql")
async def test_a_stream_that_has_all_rows_already_gives_them_though_its_connection_is_ended():
    names = []
    with database(pool={"max_size": 1}) as alias:
        await names_of_a_stream_that_is_ended(alias, names)
        assert names == [str(number) for number in range(10)]
        assert counts(alias, "pool_in_use") == (0,)
        assert await Author.vinyl.using(alias).count() == 10
