"""A cancelled operation has been done or has not been done, never half, and leaves the pool whole.

The operations are cancelled at every place where they suspend: connecting, each statement, BEGIN, SAVEPOINT, RELEASE,
COMMIT and ROLLBACK included.
"""

import asyncio
import time
import uuid

import pytest
from django.db.models import F

import vinyl
from tests.hops import CancelledAt, cancelled_at_each_hop
from tests.library.models import Author, BigBranch, Book, Branch, Place
from vinyl import transaction

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.asynchronous]


async def assert_pool_is_whole() -> None:
    assert vinyl.connection.statistics()["pool_in_use"] == 0


async def assert_answers_are_not_mixed_up(count: int = 1000) -> None:
    """Have `count` statements echo a value of their own: an answer left over from before would come back instead."""
    values = [str(uuid.uuid4()) for _ in range(count)]
    echoed = await asyncio.gather(*(vinyl.connection.execute("SELECT %s", [value]) for value in values))
    assert echoed == [[(value,)] for value in values]
    await assert_pool_is_whole()


@pytest.fixture(params=["connected", "connecting"])
def connecting(request):
    """Whether the pool has an idle connection as the operation begins, or has to connect first."""
    return request.param == "connecting"


async def prepare(connecting):
    if connecting:
        await vinyl.close()
    else:
        await vinyl.connection.execute("SELECT 1")


async def test_insert_is_whole_or_absent(connecting):
    inserted = 0

    async def insert():
        nonlocal author
        author = Author.vinyl(name="x")
        await author.insert()

    async def check(finished):
        nonlocal inserted
        await assert_pool_is_whole()
        assert (author.pk is not None) == finished
        inserted += finished
        assert await Author.vinyl.count() >= inserted
        await prepare(connecting)

    author = None
    await prepare(connecting)
    assert await cancelled_at_each_hop(insert, check) > 0
    await assert_answers_are_not_mixed_up()


async def test_insert_of_a_child_writes_all_tables_or_none(connecting):
    async def insert():
        await BigBranch.vinyl(name="x", seats=1).insert()

    async def check(finished):
        await assert_pool_is_whole()
        places, branches, big = await Place.vinyl.count(), await Branch.vinyl.count(), await BigBranch.vinyl.count()
        assert places == branches == big
        assert big >= finished
        await prepare(connecting)

    await prepare(connecting)
    assert await cancelled_at_each_hop(insert, check) > 3
    await assert_answers_are_not_mixed_up()


async def test_update_is_whole_or_absent(connecting):
    await BigBranch.vinyl(pk=1, name="0", seats=0).insert()

    async def update():
        nonlocal branch, before
        branch = await BigBranch.vinyl.get(pk=1)
        before = branch.seats
        await branch.update(name=str(before + 1), seats=F("seats") + 1, floors=before + 1)

    async def check(finished):
        nonlocal branch
        await assert_pool_is_whole()
        name, seats, floors = await BigBranch.vinyl.values_list("name", "seats", "floors").get()
        assert (int(name), floors) in [(seats, seats), (0, 2)]
        if finished:
            assert (branch.name, branch.seats) == (name, seats) == (str(before + 1), before + 1)
        elif branch is not None:
            assert branch.seats == before
        branch = None
        await prepare(connecting)

    branch, before = None, 0
    await prepare(connecting)
    assert await cancelled_at_each_hop(update, check) > 3
    await assert_answers_are_not_mixed_up()


async def atomic_with_savepoint():
    async with transaction.atomic():
        await Author.vinyl(name="first").insert()
        async with transaction.atomic():
            await Author.vinyl(name="second").insert()
        try:
            async with transaction.atomic():
                await Author.vinyl(name="undone").insert()
                raise LookupError
        except LookupError:
            pass
        await Author.vinyl(name="third").insert()


@pytest.mark.parametrize("again", [0, 1, 2])
async def test_atomic_commits_all_or_nothing(connecting, again):
    async def check(finished):
        await assert_pool_is_whole()
        names = await Author.vinyl.values_list("name", flat=True)
        assert names in ([], ["first", "second", "third"])
        assert names or not finished
        await Author.vinyl.all().delete()
        await prepare(connecting)

    await prepare(connecting)
    assert await cancelled_at_each_hop(atomic_with_savepoint, check, again) > 6
    await assert_answers_are_not_mixed_up()


