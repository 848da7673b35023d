"""MySQL and MariaDB in the async mode give what mysqlclient gives: answers, row counts, warnings, errors."""

import asyncio
import warnings

import pytest
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connections

import vinyl
from tests import blocking
from tests.aliases import database
from tests.library.models import Author, Tag
from tests.modes import error_of, same
from tests.test_mysql_values import described
from vinyl import transaction

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

import MySQLdb
from MySQLdb.cursors import Cursor, DictCursor, SSCursor, SSDictCursor

from vinyl.drivers.mysql.errors import UNAVAILABLE

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

Tags = vinyl.manager(Tag)


def outcome(sql, params=None):
    """Execute and give all there is to know of the result, or the error."""
    with connections["default"].cursor() as cursor:
        failure = error_of(cursor.execute, sql, params)
        if failure:
            connection = cursor.connection
            return *failure, connection.errno(), connection.error(), connection.sqlstate(), connection.affected_rows()
        return (
            cursor.fetchall() if cursor.description else None,
            described(cursor) if cursor.description else None,
            cursor.rowcount,
            cursor.lastrowid,
            cursor.cursor.warning_count,
            cursor.cursor._executed,
            cursor.connection.info(),
            cursor.connection.insert_id(),
            cursor.connection.affected_rows(),
            cursor.connection.field_count(),
            cursor.connection.errno(),
            cursor.connection.error(),
            cursor.connection.sqlstate(),
        )


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
    await same(lambda: outcome(sql))


async def test_what_was_written_is_counted_and_described_as_by_mysqlclient():
    def write():
        found = []
        with connections["default"].cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE written (id INT AUTO_INCREMENT PRIMARY KEY, x INT, y TINYINT)")
            cursor.execute("SET sql_mode = ''")
        for sql in (
            "INSERT INTO written (x) VALUES (1), (2), (3)",
            "INSERT INTO written (x, y) VALUES (4, 999)",
            "INSERT INTO written (x) SELECT 1 WHERE 1 = 0",
            "UPDATE written SET x = 1",
            "UPDATE written SET x = 1 WHERE id = 1",
            "UPDATE written SET x = 1 WHERE id = 99",
            "INSERT INTO written (id, x) VALUES (1, 1) ON DUPLICATE KEY UPDATE x = 5",
            "REPLACE INTO written (id, x) VALUES (1, 6)",
            "ALTER TABLE written ADD z INT",
            "DELETE FROM written WHERE id < 3",
            "DELETE FROM written",
        ):
            found.append(outcome(sql))
        return found

    async with vinyl.connection.hold():
        got = await same(write)
    assert [each[2] for each in got] == [3, 1, 0, 4, 1, 0, 2, 2, 4, 2, 2]


@pytest.mark.parametrize("kind", [Cursor, DictCursor, SSCursor, SSDictCursor])
async def test_cursors_of_each_class_read_alike(kind):
    def read():
        connections["default"].ensure_connection()
        with connections["default"].connection.cursor(kind) as cursor:
            cursor.execute(
                "SELECT 1 AS a, 2 AS b, 3 AS a UNION SELECT 4, 5, 6 UNION SELECT 7, 8, 9 UNION SELECT 0, 0, 0"
            )
            found = [cursor.rowcount, cursor.rownumber, cursor.fetchone(), cursor.rownumber, cursor.fetchmany()]
            found += [cursor.fetchmany(1), cursor.rownumber, cursor.fetchall(), cursor.fetchone(), cursor.rowcount]
            cursor.execute("SELECT 1 UNION SELECT 2")
            found += list(cursor)
            if kind in (Cursor, DictCursor):
                cursor.scroll(1, "absolute")
                found += [cursor.fetchone(), error_of(cursor.scroll, 1)]
            cursor.execute("SELECT 1 UNION SELECT 2")
            cursor.execute("DO 1")
            found += [cursor.rowcount, cursor.description, cursor.fetchall(), cursor.nextset()]
        return [*found, error_of(cursor.execute, "SELECT 1")]

    async with vinyl.connection.hold():
        await same(read)


