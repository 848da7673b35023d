"""Operations that keep a connection, or wait for one: transactions, holds, cursors, and a pool that is used up."""

import asyncio
from contextlib import suppress

from django.db import OperationalError
from django.db import transaction as django_transaction

import vinyl
from tests.cancellable.operation import TITLES, TODAY, OfAnAuthor, Operation
from tests.cancellable.querying import Gather, Stream
from tests.library.models import Author
from vinyl import transaction


class StreamInATransaction(Stream):
    async def run(self):
        async with transaction.atomic():
            await super().run()


class GatherInATransaction(Gather):
    async def query(self):
        async with transaction.atomic():
            return await super().query()


class Atomic(Operation):
    """BEGIN, SAVEPOINT, RELEASE, ROLLBACK TO and COMMIT."""

    async def run(self):
        async with transaction.atomic():
            await self.insert()
            async with transaction.atomic():
                await self.insert()
            with suppress(LookupError):
                async with transaction.atomic():
                    await self.insert()
                    raise LookupError
            await self.insert()

    async def check(self, *, finished):
        assert await self.authors() in ((3,) if finished else (0, 3))


class RolledBack(Operation):
    async def run(self):
        with suppress(LookupError):
            async with transaction.atomic():
                await self.insert()
                raise LookupError

    async def check(self, *, finished):
        assert await self.authors() == 0


class RunOfSynchronousCode(Operation):
    def work(self):
        with django_transaction.atomic():
            for _ in range(3):
                Author.objects.create(name=self.name)

    async def run(self):
        await vinyl.run(self.work)

    async def check(self, *, finished):
        assert await self.authors() in ((3,) if finished else (0, 3))


class OnCommit(Operation):
    """Each callback is called at most once, and after the COMMIT."""

    def __init__(self):
        super().__init__()
        self.called = []

    def callback(self, number):
        async def query():
            self.called.append(number)
            await Author.vinyl.count()
            self.called.append(number)

        return query

    async def run(self):
        async with transaction.atomic():
            await self.insert()
            for number in range(3):
                await transaction.on_commit(self.callback(number))

    async def check(self, *, finished):
        all_calls = [0, 0, 1, 1, 2, 2]
        assert self.called == (all_calls if finished else all_calls[: len(self.called)])
        assert await self.authors() >= bool(self.called)


class RunAgainAfterAConflict(OfAnAuthor):
    """transaction.atomic(retries=…)"""

    @transaction.atomic(retries=2)
    async def write(self, author):
        self.attempts += 1
        await author.update(born=TODAY)
        if self.attempts == 1:
            raise conflict()

    async def run(self):
        self.attempts = 0
        await self.write(self.author)

    async def check(self, *, finished):
        assert self.author.born == (TODAY if finished else None)
        assert (await Author.vinyl.get(pk=self.author.pk)).born in ((TODAY,) if finished else (None, TODAY))


def conflict():
    error = OperationalError("could not serialize access")
    error.__cause__ = Exception()
    error.__cause__.sqlstate = "40001"
    return error


class TaskGroup(Operation):
    can_be_dropped = False  # nor can an asyncio.TaskGroup

    async def run(self):
        async with transaction.atomic() as tx, tx.task_group() as group:
            for _ in range(3):
                group.create_task(self.insert())
            await self.insert()

    async def check(self, *, finished):
        assert await self.authors() in ((4,) if finished else (0, 4))


class Hold(Operation):
    async def run(self):
        async with vinyl.connection.hold():
            await vinyl.connection.execute("SELECT 1")
            await vinyl.connection.execute("SELECT 2")


class Cursor(OfAnAuthor):
    async def run(self):
        async with vinyl.connection.cursor() as cursor:
            await cursor.execute("SELECT title FROM library_book WHERE author_id = %s ORDER BY title", [self.author.pk])
            self.titles = [*(await cursor.fetchone()), *[title for (title,) in await cursor.fetchmany(2)]]
            self.titles += [title async for (title,) in cursor]

    async def check(self, *, finished):
        assert not finished or self.titles == TITLES


class WaitForAConnection(Operation):
    """Of a pool whose only one is in a transaction, that ends. Who waits next gets it in any case."""

    pool_size = 1
    block = staticmethod(transaction.atomic)

    async def prepare(self):
        self.leave, entered = asyncio.Event(), asyncio.Event()

        async def have():
            async with self.block():
                await vinyl.connection.execute("SELECT 1")
                entered.set()
                await self.leave.wait()

        self.holder = asyncio.create_task(have())
        await entered.wait()

    async def run(self):
        self.leave.set()
        self.next = asyncio.create_task(self.insert())
        await vinyl.connection.execute("SELECT 1")

    async def check(self, *, finished):
        async with asyncio.timeout(5):
            await asyncio.gather(self.holder, self.next)
        assert await self.authors() == 1


class WaitForAPlace(WaitForAConnection):
    """The one that is held is closed afterwards: who waits is given the right to connect."""

    block = staticmethod(vinyl.connection.hold)
