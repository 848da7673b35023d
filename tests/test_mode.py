"""The mode: process, context and bridge decide it in this order of growing force; portable functions follow it."""

import asyncio
import contextlib
import inspect
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import asgiref.sync
import pytest

from vinyl import ModeError, async_mode, is_async, portable, set_async, sync_mode
from vinyl.bridge import await_, spawn
from vinyl.mode import Mode, current, finish


class Failure(Exception):
    """Raised by these tests only."""


@pytest.fixture
def _process_mode():
    """Restore the mode of the process after the test."""
    yield
    set_async(True)


changes_process = pytest.mark.usefixtures("_process_mode")


def in_thread(function):
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


class Suspension:
    """Awaiting it really suspends, loop or no loop."""

    def __await__(self):
        yield self


# The mode of the process and of the context.


def test_the_mode_is_async_unless_told_otherwise():
    assert is_async() is True


@changes_process
def test_set_async_sets_the_mode_of_the_process():
    async def in_task():
        return is_async()

    set_async(False)
    assert (is_async(), in_thread(is_async), asyncio.run(in_task())) == (False, False, False)
    set_async(True)
    assert (is_async(), in_thread(is_async), asyncio.run(in_task())) == (True, True, True)


@changes_process
@pytest.mark.parametrize("process", [True, False])
def test_a_block_wins_over_the_process(process):
    set_async(process)
    with sync_mode():
        assert not is_async()
    with async_mode():
        assert is_async()
    assert is_async() is process


@changes_process
def test_a_block_still_wins_when_the_process_changes_in_it():
    with async_mode():
        set_async(False)
        assert is_async()
    assert not is_async()


def test_blocks_nest():
    with sync_mode():
        with async_mode():
            with sync_mode():
                assert not is_async()
            assert is_async()
        assert not is_async()


@pytest.mark.parametrize("block", [sync_mode, async_mode])
def test_a_block_ends_its_mode_after_an_error_too(block):
    with (sync_mode if block is async_mode else async_mode)():
        before = is_async()
        with contextlib.suppress(Failure), block():
            assert is_async() is not before
            raise Failure
        assert is_async() is before


def test_a_block_may_end_in_another_context_than_it_began_in():
    async def modes():
        with sync_mode():
            yield is_async()

    async def main():
        generator = modes()
        assert await anext(generator) is False
        # A task has a context of its own.
        await asyncio.create_task(generator.aclose())

    asyncio.run(main())
    assert is_async()


@pytest.mark.loops
async def test_tasks_inherit_the_mode_and_keep_theirs_to_themselves():
    async def in_task():
        before = is_async()
        with async_mode():
            entered.set()
            await leave.wait()
        return before, is_async()

    entered, leave = asyncio.Event(), asyncio.Event()
    with sync_mode():
        task = asyncio.create_task(in_task())
        await entered.wait()
        assert not is_async()
    leave.set()
    assert is_async()
    assert await task == (False, False)


def test_threads_do_not_inherit_the_mode_of_a_block():
    def work():
        seen.append(is_async())

    seen = []
    with sync_mode():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [True]


# Inside the bridge.


@pytest.mark.loops
async def test_the_mode_is_sync_inside_the_bridge_whatever_was_set():
    def work():
        with async_mode():
            return is_async()

    assert await spawn(is_async) is False
    assert await spawn(work) is False
    with async_mode():
        assert await spawn(is_async) is False
    assert is_async()


@pytest.mark.loops
async def test_code_awaited_from_the_bridge_is_in_the_mode_of_the_caller():
    async def awaited():
        return is_async()

    assert await spawn(lambda: await_(awaited())) is True
    with sync_mode():
        assert await spawn(lambda: await_(awaited())) is False


# Portable functions.


@portable
async def double(number):
    """Double the number."""
    return 2 * number


@portable
async def mode_inside():
    return current()


@portable
async def fail(error):
    raise error


