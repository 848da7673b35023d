"""Coroutines side by side, each in a task of its own. This module knows nothing of what they do."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_tasks(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all of them, and return their results in their order.

    If one fails the others are cancelled, and its error is raised once they have ended; if this is cancelled, so are
    they.
    """
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += map(group.create_task, coroutines)
    except GeneratorExit:
        # The coroutine is being dropped, of which a TaskGroup tells its tasks nothing.
        for task in tasks:
            task.cancel()
        raise
    except BaseExceptionGroup as errors:
        # Of one, as if it had been awaited alone.
        error = errors.exceptions[0]
        raise error.with_traceback(error.__traceback__) from None
    return [task.result() for task in tasks]