async def test_results_of_the_connection_itself_read_alike():
    def read():
        connections["default"].ensure_connection()
        connection = connections["default"].connection
        connection.query("SELECT 1 AS a, 2 AS a, x AS b FROM (SELECT 5 AS x UNION SELECT 6) AS t")
        result = connection.store_result()
        found = [result.num_rows(), result.num_fields(), result.field_flags(), result.has_next, result.fetch_row()]
        for how in (0, 1, 2):
            result.data_seek(0)
            found += [result.fetch_row(0, how), result.fetch_row()]
        return found

    async with vinyl.connection.hold():
        await same(read)


async def test_errors_have_the_classes_and_arguments_of_mysqlclient():
    def errors():
        connection = connections["default"]
        connection.ensure_connection()
        with connection.cursor() as cursor:
            # Below Django's cursors, which know some codes better.
            execute = cursor.cursor.cursor.execute
            return [
                error_of(execute, f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}")
                for code in [*range(1, 60), *range(1000, 2000), *range(3000, 4200)]
                if code not in UNAVAILABLE
            ]

    assert len(await same(errors)) > 2000


@pytest.mark.parametrize("code", UNAVAILABLE)
async def test_an_error_of_a_server_that_serves_nobody_has_its_class_and_ends_the_connection(code):
    before = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    kind, (number, _), *_ = await same(lambda: outcome(f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}")[:4])
    assert (kind, number) == (OperationalError, code)
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") != before


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEC 1", ProgrammingError),
        ("SELECT * FROM nothing_of_the_kind", ProgrammingError),
        ("SELECT nothing FROM library_tag", OperationalError),
        ("INSERT INTO library_tag (label) VALUES (NULL)", IntegrityError),
        ("INSERT INTO library_tag (label) VALUES ('a'), ('a')", IntegrityError),
        ("INSERT INTO library_tag (label) VALUES (REPEAT('x', 9999))", DataError),
        ("INSERT INTO library_book_tags (book_id, tag_id) VALUES (-1, -1)", IntegrityError),
        ("INSERT INTO checked VALUES (-1)", IntegrityError),
        ("SELECT CAST(0 AS UNSIGNED) - 1", IntegrityError),
        ("SIGNAL SQLSTATE '23000' SET MESSAGE_TEXT = 'é', MYSQL_ERRNO = 1644", OperationalError),
        ("SELECT 1; SELEC 2", None),
        ("", OperationalError),
    ],
)
async def test_statements_fail_as_in_the_sync_mode(sql, error):
    def fail():
        with connections["default"].cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE checked (x INT CHECK (x > 0))")
        return outcome(sql)

    async with vinyl.connection.hold():
        got = await same(fail)
        assert error is None or got[0] is error
        assert await vinyl.connection.execute("SELECT 1") == [(1,)]


async def test_row_counts_are_of_the_rows_found():
    await Tags.bulk_create([Tags(label=label) for label in "abc"])
    assert await Tags.filter(label="a").update(label="a") == 1
    assert await vinyl.connection.execute("UPDATE library_tag SET label = label") == 3
    got = await same(lambda: outcome("UPDATE library_tag SET label = label WHERE label < 'c'"))
    assert got[2] == 2


def questions(cursor):
    cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
    return int(cursor.fetchone()[1])


