"""The bridge: results, errors, contexts and cancellation pass both ways as themselves, and nothing is left behind."""

import asyncio
import contextlib
import gc
import inspect
import sys
import threading
import traceback
import types
import warnings
import weakref
from contextvars import ContextVar
from functools import partial

import greenlet
import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.asyncio import async_unsafe

from vinyl import BridgeError, bridge
from vinyl.bridge import await_, spawn

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Failure(Exception):
    """Raised by these tests only."""


class Suspension:
    """An awaitable that suspends whoever awaits it, until it is resumed by hand."""

    def __await__(self):
        return (yield self)


async def answer(value, *, error=None):
    """Really suspend, then return the value or raise the error."""
    await asyncio.sleep(0)
    if error is not None:
        raise error
    return value


class Waiting:
    """An endless wait, and the news that somebody has begun it."""

    def __init__(self):
        self.begun = asyncio.Event()

    async def forever(self):
        self.begun.set()
        await asyncio.Future()


# Results and errors.


@pytest.mark.loops
async def test_spawn_returns_what_the_function_returns():
    assert await spawn(lambda: 3) == 3


@pytest.mark.loops
async def test_positional_and_keyword_arguments_reach_the_function():
    assert await spawn(lambda *args, **kwargs: (args, kwargs), 1, 2, fn=3, x=4) == ((1, 2), {"fn": 3, "x": 4})


@pytest.mark.loops
async def test_await_returns_what_the_awaitable_gives():
    assert await spawn(lambda: [await_(answer(1)), await_(answer(2))]) == [1, 2]


@pytest.mark.loops
async def test_a_future_and_a_task_can_be_awaited():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, 1)
    task = asyncio.create_task(answer(2))
    assert await spawn(lambda: (await_(future), await_(task))) == (1, 2)


@pytest.mark.loops
@pytest.mark.parametrize(
    "error", [Failure(), KeyError("x"), asyncio.CancelledError(), greenlet.error(), BaseException()]
)
async def test_an_error_comes_out_as_the_very_same_object(error):
    def fail():
        raise error

    with pytest.raises(type(error)) as caught:
        await spawn(fail)
    assert caught.value is error


@pytest.mark.loops
@pytest.mark.parametrize("error", [Failure(), KeyError("x"), asyncio.CancelledError(), BaseException()])
async def test_an_error_goes_in_as_the_very_same_object(error):
    def work():
        with pytest.raises(type(error)) as caught:
            await_(answer(None, error=error))
        return caught.value

    assert await spawn(work) is error


@pytest.mark.loops
async def test_execution_goes_on_after_an_error_was_caught_inside():
    def work():
        with contextlib.suppress(Failure):
            await_(answer(None, error=Failure()))
        return await_(answer("later"))

    assert await spawn(work) == "later"


@pytest.mark.loops
async def test_a_traceback_shows_the_frames_of_both_sides():
    def synchronous():
        await_(asynchronous())

    async def asynchronous():
        await answer(None, error=Failure())

    with pytest.raises(Failure) as caught:
        await spawn(synchronous)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    shown = [name for name in names if name in ("spawn", "synchronous", "await_", "asynchronous", "answer")]
    assert list(dict.fromkeys(shown)) == ["spawn", "synchronous", "await_", "asynchronous", "answer"]


@pytest.mark.loops
async def test_an_error_that_was_handled_inside_is_not_the_context_of_a_later_one():
    def work():
        with contextlib.suppress(KeyError):
            await_(answer(None, error=KeyError()))
        raise Failure

    with pytest.raises(Failure) as caught:
        await spawn(work)
    assert caught.value.__context__ is None


@pytest.mark.loops
async def test_stop_iteration_becomes_runtime_error():
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await spawn(next, iter([]))
    assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.loops
@pytest.mark.parametrize("handled", [True, False])
async def test_an_error_that_was_passed_in_dies_with_its_last_user(handled):
    async def fail():
        raise Failure

    def work():
        try:
            await_(fail())
        except Failure as error:
            errors.append(weakref.ref(error))
            if not handled:
                raise

    errors = []
    gc.disable()
    try:
        with contextlib.suppress(Failure):
            await spawn(work)
        assert errors[0]() is None
    finally:
        gc.enable()


