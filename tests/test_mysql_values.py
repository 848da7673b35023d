"""MySQL and MariaDB: each value is read and written in the async mode as mysqlclient reads and writes it."""

import array
import datetime
import enum
import threading
import uuid
from collections import namedtuple
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError, connections, models
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

import vinyl
from tests.aliases import database
from tests.modes import both, error_of, fetch, same

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

import MySQLdb.converters
from MySQLdb.constants import FIELD_TYPE

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

TYPES = {
    "BIT(8)": [0, 5, 255],
    "BIT(1)": [0, 1],
    "TINYINT": [-128, 127],
    "BOOL": [True, False],
    "SMALLINT": [-32768],
    "MEDIUMINT": [8388607],
    "INT UNSIGNED": [4294967295],
    "INT(5) ZEROFILL": [7],
    "BIGINT": [-(2**63), 2**63 - 1],
    "BIGINT UNSIGNED": [2**64 - 1],
    "DECIMAL(30, 10)": [Decimal("1.5"), Decimal("-12345678901234567890.0123456789")],
    "DECIMAL(5, 0)": [Decimal(-3)],
    "FLOAT": [1.5, -0.1],
    "DOUBLE": [1e300, 0.1],
    "CHAR(4)": ["é", ""],
    "VARCHAR(20)": ["naïve 🦆", "\\'\"\0\n\r\x1a%"],
    "VARCHAR(20) CHARACTER SET latin1": ["é"],
    "VARCHAR(20) COLLATE utf8mb4_bin": ["é"],
    "BINARY(3)": [b"\x00\xff'"],
    "VARBINARY(20)": [b"\x00\xff'\\"],
    "TINYBLOB": [b"\x80"],
    "BLOB": [b""],
    "MEDIUMBLOB": [b"x"],
    "LONGBLOB": [bytes(range(256)) * 400],
    "TINYTEXT": ["é"],
    "LONGTEXT": ["é" * 70000],
    "ENUM('a', 'é')": ["a", "é"],
    "SET('a', 'b')": ["a,b", ""],
    "DATE": [datetime.date(2024, 2, 29), "0000-00-00", "2024-00-00"],
    "DATETIME(6)": [datetime.datetime(2024, 2, 29, 1, 2, 3, 456), "0000-00-00 00:00:00"],
    "DATETIME": [datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59)],
    "TIMESTAMP(3) NULL": [datetime.datetime(2024, 2, 29, 1, 2, 3, 456000), "0000-00-00 00:00:00"],
    "TIME": [datetime.time(1, 2, 3), "-00:00:01"],
    "TIME(6)": [datetime.time(23, 59, 59, 999999)],
    "YEAR": [1999, 0],
    "JSON": ['{"é": [1, null]}', "null"],
    "POINT": [None],
}
OF_ONE_SERVER = {
    "UUID": ["123e4567-e89b-12d3-a456-426655440000"],
    "INET6": ["::1"],
}


def described(cursor):
    """Give the description without what is at 2, the length of the longest value, which only mysqlclient knows.

    mysqlclient's other lengths overflow.
    """
    return [
        (name, kind, size % 2**32, precision % 2**32, scale, nullable)
        for name, kind, _, size, precision, scale, nullable in cursor.description
    ]


def read_back(kind, values):
    name = f"vinyl_type_{threading.get_ident()}"
    with connections["default"].cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        cursor.execute(f"CREATE TEMPORARY TABLE {name} (x {kind})")
        for value in [*values, None]:
            cursor.execute(f"INSERT INTO {name} VALUES (%s)", [value])
        cursor.execute(f"SELECT x FROM {name}")
        return cursor.fetchall(), cursor.cursor.cursor.description_flags, described(cursor)


@pytest.mark.parametrize("kind", TYPES)
async def test_columns_of_each_type_have_the_values_of_mysqlclient(kind):
    async with vinyl.connection.hold():
        rows, _, _ = await same(lambda: read_back(kind, TYPES[kind]))
    assert len(rows) == len(TYPES[kind]) + 1


@pytest.mark.parametrize("kind", OF_ONE_SERVER)
async def test_columns_of_a_type_that_only_some_servers_have_do_too(kind):
    async with vinyl.connection.hold():
        try:
            await vinyl.connection.execute(f"CREATE TEMPORARY TABLE has_type (x {kind})")
        except (OperationalError, ProgrammingError):
            pytest.skip(f"not on a server without {kind}")
        rows, _, _ = await same(lambda: read_back(kind, OF_ONE_SERVER[kind]))
    assert len(rows) == 2


async def test_a_vector_is_read_as_the_bytes_of_its_numbers():
    sql = "SELECT STRING_TO_VECTOR('[1, 300]'), 1"
    try:
        await vinyl.connection.execute(sql)
    except OperationalError:
        pytest.skip("not on a server without vectors")
    ((vector, number),) = await same(lambda: fetch("default", sql))
    assert (vector, number) == (b"\x00\x00\x80\x3f\x00\x00\x96\x43", 1)


