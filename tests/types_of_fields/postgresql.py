"""The types that only PostgreSQL has, with values for them. Needs psycopg; import it on PostgreSQL only."""

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.postgres import fields
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.backends.postgresql.psycopg_any import (
    DateRange,
    DateTimeTZRange,
    NumericRange,
)
from django.test.utils import isolate_apps

from tests.types_of_fields.models import Sample
from tests.types_of_fields.values import Colour, Unknown

KATHMANDU = ZoneInfo("Asia/Kathmandu")

# Not among the models of the application, whose tables every engine has.
with isolate_apps("tests.types_of_fields"):

    class Compounds(Sample):
        array_of_bytes = fields.ArrayField(models.BinaryField(), null=True)
        array_of_decimals = fields.ArrayField(models.DecimalField(max_digits=10, decimal_places=2), null=True)
        array_of_json = fields.ArrayField(models.JSONField(), null=True)
        array_of_moments = fields.ArrayField(models.DateTimeField(), null=True)
        array_of_numbers = fields.ArrayField(models.IntegerField(null=True), null=True)
        array_of_texts = fields.ArrayField(models.CharField(max_length=5, null=True), size=3, null=True)
        array_nested = fields.ArrayField(fields.ArrayField(models.BigIntegerField()), null=True)
        range_of_big_integers = fields.BigIntegerRangeField(null=True)
        range_of_dates = fields.DateRangeField(null=True)
        range_of_decimals = fields.DecimalRangeField(null=True)
        range_of_integers = fields.IntegerRangeField(null=True)
        range_of_moments = fields.DateTimeRangeField(null=True)
        ranges = fields.ArrayField(fields.IntegerRangeField(), null=True)
        search_vector = SearchVectorField(null=True)

        class Meta:
            app_label = "types_of_fields"

    class Maps(Sample):
        """Of the extension hstore, which a server may lack."""

        hstore = fields.HStoreField(null=True)

        class Meta:
            app_label = "types_of_fields"


def moments(*hours: int) -> list[dt.datetime]:
    return [dt.datetime(2024, 2, 29, hour, 59, 59, 999999, KATHMANDU) for hour in hours]


VALUES: dict[str, list[Any]] = {
    "array_of_bytes": [[], [b"", b"\0\xff'\\\""], [memoryview(b"x")]],
    "array_of_decimals": [[Decimal("1.50"), Decimal(-0), 1], [Decimal("1.005")], [Decimal("1E+9")], ["x"]],
    "array_of_json": [[{"a": [1, None, "é"]}, [], "x", 1.5], [[1], [2]]],
    "array_of_moments": [moments(1, 23), [dt.datetime.min.replace(tzinfo=dt.UTC)], ["2024-02-29T01:02:03Z"], ["x"]],
    "array_of_numbers": [[], [1, -1, None], [None], [2**31], (1, 2), ["1"], ["x"], "{1,2}", [[1]], 1],
    "array_of_texts": [
        ["", "é🦆", None],
        ["'\"\\", "{},", "NULL"],
        [" a\n", "%s"],
        ["123456"],
        ["a\0"],
        list("abcd"),
        [1],
    ],
    "array_nested": [[], [[]], [[1, 2], [3, 4]], [[1], [2, 3]], [[2**63 - 1]], [None], [1]],
    "range_of_big_integers": [(-(2**63), 2**63 - 1), NumericRange(None, 2**40), (0, 2**63)],
    "range_of_dates": [
        DateRange(dt.date.min, dt.date.max),
        DateRange(dt.date(2024, 2, 29), dt.date(2024, 3, 1), "[]"),
        DateRange(None, None),
        ("2024-02-29", None),
        DateRange(dt.date.max, None, "(]"),
    ],
    "range_of_decimals": [
        NumericRange(Decimal("-0.5"), Decimal("1.50"), "(]"),
        NumericRange(None, None, "()"),
        NumericRange(Decimal("1E+400"), None),
        (1, 2.5),
        NumericRange(Decimal("NaN"), None),
    ],
    "range_of_integers": [
        NumericRange(1, 5),
        NumericRange(1, 5, "(]"),
        NumericRange(1, 5, "[]"),
        NumericRange(5, 5),
        NumericRange(empty=True),
        NumericRange(None, 5),
        NumericRange(5, 1),
        NumericRange(1, 2**31 - 1, "[]"),
        NumericRange(1, 2**31),
        (1, 5),
        [1, None],
        ("1", "5"),
        '{"lower": "1", "upper": null, "bounds": "[)"}',
        "[1,5)",
        5,
        (1,),
    ],
    "range_of_moments": [
        DateTimeTZRange(*moments(1, 23), "[]"),
        DateTimeTZRange(dt.datetime.min.replace(tzinfo=dt.UTC), None),
        DateTimeTZRange(empty=True),
        tuple(moments(1, 2)),
        (dt.datetime(2024, 2, 29), None),
    ],
    "ranges": [[], [NumericRange(1, 5, "[]"), NumericRange(empty=True), NumericRange(None, 1)], [(1, 2)]],
    "search_vector": ["", "a fat cat", "'é':1A,2B 'it''s':3", "a:0", "x" * 3000],
    "hstore": [
        {},
        {"a": "é🦆", "": "", "'\"\\": "=>,", "n": None},
        {"b": 1, 2: True},
        {"a": "a\0"},
        [("a", "b")],
        Colour.RED,
    ],
}
VALUES = {name: [*values, None, Unknown()] for name, values in VALUES.items()}