# Context variables.


@pytest.mark.loops
async def test_context_variables_set_outside_are_seen_inside():
    variable.set("outside")
    assert await spawn(variable.get) == "outside"


@pytest.mark.loops
async def test_context_variables_set_inside_are_seen_outside():
    await spawn(variable.set, "inside")
    assert variable.get() == "inside"


@pytest.mark.loops
async def test_context_variables_set_in_awaited_code_are_seen_inside_and_outside():
    async def set_and_suspend():
        variable.set("awaited")
        await asyncio.sleep(0)

    def work():
        await_(set_and_suspend())
        return variable.get()

    assert await spawn(work) == "awaited"
    assert variable.get() == "awaited"


@pytest.mark.loops
async def test_a_context_variable_can_be_reset_inside_with_a_token_from_outside():
    token = variable.set("changed")
    await spawn(variable.reset, token)
    assert variable.get() == "unset"


@pytest.mark.loops
async def test_context_variables_do_not_leak_to_other_tasks():
    barrier = asyncio.Barrier(20)

    def work(value):
        variable.set(value)
        await_(barrier.wait())
        return variable.get()

    values = [str(number) for number in range(20)]
    assert await asyncio.gather(*(asyncio.create_task(spawn(work, value)) for value in values)) == values
    assert variable.get() == "unset"


def test_context_variables_are_shared_in_a_thread_that_never_set_one():
    def drive():
        with contextlib.suppress(StopIteration):
            spawn(variable.set, "inside").send(None)
        seen.append(variable.get())

    seen = []
    thread = threading.Thread(target=drive)
    thread.start()
    thread.join()
    assert seen == ["inside"]


# The running loop.


@pytest.mark.loops
async def test_there_is_no_running_loop_inside():
    def work():
        seen = []
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            seen.append(await_(answer("again")))
        return seen

    assert await spawn(work) == ["again", "again"]


@pytest.mark.loops
async def test_djangos_guard_passes_inside_and_guards_outside():
    @async_unsafe
    def guarded():
        return "passed"

    async def awaited():
        with pytest.raises(SynchronousOnlyOperation):
            guarded()

    assert await spawn(guarded) == "passed"
    await spawn(lambda: await_(awaited()))
    await awaited()


@pytest.mark.loops
async def test_the_running_loop_is_back_outside_and_in_awaited_code():
    async def running_loop():
        return asyncio.get_running_loop()

    loop = asyncio.get_running_loop()
    assert await spawn(lambda: await_(running_loop())) is loop
    assert asyncio.get_running_loop() is loop


@pytest.mark.loops
@pytest.mark.parametrize("suspends", [True, False])
async def test_the_running_loop_is_back_after_an_error(suspends):
    def fail():
        if suspends:
            await_(answer(None))
        raise Failure

    loop = asyncio.get_running_loop()
    with pytest.raises(Failure):
        await spawn(fail)
    assert asyncio.get_running_loop() is loop


@pytest.mark.loops
async def test_the_current_task_is_the_same_before_in_awaited_code_and_after():
    async def current_task():
        await asyncio.sleep(0)
        return asyncio.current_task()

    task = asyncio.current_task()
    assert await spawn(lambda: (bridge.current().task, await_(current_task()))) == (task, task)
    assert asyncio.current_task() is task


def test_a_spawn_can_be_driven_without_any_loop():
    coroutine = spawn(lambda: (bridge.current().loop, bridge.current().task, await_(Suspension())))
    assert isinstance(coroutine.send(None), Suspension)
    with pytest.raises(StopIteration) as stopped:
        coroutine.send("resumed")
    assert stopped.value.value == (None, None, "resumed")


# Inside and outside.


@pytest.mark.loops
async def test_only_code_in_the_bridge_is_inside():
    async def awaited():
        return bridge.active(), bridge.current()

    assert await spawn(lambda: (bridge.active(), isinstance(bridge.current(), bridge.Inside))) == (True, True)
    assert await spawn(lambda: await_(awaited())) == (False, None)
    assert await awaited() == (False, None)


def assert_await_outside_says_what_to_do():
    coroutine = answer(None)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(
            BridgeError, match=r"outside of the bridge.*use `await`.*use `await vinyl\.run\(function\)`"
        ):
            await_(coroutine)
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
        del coroutine
        gc.collect()
    assert warned == []


