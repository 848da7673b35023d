"""The course of a soak: the bank opens, is under fire, and has to be whole afterwards.

    warm-up         a quarter of the time, under fire; then all tasks rest while the memory is measured
    the rest        under fire
    peace           the faults end; each task has to come to the end of its transfer within REST_SECONDS
    the last lap    one more transfer for each task, none of which may fail; the memory is measured again
    the end         vinyl.close()

What is to be seen of it is judged elsewhere.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from django.db import connection

import vinyl
from tests.stress import witness
from tests.stress.audits import Auditor
from tests.stress.book import Book, Outcome
from tests.stress.faults import Faults
from tests.stress.models import Account
from tests.stress.servers import Server
from tests.stress.settings import POOL_SECONDS
from tests.stress.tellers import Tellers
from tests.stress.transfers import ACCOUNTS
from tests.stress.witness import Footprint, Witness

# Who is not at rest by then has waited for longer than the pool lets anybody wait.
REST_SECONDS = 1.5 * POOL_SECONDS
# Seconds that the pool and the server have to take notice of what has been closed.
SETTLE_SECONDS = 5.0
PROGRESS_SECONDS = 0.25


@dataclass
class Soak:
    """A soak, and what is to be seen of it: all of that is there when run() returns."""

    server: Server
    seed: int
    seconds: float
    show: Callable[["Soak"], None]
    book: Book = field(default_factory=Book)
    auditor: Auditor = field(default_factory=Auditor)
    witness: Witness = field(default_factory=Witness)
    # Where tasks are that did not come to rest, and what was wrong in the last lap.
    stuck: list[str] = field(default_factory=list)
    failures_in_peace: list[str] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    statistics: dict[str, int] = field(default_factory=dict)
    greenlets: int = 0
    threads: list[str] = field(default_factory=list)
    under_fire: float = 0.0
    phase: str = ""

    def __post_init__(self) -> None:
        self.faults = Faults(self.server, Random(f"{self.seed} faults"))
        self.tellers = Tellers(self.book, self.seed)

    def run(self) -> None:
        Account.objects.bulk_create(Account(pk=key) for key in range(1, ACCOUNTS + 1))
        connection.close()
        threads = set(threading.enumerate())
        self.auditor.start()
        self.faults.start()
        try:
            asyncio.run(self._run())
        finally:
            self.faults.stop()
            self.auditor.stop()
        self.threads = self._threads_left(threads)

    async def _run(self) -> None:
        self.witness.watch(asyncio.get_running_loop())
        progress = asyncio.create_task(self._show_progress())
        self.tellers.begin()
        await self._be_under_fire(self.seconds / 4)
        await self._rest()
        await self._measure()
        self.tellers.resume()
        await self._be_under_fire(self.seconds * 3 / 4)
        self.phase = "peace"
        await asyncio.to_thread(self.faults.stop)
        await self._rest()
        await self._last_lap()
        await self._measure()
        await self.tellers.dismiss(SETTLE_SECONDS)
        progress.cancel()
        self.statistics = vinyl.connection.statistics()
        await vinyl.close()
        self.greenlets = witness.greenlets()
        # For what the event loop would still complain of.
        await asyncio.sleep(0.1)

    async def _be_under_fire(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.under_fire += seconds
        while (left := until - time.monotonic()) > 0:
            self.phase = f"{self.seconds - self.under_fire + left:3.0f} s left"
            await asyncio.sleep(min(left, PROGRESS_SECONDS))

    async def _rest(self) -> None:
        self.phase = "coming to rest"
        self.stuck += await self.tellers.rest(REST_SECONDS)

    async def _show_progress(self) -> None:
        while True:
            self.show(self)
            await asyncio.sleep(PROGRESS_SECONDS)

    async def _last_lap(self) -> None:
        self.phase = "last lap"
        before = self.book.errors.copy()
        try:
            async with asyncio.timeout(REST_SECONDS):
                outcomes = await self.tellers.transfer_once_each()
        except Exception as error:
            self.failures_in_peace.append(f"{type(error).__name__}: {error}")
        else:
            if outcomes.total() != outcomes[Outcome.ACKNOWLEDGED]:
                errors = self.book.errors - before
                self.failures_in_peace.append(f"{outcomes[Outcome.FAILED]} transfers have failed: {dict(errors)}")

    async def _measure(self) -> None:
        """Measure the memory when the pool has closed what nobody has needed for a while."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            now = vinyl.connection.statistics()
            if now["pool_size"] == now["pool_available"] == now["pool_min"]:
                break
            await asyncio.sleep(0.01)
        self.footprints.append(witness.footprint())

    def _threads_left(self, before: set[threading.Thread]) -> list[str]:
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
            time.sleep(0.01)
        return sorted(thread.name for thread in left)
