"""MySQL and MariaDB in the async mode give what mysqlclient gives: values, row counts, warnings, errors, SQL."""

import asyncio
import datetime
import threading
import uuid
from decimal import Decimal

import pytest
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connections
from django.utils.safestring import mark_safe

import vinyl
from tests import blocking
from tests.library.models import Author, Tag
from vinyl import transaction

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

from MySQLdb.cursors import DictCursor, SSCursor, SSDictCursor

pytestmark = [pytest.mark.engine("mariadb"), pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

Tags = vinyl.manager(Tag)


async def in_both(function):
    """Run the function on the asynchronous connection, and on Django's in a thread; give both results."""

    def plainly():
        try:
            return function()
        finally:
            connections.close_all()

    return await vinyl.run(function), await asyncio.to_thread(plainly)


async def assert_same(function):
    ours, theirs = await in_both(function)
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    return ours


def described(cursor):
    """Give the description without what is at 2, the length of the longest value, which only mysqlclient knows.

    mysqlclient's other lengths overflow.
    """
    return [
        (name, kind, size % 2**32, precision % 2**32, scale, nullable)
        for name, kind, _, size, precision, scale, nullable in cursor.description or ()
    ]


def outcome(sql, params=None):
    """Execute and give all there is to know of the result, or the error."""
    with connections["default"].cursor() as cursor:
        try:
            cursor.execute(sql, params)
        except Exception as error:
            cause = error.__cause__
            return type(error), error.args, type(cause), getattr(cause, "args", None)
        rows = cursor.fetchall() if cursor.description else None
        return (
            rows,
            described(cursor),
            cursor.rowcount,
            cursor.lastrowid,
            cursor.cursor.warning_count,
            cursor.cursor._executed,
        )


TYPES = {
    "BIT(8)": [0, 5, 255],
    "BIT(1)": [0, 1],
    "TINYINT": [-128, 127],
    "BOOL": [True, False],
    "SMALLINT": [-32768],
    "MEDIUMINT": [8388607],
    "INT UNSIGNED": [4294967295],
    "BIGINT": [-(2**63), 2**63 - 1],
    "BIGINT UNSIGNED": [2**64 - 1],
    "DECIMAL(30, 10)": [Decimal("1.5"), Decimal("-12345678901234567890.0123456789")],
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
    "DATE": [datetime.date(2024, 2, 29), "0000-00-00"],
    "DATETIME(6)": [datetime.datetime(2024, 2, 29, 1, 2, 3, 456), "0000-00-00 00:00:00"],
    "DATETIME": [datetime.datetime(1000, 1, 1)],
    "TIMESTAMP(3) NULL": [datetime.datetime(2024, 2, 29, 1, 2, 3, 456000)],
    "TIME": [datetime.time(1, 2, 3)],
    "TIME(6)": [datetime.time(23, 59, 59, 999999)],
    "YEAR": [1999],
    "JSON": ['{"é": [1, null]}'],
    "UUID": ["123e4567-e89b-12d3-a456-426655440000"],
    "INET6": ["::1"],
    "POINT": [None],
}


@pytest.mark.parametrize("kind", TYPES)
async def test_columns_of_each_type_have_the_values_of_mysqlclient(kind):
    def read():
        name = f"vinyl_type_{threading.get_ident()}"
        with connections["default"].cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = ''")
            cursor.execute(f"CREATE TEMPORARY TABLE {name} (x {kind})")
            for value in TYPES[kind]:
                cursor.execute(f"INSERT INTO {name} VALUES (%s)", [value])
            cursor.execute(f"INSERT INTO {name} VALUES (NULL)")
            cursor.execute(f"SELECT x FROM {name}")
            flags = cursor.cursor.cursor.description_flags
            return cursor.fetchall(), flags, described(cursor)

    async with vinyl.connection.hold():
        rows, _, _ = await assert_same(read)
    assert len(rows) == len(TYPES[kind]) + 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT NULL, 1 + 1, 1.5, 'é', x'00ff', 1 = 1, NOW() > 0, ST_GeomFromText('POINT(1 2)')",
        "SELECT CAST('-12:00:00' AS TIME) IS NULL, CAST('2024-01-01' AS DATE), CAST('1.25' AS DECIMAL(5, 2))",
        "SELECT 1 AS a, 2 AS a, 3 AS `é`",
        "SELECT 1 FROM library_author WHERE 1 = 0",
        "SHOW VARIABLES LIKE 'autocommit'",
        "SELECT CAST('x' AS SIGNED)",
        "SELECT 1; SELECT 2",
        "DO 1",
        "SELECT '100%'",
    ],
)
async def test_answers_are_those_of_mysqlclient(sql):
    await assert_same(lambda: outcome(sql))