@pytest.mark.loops
async def test_await_in_a_coroutine_closes_what_it_was_given_and_says_what_to_do():
    assert_await_outside_says_what_to_do()


def test_await_in_a_thread_closes_what_it_was_given_and_says_what_to_do():
    thread = threading.Thread(target=lambda: (assert_await_outside_says_what_to_do(), done.append(True)))
    done = []
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.loops
async def test_await_in_somebody_elses_greenlet_says_what_to_do():
    await spawn(lambda: greenlet.greenlet(assert_await_outside_says_what_to_do).switch())


@pytest.mark.loops
async def test_await_outside_leaves_a_future_alone():
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(BridgeError):
        await_(future)
    assert not future.done()


@pytest.mark.loops
async def test_a_spawn_may_await_a_spawn():
    def inner():
        greenlet_of_inner = bridge.current()
        value = await_(answer("inner"))
        assert bridge.current() is greenlet_of_inner
        return value

    def outer():
        return [await_(answer("before")), await_(spawn(inner)), await_(answer("after"))]

    assert await spawn(outer) == ["before", "inner", "after"]


@pytest.mark.loops
async def test_many_spawns_wait_side_by_side():
    barrier = asyncio.Barrier(200)

    def work(number):
        first = await_(barrier.wait())
        second = await_(barrier.wait())
        return number, first, second

    # Nobody passes the barrier before all have come to it.
    results = await asyncio.gather(*(spawn(work, number) for number in range(200)))
    assert [number for number, _, _ in results] == list(range(200))
    for places in ([first for _, first, _ in results], [second for _, _, second in results]):
        assert sorted(places) == list(range(200))


@pytest.mark.loops
async def test_each_spawn_has_a_storage_of_its_own():
    def work(value):
        before = bridge.current().storage
        bridge.current().storage = value
        await_(answer(None))
        return before, bridge.current().storage

    assert await asyncio.gather(spawn(work, 1), spawn(work, 2)) == [(None, 1), (None, 2)]


# Cancellation.


@pytest.mark.loops
async def test_cancelling_raises_inside_where_it_waits():
    def work():
        try:
            await_(waiting.forever())
        except asyncio.CancelledError as error:
            seen.append(error)
            raise

    seen, waiting = [], Waiting()
    task = asyncio.create_task(spawn(work))
    await waiting.begun.wait()
    task.cancel("the reason")
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert [error.args for error in seen] == [("the reason",)]
    # Tasks raise their cancellation as itself since Python 3.11.
    assert caught.value is seen[0]
    assert task.cancelled()


@pytest.mark.loops
async def test_clean_up_may_wait_after_a_cancellation():
    def work():
        try:
            await_(waiting.forever())
        finally:
            seen.append(await_(answer("first")))
            seen.append(await_(answer("second")))

    seen, waiting = [], Waiting()
    task = asyncio.create_task(spawn(work))
    await waiting.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["first", "second"]


@pytest.mark.loops
async def test_a_second_cancellation_arrives_in_the_clean_up():
    def work():
        try:
            await_(waiting.forever())
        finally:
            try:
                await_(cleaning.forever())
            except asyncio.CancelledError:
                seen.append("cancelled in clean-up")
                raise

    seen, waiting, cleaning = [], Waiting(), Waiting()
    task = asyncio.create_task(spawn(work))
    for stage in (waiting, cleaning):
        await stage.begun.wait()
        assert not task.done()
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled in clean-up"]


@pytest.mark.loops
async def test_a_cancellation_can_be_handled_inside():
    def work():
        try:
            await_(waiting.forever())
        except asyncio.CancelledError:
            asyncio_task.uncancel()
            return "handled"

    waiting = Waiting()
    asyncio_task = asyncio.create_task(spawn(work))
    await waiting.begun.wait()
    asyncio_task.cancel()
    assert await asyncio_task == "handled"


@pytest.mark.loops
async def test_a_timeout_around_spawn_ends_it():
    def work():
        try:
            await_(asyncio.Event().wait())
        finally:
            seen.append(await_(answer("cleaned up")))

    seen = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await spawn(work)
    assert seen == ["cleaned up"]


