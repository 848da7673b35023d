"""How long another task waits for its turn while a very large result is loaded.

The waits are measured by the CPU that the event loop's thread uses in them: on a busy machine, time would tell how busy
it is. That includes the garbage collector's, which runs in whichever thread has made the object that was one too many.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.memory.bounds import MANY_BOOKS

RUNS = 5


def on_postgresql() -> dict[str, float]:
    """Measure on the server that was set up, whose books are many for as long as this takes."""
    from benchmarks import rows, seeding
    from benchmarks.models import Book

    seeding.multiply(MANY_BOOKS // rows.BOOKS)
    try:
        return asyncio.run(load_beside_another())
    finally:
        Book.objects.filter(id__gt=rows.BOOKS)._raw_delete("default")


def on_sqlite() -> dict[str, float]:
    """Measure on a database in a file, which is made for it."""
    import django
    from django.conf import settings

    with tempfile.TemporaryDirectory() as folder:
        settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(folder) / "books"}},
            INSTALLED_APPS=["benchmarks"],
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            USE_TZ=True,
        )
        django.setup()
        from benchmarks import rows, seeding

        seeding.fill()
        seeding.multiply(MANY_BOOKS // rows.BOOKS)
        return asyncio.run(load_beside_another())


async def load_beside_another() -> dict[str, float]:
    """Load them several times, and return the median of the longest waits, in seconds."""
    import vinyl
    from benchmarks.models import Book

    books: Any = vinyl.manager(Book)
    # Often enough for the query to be planned.
    for _ in range(4):
        await books.filter(id__lte=10)
    longest = []
    for _ in range(RUNS):
        gc.collect()
        with waits() as waited:
            assert len(await books.filter(id__lte=MANY_BOOKS)) == MANY_BOOKS
        longest.append(max(waited))
    await vinyl.close()
    return {"longest": median(longest)}


@contextmanager
def waits() -> Iterator[list[float]]:
    """Give how long a task that is always ready has waited for each of its turns in the block."""
    waited: list[float] = []

    async def take_turns() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            waited.append(now - before)
            before = now

    task = asyncio.create_task(take_turns())
    try:
        yield waited
    finally:
        task.cancel()
