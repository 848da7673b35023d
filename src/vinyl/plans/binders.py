"""How a value becomes a parameter, without Django's lookups and fields: found out by asking them.

A binder is a function of the value alone. It is one of a few candidates, the first that does to the value at hand and
to samples of its type what Django's own lookup or field does. Only fields whose conversions are Django's own are asked,
and only lookups whose SQL is known not to depend on the value, with values of the field's own type: those Django takes
as they are, without an error or a warning. None: Django has to be asked each time.

This module knows nothing of querysets, shapes or plans.
"""

import copy
import datetime
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from math import copysign
from operator import attrgetter
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.backends.utils import format_number
from django.db.models import lookups
from django.db.models.expressions import Col
from django.db.models.fields import AutoFieldMixin, related_lookups

Binder = Callable[[Any], Any]
# What Django does to a value with the connection at hand.
Reference = Callable[[Any], Any]

PLAIN = frozenset(
    {
        lookups.Exact,
        lookups.GreaterThan,
        lookups.GreaterThanOrEqual,
        lookups.LessThan,
        lookups.LessThanOrEqual,
        lookups.IntegerFieldExact,
        lookups.IntegerGreaterThan,
        lookups.IntegerGreaterThanOrEqual,
        lookups.IntegerLessThan,
        lookups.IntegerLessThanOrEqual,
        lookups.IExact,
        lookups.Contains,
        lookups.IContains,
        lookups.StartsWith,
        lookups.IStartsWith,
        lookups.EndsWith,
        lookups.IEndsWith,
        related_lookups.RelatedExact,
        related_lookups.RelatedGreaterThan,
        related_lookups.RelatedGreaterThanOrEqual,
        related_lookups.RelatedLessThan,
        related_lookups.RelatedLessThanOrEqual,
    }
)
OF_LISTS = frozenset({lookups.In, lookups.Range, related_lookups.RelatedIn})
# They have no parameter, and a value that belongs to the shape.
WITHOUT_VALUE = frozenset({lookups.IsNull, related_lookups.RelatedIsNull})

# The type that is a field's own, by the first class that it is one of.
_OWN_TYPES: tuple[tuple[type, type], ...] = (
    (models.IntegerField, int),
    (models.CharField, str),
    (models.TextField, str),
    (models.FloatField, float),
    (models.DecimalField, Decimal),
    (models.DateTimeField, datetime.datetime),
    (models.DateField, datetime.date),
    (models.TimeField, datetime.time),
    (models.UUIDField, UUID),
)
_UTC = datetime.UTC
_SAMPLES: dict[type, tuple[Any, ...]] = {
    int: (1, 2, 31_007),
    str: ("", "vinyl", "Ümläut", "100 % of_a\\'\"b"),
    float: (0.0, 0.25, -1e9),
    Decimal: (Decimal(0), Decimal("0.5"), Decimal("0.1")),
    datetime.date: (datetime.date(1, 1, 1), datetime.date(2024, 2, 29)),
    datetime.time: (datetime.time(), datetime.time(23, 59, 58, 123456)),
    UUID: (UUID(int=0), UUID(int=2**128 - 1)),
}
_CONVERSIONS = (
    "clean",
    "get_db_prep_save",
    "get_db_prep_value",
    "get_placeholder",
    "get_placeholder_sql",
    "get_prep_value",
    "to_python",
    "get_internal_type",
)


class OutOfPlan(Exception):
    """This value takes Django's way, e.g. since it is out of the field's range."""


def is_plain(field: Any) -> bool:
    """Tell whether all that a field does to a value is done by a class of Django's."""
    djangos = next(cls for cls in type(field).__mro__ if cls.__module__.startswith("django.db.models.fields"))
    return all(getattr(type(field), name, None) is getattr(djangos, name, None) for name in _CONVERSIONS)


def column_field(field: Any) -> Any:
    """Return the field whose values a column has: of a relation the one that its key leads to, over others even."""
    while (target := getattr(field, "target_field", None)) is not None:
        field = target
    return field


def own_type(field: Any) -> Any:
    """Return the type of values that is the field's own, of a relation that of its keys; None if it is not known."""
    field = column_field(field)
    return next((own for cls, own in _OWN_TYPES if isinstance(field, cls)), None)


def takes(field: Any, value: Any) -> bool:
    """Tell whether the field takes each value of this kind as it is."""
    own = own_type(field)
    is_aware = getattr(value, "tzinfo", None) is not None
    return type(value) is own and (own is not datetime.datetime or is_aware is settings.USE_TZ)


def compared_values(where: Any, known: frozenset[int]) -> Iterator[tuple[Any, Any]]:
    """Yield the values that conditions compare with, each with its lookup, where each of their kind is taken.

    `known` are the conditions to leave out, by their id().
    """
    for leaf in leaves(where):
        field = None if id(leaf) in known else target_of(leaf)
        is_list = type(leaf.rhs) in (list, tuple)
        if field is not None and is_list is (type(leaf) in OF_LISTS):
            values: Any = leaf.rhs if is_list else [leaf.rhs]
            yield from ((value, leaf) for value in values if takes(field, value))


def leaves(where: Any) -> Iterator[Any]:
    """Yield the conditions of a WHERE clause, from whatever depth."""
    for child in where.children:
        if hasattr(child, "children"):
            yield from leaves(child)
        else:
            yield child


def target_of(lookup: Any) -> Any:
    """Return the field that a lookup compares with, or None where it is more than a column of a plain field."""
    is_known = type(lookup) in PLAIN or type(lookup) in OF_LISTS
    if not is_known or getattr(lookup, "bilateral_transforms", False) or type(lookup.lhs) is not Col:
        return None
    field = lookup.lhs.output_field
    target = column_field(field)
    return target if is_plain(field) and is_plain(target) else None


