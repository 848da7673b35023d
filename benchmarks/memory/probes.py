"""One measurement in a process of its own: `python -m benchmarks.memory.probes NAME`; it prints a JSON object.

Each begins with what every process has that uses a database: Django is set up, and a query was made. What is measured
is what comes on top. Memory is kilobytes.
"""

import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import django_project, usage
from benchmarks.memory import pauses
from benchmarks.memory.bounds import BOOKS, CONNECTIONS, TASKS
from benchmarks.target import Target

KILOBYTES = 1024


def resident() -> int:
    """Return the resident memory of this process; what is free has been given back before, as far as it can be."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4


def connections() -> dict[str, float]:
    """Have so many idle connections in the pool."""
    return asyncio.run(open_many())


async def open_many() -> dict[str, float]:
    import vinyl

    async def hold(all_here: asyncio.Barrier) -> None:
        async with vinyl.transaction.atomic():
            await vinyl.connection.execute("SELECT 1")
            await all_here.wait()

    await hold(asyncio.Barrier(1))
    tracemalloc.start()
    before = resident(), tracemalloc.get_traced_memory()[0]
    async with asyncio.TaskGroup() as group:
        everybody = asyncio.Barrier(CONNECTIONS)
        for _ in range(CONNECTIONS):
            group.create_task(hold(everybody))
    del group, everybody
    python = tracemalloc.get_traced_memory()[0]
    after = resident(), python
    await vinyl.close()
    return {
        "resident": (after[0] - before[0]) / (CONNECTIONS - 1),
        "python": (after[1] - before[1]) / KILOBYTES / (CONNECTIONS - 1),
    }


def tasks() -> dict[str, float]:
    """Have so many tasks wait for the one connection of the pool."""
    return asyncio.run(wait_in_line())


async def wait_in_line() -> dict[str, float]:
    import vinyl
    from benchmarks.models import Book

    books: Any = vinyl.manager(Book)

    async def get() -> None:
        await books.get(pk=1)

    async def keep_busy(begun: asyncio.Event, is_over: asyncio.Event) -> None:
        async with vinyl.connection.hold():
            begun.set()
            await is_over.wait()

    # Often enough for the query to be planned.
    for _ in range(4):
        await get()
    begun, is_over = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_busy(begun, is_over))
        await begun.wait()
        before = resident()
        for _ in range(TASKS):
            group.create_task(get())
        while vinyl.connection.statistics().get("requests_waiting", 0) < TASKS:
            await asyncio.sleep(0.01)
        after = resident()
        is_over.set()
    await vinyl.close()
    return {"resident": after - before}


def fetch_by_vinyl() -> dict[str, float]:
    return asyncio.run(fetch_natively())


async def fetch_natively() -> dict[str, float]:
    import vinyl
    from benchmarks.models import Book

    books: Any = vinyl.manager(Book)
    await books.filter(id__lte=10)
    before = at_rest()
    assert len(await books.filter(id__lte=BOOKS)) == BOOKS
    grown = usage.peak_memory() * KILOBYTES - before
    await vinyl.close()
    return {"resident": grown}


def fetch_by_django() -> dict[str, float]:
    from benchmarks.models import Book

    list(Book.objects.filter(id__lte=10))
    before = at_rest()
    assert len(list(Book.objects.filter(id__lte=BOOKS))) == BOOKS
    return {"resident": usage.peak_memory() * KILOBYTES - before}


def at_rest() -> int:
    """Return the resident memory, from which the peak begins anew."""
    before = resident()
    usage.forget_peak_memory()
    return before


PROBES: dict[str, Callable[[], dict[str, float]]] = {
    "connections": connections,
    "tasks": tasks,
    "fetch_by_vinyl": fetch_by_vinyl,
    "fetch_by_django": fetch_by_django,
    "pause_postgresql": pauses.on_postgresql,
}


def main(name: str) -> None:
    if name == "pause_sqlite":
        measured = pauses.on_sqlite()
    else:
        django_project.set_up(Target.of_environment())
        measured = PROBES[name]()
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
