"""The edges of each type of field, by the names of the columns in models.py.

Values that Django or the engine refuse are here on purpose: the errors have to be the same.
"""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import IntegerChoices, JSONField, TextChoices, Value
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe

KATHMANDU = ZoneInfo("Asia/Kathmandu")
NEW_YORK = ZoneInfo("America/New_York")
# What JSON calls null, which is not NULL; Django 6.1 has a name for it.
NULLS_OF_JSON = [Value(None, JSONField()), *([models.JSONNull()] if hasattr(models, "JSONNull") else [])]
MEGABYTE = bytes(range(256)) * 4096


class Size(IntegerChoices):
    SMALL = 1


class Colour(TextChoices):
    RED = "red"


class Unknown:
    """Of no type that a field knows."""

    def __repr__(self) -> str:
        return "<unknown>"


def integers(lowest: int, highest: int) -> list[Any]:
    """Return the range of an integer type, and what is next to it."""
    return [0, -1, lowest, lowest - 1, highest, highest + 1, 10**30]


# A file's name is written as it is, without a look at the storage.
NAMES = ["", "a/é 🦆.txt", "it's \\ %s.txt", "x" * 100, "x" * 101]

MOMENTS = [
    dt.datetime.min.replace(tzinfo=dt.UTC),
    dt.datetime(1000, 1, 1, tzinfo=dt.UTC),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC),
    dt.datetime(2024, 2, 29, 1, 2, 3, 4, dt.UTC),
    dt.datetime(2038, 1, 19, 3, 14, 8, tzinfo=dt.UTC),
    dt.datetime.max.replace(tzinfo=dt.UTC),
    # In other time zones: in hours that are there twice, and never; before there were time zones; out of range in UTC.
    dt.datetime(2024, 2, 29, 1, 2, 3, 400000, KATHMANDU),
    dt.datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK),
    dt.datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK, fold=1),
    dt.datetime(2024, 3, 10, 2, 30, tzinfo=NEW_YORK),
    dt.datetime(1850, 1, 1, tzinfo=NEW_YORK),
    dt.datetime(2024, 2, 29, tzinfo=dt.timezone(-dt.timedelta(hours=12, minutes=34, seconds=1))),
    dt.datetime.max.replace(tzinfo=NEW_YORK),
    dt.datetime.min.replace(tzinfo=KATHMANDU),
    # Without a time zone, as is right where USE_TZ is False.
    dt.datetime.min,
    dt.datetime(2024, 2, 29, 1, 2, 3, 4),
    dt.datetime(2024, 11, 3, 1, 30, fold=1),
    dt.datetime.max,
    dt.date(2024, 2, 29),
]