@pytest.mark.parametrize(
    ("options", "statements"),
    [
        ({}, 10),
        ({"executemany_fallback": "multi"}, 10),
        ({"executemany_fallback": "multi", "multi_statements": False, "isolation_level": None}, 10),
    ],
    ids=str,
)
async def test_executemany_sends_what_mysqlclient_sends(options, statements):
    def insert(alias):
        with connections[alias].cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE many (x INT PRIMARY KEY, y VARCHAR(200))")
            before, found = questions(cursor), []
            for sql, rows in (
                ("INSERT INTO many (x, y) VALUES (%s, %s)", [(n, "é'" * 40) for n in range(2000)]),
                ("INSERT INTO many VALUES (%(x)s, %(y)s) ON DUPLICATE KEY UPDATE y = 'z'", [{"x": 1, "y": "a"}]),
                ("REPLACE INTO many VALUES (%s, %s)", [(1, "é"), (-1, "é")]),
                ("UPDATE many SET y = %s WHERE x = %s", [("", 1), ("", 2), ("%s", 3)]),
                ("DELETE FROM many WHERE x = %s", [(1,), (77777,)]),
                ("SELECT %s", [(1,), (2,)]),
                ("INSERT INTO many VALUES (%s, %s)", []),
                ("INSERT INTO many SELECT %s, %s", iter([(3001, "a"), (3002, "b")])),
            ):
                found += [cursor.executemany(sql, rows), cursor.rowcount, cursor.cursor._executed]
            found += [
                error_of(cursor.executemany, "INSERT INTO many VALUES (%s, %s)", [(9000, "a"), (9000, "b")]),
                error_of(cursor.executemany, "INSERT INTO many VALUES (%s, %s)", [(1,)]),
                error_of(cursor.executemany, "UPDATE many SET y = %s", [("a",), ("a" * 999,)]),
            ]
            return found, questions(cursor) - before

    with database(options) as alias:
        async with vinyl.connections[alias].hold():
            found, sent = await same(lambda: insert(alias), alias)
    assert found[:2] == [2000, 2000]
    assert sent < 30


async def test_procedures_give_their_answers_and_what_they_have_changed():
    def call():
        with connections["default"].cursor() as cursor:
            given = cursor.callproc("vinyl_procedure", [3, None, "é"])
            answers = [cursor.fetchall()]
            while cursor.nextset():
                answers.append((cursor.fetchall(), cursor.description is None, cursor.rowcount))
            cursor.execute("SELECT @_vinyl_procedure_0, @_vinyl_procedure_1, @_vinyl_procedure_2")
            answers.append(cursor.fetchall())
            # Its answers are not read.
            cursor.callproc("vinyl_procedure", (1, 2, "x"))
            cursor.execute("SELECT 1; SELECT 2; SELECT 3")
            more = [cursor.nextset(), cursor.fetchall(), cursor.nextset(), cursor.nextset()]
            missing = error_of(cursor.callproc, "no_such_procedure", [1])
            return given, answers, more, missing

    await vinyl.connection.execute("DROP PROCEDURE IF EXISTS vinyl_procedure")
    await vinyl.connection.execute(
        "CREATE PROCEDURE vinyl_procedure(INOUT x INT, OUT y INT, z TEXT) "
        "BEGIN SELECT x, z; SELECT 1; SET x = x + 1; SET y = 7; END"
    )
    try:
        _, answers, _, _ = await same(call)
    finally:
        await vinyl.connection.execute("DROP PROCEDURE vinyl_procedure")
    assert answers[0] == ((3, "é"),)
    assert answers[-1] == ((4, 7, "é"),)
    assert await vinyl.connection.execute("SELECT 4") == [(4,)]


async def test_a_procedure_that_fails_after_its_first_answer_does_so_when_that_was_read():
    def call():
        with connections["default"].cursor() as cursor:
            cursor.callproc("vinyl_procedure")
            found = [cursor.fetchall(), error_of(cursor.nextset)]
            cursor.execute("SELECT 2")
            return [*found, cursor.fetchall()]

    await vinyl.connection.execute("DROP PROCEDURE IF EXISTS vinyl_procedure")
    await vinyl.connection.execute(
        "CREATE PROCEDURE vinyl_procedure() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'é'; END"
    )
    try:
        _, error, rows = await same(call)
    finally:
        await vinyl.connection.execute("DROP PROCEDURE vinyl_procedure")
    assert error[1] == (1644, "é")
    assert rows == ((2,),)


async def test_a_procedure_that_fails_in_a_transaction_of_its_own_leaves_it_to_nobody():
    await vinyl.connection.execute("DROP PROCEDURE IF EXISTS vinyl_procedure")
    await vinyl.connection.execute(
        "CREATE PROCEDURE vinyl_procedure() BEGIN START TRANSACTION; SIGNAL SQLSTATE '45000'; END"
    )
    before = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    with pytest.raises(OperationalError, match="1644"):
        await vinyl.connection.execute("CALL vinyl_procedure()")
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") != before
    await vinyl.connection.execute("DROP PROCEDURE vinyl_procedure")