@pytest.mark.asynchronous
async def test_in_the_async_mode_a_portable_function_gives_its_coroutine():
    coroutine = double(4)
    assert inspect.iscoroutine(coroutine)
    assert await coroutine == 8


def test_in_the_sync_mode_a_portable_function_gives_its_value():
    with sync_mode():
        assert double(4) == 8


@changes_process
def test_the_mode_of_the_process_decides_about_portable_functions_too():
    set_async(False)
    assert double(4) == 8


def test_in_a_portable_function_run_in_sync_calls_are_awaited_and_is_async_is_false():
    @portable
    async def work():
        return is_async(), await mode_inside()

    with sync_mode():
        assert work() == (False, Mode.PORTABLE)
        assert current() is Mode.SYNC


async def test_portable_functions_nest_in_both_modes():
    @portable
    async def quadruple(number):
        coroutine = double(number)
        assert inspect.iscoroutine(coroutine)
        return await double(await coroutine)

    assert await quadruple(4) == 16


async def test_portable_functions_take_any_arguments():
    @portable
    async def collect(*args, function=None, self=None):
        return args, function, self

    assert await collect(1, 2, function=3, self=4) == ((1, 2), 3, 4)


class Doubler:
    """Portable functions as methods of each kind."""

    factor = 2

    @portable
    async def method(self, number):
        return self.factor * number

    @classmethod
    @portable
    async def of_class(cls, number):
        return cls.factor * number

    @staticmethod
    @portable
    async def static(number):
        return 2 * number


@pytest.mark.parametrize(
    "call",
    [
        lambda: Doubler().method(4),
        lambda: Doubler.method(Doubler(), 4),
        lambda: Doubler().of_class(4),
        lambda: Doubler.of_class(4),
        lambda: Doubler().static(4),
        lambda: Doubler.static(4),
    ],
    ids=[
        "method",
        "method through the class",
        "classmethod",
        "classmethod of the class",
        "static",
        "static of the class",
    ],
)
async def test_portable_methods_bind_as_functions_do(call):
    assert await call() == 8


def test_portable_methods_give_values_in_the_sync_mode():
    with sync_mode():
        assert (Doubler().method(4), Doubler.of_class(4), Doubler.static(4)) == (8, 8, 8)


def test_a_portable_function_has_the_metadata_of_its_function():
    function = double.__wrapped__
    assert inspect.iscoroutinefunction(function)
    assert (double.__name__, double.__qualname__, double.__doc__) == ("double", "double", "Double the number.")
    assert double.__module__ == __name__
    assert str(inspect.signature(double)) == "(number)"
    assert repr(double) == f"<portable {function!r}>"
    assert isinstance(Doubler.method, portable)


def test_a_portable_function_has_no_attributes_that_nobody_gave_it():
    assert not hasattr(double, "nothing")
    double.something = 1
    assert double.something == 1
    del double.something


async def test_an_error_comes_out_of_a_portable_function_as_the_very_same_object():
    error = Failure()
    with pytest.raises(Failure) as caught:
        await fail(error)
    assert caught.value is error


def test_an_error_comes_out_as_the_very_same_object_in_the_sync_mode():
    error = Failure()
    with sync_mode(), pytest.raises(Failure) as caught:
        fail(error)
    assert caught.value is error


@pytest.mark.parametrize("error", [Failure(), ModeError()])
def test_the_mode_is_what_it_was_after_an_error(error):
    with sync_mode():
        with pytest.raises(type(error)):
            fail(error)
        assert current() is Mode.SYNC
    assert current() is Mode.ASYNC


async def test_blocks_and_generators_go_on_in_a_portable_function():
    @contextlib.asynccontextmanager
    async def block():
        log.append("entered")
        try:
            yield "value"
        finally:
            log.append("left")

    async def numbers():
        for number in range(3):
            yield await double(number)

    @portable
    async def work():
        async with block() as value:
            log.append(value)
            return [number async for number in numbers()]

    log = []
    assert await work() == [0, 2, 4]
    assert log == ["entered", "value", "left"]


