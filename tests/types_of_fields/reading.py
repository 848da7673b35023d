"""The ways of reading a column: each gives the values of all rows with a label, in the order of their keys."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import F, Max, OuterRef, QuerySet, Subquery

from tests.types_of_fields.described import described, result_of
from tests.types_of_fields.hands import Way, given


async def read(hand: Any, label: str, name: str) -> dict[str, Any]:
    """Read the column in all ways; give what each gives, described."""
    return {way: await result_of(function(hand, label, name)) for way, function in READINGS.items()}


async def find(hand: Any, label: str, name: str, values: list[Any]) -> list[Any]:
    """Find rows by each of the values, and at last by any of them; give their places among those with the label."""
    rows = with_label(hand, label)
    keys = list(await given(rows.values_list("pk", flat=True)))

    async def places(lookup: str, value: Any) -> Any:
        return [keys.index(key) for key in await given(rows.filter(**{lookup: value}).values_list("pk", flat=True))]

    found = [await result_of(places(name, value)) for value in values]
    return [*found, await result_of(places(f"{name}__in", values))]


def with_label(hand: Any, label: str) -> Any:
    """Return the rows of the label as a queryset."""
    return hand.objects.filter(label=label).order_by("pk")


def _by_queryset(column: Callable[[QuerySet[Any], str], Any]) -> Way:
    """Make a way of a queryset that gives the column alone."""

    async def way(hand: Any, label: str, name: str) -> Any:
        return list(await given(column(with_label(hand, label), name)))

    return way


def _by_subquery(rows: Any, name: str) -> Any:
    same_row = rows.model._meta.model._default_manager.filter(pk=OuterRef("pk"))
    return rows.annotate(again=Subquery(same_row.values(name))).values_list("again", flat=True)


async def by_instances(hand: Any, label: str, name: str) -> Any:
    return [getattr(row, name) for row in await given(with_label(hand, label))]


async def by_annotation(hand: Any, label: str, name: str) -> Any:
    return [row.again for row in await given(with_label(hand, label).annotate(again=F(name)))]


async def by_stream(hand: Any, label: str, name: str) -> Any:
    return [getattr(row, name) for row in await given(hand.stream(with_label(hand, label)))]


async def by_refresh(hand: Any, label: str, name: str) -> Any:
    rows = await given(with_label(hand, label).defer(name))
    # A query for each row: a few will do.
    for row in rows[:5]:
        await given(hand.refresh(row, name))
    return [getattr(row, name) for row in rows[:5]]


async def by_raw(hand: Any, label: str, name: str) -> Any:
    sql = f"SELECT * FROM {_table(hand)} WHERE label = %s ORDER BY id"
    return [getattr(row, name) for row in await given(hand.objects.raw(sql, [label]))]


async def by_cursor(hand: Any, label: str, name: str) -> Any:
    """What the driver gives, before Django converts it."""
    return await _selected(hand, label, connection.ops.quote_name(name))


async def as_the_server_shows_it(hand: Any, label: str, name: str) -> Any:
    """What is in the column, as text that tells all its differences; no driver has a hand in it."""
    shown = {
        "mysql": "HEX(CAST({0} AS BINARY))",
        "postgresql": "CAST({0} AS text)",
        "sqlite": "typeof({0}) || quote({0})",
    }[connection.vendor]
    return described(await _selected(hand, label, shown.format(connection.ops.quote_name(name))))


async def _selected(hand: Any, label: str, expression: str) -> list[Any]:
    sql = f"SELECT {expression} FROM {_table(hand)} WHERE label = %s ORDER BY id"
    return [value for (value,) in await given(hand.execute(sql, [label]))]


def _table(hand: Any) -> str:
    return connection.ops.quote_name(hand.model._meta.db_table)


READINGS: dict[str, Way] = {
    "instances": by_instances,
    "values": _by_queryset(lambda rows, name: rows.values_list(name, flat=True)),
    "F": _by_queryset(lambda rows, name: rows.annotate(again=F(name)).values_list("again", flat=True)),
    "annotation": by_annotation,
    "Max": _by_queryset(lambda rows, name: rows.values("pk").annotate(top=Max(name)).values_list("top", flat=True)),
    "Subquery": _by_queryset(_by_subquery),
    "stream": by_stream,
    "refresh": by_refresh,
    "raw": by_raw,
    "cursor": by_cursor,
}