async def test_an_error_outside_of_a_transaction_can_be_asked_about_and_costs_no_connection():
    def fail():
        with connections["default"].cursor() as cursor:
            error_of(cursor.execute, "SELEC 1")
            connection = cursor.connection
            return connection.errno(), connection.error(), connection.sqlstate(), connection.show_warnings()

    got = await same(fail)
    assert (got[0], got[2], got[3][0][1]) == (1064, "42000", 1064)
    before = await vinyl.connection.execute("SELECT CONNECTION_ID()")
    with pytest.raises(ProgrammingError):
        await vinyl.connection.execute("SELEC 1")
    assert await vinyl.connection.execute("SELECT CONNECTION_ID()") == before


async def test_warnings_are_counted_and_shown_and_raised_by_nobody():
    def warned():
        with connections["default"].cursor() as cursor, warnings.catch_warnings(record=True) as caught:
            cursor.execute("SELECT 1 / 0, CAST('x' AS SIGNED)")
            connection = cursor.connection
            count = cursor.cursor.warning_count
            return count, connection.warning_count(), connection.show_warnings(), connection.messages, len(caught)

    count, _, shown, _, _ = await same(warned)
    assert count == len(shown) == 2


async def test_the_driver_connection_has_the_attributes_of_mysqlclients():
    def described():
        connections["default"].ensure_connection()
        connection = connections["default"].connection
        assert connection.thread_id() > 0
        assert connection.stat().startswith("Uptime: ")
        assert connection.fileno() > 0
        return (
            connection.open,
            connection.get_server_info(),
            connection.get_host_info(),
            connection.get_proto_info(),
            connection.character_set_name(),
            connection.encoding,
            connection.host,
            connection.port,
            connection.user,
            connection.database,
            connection.db,
            connection.server_capabilities,
            connection.cursorclass,
            connection.get_autocommit(),
            connection.more_results(),
            connection.next_result(),
            connection.ping(),
            connection.literal(["a", 1, None]),
            connection.escape("a'", connection.encoders),
            connection.escape_string(b"'"),
            connection.escape_string("é'"),
            connection.string_literal("é"),
            sorted(map(str, connection.encoders)),
            {
                name: getattr(connection, name)
                for name in dir(MySQLdb)
                if name.endswith("Error") and name != "MySQLError"
            },
            connections["default"].is_usable(),
        )

    async with vinyl.connection.hold():
        await same(described)


async def test_a_connection_does_what_mysqlclients_does_without_a_cursor():
    def used():
        connections["default"].ensure_connection()
        connection = connections["default"].connection
        found = [connection.select_db("information_schema"), error_of(connection.select_db, "nothing_of_the_kind")]
        connection.begin()
        connection.query(b"SELECT DATABASE()")
        found += [connection.store_result().fetch_row(0), connection.commit(), connection.rollback()]
        found += [connection.autocommit(False), connection.get_autocommit(), connection.autocommit(True)]
        connection.set_sql_mode("ANSI_QUOTES")
        connection.query('SELECT 1 AS "x"; SELECT 2')
        found += [connection.more_results(), connection.use_result().fetch_row(), connection.next_result()]
        found += [connection.store_result().fetch_row(), connection.next_result(), connection.more_results()]
        return [*found, error_of(connection.kill, 2**31 - 1)]

    async with vinyl.connection.hold():
        await same(used)


async def test_a_connection_that_was_closed_says_so_as_mysqlclients_does():
    def closed():
        connections["default"].ensure_connection()
        wrapper = connections["default"]
        connection = wrapper.connection
        cursor = connection.cursor()
        connection.close()
        found = [connection.open, wrapper.is_usable()]
        for use in (connection.ping, connection.commit, connection.rollback, connection.stat):
            kind, (code, _), *_ = error_of(use)
            found += [kind, code]
        for use in (connection.query, cursor.execute, connection.select_db):
            kind, (code, _), *_ = error_of(use, "SELECT 1")
            found += [kind, code]
        wrapper.connection = None
        return found

    async with vinyl.connection.hold():
        got = await same(closed)
    assert got == [0, False, *[MySQLdb.OperationalError, 2006] * 7]


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
        assert await same(switched) == (False, True, ((1,),))


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
