"""The watchdog names the line of synchronous code that blocks the event loop, and is silent about everything else."""

import asyncio
import gc
import inspect
import logging
import threading
import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

import vinyl
from tests.library.models import Author
from vinyl import bridge
from vinyl.watchdog import Watchdog

pytestmark = [pytest.mark.asynchronous, pytest.mark.usefixtures("db")]


class Log(logging.Handler):
    """What the watchdog has said; `said` is set with each message, in its thread."""

    def __init__(self):
        super().__init__()
        self.said = threading.Event()
        self.messages = []

    def clear(self):
        """Forget what was said before, about connecting on a busy machine say."""
        self.messages.clear()
        self.said.clear()

    def emit(self, record):
        self.messages.append(record.getMessage())
        self.said.set()


@pytest.fixture
def log():
    handler, logger = Log(), logging.getLogger("vinyl.watchdog")
    logger.addHandler(handler)
    with override_settings(VINYL={"WATCHDOG": 0.01}):
        yield handler
    logger.removeHandler(handler)


def watchdogs():
    return [thread for thread in threading.enumerate() if isinstance(thread, Watchdog)]


def place(function, text):
    lines, first = inspect.getsourcelines(function)
    number, line = next((number, line) for number, line in enumerate(lines, first) if text in line)
    return f'"{__file__}", line {number}, in {function.__name__}: {line.strip()}'


@pytest.mark.loops
async def test_who_blocks_the_loop_is_named_with_the_line_while_it_does(log):
    def block():
        Author.objects.count()
        log.clear()
        assert log.said.wait(30)

    await vinyl.run(block)
    assert place(block, "log.said.wait") in log.messages[0]
    assert "waits for something else than the database" in log.messages[0]


async def test_a_lock_that_is_held_across_a_query_is_found(log):
    lock = threading.Lock()

    def hold():
        with lock:
            bridge.await_(other())

    async def other():
        held.set()
        await over.wait()

    def wait():
        log.clear()
        # It would wait for ever, were it not for the test.
        while not lock.acquire(timeout=0.2):
            if log.said.is_set():
                return

    held, over = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(vinyl.run(hold))
    await held.wait()
    await vinyl.run(wait)
    over.set()
    await task
    assert "a lock" in log.messages[0]
    assert f'"{__file__}"' in log.messages[0]
    assert "in wait" in log.messages[0]


async def test_who_computes_is_told_from_who_waits(log):
    def compute():
        log.clear()
        give_up = time.monotonic() + 30
        # On a busy machine it may have to wait for its turn to compute.
        while not any(message.endswith("It computes.") for message in log.messages):
            assert time.monotonic() < give_up, log.messages
            sum(range(1000))

    if not hasattr(time, "pthread_getcpuclockid"):
        pytest.skip("not on systems without a clock for each thread")
    await vinyl.run(compute)


async def test_a_block_is_told_again_when_it_has_lasted_ten_times_as_long(log):
    def block():
        while len(log.messages) < 2:
            log.said.wait(30)
            log.said.clear()

    await vinyl.run(block)
    assert len(log.messages) == 2


async def test_who_waits_for_the_loop_is_not_told_of(log):
    async def wait():
        log.clear()
        # Longer than the limit, many times over.
        await asyncio.sleep(0.1)

    await vinyl.run(lambda: bridge.await_(wait()))
    assert log.messages == []


async def test_there_is_no_thread_unless_it_is_asked_for():
    await vinyl.run(Author.objects.count)
    assert watchdogs() == []


def test_it_ends_with_its_loop(log):
    asyncio.run(vinyl.run(Author.objects.none))
    gc.collect()
    for watchdog in watchdogs():
        watchdog.join(30)
        assert not watchdog.is_alive()


@pytest.mark.parametrize("value", [0, -1, "0.1", True])
async def test_what_is_no_number_of_seconds_is_refused(value):
    with (
        override_settings(VINYL={"WATCHDOG": value}),
        pytest.raises(ImproperlyConfigured, match=r"VINYL\['WATCHDOG'\] must be a number of seconds, more than 0"),
    ):
        await vinyl.run(len, "")
