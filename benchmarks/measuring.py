"""Measures one cell by one adapter: a closed loop of tasks, or of threads, each doing one operation after the other.

The first operation is checked and not timed. Then each task does one, which connects it where it keeps a connection;
all begin together, warm up, and are timed in a window.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from benchmarks import usage
from benchmarks.adapters.base import Adapter
from benchmarks.figures import Measurement, percentile
from benchmarks.workloads import Workload

MOST_WARM_UP = 0.4
MILLISECONDS = 1_000


class NothingDone(Exception):
    """No operation ended in the window."""


class Window:
    """The time in which operations count, and what was found in it.

    An operation counts if it ends in the window. One that is under way when the window closes counts for the latencies
    only, by the whole time that it took: otherwise a pool that lets some tasks starve would look fast.
    """

    def __init__(self, tasks: int, seconds: float) -> None:
        self.seconds = seconds
        self.is_open = self.is_over = False
        self._counts = [0] * tasks
        self._latencies: list[float] = []
        self._late: list[float] = []
        self._began = self._ended = self._cpu = 0.0

    @property
    def warm_up(self) -> float:
        return min(MOST_WARM_UP, self.seconds / 4)

    def open(self) -> None:
        usage.forget_peak_memory()
        self._cpu = usage.cpu_seconds()
        self._began = time.perf_counter()
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        self._ended = time.perf_counter()
        self._cpu = usage.cpu_seconds() - self._cpu
        self.is_over = True

    def add(self, task: int, began: float) -> None:
        """Take note of an operation that has just ended."""
        if self.is_open:
            self._latencies.append(time.perf_counter() - began)
            self._counts[task] += 1
        elif self.is_over and began < self._ended:
            self._late.append(time.perf_counter() - began)

    def measurement(self) -> Measurement:
        count = len(self._latencies)
        if not count:
            raise NothingDone(f"No operation ended within {self.seconds:g} s.")
        ordered = sorted([*self._latencies, *self._late])
        return Measurement(
            operations=count,
            per_second=count / (self._ended - self._began),
            median=percentile(ordered, 0.5) * MILLISECONDS,
            percentile_99=percentile(ordered, 0.99) * MILLISECONDS,
            longest=ordered[-1] * MILLISECONDS,
            starved=self._counts.count(0),
            cpu=self._cpu / count * MILLISECONDS,
            memory=usage.peak_memory(),
        )


async def by_tasks(adapter: Adapter, workload: Workload, concurrency: int, seconds: float) -> Measurement:
    operation, scope = in_scopes(adapter, workload)
    async with scope():
        workload.check(await operation(), adapter.count)
    window, ready = Window(concurrency, seconds), asyncio.Barrier(concurrency + 1)

    async def work(task: int) -> None:
        async with scope():
            await operation()
            await ready.wait()
            while not window.is_over:
                began = time.perf_counter()
                await operation()
                window.add(task, began)

    async with asyncio.TaskGroup() as group:
        for task in range(concurrency):
            group.create_task(work(task))
        await ready.wait()
        await asyncio.sleep(window.warm_up)
        window.open()
        await asyncio.sleep(seconds)
        window.close()
    return window.measurement()


def in_scopes(
    adapter: Adapter, workload: Workload
) -> tuple[Callable[[], Awaitable[Any]], Callable[[], AbstractAsyncContextManager[None]]]:
    """Return the operation, and what is around a task: the adapter's scope is around one of them."""
    method = getattr(adapter, workload.name)
    if not adapter.scope_is_operation:
        return method, adapter.scope

    async def operation() -> Any:
        async with adapter.scope():
            return await method()

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    return operation, nothing


def by_threads(adapter: Adapter, workload: Workload, concurrency: int, seconds: float) -> Measurement:
    operation = getattr(adapter, workload.name)
    workload.check(operation(), adapter.count)
    window, ready = Window(concurrency, seconds), threading.Barrier(concurrency + 1)
    errors: list[Exception] = []

    def work(thread: int) -> None:
        try:
            operation()
            ready.wait()
            while not window.is_over:
                began = time.perf_counter()
                operation()
                window.add(thread, began)
        except Exception as error:
            errors.append(error)
            ready.abort()
        finally:
            adapter.close_thread()

    with ThreadPoolExecutor(concurrency) as executor:
        for thread in range(concurrency):
            executor.submit(work, thread)
        with suppress(threading.BrokenBarrierError):
            ready.wait()
            time.sleep(window.warm_up)
            window.open()
            time.sleep(seconds)
            window.close()
    if errors:
        raise errors[0]  # the others are of threads that were not let go on
    return window.measurement()