@pytest.mark.parametrize("time", ["24:00:00", "100:00:00", "838:59:59"])
async def test_a_time_that_is_no_time_of_day_is_the_error_of_djangos_converter(time):
    sql = f"SELECT CAST('{time}' AS TIME) FROM (SELECT 1 UNION SELECT 2) AS t"
    before = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    kind, *_ = await same(lambda: error_of(fetch, "default", sql))
    assert kind is ValueError
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") == before


def noted(value):
    return type(value), value


def failing(value):
    raise ArithmeticError(value)


@pytest.mark.parametrize(
    "converters",
    [
        {FIELD_TYPE.LONGLONG: noted, FIELD_TYPE.LONG: noted, FIELD_TYPE.NEWDECIMAL: noted, FIELD_TYPE.DATE: noted},
        {FIELD_TYPE.LONGLONG: str, FIELD_TYPE.LONG: str, FIELD_TYPE.NEWDECIMAL: float, FIELD_TYPE.DATE: str},
        {FIELD_TYPE.LONGLONG: bytes, FIELD_TYPE.LONG: bytes, FIELD_TYPE.NEWDECIMAL: bytes, FIELD_TYPE.DATE: bytes},
        {FIELD_TYPE.GEOMETRY: noted, FIELD_TYPE.BIT: noted, FIELD_TYPE.NULL: noted},
        {FIELD_TYPE.VAR_STRING: noted, FIELD_TYPE.STRING: noted, FIELD_TYPE.JSON: noted, FIELD_TYPE.BLOB: noted},
        {FIELD_TYPE.NEWDECIMAL: failing},
        None,
    ],
)
async def test_converters_of_the_project_get_what_mysqlclient_gives_them(converters):
    conv = {} if converters is None else {**MySQLdb.converters.conversions, **converters}
    sql = (
        "SELECT 1, 18446744073709551615, 1.5, CAST('2024-02-29' AS DATE), CAST('1:02:03' AS TIME), b'101', x'ff', 'é', "
        "1e0, NULL, JSON_OBJECT('a', 1), ST_GeomFromText('POINT(1 2)')"
    )
    with database({"conv": conv}) as alias:

        def read():
            failure = error_of(fetch, alias, sql)
            return failure if failure else fetch(alias, sql)

        got = await same(read, alias)
    assert (got[0] is ArithmeticError) == (converters == {FIELD_TYPE.NEWDECIMAL: failing})


async def test_a_converter_that_depends_on_flags_is_refused():
    options = {"conv": {FIELD_TYPE.LONGLONG: [(1, int), (None, float)]}}
    with database(options) as alias, pytest.raises(ImproperlyConfigured, match=r"'conv'.*must be a function"):
        await vinyl.connections[alias].execute("SELECT 1")


class Colour(models.TextChoices):
    RED = "r'ed"


class Size(models.IntegerChoices):
    LARGE = 3


class Plain(enum.Enum):
    MEMBER = "member"


class Number(int):
    pass


class Data(bytes):
    pass


Pair = namedtuple("Pair", "left right")

PARAMETERS = [
    'it\'s \\ "é" 🦆 \0 \n \r \x1a %s %%',
    mark_safe("<'b'>"),
    gettext_lazy("Yes"),
    Colour.RED,
    Size.LARGE,
    Plain.MEMBER,
    b"\x00\xff\\'",
    Data(b"'"),
    memoryview(b"x"),
    array.array("b", [1]),
    2**63,
    2**70,
    Number(-7),
    -1.5e-300,
    0.1,
    float("nan"),
    float("-inf"),
    Decimal("1E+3"),
    Decimal("-0.10"),
    Decimal("NaN"),
    True,
    False,
    None,
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
    datetime.datetime(2024, 2, 29, 1, 2, 3),
    datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
    datetime.time(1, 2, 3, 4),
    datetime.time(1, 2, tzinfo=datetime.UTC),
    datetime.timedelta(days=-1, microseconds=5),
    datetime.timedelta(days=3, hours=4),
    uuid.UUID(int=1),
    ["a", 1, None, [b"x"]],
    ("a'",),
    Pair(1, "x"),
    {"a'"},
    {1},
    frozenset(),
    {"key": 1},
    range(3),
    object,
    "\ud800",
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"binary_prefix": True},
        {"charset": "latin1"},
        {"charset": "cp1251"},
        {"charset": "utf8mb3"},
        {"sql_mode": "NO_BACKSLASH_ESCAPES"},
    ],
    ids=str,
)
async def test_parameters_are_written_as_mysqlclient_writes_them(options):
    with database(options) as alias:

        def written():
            connections[alias].ensure_connection()
            literal = connections[alias].connection.literal
            return [error_of(literal, value) or literal(value) for value in PARAMETERS]

        await same(written, alias)


