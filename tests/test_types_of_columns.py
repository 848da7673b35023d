"""Columns of types that Django has no field for, and parameters that are no values of fields: as by Django's driver.

Of MariaDB and MySQL, whose asynchronous driver is another one, tests/test_mysql_driver.py has all types.
"""

import datetime as dt
import ipaddress
import uuid
from decimal import Decimal
from fractions import Fraction

import pytest
from django.db import connection
from django.utils.safestring import mark_safe

import vinyl
from tests.types_of_fields.described import described, described_error, is_error
from tests.types_of_fields.hands import alone, called
from tests.types_of_fields.values import KATHMANDU, Colour, Size, Unknown

pytestmark = pytest.mark.asynchronous


async def in_both(function):
    """Run the function on the asynchronous connection, and on Django's in a thread; give both results."""
    return await vinyl.run(function), await alone(called, function)


def selected(sql, params):
    """Give the row that is selected with the description of its columns, or the error."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql, params)
            return described(cursor.fetchall()), described([tuple(column) for column in cursor.description])
        except Exception as error:
            return described_error(error)


OF_POSTGRESQL = {
    "bit(4)": ["0101"],
    "box": ["(1,2),(3,4)"],
    "bytea": ["\\x00ff", "\\\\"],
    '"char"': ["a", ""],
    "char(4)": ["a", "é"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "circle": ["<(1,2),3>"],
    "date": ["0001-01-01", "9999-12-31", "infinity", "-infinity", "0044-03-15 BC", "10000-01-01"],
    "float4": ["0.1", "NaN", "-0", "1e38", "1e39"],
    "float8": ["5e-324", "-Infinity", "-0"],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::1", "::ffff:1.2.3.4/64", "x"],
    "int4[]": ["{}", "{1,NULL,-2}", "{{1,2},{3,4}}", "[0:1]={1,2}"],
    "int4multirange": ["{}", "{[1,3),[5,)}"],
    "int4range": ["empty", "[1,3]", "(,5)"],
    "interval": ["1 mon -2 days 03:04:05.6", "-0.000001 s", "178000000 years", "0"],
    "json": ['{"a": 1, "a": 2}', " [1.0, 1e400]", "{"],
    "jsonb": ['{"b": 1, "aa": 2}', "12345678901234567890.10", '"\\u0000"'],
    "macaddr": ["08:00:2b:01:02:03"],
    "money": ["1.50", "-1000000"],
    "name": ["a" * 70],
    "numeric": ["NaN", "Infinity", "1e1000", "-0.00", "1.10", "x"],
    "numeric[]": ["{1.10,NaN,NULL}"],
    "oid": ["4294967295"],
    "pg_lsn": ["16/B374D848"],
    "point": ["(1,2)"],
    "regclass": ["pg_class"],
    "text[]": ['{"",NULL,"NULL","a\\"b\\\\c,d",é🦆}'],
    "time": ["24:00:00", "00:00:00.000001"],
    "timestamp": ["infinity", "0001-01-01 00:00", "0044-03-15 12:00 BC", "2024-02-29 01:02:03.000004"],
    "timestamptz": ["-infinity", "2024-02-29 01:02:03.000004+05:45", "1850-01-01 00:00-04:56:02", "10000-01-01 00:00Z"],
    "timestamptz[]": ['{"2024-02-29 01:02:03+00",NULL}'],
    "timetz": ["12:30:00.000001+05:45", "00:00:00+15:59:59", "24:00:00Z"],
    "tsquery": ["'a' & !'b'"],
    "tsvector": ["'a':1A 'é'"],
    "tstzmultirange": ['{["2024-02-29 00:00+00",)}'],
    "tstzrange": ['["2024-02-29 00:00+00","2024-03-01 00:00+05:45"]'],
    "uuid": ["00000000-0000-0000-0000-000000000001", "x"],
    "varbit": ["", "10101"],
    "xid": ["4294967295"],
    "xml": ["<a>é</a>"],
}


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("kind", OF_POSTGRESQL)
async def test_columns_of_each_type_of_postgresql_are_read_as_by_django(kind):
    def read():
        return [selected(f"SELECT CAST(%s AS {kind}) AS x", [value]) for value in [*OF_POSTGRESQL[kind], None]]

    ours, theirs = await in_both(read)
    assert ours == theirs
    assert not is_error(theirs[-1])


@pytest.mark.session
@pytest.mark.engine("postgresql")
async def test_types_that_were_created_are_read_as_by_django():
    def read():
        with connection.cursor() as cursor:
            cursor.execute("CREATE TYPE pg_temp.mood AS ENUM ('é', '')")
            cursor.execute("CREATE TYPE pg_temp.pair AS (a int, b text)")
            cursor.execute("CREATE DOMAIN pg_temp.odd AS numeric CHECK (VALUE % 2 = 1)")
        return [
            selected(sql, None)[0]
            for sql in (
                "SELECT 'é'::pg_temp.mood, ARRAY['', NULL]::pg_temp.mood[], 'x'::text",
                "SELECT (1, 'a,\"')::pg_temp.pair, ARRAY[(NULL, '')::pg_temp.pair], ROW(1, 'a', NULL)",
                "SELECT 3::pg_temp.odd",
                "SELECT 2::pg_temp.odd",
                "SELECT 'x'::pg_temp.mood",
            )
        ]

    async with vinyl.connection.hold():
        ours, theirs = await in_both(read)
    assert ours == theirs


PARAMETERS = [
    *(None, True, 0, 2**15, 2**31, 2**63, -(10**30), 1.5, -0.0, float("nan"), float("inf"), Size.SMALL),
    *(Decimal("1.50"), Decimal("NaN"), Fraction(1, 2), 1j),
    *("", "é🦆", "it's \\ \" %s %%", "a\0", "\ud800", "1", Colour.RED, mark_safe("<b>")),
    *(b"", b"\0\xff'\\", bytearray(b"x"), memoryview(b"x")),
    *(dt.date.min, dt.date.max, dt.time.max, dt.time(1, 2, tzinfo=dt.UTC), dt.timedelta(days=-1, microseconds=1)),
    *(dt.datetime.max, dt.datetime(2024, 2, 29, 1, 2, 3, 4, dt.UTC), dt.datetime(2024, 2, 29, tzinfo=KATHMANDU)),
    *(uuid.UUID(int=1), ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8")),
    *([], [1, 2**40], [1, "a"], [[1], [2]], [None, "NULL", '"'], (1, 2), (), {"a": 1}, {1}, object, Unknown()),
]


@pytest.mark.engine("postgresql", "sqlite")
@pytest.mark.parametrize("value", PARAMETERS, ids=lambda value: type(value).__name__)
async def test_parameters_of_each_type_arrive_as_by_django(value):
    kind = "pg_typeof(%s)::text" if connection.vendor == "postgresql" else "typeof(%s)"
    ours, theirs = await in_both(
        lambda: [
            selected(f"SELECT {kind}", [value]),
            selected("SELECT %s", [value]),
            selected("SELECT 1 WHERE %s IN (%s, %s)", [value, value, None]),
        ]
    )
    assert ours == theirs


OF_SQLITE = {
    "": [1, 1.5, "1", b"1", 2**63 - 1, -0.0, float("inf"), float("nan"), "a\0b", b"\0\xff"],
    "bigint": ["9223372036854775807", "9223372036854775808", 1.0, 1.5, "x", b"1"],
    "bool": [0, 1, 2, "1", "x"],
    "date": ["2024-02-29", "2024-02-30", "", 5, b"2024-02-29"],
    "datetime": ["2024-02-29 01:02:03.000004", "2024-02-29T01:02:03+05:45", "2024-02-29", "x", 5],
    "decimal": ["1.50", 1, "1e400", "x", 12345678901234567890.0],
    "integer": ["1", "x", 1.0],
    "json": ['{"a": 1}', "{", 1],
    "real": [1, "1", 5e-324],
    "text": [1, 1.5, b"x", "é🦆"],
    "time": ["01:02:03.000004", "25:00", 5],
    "timestamp": ["2024-02-29 01:02:03"],
    "TIMESTAMP": ["2024-02-29 01:02:03"],
}


@pytest.mark.engine("sqlite")
@pytest.mark.parametrize("kind", OF_SQLITE)
async def test_columns_of_each_type_of_sqlite_are_read_as_by_django(kind):
    def read():
        results = []
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE vinyl_type (x {kind})")
            for value in [*OF_SQLITE[kind], None]:
                cursor.execute("INSERT INTO vinyl_type VALUES (%s)", [value])
                results.append(selected("SELECT x FROM vinyl_type", None))
                results.append(selected('SELECT x || "", typeof(x) FROM vinyl_type', None))
                cursor.execute("DELETE FROM vinyl_type")
        return results

    async with vinyl.connection.hold():
        ours, theirs = await in_both(read)
    assert ours == theirs
    assert not is_error(theirs[-1])


@pytest.mark.engine("sqlite")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT django_date_trunc('year', '2024-02-29', 'UTC', 'UTC'), 'abc' REGEXP 'B', STDDEV_POP(1)",
        "SELECT 'a' REGEXP '('",
        "SELECT POWER(0, -1), SQRT(-1), ASIN(2)",
        "SELECT 9223372036854775807 + 1, 1 / 0, 0x7fffffffffffffff, 1e999",
        "SELECT abs(-9223372036854775808)",
        "SELECT CAST(x'ff' AS text)",
        "SELECT json('{')",
    ],
)
async def test_expressions_of_sqlite_have_the_values_and_errors_that_they_have_in_django(sql):
    ours, theirs = await in_both(lambda: selected(sql, None))
    assert ours == theirs