def of_lookup(lookup: Any, value: Any, compiler: Any, connection: Any) -> Binder | None:
    """Return the binder for the values of one of compared_values(), or None."""
    field = target_of(lookup)

    def reference(value: Any) -> Any:
        other = copy.copy(lookup)
        other.rhs = [value] if type(lookup) in OF_LISTS else value
        other.rhs = other.get_prep_lookup()
        _, params = other.process_rhs(compiler, connection)
        return params[0]

    pattern = getattr(lookup, "param_pattern", None)
    return _found(field, value, reference, connection, pattern)


def of_field(field: Any, value: Any, connection: Any) -> Binder | None:
    """Return the binder for the values that are written to a field, or None."""
    target = column_field(field)
    if not is_plain(field) or not is_plain(target) or not takes(target, value):
        return None
    return _found(target, value, lambda value: field.get_db_prep_save(value, connection=connection), connection, None)


def _found(field: Any, value: Any, reference: Reference, connection: Any, pattern: str | None) -> Binder | None:
    kind = type(value)
    if kind is str and connection.features.interprets_empty_strings_as_nulls:
        return None
    samples = (value, *_samples(kind, value))
    expected = [_outcome(reference, sample) for sample in samples]
    if expected[0] is _REFUSED:
        return None
    for candidate in _candidates(field, kind, expected[0], pattern, connection):
        if all(
            right is _REFUSED or _is_same(_outcome(candidate, sample), right)
            for sample, right in zip(samples, expected, strict=True)
        ):
            return _guarded(candidate, field, kind, value, connection)
    return None


def _samples(kind: type, value: Any) -> tuple[Any, ...]:
    if kind is datetime.datetime:
        times = (datetime.datetime(1999, 12, 31, 23, 59, 59), datetime.datetime(2024, 2, 29, 1, 2, 3, 456789))
        return times if value.tzinfo is None else tuple(time.replace(tzinfo=_UTC) for time in times)
    return _SAMPLES.get(kind, ())


_REFUSED = object()


def _outcome(function: Binder, value: Any) -> Any:
    try:
        return function(value)
    except Exception:
        return _REFUSED


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _candidates(field: Any, kind: type, expected: Any, pattern: str | None, connection: Any) -> Iterator[Binder]:
    yield _itself
    if type(expected) is not kind:
        # What psycopg knows the size of an integer by, and text.
        yield type(expected)
    if kind is datetime.datetime:
        yield _adapting(connection)
    if kind is UUID:
        yield attrgetter("hex")
    if kind is Decimal:
        yield partial(format_number, max_digits=field.max_digits, decimal_places=field.decimal_places)
    if kind is str:
        for name in ("prep_for_like_query", "prep_for_iexact_query"):
            prepare = partial(getattr(type(connection.ops), name), None)
            yield prepare
            if pattern is not None:
                yield lambda value, prepare=prepare: pattern % prepare(value)  # type: ignore[misc]


def _adapting(connection: Any) -> Binder:
    """Return what makes a text of a time in the connection's time zone, and keeps no connection alive for that."""
    ops = copy.copy(connection.ops)
    ops.connection = SimpleNamespace(timezone=connection.timezone)
    adapt: Binder = ops.adapt_datetimefield_value
    return adapt


def _itself(value: Any) -> Any:
    return value


def _guarded(binder: Binder, field: Any, kind: type, value: Any, connection: Any) -> Binder:
    """Have a binder refuse values that change the SQL, or that Django warns of or refuses by itself."""
    if kind is int:
        low, high = connection.ops.integer_field_range(field.get_internal_type())
        bind = _in_range(binder, low, high)
        is_made = isinstance(field, AutoFieldMixin)
        return bind if not is_made or connection.features.allows_auto_pk_0 else _but_for_zero(bind)
    if kind is datetime.datetime:
        return _of_time(binder, is_aware=value.tzinfo is not None)
    if kind is datetime.time:
        return _naive(binder)
    if kind is Decimal:
        return _finite(binder)
    if kind is float:
        return _without_negative_zero(binder)
    return binder


def _without_negative_zero(binder: Binder) -> Binder:
    # In the text that Django sends to PostgreSQL it is a number without a sign.
    def bind(value: float) -> Any:
        if not value and copysign(1, value) < 0:
            raise OutOfPlan
        return binder(value)

    return bind


def _but_for_zero(binder: Binder) -> Binder:
    # MySQL takes it for a key that it shall make, which Django refuses.
    def bind(value: int) -> Any:
        if not value:
            raise OutOfPlan
        return binder(value)

    return bind


def _in_range(binder: Binder, low: int | None, high: int | None) -> Binder:
    # SQLite's range has no ends, but what it stores is of 64 bits.
    lowest = -(2**63) if low is None else low
    highest = 2**63 - 1 if high is None else high

    def bind(value: int) -> Any:
        if lowest <= value <= highest:
            return binder(value)
        raise OutOfPlan

    return bind


def _of_time(binder: Binder, *, is_aware: bool) -> Binder:
    def bind(value: datetime.datetime) -> Any:
        if (value.tzinfo is not None) is not is_aware or is_aware is not settings.USE_TZ:
            raise OutOfPlan
        return binder(value)

    return bind


def _naive(binder: Binder) -> Binder:
    def bind(value: datetime.time) -> Any:
        if value.tzinfo is not None:
            raise OutOfPlan
        return binder(value)

    return bind


def _finite(binder: Binder) -> Binder:
    def bind(value: Decimal) -> Any:
        if not value.is_finite():
            raise OutOfPlan
        return binder(value)

    return bind
