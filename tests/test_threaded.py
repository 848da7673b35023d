"""The threaded driver without a database: a thread runs one call after the other, however a call is left."""

import asyncio
import gc
import logging
import threading
import weakref
from contextvars import ContextVar

import pytest
from django.db import InterfaceError

from vinyl.bridge import spawn
from vinyl.common.deadlines import TimeLimit
from vinyl.drivers import threaded
from vinyl.drivers.threaded import Connection, Cursor, Worker

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Failure(Exception):
    """Raised by these tests only."""


class Call:
    """A call that blocks its thread until it is released or interrupted."""

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self._end = threading.Event()
        self.begun = asyncio.Event()
        self.outcome = None

    def __call__(self):
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self._end.wait(5)
        self.outcome = self.outcome or "returned"
        return self.outcome

    def release(self):
        self._end.set()

    def interrupt(self):
        self.outcome = "interrupted"
        self._end.set()


@pytest.fixture
def worker():
    worker = Worker("a thread of the tests", TimeLimit("default"))
    yield worker
    worker.stop()
    ended(worker)


def threads(worker):
    return [thread for thread in threading.enumerate() if getattr(thread._target, "__self__", None) is worker]


def ended(worker):
    """Wait until the worker's thread has ended."""
    for thread in threads(worker):
        thread.join(5)
        assert not thread.is_alive()


def in_thread(worker, function, *args):
    """Run a call in the worker's thread, from outside of the bridge."""
    return spawn(worker.run, function, *args)


# Calls.


@pytest.mark.loops
async def test_a_call_returns_its_result(worker):
    def call(*args, **kwargs):
        return args, kwargs

    assert await spawn(worker.run, call, 1, 2, x=3) == ((1, 2), {"x": 3})


@pytest.mark.loops
async def test_all_calls_run_in_one_daemon_thread_of_that_name(worker):
    first, second = [await in_thread(worker, threading.current_thread) for _ in range(2)]
    assert first is second is not threading.current_thread()
    assert (first.name, first.daemon) == ("a thread of the tests", True)