# What cannot go on in the sync mode.


def test_really_suspending_in_the_sync_mode_raises_at_that_line_and_runs_clean_up():
    @portable
    async def work():
        try:
            await suspending()
        finally:
            log.append("finally")

    async def suspending():
        await Suspension()

    log = []
    with sync_mode(), pytest.raises(ModeError, match=r"really suspends \(<.*Suspension.*sync mode.*is_async") as caught:
        work()
    assert log == ["finally"]
    lines = [frame.line for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert [line for line in lines if line.startswith("await")] == ["await suspending()", "await Suspension()"]


def test_the_error_of_suspending_names_the_function_that_was_called():
    @portable
    async def work():
        await Suspension()

    with sync_mode(), pytest.raises(ModeError, match=r"work\(\) awaited"):
        work()


@pytest.mark.parametrize("delay", [0, 0.001, 60])
def test_asyncio_sleep_in_the_sync_mode_raises_mode_error(delay):
    @portable
    async def work():
        await asyncio.sleep(delay)

    with sync_mode(), pytest.raises(ModeError):
        work()


@pytest.mark.loops
async def test_a_running_loop_does_not_help_in_the_sync_mode():
    @portable
    async def work():
        await asyncio.sleep(60)

    with sync_mode(), pytest.raises(ModeError):
        work()


def test_a_portable_function_can_handle_that_it_cannot_suspend():
    @portable
    async def work():
        try:
            await Suspension()
        except ModeError:
            return await double(4)

    with sync_mode():
        assert work() == 8


def test_suspending_again_after_being_told_raises_and_closes_the_coroutine():
    async def work():
        with contextlib.suppress(ModeError):
            await Suspension()
        await Suspension()

    coroutine = work()
    with sync_mode():
        with pytest.raises(ModeError, match=r"work\(\) went on to suspend after it was told"):
            finish(coroutine)
        assert current() is Mode.SYNC
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


# What Django asks to know whether a view is asynchronous.


@pytest.mark.parametrize("function", [double, Doubler().method], ids=["function", "method"])
def test_a_portable_function_is_a_coroutine_function_in_the_async_mode_only(function):
    assert asgiref.sync.iscoroutinefunction(function)
    with sync_mode():
        assert not asgiref.sync.iscoroutinefunction(function)
    with async_mode():
        assert asgiref.sync.iscoroutinefunction(function)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="not on Python 3.11, where only asgiref knows such marks")
@pytest.mark.parametrize("function", [double, Doubler().method], ids=["function", "method"])
def test_inspect_sees_a_coroutine_function_in_the_async_mode_only(function):
    assert inspect.iscoroutinefunction(function)
    with sync_mode():
        assert not inspect.iscoroutinefunction(function)


@changes_process
def test_whether_it_is_a_coroutine_function_follows_the_process():
    set_async(False)
    assert not asgiref.sync.iscoroutinefunction(double)


# Portable functions and results of user code, called inside the bridge.


@pytest.mark.loops
async def test_a_portable_function_called_inside_the_bridge_awaits_natively():
    @portable
    async def work():
        await asyncio.sleep(0)
        return asyncio.current_task(), current()

    assert await spawn(work) == (asyncio.current_task(), Mode.ASYNC)


@pytest.mark.loops
async def test_an_error_comes_out_of_a_portable_function_inside_the_bridge():
    error = Failure()
    with pytest.raises(Failure) as caught:
        await spawn(fail, error)
    assert caught.value is error


def test_finish_gives_plain_results_as_they_are_and_runs_coroutines_to_their_end():
    with sync_mode():
        assert finish("plain") == "plain"
        assert finish(double.function(4)) == 8


def test_finish_cannot_wait_for_a_future_in_the_sync_mode():
    loop = asyncio.new_event_loop()
    with sync_mode(), pytest.raises(ModeError, match="only coroutines can be run to their end"):
        finish(loop.create_future())
    loop.close()
