"""Plans and values: whatever is given to a query that is planned, it gives, raises and warns of what Django does.

Each case is a lookup that was asked often enough with usual values, and then for others. What is expected is what the
same code does with `VINYL = {"PLANS": False}`: the results, or the error, its words, and the line that raises it.
"""

import datetime as dt
import math
import re
import uuid
import warnings
from contextlib import contextmanager
from decimal import Decimal
from enum import IntEnum, StrEnum
from unittest import mock

import pytest
from django.db.models import F, Max, Q, Value
from django.test import override_settings
from django.utils.functional import SimpleLazyObject, lazystr

from tests.library.models import Author, Book
from tests.plans import is_planned
from tests.types_of_fields.models import Moments, Numbers, Texts
from vinyl.errors import PlanMismatch
from vinyl.plans import shapes

pytestmark = pytest.mark.usefixtures("types_of_fields", "db")

ENOUGH = 3
NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
UNIQUE = uuid.UUID(int=7)


class Number(IntEnum):
    ONE = 1


class Letter(StrEnum):
    A = "a"


class Text(str):
    pass


class Whole(int):
    pass


@pytest.fixture(autouse=True)
def rows():
    shapes.forget()
    numbers = [
        Numbers.objects.create(label=str(n), integer=n, big_integer=n, decimal=n, float=n, small=n, boolean=n == 1)
        for n in (0, 1, 2)
    ]
    Numbers.objects.create(label="nothing")
    texts = [Texts.objects.create(label=text, char=text, text=text) for text in ("a", "A", "b", "", "1", "100%", "_")]
    moments = [Moments.objects.create(label=str(n), date=dt.date(2024, 5, n), date_time=NOON) for n in (1, 2)]
    author = Author.objects.create(pk=1, name="a")
    Book.objects.create(author=author, title="t")
    yield
    for row in [*numbers, *texts, *moments]:
        type(row).objects.all().delete()
    shapes.forget()


@contextmanager
def without_plans():
    with override_settings(VINYL={"PLANS": False}):
        yield


