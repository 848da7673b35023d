"""The shape of a query: the chain of calls that builds it, without the values.

    Book.vinyl.filter(author=3, price__lt=Decimal(9)).order_by("id")[:10]
        filter author <int> price__lt <Decimal>, order_by "id", slice None 10      … and the values 3, Decimal(9)

A value of one of VALUES becomes a blank of its kind, since no such value changes the SQL, but for what a plan finds
out; of a short list of them its length belongs to the shape. Names, None, True and False belong to the shape as they
are, and so do EXPRESSIONS of nothing else, as in annotate(count=Count("id")). A call with anything else has none, such
as one with other expressions or with a NaN: what follows is no shape any more, and Django's alone. Sets have none
either, for what they are in the order of, a copy of them need not be.

Shapes form trees, which grow as calls have gone well: a shape that is there was accepted by Django with other values,
and whoever grows it has seen that Django accepts all values of these kinds. They are bounded: when there are too many,
all are forgotten. This module knows neither databases nor how a query is planned; of querysets only that they have the
methods it calls.
"""

import datetime
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any, NoReturn
from uuid import UUID

from django.core.signals import setting_changed
from django.db.models import Avg, Count, F, Max, Min, Sum

from vinyl.errors import UnsupportedOperation

VALUES = frozenset({int, str, float, Decimal, datetime.date, datetime.datetime, datetime.time, UUID})
# Of these each value is a shape of its own.
CONSTANTS = frozenset({str, bool, int, type(None)})
LISTS = frozenset({list, tuple})
# Of names and constants they are the same whenever they are made anew.
EXPRESSIONS = frozenset({Avg, Count, F, Max, Min, Sum})
# A longer list is rare enough, and its query dear enough, to be built anew.
LONGEST_LIST = 100
MOST_SHAPES = 10_000
# What the databases have for integers. What is larger may not even become a float.
SMALLEST, LARGEST = -(2**63), 2**63 - 1

Key = tuple[Any, ...]
Values = tuple[Any, ...]


class Param:
    """A value that is given later, by this name, to a query that was frozen: `filter(author=Param("author"))`."""

    __slots__ = ("name",)

    name: str

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"Param() takes the name by which its value is given to the frozen query, not {name!r}.")
        self.name = name

    def resolve_expression(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse to be part of a condition: Django calls this for what stands in a Q(), an expression or a list."""
        raise UnsupportedOperation(
            f"{self!r} stands in a Q(), an expression or a list, but a parameter is the whole value of a keyword "
            f"argument: filter(name=Param({self.name!r})), or filter(name__in=Param({self.name!r})) for a list. Write "
            "conditions as filter() and exclude(), one after the other, or make the query in a function of its own."
        )

    def __repr__(self) -> str:
        return f"Param({self.name!r})"


class Shape:
    """A node of a tree of shapes. `plans` is for whoever plans its queries, by whatever they choose."""

    __slots__ = ("_age", "_base", "_children", "_key", "_plans", "parent")

    def __init__(self, parent: "Shape | None", key: Key, base: Callable[[], Any] | None = None) -> None:
        self.parent = parent
        self._key = key
        self._base = base
        self._children: dict[Key, Shape | None] = {}
        self._plans: dict[Any, Any] = {}
        self._age = _forest.age

    def __deepcopy__(self, memo: object) -> "Shape":
        """Give the shape itself: a copy of a queryset has the same."""
        return self

    def child(self, key: Key) -> "Shape | None":
        """Return the shape with one more call, if that has gone well before."""
        if self._age != _forest.age:
            self._forget()
        return self._children.get(key)

    @property
    def plans(self) -> dict[Any, Any]:
        """What was learned of it, under the settings as they are."""
        if self._age != _forest.age:
            self._forget()
        return self._plans

    def _forget(self) -> None:
        # Not cleared: another thread may be about to write to them.
        self._children, self._plans = {}, {}
        self._age = _forest.age

    def is_new(self, key: Key) -> bool:
        """Tell whether nothing is known of one more call, not even that it has no shape."""
        return self.child(key) is None and key not in self._children

    def grow(self, key: Key) -> "Shape":
        """Return the shape with one more call, which has gone well."""
        count_learned()
        child = self._children[key] = Shape(self, key)
        return child

    def refuse(self, key: Key) -> None:
        """Remember that one more call has no shape."""
        count_learned()
        self._children[key] = None

    def queryset(self, values: Values) -> Any:
        """Build the queryset, by Django's methods."""
        calls: list[Key] = []
        shape = self
        while shape.parent is not None:
            calls.append(shape._key)
            shape = shape.parent
        assert shape._base is not None
        queryset = shape._base()
        remaining = iter(values)
        for name, arguments, keywords in reversed(calls):
            queryset = getattr(queryset, name)(
                *arguments, **{keyword: _filled(kind, remaining) for keyword, kind in keywords}
            )
        return queryset


class _Forest:
    """All shapes together, and what else is learned and forgotten with them."""

    def __init__(self) -> None:
        self.age = 0
        self.count = 0
        self.also: list[dict[Any, Any]] = []

    def forget(self, **kwargs: object) -> None:
        self.age += 1
        self.count = 0
        for learned in self.also:
            learned.clear()


_forest = _Forest()
# Tests change the time zone, the database, whatever.
setting_changed.connect(_forest.forget)


def forget() -> None:
    """Forget all shapes, and with them all plans."""
    _forest.forget()


def count_learned() -> None:
    """Tell that something more is remembered: when it becomes too much, all is forgotten."""
    _forest.count += 1
    if _forest.count > MOST_SHAPES:
        _forest.forget()


def forget_with(learned: dict[Any, Any]) -> dict[Any, Any]:
    """Have what was learned elsewhere forgotten too; return it."""
    _forest.also.append(learned)
    return learned


class _Constant:
    """What stands for a value that belongs to the shape. 1 and True are equal, and yet not the same."""

    __slots__ = ("kind", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.kind = type(value)

    def make(self) -> Any:
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Constant) and self.kind is other.kind and self.value == other.value

    def __hash__(self) -> int:
        return hash((self.kind, self.value))


class _Expression:
    """What stands for an expression of EXPRESSIONS: how it was made. None is kept, since queries work on theirs."""

    __slots__ = ("_how",)

    def __init__(self, kind: Any, arguments: tuple[Any, ...], keywords: tuple[tuple[str, Any], ...]) -> None:
        self._how = kind, arguments, keywords

    def make(self) -> Any:
        kind, arguments, keywords = self._how
        return kind(*(each.make() for each in arguments), **{keyword: each.make() for keyword, each in keywords})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Expression) and self._how == other._how

    def __hash__(self) -> int:
        return hash(self._how)


