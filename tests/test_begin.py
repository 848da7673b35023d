"""The bridge, begun before it is awaited: what runs at once, what waits, and what becomes of it."""

import asyncio
import contextvars
import gc

import pytest

from vinyl import bridge

variable = contextvars.ContextVar("variable", default="before")


async def value(of):
    await asyncio.sleep(0)
    return of


def test_what_never_waits_has_ended_with_its_result():
    assert bridge.begin(lambda a, b: a + b, 1, b=2) == (True, 3)


def test_an_error_before_the_first_wait_is_raised_at_once():
    with pytest.raises(ZeroDivisionError):
        bridge.begin(lambda: 1 / 0)


def test_no_event_loop_is_needed_before_it_is_awaited():
    has_ended, rest = bridge.begin(lambda: bridge.await_(value(1)) + 1)
    assert not has_ended
    assert asyncio.run(rest()) == 2


@pytest.mark.loops
async def test_the_rest_runs_when_it_is_awaited():
    done = []

    def work():
        done.append("begun")
        done.append(bridge.await_(value("waited")))
        done.append(bridge.await_(value("waited again")))
        return "result"

    has_ended, rest = bridge.begin(work)
    await asyncio.sleep(0)
    assert (has_ended, done) == (False, ["begun"])
    assert await rest() == "result"
    assert done == ["begun", "waited", "waited again"]


@pytest.mark.loops
async def test_it_is_taken_up_by_the_task_that_awaits_it():
    def tasks():
        bridge.await_(value(None))
        return bridge.current().task

    _, rest = bridge.begin(tasks)
    task = asyncio.create_task(rest())
    assert await task is task


@pytest.mark.loops
async def test_the_event_loop_runs_as_before_after_it_has_begun():
    bridge.begin(lambda: None)
    assert asyncio.get_running_loop() is asyncio.get_event_loop()
    _, rest = bridge.begin(lambda: bridge.await_(value(None)))
    assert asyncio.get_running_loop() is asyncio.get_event_loop()
    await rest()


@pytest.mark.loops
async def test_context_variables_that_it_sets_do_not_reach_the_caller():
    def work():
        variable.set("within")
        bridge.await_(value(None))
        return variable.get()

    _, rest = bridge.begin(work)
    assert variable.get() == "before"
    assert await rest() == "within"
    assert variable.get() == "before"


@pytest.mark.loops
async def test_an_error_of_what_it_waits_for_is_raised_inside_and_its_own_outside():
    async def fail():
        raise KeyError("inside")

    def work():
        try:
            bridge.await_(fail())
        except KeyError as error:
            raise ValueError("outside") from error

    _, rest = bridge.begin(work)
    with pytest.raises(ValueError, match="outside"):
        await rest()


@pytest.mark.loops
async def test_cancelling_reaches_where_it_waits():
    seen = []

    def work():
        try:
            bridge.await_(asyncio.sleep(60))
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    _, rest = bridge.begin(work)
    task = asyncio.create_task(rest())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


def test_what_is_never_awaited_ends_where_it_waits():
    seen = []

    class Awaitable:
        def __await__(self):
            yield

    def work():
        try:
            bridge.await_(Awaitable())
        finally:
            seen.append("cleaned up")

    _, rest = bridge.begin(work)
    del rest
    gc.collect()
    assert seen == ["cleaned up"]