async def outcome(model, keyword, value, asks="fetch"):
    """Tell what comes of it: what is raised while it is built, else what it gives or raises, and of what it warns."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = await _outcome(model, keyword, value, asks)
    return result, [(warning.category, str(warning.message)) for warning in caught]


async def _outcome(model, keyword, value, asks):
    try:
        queryset = model.vinyl.filter(**{keyword: value})
    except Exception as error:
        return "while it is built", type(error), _words(error)
    try:
        if asks == "update":
            # Written to each row, and read again.
            name = keyword.partition("__")[0]
            written = await model.vinyl.filter(label="1").update(**{name: value})
            # NaN is not equal to itself.
            return written, repr(await model.vinyl.filter(label="1").values_list(name, flat=True).get())
        if asks == "fetch":
            found = await queryset
            return sorted(each.pk for each in found)
        return await getattr(queryset, asks)()
    except Exception as error:
        return type(error), _words(error)


def _words(error):
    # Which row MariaDB comes to first is its own affair.
    return re.sub(r"at row \d+", "at a row", str(error))


INTEGERS = (0, 1, 2, -1)
ODD = (
    *(
        True,
        False,
        None,
        1.0,
        1.5,
        math.nan,
        math.inf,
        "1",
        "",
        "x",
        "\u0661",
        Decimal(1),
        Decimal("1.5"),
        Decimal("NaN"),
    ),
    *(Decimal("Infinity"), Number.ONE, Letter.A, Text("a"), Text("1"), Whole(1), lazystr("a"), lazystr("1")),
    *(
        2**31,
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        10**400,
        b"a",
        [],
        [1],
        (1,),
        {1},
        {},
        [None],
        [1, None],
        [1, 1],
        [1, True],
    ),
    *(NOON, NOON.replace(tzinfo=None), NOON.date(), NOON.time(), NOON.timetz(), dt.timedelta(1), UNIQUE, str(UNIQUE)),
    *(
        F("pk"),
        Value(1),
        Q(pk=1),
        Max("pk"),
        object,
        1j,
        "2024-05-01",
        "a\x00b",
        "%",
        "_",
        "\\",
        "'",
        "ä",
        "2024-05-01T12:00Z",
    ),
)
CASES = {
    "integer": (Numbers, INTEGERS),
    "integer__lt": (Numbers, INTEGERS),
    "integer__gte": (Numbers, INTEGERS),
    "small": (Numbers, INTEGERS),
    "big_integer": (Numbers, INTEGERS),
    "float": (Numbers, (0.0, 1.0, 2.5)),
    "float__gt": (Numbers, (0.0, 1.0, 2.5)),
    "decimal": (Numbers, (Decimal(0), Decimal(1), Decimal("0.1"))),
    "decimal__lte": (Numbers, (Decimal(0), Decimal(1), Decimal("0.1"))),
    "boolean": (Numbers, (True, False)),
    "char": (Texts, ("a", "b", "z")),
    "char__iexact": (Texts, ("a", "b", "z")),
    "char__contains": (Texts, ("a", "b", "z")),
    "char__icontains": (Texts, ("a", "b", "z")),
    "text__startswith": (Texts, ("a", "b", "z")),
    "text__iendswith": (Texts, ("a", "b", "z")),
    "char__regex": (Texts, ("a", "b", "z")),
    "char__gt": (Texts, ("a", "b", "z")),
    "date": (Moments, (NOON.date(), dt.date(1, 1, 1))),
    "date__gte": (Moments, (NOON.date(), dt.date(1, 1, 1))),
    "date_time": (Moments, (NOON, NOON.replace(year=1))),
    "date_time__lt": (Moments, (NOON, NOON.replace(year=2025))),
    "date_time__date": (Moments, (NOON.date(), dt.date(1, 1, 1))),
    "date__year": (Moments, (2024, 1)),
    "time": (Moments, (dt.time(1), dt.time(2))),
    "label__in": (Texts, (["a", "b"], ["b", "1"])),
    "integer__in": (Numbers, ([0, 1], [1, 2])),
    "integer__range": (Numbers, ([0, 1], [1, 2])),
    "integer__isnull": (Numbers, (True, False)),
    "author": (Book, INTEGERS),
    "author__in": (Book, ([0, 1], [1, 2])),
    "author__name": (Book, ("a", "b", "z")),
}


async def assert_as_django(model, keyword, usual, odd, asks):
    shapes.forget()
    with without_plans():
        expected = [await outcome(model, keyword, value, asks) for value in (*usual, *odd)]
    shapes.forget()
    for value in usual * ENOUGH:
        await outcome(model, keyword, value, asks)
    for value, right in zip((*usual, *odd), expected, strict=True):
        assert await outcome(model, keyword, value, asks) == right, (keyword, value)


@pytest.mark.parametrize("keyword", CASES)
@pytest.mark.filterwarnings("ignore")
async def test_values_are_taken_and_refused_as_by_django(keyword):
    model, usual = CASES[keyword]
    lists = () if type(usual[0]) is not list else ([0, 2, 1], [2], ["1", "01"], [1.5, 1.2], [0, 2**70], range(2))
    await assert_as_django(model, keyword, usual, (*ODD, *lists), "fetch")


WRITTEN = [name for name, (model, _) in CASES.items() if model is not Book and "__" not in name]


@pytest.mark.parametrize("keyword", WRITTEN)
@pytest.mark.filterwarnings("ignore")
async def test_values_are_written_as_by_django(keyword):
    model, usual = CASES[keyword]
    await assert_as_django(model, keyword, usual, ODD, "update")


@pytest.mark.parametrize("keyword", CASES)
async def test_what_is_planned_sends_what_django_sends(keyword):
    model, usual = CASES[keyword]
    with override_settings(VINYL={"VERIFY_PLANS": True}):
        for value in (*usual * ENOUGH, *ODD):
            for asks in ("fetch", "count", "exists", "first"):
                try:
                    queryset = model.vinyl.filter(**{keyword: value})
                    await (queryset if asks == "fetch" else getattr(queryset, asks)())
                except PlanMismatch:
                    raise
                except Exception:
                    # As Django's: see above.
                    continue


LAZY = {
    "int": (Numbers, "integer", 1, SimpleLazyObject(lambda: 1)),
    "str": (Texts, "char", "a", SimpleLazyObject(lambda: "a")),
    "element": (Numbers, "integer__in", [1, 2], [SimpleLazyObject(lambda: 1), SimpleLazyObject(lambda: 2)]),
    "list": (Numbers, "integer__in", [1, 2], SimpleLazyObject(lambda: [1, 2])),
    "mock": (Numbers, "integer", 1, mock.Mock(spec=int)),
}


@pytest.mark.parametrize("name", LAZY)
async def test_what_only_looks_like_a_value_is_djangos_affair(name):
    model, keyword, usual, lazy = LAZY[name]
    await assert_as_django(model, keyword, (usual,), (lazy, usual), "fetch")
    with without_plans():
        expected = [await outcome(model, keyword, value) for value in (lazy, usual)]
    shapes.forget()
    assert [await outcome(model, keyword, value) for value in (lazy, usual)] == expected
    # Nor does it keep those from being planned that are values.
    with override_settings(VINYL={}):
        assert await is_planned(lambda: model.vinyl.filter(**{keyword: usual}))
