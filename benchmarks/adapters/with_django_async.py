"""Django's own asynchronous methods, which run in threads.

`DjangoAsync` is what suits Django best: each task is one request for its whole life, with a thread and a connection
that it keeps. `DjangoAsyncByRequest` does what Django does under ASGI: each operation is a request, with a thread of
its own and a connection from Django's pool.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import close_old_connections, connections, transaction

from benchmarks import django_project, rows
from benchmarks.adapters.django_methods import DjangoMethods
from benchmarks.target import Target


class DjangoAsync(DjangoMethods):
    connection_per_task = True
    note = "each task keeps a thread and a connection; transaction is one function in sync_to_async()"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.set_up()
        from benchmarks import models

        self.authors, self.books, self.new = models.Author.objects, models.Book.objects, models.Book

    def set_up(self) -> None:
        django_project.set_up(self.target)

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        async with ThreadSensitiveContext():
            try:
                yield
            finally:
                await sync_to_async(connections.close_all)()

    async def transaction(self) -> Any:
        return await sync_to_async(self.transaction_in_thread)()

    def transaction_in_thread(self) -> Any:
        with transaction.atomic():
            book = self.books.get(pk=rows.book_id())
            return self.books.filter(pk=book.pk).update(rating=book.rating + 0.1)


class DjangoAsyncByRequest(DjangoAsync):
    scope_is_operation = True
    connection_per_task = False
    note = "each operation has a thread of its own and a connection from Django's pool, as a request under ASGI"

    def set_up(self) -> None:
        django_project.set_up(self.target, pooled=self.target.pool)

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        async with ThreadSensitiveContext():
            try:
                yield
            finally:
                await sync_to_async(close_old_connections)()
