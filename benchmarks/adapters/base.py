"""What an adapter is: a method for each workload, which does one operation and returns its result.

The methods are `async def`, or plain functions if the adapter is `synchronous`. A workload that has no method, or is
named in `unsupported` with the reason, is left out. This module knows no library.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from benchmarks.rows import TASKS
from benchmarks.target import Target


class Adapter:
    """Does the workloads by one library. `note` tells readers of the results what else they should know."""

    synchronous: ClassVar[bool] = False
    # Whether scope() is around each operation, as around a request, and not around the life of a task.
    scope_is_operation: ClassVar[bool] = False
    # Whether each task, or thread, keeps a connection: then there can be no more of them than the server allows.
    connection_per_task: ClassVar[bool] = False
    unsupported: ClassVar[Mapping[str, str]] = {}
    note: ClassVar[str] = ""

    def __init__(self, target: Target) -> None:
        self.target = target

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    def close_thread(self) -> None:
        """Disconnect this thread; for those that are synchronous."""

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        """Surround the work of one task."""
        yield

    def count(self, authors: Any) -> tuple[int, int, int]:
        """Count the authors, their books and the tags of these in the result of prefetch()."""
        raise NotImplementedError


class AsynchronousAdapter(Adapter):
    """One that can get() in several tasks of one caller."""

    async def get(self) -> Any:
        raise NotImplementedError

    async def gather(self) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.get()) for _ in range(TASKS)]
        return [task.result() for task in tasks]