@pytest.mark.loops
async def test_a_timeout_can_be_entered_and_left_inside():
    def work():
        await_(limit.__aenter__())
        try:
            await_(asyncio.Event().wait())
        except asyncio.CancelledError:
            await_(limit.__aexit__(*sys.exc_info()))

    limit = asyncio.timeout(0.001)
    with pytest.raises(TimeoutError):
        await spawn(work)
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.loops
async def test_a_failing_task_of_a_group_cancels_spawns_beside_it():
    def work():
        try:
            await_(waiting.forever())
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    def fail():
        await_(waiting.begun.wait())
        raise Failure

    async def grouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(spawn(work))
            group.create_task(spawn(fail))

    seen, waiting = [], Waiting()
    with pytest.raises(ExceptionGroup) as caught:
        await grouped()
    assert [type(error) for error in caught.value.exceptions] == [Failure]
    assert seen == ["cancelled"]


@pytest.mark.loops
async def test_a_task_group_can_be_used_in_awaited_code():
    async def grouped():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(spawn(lambda value: await_(answer(value)), number)) for number in range(3)]
        return [task.result() for task in tasks]

    assert await spawn(lambda: await_(grouped())) == [0, 1, 2]


# Coroutines that are dropped.


def end_by_close(coroutine):
    coroutine.close()


def end_by_collection(coroutine):
    """The caller must not keep the coroutine either."""


def started(work):
    coroutine = spawn(work)
    coroutine.send(None)
    return coroutine


ends = pytest.mark.parametrize("end", [end_by_close, end_by_collection])


@ends
@pytest.mark.loops
async def test_generator_exit_is_raised_inside_a_dropped_spawn(end):
    def work():
        try:
            await_(Suspension())
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            seen.append("finally")

    seen = []
    end(started(work))
    assert seen == [GeneratorExit, "finally"]
    assert asyncio.get_running_loop()


@ends
@pytest.mark.loops
async def test_waiting_in_the_clean_up_of_a_dropped_spawn_raises_and_closes_the_coroutine(end):
    def work():
        try:
            await_(Suspension())
        finally:
            for coroutine in coroutines:
                with pytest.raises(GeneratorExit):
                    await_(coroutine)
            seen.append("finally")

    seen, coroutines = [], [answer(1), answer(2)]
    end(started(work))
    assert seen == ["finally"]
    assert [inspect.getcoroutinestate(coroutine) for coroutine in coroutines] == [inspect.CORO_CLOSED] * 2


@ends
@pytest.mark.loops
async def test_the_clean_up_of_a_dropped_spawn_is_inside_too(end):
    def work():
        try:
            await_(Suspension())
        finally:
            seen.append(bridge.active())
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            seen.append("hidden")

    seen = []
    end(started(work))
    assert seen == [True, "hidden"]


@ends
@pytest.mark.loops
async def test_a_spawn_that_is_dropped_in_another_one_leaves_that_to_go_on(end):
    def work():
        try:
            await_(Suspension())
        finally:
            seen.append("finally")

    def drop():
        end(dropped.pop())
        seen.append("went on")
        return await_(answer("result"))

    seen, dropped = [], [started(work)]
    assert await spawn(drop) == "result"
    assert seen == ["finally", "went on"]


@ends
@pytest.mark.loops
async def test_a_dropped_spawn_closes_what_it_waits_for(end):
    async def awaited():
        try:
            await Suspension()
        finally:
            seen.append("awaited")

    def work():
        try:
            await_(awaited())
        finally:
            seen.append("inside")

    seen = []
    end(started(work))
    assert seen == ["awaited", "inside"]


@pytest.mark.loops
async def test_a_closed_spawn_may_swallow_the_generator_exit():
    def work():
        with contextlib.suppress(GeneratorExit):
            await_(Suspension())
        seen.append("went on")

    seen = []
    started(work).close()
    assert seen == ["went on"]


@pytest.mark.loops
async def test_an_error_in_the_clean_up_of_a_closed_spawn_comes_out_of_close():
    def work():
        try:
            await_(Suspension())
        finally:
            raise Failure

    loop = asyncio.get_running_loop()
    with pytest.raises(Failure):
        started(work).close()
    assert asyncio.get_running_loop() is loop