VALUES: dict[str, list[Any]] = {
    "big_integer": integers(-(2**63), 2**63 - 1),
    "binary": [
        b"",
        b"\0",
        b"'\\\"%s\0\n\r\x1a",
        bytes(range(256)),
        MEGABYTE,
        bytearray(b"a\xff"),
        memoryview(b"\0\xfe"),
        "",
        "é",
        5,
    ],
    "boolean": [True, False, 0, 1.0, "t", "False", "1", 2, "", "x"],
    "char": [
        "",
        " ",
        "a ",
        "é",
        "e\u0301",
        "🦆",
        "\U0010ffff\uffff\u202e\u200d",
        "'\"`\\",
        "\\' \\0 \\",
        "100% %s %(a)s %%",
        "{} ? :a $1 -- ;",
        "\n\r\t\x1a\x7f",
        "a\0b",
        "\ud800",
        "x" * 200,
        "🦆" * 200,
        "x" * 201,
        Colour.RED,
        mark_safe("<b>"),
        lazystr("lazy"),
        12,
        b"bytes",
    ],
    "date": [
        dt.date.min,
        dt.date(999, 12, 31),
        dt.date(1582, 10, 10),
        dt.date(2024, 2, 29),
        dt.date.max,
        dt.datetime(2024, 2, 29, 23, 59),
        dt.datetime(2024, 2, 29, 23, 59, tzinfo=NEW_YORK),
        "2024-02-29",
        "2024-02-30",
        "0000-00-00",
        "infinity",
        5,
    ],
    "date_time": [
        *MOMENTS,
        "2024-02-29T01:02:03.000004Z",
        "2024-02-29T01:02:03+05:45",
        "2024-02-29T25:00:00Z",
        "0000-00-00 00:00:00",
        "x",
        5,
    ],
    "decimal": [
        *map(Decimal, ["-0", "0.0", "1.5", "1.50", "1E+3", "1E-10", "-1E-10", "1E-11", "0.00000000005"]),
        *map(Decimal, ["12345678901234567890.0123456789", "-99999999999999999999.9999999999", "1E+20", "1E+400"]),
        *map(Decimal, ["NaN", "sNaN", "Infinity"]),
        *(3, 10**25, True, 1.5, 0.1, float("nan"), float("inf"), "2.50", "x", b"1"),
    ],
    "decimal_of_units": [Decimal(text) for text in ("-0", "0.5", "1.5", "2.5", "99999", "99999.5", "1E+4", "1E+5")],
    "duration": [
        dt.timedelta(0),
        dt.timedelta(microseconds=1),
        dt.timedelta(microseconds=-1),
        dt.timedelta(days=-1, seconds=5),
        dt.timedelta(days=31),
        dt.timedelta(days=365 * 300, microseconds=1),
        dt.timedelta(days=106751991, seconds=14454, microseconds=775807),
        dt.timedelta(days=-178956970),
        dt.timedelta.min,
        dt.timedelta.max,
        "x",
        5,
    ],
    "email": ["é🦆@example.com", "", "x" * 255, "no address"],
    "file": NAMES,
    "file_path": ["", "/a/é 🦆", "x" * 101],
    "float": [
        *(0.0, -0.0, 0.1, 1 / 3, 1.0, 1e22, -1.5e-300, 123456789.123456789, 1.7976931348623157e308),
        *(2.2250738585072014e-308, 5e-324, float("inf"), -float("inf"), float("nan")),
        *(2**60 + 1, 10**400, True, Decimal("0.1"), "2.5", "nan", "x"),
    ],
    "image": NAMES,
    "integer": [*integers(-(2**31), 2**31 - 1), True, Size.SMALL, 1.5, Decimal(2), float("nan"), "12", "x"],
    "ip_address": [
        "10.0.0.1",
        "255.255.255.255",
        "::",
        "2001:0DB8::0001",
        "2001:db8:0:1:1:1:1:1",
        "::ffff:10.0.0.1",
        "::ffff:c000:280",
        " 10.0.0.2 ",
        "10.0.0.256",
        "010.0.0.1",
        "fe80::1%eth0",
        "x",
        "",
        12,
    ],
    "ip_address_of_four": ["0.0.0.0", "255.255.255.255", "::1", "x"],
    "ip_address_unpacked": ["::ffff:10.0.0.1", "::1", "10.0.0.1"],
    "json": [
        *({}, [], "", 0, True, False, *NULLS_OF_JSON, "NULL", (1, "a")),
        *(0.1, -0.0, 1.0, 1e-7, 1e308, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40),
        "é🦆\\ \" ' \n %s \u202e",
        {"é🦆": {"": [None, True, {"a": [[], {}, ""]}]}, "b": 1, "a": 2, "aa": 3},
        {1: 2, None: 3, False: 4},
        [[[[[[[[[[{"deep": [[[[[[[[[[1]]]]]]]]]]}]]]]]]]]]],
        "x" * 70_000,
        "a\0b",
        {"\0": 1},
        "\ud800",
        float("nan"),
        float("inf"),
        Decimal("1.50"),
        {1, 2},
        b"x",
    ],
    "json_encoded": [
        {"a": Decimal("1.50"), "b": uuid.UUID(int=1), "c": dt.date(2024, 2, 29), "d": dt.timedelta(days=-1)},
        dt.datetime(2024, 2, 29, 1, 2, 3, 456789, KATHMANDU),
        lazystr("lazy"),
        {1, 2},
    ],
    "positive": [*integers(0, 2**31 - 1), 2**32 - 1, 2**32],
    "positive_big": [*integers(0, 2**63 - 1), 2**64 - 1, 2**64],
    "positive_small": [*integers(0, 2**15 - 1), 2**16 - 1, 2**16],
    "slug": ["", "a-b_c", "é🦆", "not a slug", "x" * 51],
    "small": integers(-(2**15), 2**15 - 1),
    "text": ["", "a\0b", "é\r\n%s \\ '", "\U0010ffff", "🦆\\'" * 10_000, lazystr("lazy"), 12],
    "time": [
        dt.time.min,
        dt.time(0, 0, 0, 1),
        dt.time(1, 2, 3, 400000),
        dt.time.max,
        dt.time(12, 30, fold=1),
        dt.time(12, 30, tzinfo=dt.UTC),
        dt.time(12, 30, tzinfo=KATHMANDU),
        dt.datetime(2024, 2, 29, 1, 2, 3),
        "12:30",
        "12:30:01.5",
        "24:00",
        "x",
        5,
    ],
    "url": ["", "https://é.example/🦆?a=%20&b='", "x" * 201, "no address"],
    "uuid": [
        uuid.UUID(int=0),
        uuid.UUID(int=2**128 - 1),
        uuid.UUID("123e4567-e89b-12d3-a456-426655440000"),
        "{123E4567-E89B-12D3-A456-426655440000}",
        "123e4567e89b12d3a456426655440000",
        5,
        2**128,
        "x",
        b"0123456789abcdef",
    ],
}
VALUES = {name: [*values, None, Unknown()] for name, values in VALUES.items()}