@pytest.mark.parametrize("kind", [DictCursor, SSCursor, SSDictCursor])
async def test_cursors_of_each_class_read_alike(kind):
    def read():
        connections["default"].ensure_connection()
        with connections["default"].connection.cursor(kind) as cursor:
            cursor.execute("SELECT 1 AS a, 2 AS b, 3 AS a UNION SELECT 4, 5, 6 UNION SELECT 7, 8, 9")
            return cursor.fetchone(), cursor.fetchmany(1), cursor.fetchall(), cursor.fetchone() or None

    async with vinyl.connection.hold():
        await assert_same(read)


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES"])
@pytest.mark.parametrize(
    "value",
    [
        'it\'s \\ "é" 🦆 \0 \n \r \x1a %s %%',
        mark_safe("<'b'>"),
        b"\x00\xff\\'",
        bytearray(b"x"),
        2**63,
        -1.5e-300,
        Decimal("1E+3"),
        True,
        None,
        datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime.time(1, 2, 3, 4),
        datetime.timedelta(days=-1, microseconds=5),
        uuid.UUID(int=1),
        ["a", 1],
        {"a"},
    ],
    ids=lambda value: type(value).__name__,
)
async def test_parameters_are_written_as_mysqlclient_writes_them(value, mode):
    def written():
        with connections["default"].cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = %s", [mode])
            return cursor._mogrify("SELECT %s", [value])

    async with vinyl.connection.hold():
        ours, theirs = await in_both(written)
    if type(value) is bytearray:
        # mysqlclient writes its repr().
        assert ours == b"SELECT 'x'"
    else:
        assert ours == theirs


async def test_a_value_that_was_written_is_read_back():
    text, data = "it's \\ é 🦆 \0 %s", bytes(range(256))
    assert await vinyl.connection.execute("SELECT %s, _binary %s", [text, data]) == [(text, data)]
    assert await vinyl.connection.execute("SELECT '%%', '%s'") == [("%%", "%s")]


async def test_errors_have_the_classes_and_arguments_of_mysqlclient():
    def classes():
        connection = connections["default"]
        connection.ensure_connection()
        found = []
        with connection.cursor() as cursor:
            for code in [*range(1, 60), *range(1000, 2000), *range(3000, 4200)]:
                try:
                    # Below Django's cursors, which know some codes better.
                    cursor.cursor.cursor.execute(f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}")
                except Exception as error:
                    found.append((type(error), error.args))
        return found

    assert len(await assert_same(classes)) > 2000


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEC 1", ProgrammingError),
        ("SELECT * FROM nothing_of_the_kind", ProgrammingError),
        ("SELECT nothing FROM library_tag", OperationalError),
        ("INSERT INTO library_tag (label) VALUES (NULL)", IntegrityError),
        ("INSERT INTO library_tag (label) VALUES ('a'), ('a')", IntegrityError),
        ("INSERT INTO library_tag (label) VALUES (REPEAT('x', 9999))", DataError),
        ("SELECT 1; SELEC 2", None),
    ],
)
async def test_statements_fail_as_in_the_sync_mode(sql, error):
    got = await assert_same(lambda: outcome(sql))
    assert error is None or got[0] is error
    assert await vinyl.connection.execute("SELECT 1") == [(1,)]


async def test_an_error_of_a_converter_leaves_the_connection_whole():
    before = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    with pytest.raises(ValueError, match="hour must be"):
        await vinyl.connection.execute("SELECT CAST('100:00:00' AS TIME) FROM (SELECT 1 UNION SELECT 2) AS t")
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") == before


async def test_row_counts_are_of_the_rows_found():
    await Tags.bulk_create([Tags(label=label) for label in "abc"])
    assert await Tags.filter(label="a").update(label="a") == 1
    assert await vinyl.connection.execute("UPDATE library_tag SET label = label") == 3
    got = await assert_same(lambda: outcome("UPDATE library_tag SET label = label WHERE label < 'c'"))
    assert got[2] == 2


async def test_executemany_sends_as_few_statements_as_mysqlclient():
    def insert():
        with connections["default"].cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE many (x INT, y TEXT)")
            many = [(n, "é'" * 40) for n in range(2000)]
            counts = [cursor.executemany("INSERT INTO many (x, y) VALUES (%s, %s)", many), cursor.rowcount]
            counts += [cursor.executemany("UPDATE many SET y = '' WHERE x = %s", [(1,), (2,)]), cursor.rowcount]
            cursor.execute("SHOW SESSION STATUS LIKE 'Com_insert'")
            return counts, cursor.fetchall()

    async with vinyl.connection.hold():
        counts, _ = await assert_same(insert)
    assert counts == [2000, 2000, 2, 2]