@pytest.mark.loops
async def test_a_task_collected_while_it_waits_cleans_up_inside():
    def work():
        try:
            await_(waiting.forever())
        finally:
            seen.append("finally")

    reports, seen, waiting = [], [], Waiting()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["message"]))
    task = asyncio.create_task(spawn(work))
    await waiting.begun.wait()
    del task
    gc.collect()
    assert seen == ["finally"]
    assert reports == ["Task was destroyed but it is pending!"]


@pytest.mark.loops
async def test_a_spawn_closed_in_another_thread_cleans_up_in_its_own():
    def work():
        try:
            await_(Suspension())
        finally:
            with pytest.raises(GeneratorExit):
                await_(coroutine)
            seen.append(threading.get_ident())

    seen, coroutine = [], answer(None)
    thread = threading.Thread(target=started(work).close)
    thread.start()
    thread.join()
    del thread
    # The greenlet library ends it when this thread next uses greenlets.
    await spawn(gc.collect)
    assert seen == [threading.get_ident()]
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


@pytest.mark.loops
async def test_greenlet_exit_is_raised_like_any_other_exception():
    def work():
        raise error

    error = greenlet.GreenletExit()
    with pytest.raises(greenlet.GreenletExit) as caught:
        await spawn(work)
    assert caught.value is error


# What is left behind.


@pytest.mark.loops
async def test_nothing_runs_before_the_first_await():
    calls = []
    coroutine = spawn(calls.append, "called")
    assert calls == []
    await coroutine
    assert calls == ["called"]


@pytest.mark.loops
async def test_a_spawn_that_is_never_started_leaves_nothing_behind():
    def work():
        raise AssertionError

    function = weakref.ref(work)
    coroutine = spawn(work)
    coroutine.close()
    del work, coroutine
    assert function() is None


# Greenlets that are used again.


def this_greenlet():
    return weakref.ref(bridge.current())


def parked():
    """Count the greenlets of this thread that wait for a job."""
    return len(bridge._parked.greenlets)


@pytest.fixture
def none_parked():
    bridge.close_parked()
    yield
    bridge.close_parked()


reuse = pytest.mark.usefixtures("none_parked")


@reuse
@pytest.mark.loops
@pytest.mark.parametrize("waits", [False, True])
async def test_a_greenlet_is_used_again_once_its_function_has_returned(waits):
    def work():
        if waits:
            await_(answer("value"))
        return this_greenlet()

    first, second = await spawn(work), await spawn(work)
    assert first() is second() is not None


@reuse
@pytest.mark.loops
async def test_a_greenlet_that_waits_is_nobody_elses():
    barrier = asyncio.Barrier(3)

    def work():
        await_(barrier.wait())
        return this_greenlet()

    assert len({*await asyncio.gather(*(spawn(work) for _ in range(3)))}) == 3


@reuse
@pytest.mark.loops
async def test_a_parked_greenlet_keeps_nothing_alive_of_what_it_has_run():
    class Thing:
        pass

    def work(argument, *, keyword):
        variable.set(in_context := Thing())
        bridge.current().storage = storage = Thing()
        await_(answer(awaited := Thing()))
        result = Thing()
        things = (argument, keyword, in_context, storage, awaited, result)
        seen.extend(weakref.ref(thing) for thing in things)
        return result

    async def spawned():
        function = partial(work)
        seen.append(weakref.ref(function))
        await spawn(function, Thing(), keyword=Thing())

    seen = []
    gc.disable()
    try:
        await asyncio.create_task(spawned())
        # The event loop has kept the task's context until now.
        await asyncio.sleep(0)
        assert [thing() for thing in seen] == [None] * 7
        assert parked() == 1
    finally:
        gc.enable()


@reuse
def test_a_parked_greenlet_does_not_keep_its_event_loop_alive():
    with asyncio.Runner() as runner:
        loop = weakref.ref(runner.get_loop())
        runner.run(spawn(lambda: None))
    del runner
    gc.collect()
    assert parked() == 1
    assert loop() is None


