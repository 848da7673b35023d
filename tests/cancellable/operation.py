"""What an operation of the cancellation matrix is."""

import asyncio
import datetime
import uuid

from tests.library.models import Author, Book
from tests.wholeness import PATIENCE
from vinyl import transaction

TODAY = datetime.date(2000, 1, 1)
TITLES = ["0", "1", "2", "3", "4"]


class Operation:
    """One run. `can_be_dropped`: whether its coroutine can be closed where it waits. `pool_size`: None for any."""

    can_be_dropped = True
    pool_size: int | None = None

    def __init__(self):
        self.name = uuid.uuid4().hex

    async def prepare(self):
        pass

    async def run(self):
        raise NotImplementedError

    async def check(self, *, finished):
        pass

    async def authors(self):
        """Return how many authors of this run there are."""
        return await Author.vinyl.filter(name=self.name).count()

    async def insert(self):
        return await Author.vinyl(name=self.name).insert()


async def others_have_ended():
    """Wait for tasks that an operation has left, which are about to end."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        _, pending = await asyncio.wait(others, timeout=PATIENCE)
        assert not pending


class OfAnAuthor(Operation):
    """One whose author, with books, is there already."""

    async def prepare(self):
        async with transaction.atomic():
            await self.fill()

    async def fill(self):
        self.author = await self.insert()
        await Book.vinyl.bulk_create([Book.vinyl(author=self.author, title=title) for title in TITLES])
