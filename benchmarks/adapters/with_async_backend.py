"""django-async-backend, which has one connection for each task.

`AsyncBackend` keeps it for the life of the task; `AsyncBackendByRequest` gives it back to the pool after each
operation, as it does after a request.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from django_async_backend.db import async_connections, async_new_connection
from django_async_backend.db.transaction import async_atomic

from benchmarks import django_project, rows
from benchmarks.adapters.django_methods import DjangoMethods
from benchmarks.target import Target

# Enough for each task to keep one, up to a concurrency of so many.
KEPT = 200


class AsyncBackend(DjangoMethods):
    connection_per_task = True
    unsupported = {"prefetch": "it has no prefetch_related()"}
    note = "each task keeps a connection"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        django_project.set_up(target, pooled=self.connections(), async_backend=True)
        from benchmarks import models

        self.authors, self.books, self.new = models.Author.async_objects, models.Book.async_objects, models.Book

    def connections(self) -> int:
        return KEPT

    async def close(self) -> None:
        await async_connections["default"].close_pool()

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        async with async_new_connection():
            yield

    async def gather(self) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(async_new_connection(self.get())) for _ in range(rows.TASKS)]
        return [task.result() for task in tasks]

    async def transaction(self) -> Any:
        async with async_atomic():
            book = await self.books.aget(pk=rows.book_id())
            return await self.books.filter(pk=book.pk).aupdate(rating=book.rating + 0.1)


class AsyncBackendByRequest(AsyncBackend):
    scope_is_operation = True
    connection_per_task = False
    note = "each operation takes a connection from the pool, as a request under ASGI"

    def connections(self) -> int:
        return self.target.pool
