"""The tasks that transfer, one transfer after the other, and who cancels them."""

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from django.db import Error

from tests.stress.book import Book, Outcome
from tests.stress.transfers import Plan, Refused, draw, look, new_entry, transfer
from vinyl import DeadlineExceeded
from vinyl.common import whereabouts

TELLERS = 200
# Seconds until a teller who was told of an error tries the next transfer, and between two cancellations, on average.
PAUSE = 0.3
CANCEL_PAUSE = 0.02
# How many looks at the accounts there are for each transfer.
LOOKS = 0.1
# Before Python 3.13 a task whose TaskGroup has failed was cancelled by it, for all that can be told.
GROUPS_ARE_CANCELLED = sys.version_info < (3, 13)


@dataclass
class Tellers:
    """So many tasks, at work while the bank is open; one that was cancelled is replaced."""

    book: Book
    seed: int
    number: int = TELLERS
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _resting: set["asyncio.Task[None] | None"] = field(default_factory=set)
    _is_open: asyncio.Event = field(default_factory=asyncio.Event)
    _canceller: "asyncio.Task[None] | None" = None

    def begin(self) -> None:
        for desk in range(self.number):
            self._employ(Random(f"{self.seed} {desk}"))
        self._canceller = asyncio.create_task(self._cancel_at_random(Random(f"{self.seed} canceller")))
        self._is_open.set()

    def resume(self) -> None:
        self._is_open.set()

    async def rest(self, seconds: float) -> list[str]:
        """Let each of them end its transfer and wait; return where those are that have not come to that in time."""
        self._is_open.clear()
        deadline = time.monotonic() + seconds
        while stuck := [task for task in self._tasks if task not in self._resting]:
            if time.monotonic() > deadline:
                return [whereabouts.of_task(task) for task in stuck]
            await asyncio.sleep(0.01)
        return []

    async def transfer_once_each(self) -> Counter[Outcome]:
        """Have as many transfers made at once as there are tellers, without cancellations; count the outcomes."""
        random = Random(f"{self.seed} last")
        plans = [draw(random, can_fail=False) for _ in range(self.number)]
        return Counter(await asyncio.gather(*map(self._transfer, plans)))

    async def dismiss(self, seconds: float) -> None:
        """End all tasks, as far as they can be ended."""
        tasks = [*self._tasks, *filter(None, [self._canceller])]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=seconds)

    def _employ(self, random: Random) -> None:
        task = asyncio.create_task(self._work(random))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._replace(task, random))

    def _replace(self, task: "asyncio.Task[None]", random: Random) -> None:
        if task in self._tasks:
            self._tasks.discard(task)
            self._resting.discard(task)
            if not task.cancelled() and (error := task.exception()):
                self.book.note(error)
            self._employ(random)

    async def _work(self, random: Random) -> None:
        task = asyncio.current_task()
        assert task is not None
        while True:
            if not self._is_open.is_set():
                self._resting.add(task)
                await self._is_open.wait()
                self._resting.discard(task)
            plan, cancellations = draw(random), task.cancelling()
            if await self._transfer(plan) is Outcome.FAILED or not await self._look(random):
                await asyncio.sleep(random.uniform(0, 2 * PAUSE))
            if task.cancelling() > cancellations and not (plan.is_shared and GROUPS_ARE_CANCELLED):
                # One that came too late for the transfer is raised here.
                await asyncio.sleep(0)
                self.book.unexpected["a task went on though it had been cancelled"] += 1
                return

    async def _look(self, random: Random) -> bool:
        """Look at the accounts now and then; tell whether that could be done."""
        if random.random() < LOOKS:
            try:
                await look(random)
            except Error as error:
                self.book.note(error)
                return False
            self.book.looks += 1
        return True

    async def _transfer(self, plan: Plan) -> Outcome:
        number = self.book.begin()
        outcome, started = Outcome.FAILED, time.monotonic()
        try:
            async with plan.within(plan.patience):
                await transfer(new_entry(number, plan), plan, self.book)
            outcome = Outcome.ACKNOWLEDGED
        except Refused:
            outcome = Outcome.REFUSED
        except asyncio.CancelledError:
            outcome = Outcome.CANCELLED
            raise
        except (TimeoutError, DeadlineExceeded):
            outcome = Outcome.TIMED_OUT
        except (Error, ExceptionGroup) as error:
            self.book.note(error)
        finally:
            self.book.end(number, outcome, time.monotonic() - started)
        return outcome

    async def _cancel_at_random(self, random: Random) -> None:
        """Cancel one that is in a transaction, mostly, since most only wait for a connection; some of them twice."""
        while True:
            await asyncio.sleep(random.expovariate(1 / CANCEL_PAUSE))
            if not self._is_open.is_set():
                continue
            inside = [task for task in self._tasks if task in self.book.inside]
            victims = inside if inside and random.random() < 0.8 else list(self._tasks)
            victim = random.choice(victims)
            victim.cancel()
            if random.random() < 0.2:
                asyncio.get_running_loop().call_later(random.expovariate(500), victim.cancel)
