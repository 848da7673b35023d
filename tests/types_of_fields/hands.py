"""Who writes and reads: vinyl, or Django alone.

A *way* is a coroutine function that is given a *hand*. What the hand of vinyl gives is awaited, what the hand of Django
gives is there already. So the same lines write and read with vinyl in both modes, and with Django.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from django.db import connections
from django.db.models import Model

import vinyl

Way = Callable[..., Awaitable[Any]]


class ByDjango:
    """Works on a model with the manager and the methods of Django."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.objects: Any = model._default_manager
        self.new: Any = model

    def insert(self, instance: Any) -> None:
        instance.save(force_insert=True)

    def update(self, instance: Any, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(instance, name, value)
        instance.save(update_fields=list(values))

    def refresh(self, instance: Any, *names: str) -> None:
        instance.refresh_from_db(fields=names or None)

    def stream(self, queryset: Any) -> Any:
        return list(queryset.iterator())

    def execute(self, sql: str, params: Any = None) -> Any:
        with connections["default"].cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())


class ByVinyl:
    """Works on a model with vinyl, in the mode of the test."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.objects = self.new = vinyl.manager(model)

    async def insert(self, instance: Any) -> None:
        await instance.insert()

    async def update(self, instance: Any, values: dict[str, Any]) -> None:
        await instance.update(**values)

    def refresh(self, instance: Any, *names: str) -> Any:
        return instance.refresh(*names)

    async def stream(self, queryset: Any) -> Any:
        return [row async for row in queryset.aiterator()]

    def execute(self, sql: str, params: Any = None) -> Any:
        return vinyl.connection.execute(sql, params)


async def given(result: Any) -> Any:
    """Await what vinyl gives; what Django gives is there already."""
    return await result if inspect.isawaitable(result) else result


async def inserted(hand: Any, **values: Any) -> Any:
    """Give a new instance that has been inserted."""
    instance = hand.new(**values)
    await given(hand.insert(instance))
    return instance


async def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call the function of either hand, and await what it gives; its errors are those of this coroutine."""
    return await given(function(*args, **kwargs))


def at_once(way: Way, *args: Any) -> Any:
    """Run a way whose hand is Django's, here and now."""
    with vinyl.sync_mode():
        return vinyl.portable(way)(*args)  # type: ignore[arg-type]


async def alone(way: Way, *args: Any) -> Any:
    """Run a way whose hand is Django's from a test of vinyl: where it has an event loop, in a thread beside it."""

    def run() -> Any:
        try:
            return at_once(way, *args)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run) if vinyl.is_async() else await way(*args)
