"""Whoever ends a task, and wherever it waits, nothing is left of what it did: in the database, the pool or the server.

What is ended at every place where it suspends is in test_cancellation_matrix.py.
"""

import asyncio
import gc
import os

import anyio
import pytest
from django.test import override_settings

import vinyl
from tests.library.models import Author
from tests.wholeness import (
    SLOW,
    assert_answers_are_not_mixed_up,
    assert_nothing_runs,
    assert_pool_is_whole,
    is_anything_running,
    what_is_running,
)
from vinyl import transaction

pytestmark = [
    pytest.mark.usefixtures("db"),
    # Of a cycle the garbage collector may come to psycopg's cursor first.
    pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning"),
]

# Of an advisory lock, which is the server's: each process has its own.
KEY = os.getpid()


class InAStatement:
    """Where a task waits: run() waits for ever, from when begun() ends."""

    async def prepare(self):
        self.reached = asyncio.Event()
        await Author.vinyl.create(name="there")

    async def run(self):
        self.reached.set()
        await vinyl.connection.execute(SLOW)

    async def begun(self):
        await self.reached.wait()
        while not await is_anything_running():
            await asyncio.sleep(0)

    async def end(self):
        pass


class InATransaction(InAStatement):
    async def run(self):
        async with transaction.atomic():
            await Author.vinyl.create(name="x")
            async with transaction.atomic():
                await Author.vinyl.create(name="y")
                await super().run()


class BetweenTwoStatements(InAStatement):
    async def run(self):
        async with transaction.atomic():
            await Author.vinyl.create(name="x")
            self.reached.set()
            await asyncio.Event().wait()

    async def begun(self):
        await self.reached.wait()


class InAHold(InAStatement):
    async def run(self):
        async with vinyl.connection.hold():
            await super().run()


class InALoopOverAStream(InAStatement):
    async def run(self):
        async for _ in Author.vinyl.iterator(chunk_size=1):
            self.reached.set()
            await asyncio.Event().wait()

    async def begun(self):
        await self.reached.wait()


class InThePool(InAStatement):
    async def prepare(self):
        await super().prepare()
        self.leave, entered = asyncio.Event(), asyncio.Event()

        async def have():
            async with transaction.atomic():
                entered.set()
                await self.leave.wait()

        self.holder = asyncio.create_task(have())
        await entered.wait()

    async def run(self):
        await vinyl.connection.execute("SELECT 1")

    async def begun(self):
        while not vinyl.connection.statistics()["requests_waiting"]:
            await asyncio.sleep(0)

    async def end(self):
        self.leave.set()
        await self.holder


PLACES = [InAStatement, InATransaction, BetweenTwoStatements, InAHold, InALoopOverAStream, InThePool]


async def cancel(place, times=1):
    task = asyncio.create_task(place.run())
    await place.begun()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancel_again_and_again(place):
    await cancel(place, 5)


async def timeout(place):
    async def reschedule():
        await place.begun()
        limit.reschedule(asyncio.get_running_loop().time())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            rescheduling = asyncio.create_task(reschedule())
            await place.run()
    await rescheduling


async def task_group(place):
    async def fail():
        await place.begun()
        raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(place.run())
            group.create_task(fail())
    assert caught.group_contains(LookupError)


async def scope_of_anyio(place):
    async def cancel_it():
        await place.begun()
        scope.cancel()

    with anyio.CancelScope() as scope:
        cancelling = asyncio.create_task(cancel_it())
        await place.run()
    assert scope.cancelled_caught
    await cancelling


async def deadline_of_anyio(place):
    async def reschedule():
        await place.begun()
        scope.deadline = anyio.current_time()

    with anyio.move_on_after(None) as scope:
        rescheduling = asyncio.create_task(reschedule())
        await place.run()
    assert scope.cancelled_caught
    await rescheduling


async def task_group_of_anyio(place):
    async with anyio.create_task_group() as group:
        group.start_soon(place.run)
        await place.begun()
        group.cancel_scope.cancel()


async def driven(place):
    """Drive the coroutine by hand until it waits: asyncio keeps its tasks alive, and cancels rather than drops them."""
    coroutine = place.run()
    begun = asyncio.create_task(place.begun())
    while not begun.done():
        future = coroutine.send(None)
        if future is not None:
            future._asyncio_future_blocking = False
            await asyncio.wait([future, begun], return_when=asyncio.FIRST_COMPLETED)
    return coroutine


async def close(place):
    (await driven(place)).close()


async def collect(place):
    cycle = [await driven(place)]
    cycle.append(cycle)
    del cycle
    gc.collect()


CANCELLING = [
    cancel,
    cancel_again_and_again,
    timeout,
    task_group,
    scope_of_anyio,
    deadline_of_anyio,
    task_group_of_anyio,
]
EACH_PLACE = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)


@pytest.fixture
def small_pool():
    with override_settings(VINYL={"POOL": {"default": {"max_size": 1}}}):
        yield


async def assert_nothing_is_left():
    await assert_nothing_runs()
    assert await Author.vinyl.values_list("name", flat=True) == ["there"]
    await assert_pool_is_whole()


@pytest.mark.asynchronous
@pytest.mark.usefixtures("small_pool")
@EACH_PLACE
@pytest.mark.parametrize("end", [*CANCELLING, close, collect], ids=lambda end: end.__name__)
async def test_nothing_is_left_of_a_task(place, end):
    waiting = place()
    await waiting.prepare()
    await end(waiting)
    await waiting.end()
    await assert_nothing_is_left()
    await assert_answers_are_not_mixed_up(20)


@EACH_PLACE
@pytest.mark.usefixtures("small_pool")
def test_nothing_is_left_of_a_task_whose_loop_is_shut_down(place):
    async def main():
        waiting = place()
        await waiting.prepare()
        tasks.append(asyncio.create_task(waiting.run()))
        await waiting.begun()

    tasks = []
    asyncio.run(main())
    assert tasks[0].cancelled()
    asyncio.run(assert_nothing_is_left())


@pytest.mark.asynchronous
@pytest.mark.parametrize("end", CANCELLING, ids=lambda end: end.__name__)
async def test_a_cancelled_statement_ends_at_once_and_its_connection_goes_on(end):
    waiting = InAStatement()
    await waiting.prepare()
    await end(waiting)
    assert await what_is_running() == []
    assert vinyl.connection.statistics()["returns_bad"] == 0
    assert vinyl.connection.statistics()["pool_size"] == 1


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
async def test_of_many_statements_only_those_end_that_are_cancelled():
    async def wait_for_lock(number):
        await is_locked.wait()
        return await vinyl.connection.execute("SELECT %s, pg_advisory_xact_lock(%s)", [number, KEY])

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    is_locked = asyncio.Event()
    cancelled = [asyncio.create_task(wait_for_lock(number)) for number in range(4)]
    going_on = [asyncio.create_task(wait_for_lock(number)) for number in range(4, 8)]
    async with transaction.atomic():
        await vinyl.connection.execute("SELECT pg_advisory_xact_lock(%s)", [KEY])
        is_locked.set()
        while await vinyl.connection.execute(waiting, [KEY]) != [(8,)]:
            assert not any(task.done() for task in (*cancelled, *going_on))
        for task in cancelled:
            task.cancel()
        await asyncio.wait(cancelled)
        assert await vinyl.connection.execute(waiting, [KEY]) == [(4,)]
    assert await asyncio.gather(*going_on) == [[(number, "")] for number in range(4, 8)]
    assert all(task.cancelled() for task in cancelled)
    await assert_answers_are_not_mixed_up(50)
    assert vinyl.connection.statistics()["returns_bad"] == 0
