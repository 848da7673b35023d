"""What tests of plans have in common: whether Django builds a query, and what is done often enough to be planned."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db.models import QuerySet, sql

# The first call grows the shape, the next teaches the plan, and one of an instance more.
ENOUGH = 4


@contextmanager
def built() -> Iterator[list[str]]:
    """Give what Django builds and compiles in the block: the names of what it does for it."""
    calls: list[str] = []

    def noted(name: str, original: Any) -> Any:
        def method(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        return method

    with (
        mock.patch.object(QuerySet, "_chain", noted("chain", QuerySet._chain)),  # type: ignore[attr-defined]
        mock.patch.object(sql.Query, "get_compiler", noted("compile", sql.Query.get_compiler)),
    ):
        yield calls


async def is_planned(query: Callable[[], Awaitable[Any]]) -> bool:
    """Tell whether Django builds and compiles nothing for the query once it was carried out often enough."""
    for _ in range(ENOUGH):
        await query()
    with built() as calls:
        await query()
    return not calls
