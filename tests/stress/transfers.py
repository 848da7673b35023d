"""A transfer: what it does, drawn by lot, and how it does that by vinyl. And a look at the accounts, by a stream."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from django.db.models import F

import vinyl
from tests.stress.book import Book
from tests.stress.models import Account, Entry
from vinyl import transaction

ACCOUNTS = 1000
# Among so few accounts transfers often meet.
POPULAR = 5
RETRIES = 10
FORTUNE = 1_000_000


class Refused(Exception):
    """The transfer is refused, on purpose, when all of it is done but the COMMIT."""


class Mistake(Exception):
    """Something was written, on purpose, that a savepoint is to undo."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a transfer does. `patience` is how long it may take; `haste`, how long from its first lock to its COMMIT.

    Either is kept by vinyl's deadline or by asyncio's timeout.
    """

    accounts: tuple[int, int]
    amount: int
    patience: float | None
    haste: float | None
    by_deadline: bool
    is_refused: bool
    has_mistake: bool
    # Whether tasks share the transaction.
    is_shared: bool
    pause: float
    # Whether the account to be paid is locked first. Together with the other order that makes deadlocks.
    backwards: bool

    def within(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return vinyl.deadline(seconds) if self.by_deadline else asyncio.timeout(seconds)


def draw(random: Random, *, can_fail: bool = True) -> Plan:
    """Draw a transfer by lot; one that cannot fail has no limits of time, and is not refused."""
    among = POPULAR if random.random() < 0.2 else ACCOUNTS
    first, second = random.sample(range(1, among + 1), 2)
    plan = Plan(
        accounts=(first, second),
        amount=random.randint(1, 100),
        patience=random.expovariate(5) if random.random() < 0.1 else None,
        haste=random.expovariate(50) if random.random() < 0.1 else None,
        by_deadline=random.random() < 0.5,
        is_refused=random.random() < 0.05,
        has_mistake=random.random() < 0.2,
        is_shared=random.random() < 0.1,
        pause=random.expovariate(200) if random.random() < 0.2 else 0.0,
        backwards=random.random() < 0.5,
    )
    if can_fail:
        return plan
    return Plan(**{name: getattr(plan, name) for name in plan.__slots__} | HARMLESS)


HARMLESS: dict[str, Any] = {"patience": None, "haste": None, "is_refused": False}


@transaction.atomic(retries=RETRIES)
async def transfer(entry: Any, plan: Plan, book: Book) -> None:
    """Transfer as planned, and enter it in the ledger, all of it or nothing."""
    task = asyncio.current_task()
    entry.attempt += 1
    book.inside.add(task)
    try:
        async with plan.within(plan.haste):
            await _transfer(entry, plan, book)
    finally:
        book.inside.discard(task)


async def _transfer(entry: Any, plan: Plan, book: Book) -> None:
    source, target = plan.accounts
    for key in reversed(plan.accounts) if plan.backwards else plan.accounts:
        await Account.vinyl.select_for_update().get(pk=key)
    # A function, and a coroutine function.
    call = partial(book.call, entry.number) if entry.number % 2 else partial(_call, book, entry.number)
    await transaction.on_commit(call)
    if plan.has_mistake:
        await _make_a_mistake(source, book)
    if plan.is_shared:
        async with transaction.atomic() as block, block.task_group() as group:
            group.create_task(_add(source, -plan.amount))
            group.create_task(_add(target, plan.amount))
    else:
        await _add(source, -plan.amount)
        async with transaction.atomic():
            await _add(target, plan.amount)
    await asyncio.sleep(plan.pause)
    await entry.insert()
    if plan.is_refused:
        raise Refused


async def _add(key: int, amount: int) -> None:
    account = await Account.vinyl.get(pk=key)
    await account.update(balance=F("balance") + amount)


async def _make_a_mistake(key: int, book: Book) -> None:
    try:
        async with transaction.atomic():
            await transaction.on_commit(book.call_undone)
            await Account.vinyl.filter(pk=key).update(balance=F("balance") + FORTUNE)
            raise Mistake
    except Mistake:
        pass


async def _call(book: Book, number: int) -> None:
    book.call(number)
    await asyncio.sleep(0)


async def look(random: Random) -> None:
    """Read some accounts as they come, and leave the others."""
    wanted = random.randint(1, ACCOUNTS)
    async for account in Account.vinyl.order_by("pk").iterator(chunk_size=100):
        if account.pk >= wanted:
            break


def new_entry(number: int, plan: Plan) -> Any:
    source, target = plan.accounts
    return Entry.vinyl(number=number, source_id=source, target_id=target, amount=plan.amount)