@pytest.mark.parametrize("again", [0, 1])
async def test_rolling_back_leaves_nothing_wherever_it_is_cancelled(connecting, again):
    async def rolled_back():
        try:
            async with transaction.atomic():
                await Author.vinyl(name="x").insert()
                raise LookupError
        except LookupError:
            pass

    async def check(finished):
        await assert_pool_is_whole()
        assert not await Author.vinyl.exists()
        await prepare(connecting)

    await prepare(connecting)
    assert await cancelled_at_each_hop(rolled_back, check, again) > 1
    await assert_answers_are_not_mixed_up()


async def test_delete_with_its_cascade_is_whole_or_absent():
    async def fill():
        author = await Author.vinyl.create(name="x")
        await Book.vinyl.bulk_create([Book.vinyl(author=author, title=str(n)) for n in range(3)])

    async def delete():
        await Author.vinyl.all().delete()

    async def check(finished):
        await assert_pool_is_whole()
        books = await Book.vinyl.count()
        assert books == 3 * await Author.vinyl.count()
        assert not (finished and books)
        if not books:
            await fill()

    await fill()
    assert await cancelled_at_each_hop(delete, check) > 2


@pytest.mark.engine("postgresql")
async def test_a_cancelled_statement_ends_on_the_server_too():
    marker = str(uuid.uuid4())
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> pg_backend_pid()"
    )
    sleeping = asyncio.create_task(vinyl.connection.execute(f"SELECT pg_sleep(60) /* {marker} */"))
    while await vinyl.connection.execute(running, [f"%{marker}%"]) == [(0,)]:
        assert not sleeping.done()
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert await vinyl.connection.execute(running, [f"%{marker}%"]) == [(0,)]
    await assert_pool_is_whole()
    assert vinyl.connection.statistics()["returns_bad"] == 0


@pytest.mark.engine("sqlite")
async def test_a_cancelled_statement_is_interrupted():
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await vinyl.connection.execute(endless)
    assert time.monotonic() - started < 3
    await assert_answers_are_not_mixed_up(10)
    assert vinyl.connection.statistics()["returns_bad"] == 0


async def test_timeout_and_task_group_cancel_a_transaction():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), transaction.atomic():
            await Author.vinyl(name="x").insert()
            await asyncio.Event().wait()

    async def insert_and_wait():
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            inserted.set()
            await asyncio.Event().wait()

    async def fail_when_it_is_inserted():
        await inserted.wait()
        raise LookupError

    inserted = asyncio.Event()
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(insert_and_wait())
            group.create_task(fail_when_it_is_inserted())
    assert not await Author.vinyl.exists()
    await assert_pool_is_whole()


async def test_a_waiter_for_a_connection_can_be_cancelled():
    async def hold(ready, leave):
        async with vinyl.connection.hold():
            ready.set()
            await leave.wait()

    leave = asyncio.Event()
    size = vinyl.connection.statistics()["pool_max"]
    ready = [asyncio.Event() for _ in range(size)]
    holders = [asyncio.create_task(hold(event, leave)) for event in ready]
    await asyncio.gather(*(event.wait() for event in ready))
    waiter = asyncio.create_task(vinyl.connection.execute("SELECT 1"))
    while not vinyl.connection.statistics()["requests_waiting"]:
        await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert vinyl.connection.statistics()["requests_waiting"] == 0
    leave.set()
    await asyncio.gather(*holders)
    await assert_answers_are_not_mixed_up(50)


async def test_a_coroutine_dropped_in_a_transaction_leaves_nothing():
    async def insert():
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            await never

    never = asyncio.get_running_loop().create_future()
    dropped = insert()
    # Driven by hand, since asyncio keeps its tasks alive and cancels rather than drops them.
    while (future := dropped.send(None)) is not never:
        future._asyncio_future_blocking = False
        await asyncio.wait([future])
    dropped.close()
    assert not await Author.vinyl.exists()
    await assert_pool_is_whole()


async def test_a_statement_cancelled_again_and_again_leaves_the_pool_whole():
    run = CancelledAt(vinyl.connection.execute("SELECT 1"), 1, 2, 3, 4)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(_awaited(run))
    await assert_pool_is_whole()
    await assert_answers_are_not_mixed_up(20)


async def _awaited(awaitable):
    return await awaitable