async def test_procedures_and_statements_with_several_answers():
    def call():
        with connections["default"].cursor() as cursor:
            given = cursor.callproc("vinyl_procedure", [3, "é"])
            answers = [cursor.fetchall()]
            while cursor.nextset():
                answers.append(cursor.fetchall())
            cursor.execute("SELECT @_vinyl_procedure_0")
            answers.append(cursor.fetchall())
            cursor.execute("SELECT 1; SELECT 2; SELECT 3")
            return given, answers, cursor.nextset(), cursor.fetchall()

    await vinyl.connection.execute("DROP PROCEDURE IF EXISTS vinyl_procedure")
    await vinyl.connection.execute(
        "CREATE PROCEDURE vinyl_procedure(INOUT x INT, y TEXT) BEGIN SELECT x, y; SELECT 1; SET x = x + 1; END"
    )
    try:
        _, answers, _, _ = await assert_same(call)
    finally:
        await vinyl.connection.execute("DROP PROCEDURE vinyl_procedure")
    assert answers[-1] == ((4,),)
    assert await vinyl.connection.execute("SELECT 4") == [(4,)]


async def test_warnings_are_counted_and_shown():
    def warned():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1 / 0, CAST('x' AS SIGNED)")
            return cursor.cursor.warning_count, cursor.connection.show_warnings()

    count, shown = await assert_same(warned)
    assert count == len(shown) == 2


async def test_the_driver_connection_has_the_attributes_of_mysqlclients():
    def described():
        connections["default"].ensure_connection()
        connection = connections["default"].connection
        assert connection.thread_id() > 0
        assert connection.open
        assert not connection.closed
        return (
            connection.get_server_info(),
            connection.character_set_name(),
            connection.encoding,
            connection.get_autocommit(),
            connection.get_proto_info(),
            connection.ping(),
            connection.literal(["a", 1, None]),
            connection.escape_string(b"'"),
            connection.string_literal("é"),
            sorted(map(str, connection.encoders)),
            connections["default"].is_usable(),
        )

    async with vinyl.connection.hold():
        await assert_same(described)


async def test_a_status_without_any_flag_is_noticed():
    # No autocommit and no transaction: the server's status is 0.
    def switched():
        with connections["default"].cursor() as cursor:
            connection = connections["default"].connection
            cursor.execute("SET autocommit = 0")
            off = connection.get_autocommit()
            connection.autocommit(True)
            cursor.execute("SELECT @@autocommit")
            return off, connection.get_autocommit(), cursor.fetchall()

    async with vinyl.connection.hold():
        assert await assert_same(switched) == (False, True, ((1,),))


@pytest.mark.parametrize("leave", ["SET autocommit = 0", "START TRANSACTION"])
async def test_a_connection_that_is_not_idle_is_not_lent_again(leave):
    before = vinyl.connection.statistics()["returns_bad"]
    async with vinyl.connection.cursor() as cursor:
        await cursor.execute("SELECT CONNECTION_ID()")
        number = await cursor.fetchone()
        await cursor.execute(leave)
    assert vinyl.connection.statistics()["returns_bad"] == before + 1
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") != [number]


async def test_answers_that_nobody_has_read_reach_nobody():
    async with vinyl.connection.cursor() as cursor:
        await cursor.execute("SELECT 1; SELECT 2; SELECT 3")
    assert await vinyl.connection.execute("SELECT 4; SELECT 5") == [(4,)]
    assert await vinyl.connection.execute("SELECT 6") == [(6,)]


async def test_large_statements_and_answers_pass_in_pieces():
    # More than 16 MB, where the protocol splits packets.
    ((before,),) = await vinyl.connection.execute("SELECT @@GLOBAL.max_allowed_packet")
    await vinyl.connection.execute("SET GLOBAL max_allowed_packet = 67108864")
    try:
        await vinyl.close()
        text = "é" * 9_000_000
        ((length, back),) = await vinyl.connection.execute("SELECT LENGTH(%s), %s", [text, text])
        assert (length, back) == (18_000_000, text)
    finally:
        await vinyl.connection.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.mark.loops
async def test_nothing_blocks_the_loop_and_no_thread_is_used():
    await vinyl.connection.execute("SELECT 1")
    await vinyl.close()
    with blocking.watched(threads=False):
        author = await Author.vinyl(name="x").insert()
        async with transaction.atomic():
            await author.update(name="y")
        assert [author async for author in Author.vinyl.iterator()] == [author]
        await asyncio.gather(*(Author.vinyl.count() for _ in range(20)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await vinyl.connection.execute("SELECT SLEEP(10)")
