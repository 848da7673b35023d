"""Columns of values as text of PostgreSQL's array syntax, made at once for a whole column.

    of_integers([1, None, 3])       "{1, NULL, 3}"
    of_texts(["a", None, 'b"'])     "{\"a\",NULL,\"b\\\"\"}", with each text quoted

It is for parameters that the statement casts: `(%s)::integer[]`. psycopg would dump each element by a call of its own.
The elements of a column are of one type, but for None. A value that is not sent as it is raises OutOfPlan: psycopg and
Django have errors and warnings for those.

This module knows neither fields nor statements.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings

from vinyl.plans.binders import OutOfPlan

Column = Sequence[Any]
Encoder = Callable[[Column], str]


def of_reprs(column: Column) -> str:
    """Of numbers and truth values, whose repr() the server reads; no such text has another "None" in it."""
    return "{" + str(list(column))[1:-1].replace("None", "NULL") + "}"


def of_integers(column: Column, low: int, high: int) -> str:
    """Of integers between these, both included."""
    known = _without_none(column)
    if known and not (low <= min(known) and max(known) <= high):
        raise OutOfPlan
    return of_reprs(column)


def of_strs(column: Column) -> str:
    """Of values whose str() the server reads: it has no quotes, commas, braces or backslashes."""
    return "{" + ",".join(map(str, column)).replace("None", "NULL") + "}"


def of_decimals(column: Column) -> str:
    """Of finite decimal numbers."""
    if not all(map(Decimal.is_finite, _without_none(column))):
        raise OutOfPlan
    return of_strs(column)


def of_datetimes(column: Column) -> str:
    """Of times that are aware with USE_TZ, or naive without it."""
    is_aware = settings.USE_TZ
    for value in column:
        if value is not None and (value.utcoffset() is not None) is not is_aware:
            raise OutOfPlan
    return of_strs(column)


def of_times(column: Column) -> str:
    """Of naive times of a day."""
    if any(value.tzinfo is not None for value in column if value is not None):
        raise OutOfPlan
    return of_strs(column)


def of_texts(column: Column) -> str:
    """Of texts, each of them quoted, so that "NULL" and the empty text are themselves."""
    joined = "".join(_without_none(column))
    if "\0" in joined:
        raise OutOfPlan
    if '"' in joined or "\\" in joined:
        column = [value and value.replace("\\", "\\\\").replace('"', '\\"') for value in column]
    if None in column:
        return "{" + ",".join(["NULL" if value is None else f'"{value}"' for value in column]) + "}"
    return '{"' + '","'.join(column) + '"}'


def of_nothing(column: Column) -> str:
    """Of None alone."""
    return "{" + ",".join(["NULL"] * len(column)) + "}"


def _without_none(column: Column) -> Column:
    return [value for value in column if value is not None] if None in column else column


ENCODERS: dict[type, Encoder] = {
    float: of_reprs,
    bool: of_reprs,
    Decimal: of_decimals,
    date: of_strs,
    datetime: of_datetimes,
    time: of_times,
    UUID: of_strs,
    str: of_texts,
    type(None): of_nothing,
}


def encoder(kind: type, bounds: tuple[int, int] | None) -> Encoder | None:
    """Return the function that encodes a column of values of this type; integers are within the bounds."""
    if kind is int:
        return None if bounds is None else partial(of_integers, low=bounds[0], high=bounds[1])
    return ENCODERS.get(kind)