@pytest.mark.loops
@pytest.mark.parametrize("error", [Failure(), SystemExit(), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_an_error_is_raised_as_the_very_same_object(worker, error):
    def fail():
        raise error

    def work():
        with pytest.raises(type(error)) as caught:
            worker.run(fail)
        return caught.value

    assert await spawn(work) is error
    assert await in_thread(worker, str, "next") == "next"


@pytest.mark.loops
async def test_calls_of_several_tasks_run_in_the_order_in_which_they_were_made(worker):
    log, first = [], Call()
    tasks = [asyncio.create_task(in_thread(worker, first))]
    await first.begun.wait()
    tasks += [asyncio.create_task(in_thread(worker, log.append, number)) for number in range(10)]
    await asyncio.sleep(0)
    first.release()
    await asyncio.gather(*tasks)
    assert log == list(range(10))


@pytest.mark.loops
async def test_the_loop_goes_on_while_a_call_runs(worker):
    call = Call()
    task = asyncio.create_task(in_thread(worker, call))
    await call.begun.wait()
    assert not task.done()
    call.release()
    assert await task == "returned"


@pytest.mark.loops
async def test_calls_see_the_context_variables_of_their_caller(worker):
    variable.set("of the caller")
    assert await in_thread(worker, variable.get) == "of the caller"


@pytest.mark.loops
async def test_context_variables_set_in_the_thread_stay_there(worker):
    await in_thread(worker, variable.set, "of the thread")
    assert variable.get() == "unset"
    assert await in_thread(worker, variable.get) == "unset"


# What is kept alive.


class Result:
    """Something that tells when it is no longer needed."""

    def __init__(self):
        self.gone = threading.Event()
        weakref.finalize(self, self.gone.set)


@pytest.mark.asynchronous
async def test_the_thread_does_not_keep_its_last_result_alive(worker):
    result = await in_thread(worker, Result)
    gone = result.gone
    del result
    assert gone.wait(5)


@pytest.mark.asynchronous
async def test_an_error_dies_with_its_last_user(worker):
    def fail():
        error = Failure()
        gone.append(threading.Event())
        weakref.finalize(error, gone[0].set)
        try:
            raise error
        finally:
            # Else the frame in the error's own traceback would hold it.
            del error

    gone = []
    gc.disable()
    try:
        with pytest.raises(Failure):
            await in_thread(worker, fail)
        assert gone[0].wait(5)
    finally:
        gc.enable()


# Cancellation.


@pytest.mark.loops
async def test_a_cancelled_call_is_interrupted_and_waited_for(worker):
    call = Call()
    worker.interrupt = call.interrupt
    task = asyncio.create_task(in_thread(worker, call))
    await call.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.outcome == "interrupted"
    assert worker.usable


@pytest.mark.loops
async def test_a_cancelled_call_that_has_not_begun_is_interrupted_when_it_has(worker):
    def interrupt():
        # As sqlite3's, which is of no effect on what comes later.
        call.interrupt() if call.begun.is_set() else too_early.set()

    before, call, too_early = Call(), Call(), asyncio.Event()
    worker.interrupt = interrupt
    worker.submit(before)
    await before.begun.wait()
    task = asyncio.create_task(in_thread(worker, call))
    await asyncio.sleep(0)
    task.cancel()
    await too_early.wait()
    before.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.outcome == "interrupted"
    assert worker.usable


@pytest.mark.loops
async def test_a_cancelled_call_that_cannot_be_interrupted_is_waited_for(worker):
    call = Call()
    task = asyncio.create_task(in_thread(worker, call))
    await call.begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    call.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker.usable


@pytest.mark.loops
async def test_after_a_cancelled_call_the_next_gets_its_own_result(worker):
    call = Call()
    worker.interrupt = call.interrupt
    task = asyncio.create_task(in_thread(worker, call))
    await call.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await in_thread(worker, str, "its own") == "its own"


@pytest.mark.loops
async def test_an_error_of_a_cancelled_call_gives_way_to_the_cancellation(worker):
    def interrupted():
        call()
        raise Failure

    call = Call()
    worker.interrupt = call.interrupt
    task = asyncio.create_task(in_thread(worker, interrupted))
    await call.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker.usable


@pytest.mark.loops
async def test_a_cancelled_call_that_does_not_end_gives_its_thread_up(worker, monkeypatch, caplog):
    monkeypatch.setattr(threaded, "CANCEL_TIMEOUT", 0.01)
    call = Call()
    task = asyncio.create_task(in_thread(worker, call))
    await call.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not worker.usable
    assert [(record.name, record.levelno) for record in caplog.records] == [("vinyl.threaded", logging.WARNING)]
    call.release()


@pytest.mark.loops
async def test_further_cancellations_do_not_leave_the_call_behind(worker):
    call = Call()
    task = asyncio.create_task(in_thread(worker, call))
    await call.begun.wait()
    for _ in range(5):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    call.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (worker.usable, call.outcome) == (True, "returned")


@pytest.mark.loops
async def test_a_dropped_call_is_interrupted_and_gives_the_thread_up(worker):
    call = Call()
    worker.interrupt = call.interrupt
    coroutine = in_thread(worker, call)
    coroutine.send(None)
    await call.begun.wait()
    coroutine.close()
    assert not worker.usable
    assert call.outcome == "interrupted"


# The end.


@pytest.mark.loops
async def test_stop_lets_the_thread_end_after_what_it_has_to_do():
    worker, call, log = Worker("stopped", TimeLimit("default")), Call(), []
    task = asyncio.create_task(in_thread(worker, call))
    await call.begun.wait()
    worker.stop(lambda: log.append(call.outcome))
    assert not worker.usable
    assert (len(threads(worker)), log) == (1, [])
    call.release()
    assert await task == "returned"
    ended(worker)
    assert log == ["returned"]


def test_a_thread_that_has_nothing_to_do_ends_when_it_is_stopped():
    worker = Worker("stopped", TimeLimit("default"))
    (thread,) = threads(worker)
    worker.stop()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.asynchronous
async def test_a_stopped_thread_takes_no_call():
    worker = Worker("stopped", TimeLimit("default"))
    worker.stop()
    with pytest.raises(InterfaceError, match="closed"):
        await in_thread(worker, str)


def test_an_error_of_the_last_call_is_logged(caplog):
    def close():
        raise Failure("why")

    worker = Worker("stopped", TimeLimit("default"))
    worker.stop(close)
    ended(worker)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("vinyl.threaded", logging.WARNING)
    assert record.getMessage().startswith("Closing ")
    assert record.getMessage().endswith(" failed: why")


def test_a_call_that_returns_after_its_loop_has_closed_harms_nobody():
    async def begin():
        coroutine = in_thread(worker, call)
        coroutine.send(None)
        await begun
        coroutine.close()

    def call():
        loop.call_soon_threadsafe(begun.set_result, None)
        assert end.wait(5)
        log.append("returned")

    worker, log, end = Worker("outlives its loop", TimeLimit("default")), [], threading.Event()
    loop = asyncio.new_event_loop()
    begun = loop.create_future()
    loop.run_until_complete(begin())
    loop.close()
    end.set()
    worker.stop(lambda: log.append("stopped"))
    ended(worker)
    assert log == ["returned", "stopped"]


# Connections and cursors.


class DriversCursor:
    """A cursor as PEP 249 has it, of the numbers below 250."""

    def __init__(self):
        self.numbers = iter(range(250))
        self.threads = set()
        self.arraysize = 1
        self.closed = False

    def fetchmany(self, size):
        self.threads.add(threading.get_ident())
        return [number for _, number in zip(range(size), self.numbers, strict=False)]

    def fetchone(self):
        return next(self.numbers, None)

    def close(self):
        self.closed = True


class DriversConnection:
    """A connection as PEP 249 has it, with an interrupt() as sqlite3's."""

    version = 3

    def __init__(self):
        self.in_transaction = False
        self.setting = "initial"
        self.closed_in = []
        self.call = None

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        super().__setattr__("set_in", threading.get_ident())

    def ident(self):
        return threading.get_ident()

    def cursor(self):
        return DriversCursor()

    def block(self):
        return self.call()

    def interrupt(self):
        if self.call is not None:
            self.call.interrupt()

    def close(self):
        self.closed_in.append(threading.get_ident())


@pytest.fixture
def connection(worker):
    return Connection(worker, DriversConnection(), close_at_end=True)


@pytest.mark.asynchronous
async def test_methods_of_a_connection_run_in_its_thread_and_attributes_are_read_at_once(connection, worker):
    assert await spawn(connection.ident) == threads(worker)[0].ident
    assert connection.version == 3


@pytest.mark.asynchronous
async def test_attributes_of_a_connection_are_set_in_its_thread_unless_they_are_so_already(connection, worker):
    await spawn(setattr, connection, "setting", "changed")
    assert (connection.setting, connection.set_in) == ("changed", threads(worker)[0].ident)
    # Outside of the bridge, so this would raise if it waited for the thread.
    connection.setting = connection.setting


@pytest.mark.asynchronous
async def test_a_cursor_runs_in_the_thread_of_its_connection_and_reads_in_portions(connection, worker):
    def read():
        with connection.cursor() as cursor:
            assert type(cursor) is Cursor
            numbers = list(cursor)
        # It is closed without waiting, but before what the thread does next.
        connection.ident()
        return numbers, cursor.threads, cursor.closed

    assert await spawn(read) == (list(range(250)), {threads(worker)[0].ident}, True)


@pytest.mark.asynchronous
async def test_a_cancelled_call_of_a_connection_is_interrupted_by_its_driver(connection, worker):
    connection.connection.call = call = Call()
    task = asyncio.create_task(spawn(connection.block))
    await call.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.outcome == "interrupted"
    assert threaded.is_idle(connection)


@pytest.mark.asynchronous
async def test_a_connection_in_a_transaction_or_without_its_thread_is_not_idle(connection, worker):
    assert (threaded.is_idle(connection), threaded.is_alive(connection)) == (True, True)
    connection.connection.in_transaction = True
    assert (threaded.is_idle(connection), threaded.is_alive(connection)) == (False, True)
    connection.connection.in_transaction = False
    worker.usable = False
    assert (threaded.is_idle(connection), threaded.is_alive(connection)) == (False, False)


def test_a_connection_is_closed_in_its_thread_once_and_then_left_alone(connection, worker):
    def interrupt():
        raise AssertionError

    (thread,) = threads(worker)
    connection.close()
    worker.interrupt = interrupt
    threaded.terminate(connection)
    thread.join(5)
    assert connection.connection.closed_in == [thread.ident]
    assert not threaded.is_alive(connection)


def test_a_connection_that_is_not_ours_is_not_closed_but_its_thread_ends(worker):
    connection = Connection(worker, DriversConnection(), close_at_end=False)
    (thread,) = threads(worker)
    connection.close()
    thread.join(5)
    assert not thread.is_alive()
    assert connection.connection.closed_in == []


@pytest.mark.asynchronous
async def test_a_given_up_connection_is_interrupted_and_closed_after_its_call(connection, worker):
    connection.connection.call = call = Call()
    coroutine = spawn(connection.block)
    coroutine.send(None)
    await call.begun.wait()
    worker.interrupt = None
    coroutine.close()
    assert call.outcome is None
    worker.interrupt = connection.connection.interrupt
    (thread,) = threads(worker)
    threaded.terminate(connection)
    assert call.outcome == "interrupted"
    ended(worker)
    assert connection.connection.closed_in == [thread.ident]
