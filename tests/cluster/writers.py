"""Tasks that write without a pause, and keep book of what became of each write."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from django.db import Error

import vinyl
from tests.library.models import Author, Tag
from vinyl import transaction

ALIAS = "cluster"
WRITERS = 20
# Seconds that a write may take, whatever becomes of it.
DEADLINE = 20.0
# Seconds until a writer that was refused tries again.
PAUSE = 0.05


@dataclass
class Ledger:
    """What the writers have tried, what was acknowledged to them, and what they were told of the rest.

    `longest` is how many seconds a write took at most, acknowledged or not.
    """

    attempted: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    refusals: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    _names: "itertools.count[int]" = field(default_factory=itertools.count)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def write(self) -> None:
        """Write an author and a tag of this name, both or neither."""
        name = f"{next(self._names):06}"
        self.attempted.add(name)
        started = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE), transaction.atomic(using=ALIAS):
                await Author.vinyl.using(ALIAS).create(name=name)
                await vinyl.manager(Tag).using(ALIAS).create(label=name)
        except (Error, TimeoutError) as error:
            self.refusals[str(error)] += 1
            await asyncio.sleep(PAUSE)
        else:
            self.acknowledged.add(name)
            async with self._progress:
                self._progress.notify_all()
        finally:
            self.longest = max(self.longest, time.monotonic() - started)

    async def more(self, number: int) -> None:
        """Wait until so many more writes are acknowledged."""
        wanted = len(self.acknowledged) + number
        try:
            async with asyncio.timeout(2 * DEADLINE), self._progress:
                await self._progress.wait_for(lambda: len(self.acknowledged) >= wanted)
        except TimeoutError as error:
            raise AssertionError(f"The writers came to a standstill: {self}") from error

    def __str__(self) -> str:
        refusals = ", ".join(f"{number} × {what}" for what, number in self.refusals.items()) or "none"
        return (
            f"{len(self.acknowledged):,} of {len(self.attempted):,} writes acknowledged, the longest took "
            f"{self.longest:.1f} s; refused: {refusals}"
        )


@asynccontextmanager
async def writing() -> AsyncIterator[Ledger]:
    """Have the writers at work in the block; let each of them finish its last write after it."""
    ledger = Ledger()
    is_over = asyncio.Event()

    async def writer() -> None:
        while not is_over.is_set():
            await ledger.write()

    async with asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(writer())
        try:
            yield ledger
        finally:
            is_over.set()