@reuse
@pytest.mark.loops
async def test_a_greenlet_that_is_used_again_knows_nothing_of_before():
    def state():
        inside = bridge.current()
        seen = inside.storage, inside.loop, inside.abandoned, variable.get()
        inside.storage = "of this one"
        variable.set("of this one")
        return seen

    for _ in range(2):
        assert await asyncio.create_task(spawn(state)) == (None, asyncio.get_running_loop(), False, "unset")


@reuse
@pytest.mark.loops
@pytest.mark.parametrize("error", [Failure(), asyncio.CancelledError(), greenlet.GreenletExit()])
async def test_a_greenlet_whose_function_has_raised_is_not_used_again(error):
    def work():
        raise error

    with pytest.raises(type(error)):
        await spawn(work)
    assert parked() == 0


@reuse
@ends
@pytest.mark.loops
@pytest.mark.parametrize("swallows", [False, True])
async def test_a_greenlet_that_was_abandoned_is_not_used_again(end, swallows):
    def work():
        with contextlib.suppress(GeneratorExit if swallows else ()):
            greenlets.append(this_greenlet())
            await_(Suspension())

    greenlets = []
    end(started(work))
    assert parked() == 0
    assert greenlets[0]() is None


@reuse
@pytest.mark.loops
async def test_a_greenlet_spawned_in_somebody_elses_is_not_used_again():
    def drive():
        with contextlib.suppress(StopIteration):
            spawn(lambda: None).send(None)

    await spawn(lambda: None)
    (before,) = bridge._parked.greenlets
    side = greenlet.greenlet(drive)
    side.switch()
    assert bridge._parked.greenlets == [before]
    side = weakref.ref(side)
    assert side() is None, "a parked greenlet keeps its last parent alive"


@reuse
@pytest.mark.loops
async def test_no_more_greenlets_are_parked_than_the_bound():
    barrier = asyncio.Barrier(bridge.MOST_PARKED + 5)
    greenlets = await asyncio.gather(
        *(spawn(lambda: (await_(barrier.wait()), this_greenlet())[1]) for _ in range(bridge.MOST_PARKED + 5))
    )
    assert parked() == bridge.MOST_PARKED
    assert sum(each() is not None for each in greenlets) == bridge.MOST_PARKED


@reuse
@pytest.mark.loops
async def test_closing_leaves_no_greenlet_not_even_the_one_that_closes():
    greenlets = await asyncio.gather(*(spawn(lambda: (await_(answer(None)), this_greenlet())[1]) for _ in range(3)))
    greenlets.append(await spawn(lambda: (bridge.close_parked(), this_greenlet())[1]))
    assert parked() == 0
    assert [each() for each in greenlets] == [None] * 4


@reuse
@pytest.mark.loops
async def test_an_error_that_is_handled_inside_and_kept_keeps_no_greenlet():
    def work():
        try:
            await_(answer(None, error=Failure()))
        except Failure as error:
            kept.append(error)
        return this_greenlet()

    kept = []
    inside = await spawn(work)
    bridge.close_parked()
    assert inside() is None


def test_a_thread_that_ends_leaves_no_greenlet_behind():
    def drive():
        with contextlib.suppress(StopIteration):
            spawn(lambda: greenlets.append(this_greenlet())).send(None)
        kept.append(parked())

    greenlets, kept = [], []
    thread = threading.Thread(target=drive)
    thread.start()
    thread.join()
    assert kept == [1]
    assert greenlets[0]() is None


def left_behind():
    """Count what a spawn is made of, and all blocks of memory."""
    gc.collect()
    kinds = (greenlet.greenlet, types.CoroutineType, types.FrameType)
    return sum(isinstance(ob, kinds) for ob in gc.get_objects()), sys.getallocatedblocks()


@ends
@pytest.mark.asynchronous
async def test_a_hundred_thousand_dropped_spawns_leave_nothing_behind(end):
    def work():
        try:
            await_(awaited())
        finally:
            cleaned_up[0] += 1

    async def awaited():
        await Suspension()

    def rounds(number):
        for _ in range(number):
            end(started(work))

    cleaned_up = [0]
    rounds(1_000)
    parts_before, blocks_before = left_behind()
    rounds(100_000)
    parts, blocks = left_behind()
    assert cleaned_up == [101_000]
    assert parts == parts_before
    assert blocks - blocks_before < 1_000
