"""What a driver does about a cancelled statement goes on, however often and by whomever its task is cancelled."""

import asyncio
import contextlib

import anyio
import pytest

from vinyl.drivers.persistence import persist

pytestmark = pytest.mark.asynchronous


def in_seconds(seconds):
    return asyncio.get_running_loop().time() + seconds


async def several_waits(number=5):
    for _ in range(number):
        # A file descriptor that is ready, say, is seen in a later round of the loop than it was asked for.
        await asyncio.sleep(0.001)
    return "ended"


async def endless():
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(True)


ended: list[bool] = []


@pytest.fixture(autouse=True)
def nothing_ended():
    ended.clear()


@pytest.mark.loops
async def test_a_step_comes_to_its_end_where_each_round_of_the_loop_cancels():
    with anyio.CancelScope() as scope:
        scope.cancel()
        assert await persist(several_waits, in_seconds(5)) == "ended"
    assert not scope.cancelled_caught


@pytest.mark.loops
async def test_the_deadline_is_kept_where_each_round_of_the_loop_cancels():
    with anyio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(TimeoutError):
            await persist(endless, in_seconds(0.02))
        assert ended == [True]


async def test_after_the_deadline_a_step_has_one_round_of_the_loop():
    async def short():
        await asyncio.sleep(0)
        return "ended"

    assert await persist(short, in_seconds(-1)) == "ended"
    with pytest.raises(TimeoutError):
        await persist(endless, in_seconds(-1))


async def test_the_error_of_a_step_is_raised():
    async def fails():
        await asyncio.sleep(0)
        raise LookupError("as itself")

    with pytest.raises(LookupError, match="as itself"):
        await persist(fails, in_seconds(5))


def test_a_step_is_begun_anew_where_the_loop_cancels_all_tasks_as_it_shuts_down():
    begun, results = [], []

    async def step():
        begun.append(True)
        return await several_waits()

    async def waits():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            results.append(await persist(step, in_seconds(5)))
            raise

    async def cancels():
        # asyncio.run() has cancelled all tasks; now it does so again, the step's own among them.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.sleep(0.002)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def main():
        keep.extend([asyncio.create_task(waits()), asyncio.create_task(cancels())])
        await asyncio.sleep(0)

    keep = []
    asyncio.run(main())
    assert results == ["ended"]
    assert len(begun) == 2


async def test_a_step_ends_with_the_coroutine_that_is_dropped():
    dropped = persist(endless, in_seconds(5))
    dropped.send(None)
    await asyncio.sleep(0)
    dropped.close()
    while not ended:
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