async def test_encoders_of_the_project_write_what_they_are_for():
    encoders = {
        Plain: lambda value, _: f"'{value.name}'",
        Number: lambda value, mapping: mapping[int](value * 2, mapping),
        datetime.time: lambda value, _: b"'noon'",
    }
    with database({"conv": {**MySQLdb.converters.conversions, **encoders}}) as alias:

        def written():
            connections[alias].ensure_connection()
            connection = connections[alias].connection
            # Some projects add theirs to the connection.
            connection.encoders[Pair] = lambda value, _: b"'a pair'"
            return [
                connection.literal([Plain.MEMBER, Number(2), value, Pair(1, 2), 2]) for value in (datetime.time(), 1)
            ]

        assert await same(written, alias) == [b"('MEMBER',4,'noon','a pair',2)", b"('MEMBER',4,1,'a pair',2)"]


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT %s, %s", [1, "é"]),
        ("SELECT %s, %s", (1, None)),
        ("SELECT %(a)s, %(b)s, %(a)s", {"a": 1, "b": "%s"}),
        ("SELECT '%%', %s", [1]),
        ("SELECT '%', '%s'", None),
        ("SELECT 1", []),
        ("SELECT %s", [1, 2]),
        ("SELECT %s, %s", [1]),
        ("SELECT %(a)s", {"b": 1}),
        ("SELECT %d", ["x"]),
        ("SELECT 1 %", [1]),
        ("SELECT %s", [{1}]),
    ],
    ids=str,
)
async def test_parameters_are_put_in_their_places_as_by_mysqlclient(sql, params):
    def read():
        with connections["default"].cursor() as cursor:
            return error_of(cursor.execute, sql, params) or cursor.fetchall()

    await same(read)


async def test_a_bytearray_is_written_as_the_bytes_that_it_holds():
    def written():
        connections["default"].ensure_connection()
        return connections["default"].connection.literal(bytearray(b"a'b"))

    ours, theirs = await both(written)
    assert ours == b"'a\\'b'"
    # mysqlclient writes its repr(), which nobody can want.
    assert theirs in (ours, b"'bytearray(b\\\"a\\\\\\'b\\\")'")


async def test_a_value_that_was_written_is_read_back():
    text, data = "it's \\ é 🦆 \0 %s", bytes(range(256))
    assert await vinyl.connection.execute("SELECT %s, _binary %s", [text, data]) == [(text, data)]
    assert await vinyl.connection.execute("SELECT '%%', '%s'") == [("%%", "%s")]
    async with vinyl.connection.hold():
        await vinyl.connection.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
        assert await vinyl.connection.execute("SELECT %s, _binary %s", [text, data]) == [(text, data)]


async def test_each_charset_of_the_server_works_as_with_mysqlclient_or_is_refused_by_name():
    names = [
        name
        for (name,) in await vinyl.connection.execute(
            "SELECT character_set_name FROM information_schema.character_sets"
        )
    ]
    refused = set()
    for name in names:
        with database({"charset": name}) as alias:

            def read(alias=alias):
                with connections[alias].cursor() as cursor:
                    cursor.execute("SELECT %s, %s AS x", ["x'\\", b"y'\\"])
                    connection = cursor.connection
                    return cursor.fetchall(), connection.encoding, connection.character_set_name()

            ours, theirs = await both(lambda read=read: error_of(read) or read(), alias)
            if ours[0] is ImproperlyConfigured:
                assert f"{alias!r}]['OPTIONS']['charset']" in ours[1][0]
                refused.add(name)
            else:
                assert ours == theirs
    assert refused <= {"big5", "cp932", "gb18030", "gbk", "sjis", "ucs2", "utf16", "utf16le", "utf32"}
    assert "gbk" in refused


@pytest.mark.parametrize("charset", ["gbk", "GBK", "sjis"])
async def test_a_charset_in_which_nothing_can_be_escaped_is_refused_later_on_too(charset):
    async with vinyl.connection.hold():

        def switch():
            connections["default"].connection.set_character_set(charset)

        with pytest.raises(MySQLdb.NotSupportedError, match=charset):
            await vinyl.run(switch)
    with database({"charset": charset}) as alias, pytest.raises(ImproperlyConfigured, match="charset"):
        await vinyl.connections[alias].execute("SELECT 1")


async def test_text_is_read_and_written_in_the_charset_that_was_set_last():
    def switched():
        connections["default"].ensure_connection()
        connection = connections["default"].connection
        connection.set_character_set("latin1", "latin1_bin")
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT %s, HEX(%s), @@collation_connection", ["é", "é"])
            return cursor.fetchall(), connection.encoding, connection.character_set_name()

    async with vinyl.connection.hold():
        got = await same(switched)
    assert got == ((("é", "E9", "latin1_bin"),), "cp1252", "latin1")