_FIXED = (_Constant, _Expression)
NONE, TRUE, FALSE = _Constant(None), _Constant(True), _Constant(False)


class Naive:
    """The kind of a datetime without a time zone."""


def _of_integer(value: int) -> Any:
    return int if SMALLEST <= value <= LARGEST else None


def _of_float(value: float) -> Any:
    return float if isfinite(value) else None


def _of_decimal(value: Decimal) -> Any:
    return Decimal if value.is_finite() else None


def _of_datetime(value: datetime.datetime) -> Any:
    return Naive if value.tzinfo is None else datetime.datetime


def _of_time(value: datetime.time) -> Any:
    return datetime.time if value.tzinfo is None else None


def _of_type(value: Any) -> Any:
    return type(value)


_KINDS: dict[type, Callable[[Any], Any]] = {
    int: _of_integer,
    str: _of_type,
    float: _of_float,
    Decimal: _of_decimal,
    datetime.date: _of_type,
    datetime.datetime: _of_datetime,
    datetime.time: _of_time,
    UUID: _of_type,
}


def kind_of(value: Any) -> Any:
    """Return the kind of a value, or None if each such value may be a case of its own."""
    find = _KINDS.get(type(value))
    return None if find is None else find(value)


def _filled(kind: Any, values: Any) -> Any:
    """Return the argument that a kind stands for, taking what it needs from the values."""
    if kind.__class__ is tuple:
        container, _, length = kind
        return container(next(values) for _ in range(length))
    return kind.make() if isinstance(kind, _FIXED) else next(values)


def are_in_lists(key: Key) -> list[bool]:
    """Tell of each value of a call whether it is an element of a list."""
    found: list[bool] = []
    for _, kind in key[2]:
        if kind.__class__ is tuple:
            found += [True] * kind[2]
        elif not isinstance(kind, _FIXED):
            found.append(False)
    return found


def call_with_names(name: str, arguments: Values, keywords: dict[str, Any]) -> Key | None:
    """Return the key of a call whose arguments all belong to the shape, such as order_by(); None if it has none."""
    for argument in arguments:
        if type(argument) not in CONSTANTS:
            return None
    if not keywords:
        return (name, arguments, ())
    fixed = tuple([(keyword, _fixed(value)) for keyword, value in keywords.items()])
    return None if any(each is None for _, each in fixed) else (name, arguments, fixed)


def _fixed(value: Any) -> _Constant | _Expression | None:
    """Return what stands for a value that belongs to the shape as it is, or None if it does not."""
    kind = type(value)
    if kind in CONSTANTS:
        return _Constant(value)
    if kind not in EXPRESSIONS:
        return None
    # Django's deconstructible() has it on each instance.
    given, named = value._constructor_args
    arguments = tuple([_fixed(each) for each in given])
    keywords = tuple([(name, _fixed(each)) for name, each in named.items()])
    if None in arguments or any(each is None for _, each in keywords):
        return None
    return _Expression(kind, arguments, keywords)


def call_with_values(name: str, keywords: dict[str, Any]) -> tuple[Key, Values] | None:
    """Return the key and the values of a call such as filter(); None if it has no shape."""
    kinds = []
    values: list[Any] = []
    for keyword, value in keywords.items():
        kind = kind_of(value)
        if kind is not None:
            values.append(value)
            kinds.append((keyword, kind))
        elif value is None:
            kinds.append((keyword, NONE))
        elif value is True or value is False:
            kinds.append((keyword, TRUE if value else FALSE))
        elif type(value) in LISTS and (element := _kind_of_elements(value)):
            values.extend(value)
            kinds.append((keyword, (type(value), element, len(value))))
        else:
            return None
    return (name, (), tuple(kinds)), tuple(values)


def _kind_of_elements(elements: Any) -> Any:
    """Return the kind of a list's elements, or None unless they are all of one, and none is there twice."""
    if not 0 < len(elements) <= LONGEST_LIST:
        return None
    kind, *others = set(map(kind_of, elements))
    # Django leaves out what is there twice.
    return None if others or kind is None or len(set(elements)) < len(elements) else kind
