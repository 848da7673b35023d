"""What DATABASES says about MySQL or MariaDB holds in both modes, or the async mode names what it cannot do."""

import asyncio
import gc
import getpass
import os

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections

import vinyl
from tests import server_connections
from tests.aliases import database
from tests.modes import both, cancel_a_statement, error_of, fetch, in_both, pretending, same

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

from MySQLdb.constants import CLIENT
from MySQLdb.cursors import SSCursor

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.asynchronous]


@pytest.mark.parametrize(
    ("options", "sql", "expected"),
    [
        ({"init_command": "SET @x = 1; SELECT 1; SET @y = 2"}, "SELECT @x, @y", (1, 2)),
        ({"sql_mode": "ANSI_QUOTES"}, 'SELECT 1 AS "x", @@sql_mode', (1, "ANSI_QUOTES")),
        (
            {"charset": "latin1"},
            "SELECT 'é', @@character_set_client, @@collation_connection",
            ("é", "latin1", "latin1_swedish_ci"),
        ),
        (
            {"charset": "latin1", "collation": "latin1_german1_ci"},
            "SELECT 'é', @@collation_connection",
            ("é", "latin1_german1_ci"),
        ),
        ({"charset": "utf8mb3"}, "SELECT 'é', @@character_set_results", ("é", "utf8mb3")),
        ({"charset": "utf8"}, "SELECT 'é', @@character_set_results", ("é", "utf8mb3")),
        ({"collation": "utf8mb4_bin"}, "SELECT @@collation_connection", ("utf8mb4_bin",)),
        ({"autocommit": False}, "SELECT @@autocommit", (1,)),
        ({"autocommit": None}, "SELECT @@autocommit", (1,)),
        ({"ssl_mode": "DISABLED"}, "SELECT 1", (1,)),
        ({"ssl_mode": "PREFERRED"}, "SELECT 1", (1,)),
        ({"ssl": {}}, "SELECT 1", (1,)),
        ({"ssl": False}, "SELECT 1", (1,)),
        ({"connect_timeout": 5, "read_timeout": 5, "write_timeout": 5}, "SELECT 1", (1,)),
        ({"client_flag": CLIENT.FOUND_ROWS | CLIENT.INTERACTIVE}, "SELECT 1", (1,)),
        ({"client_flag": CLIENT.IGNORE_SPACE}, "SELECT @@sql_mode LIKE '%IGNORE_SPACE%'", (1,)),
        ({"auth_plugin": "mysql_native_password"}, "SELECT 1", (1,)),
        ({"cursorclass": SSCursor}, "SELECT 1", (1,)),
        ({"use_unicode": True}, "SELECT 'é'", ("é",)),
        ({"multi_statements": False, "isolation_level": None}, "SELECT 1", (1,)),
        ({"db": "information_schema"}, "SELECT DATABASE()", ("information_schema",)),
    ],
    ids=str,
)
async def test_an_option_does_the_same_in_both_modes(options, sql, expected):
    with database(options) as alias:
        assert await in_both(alias, sql) == [expected]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "READ-COMMITTED"),
        ({"isolation_level": None}, "REPEATABLE-READ"),
        ({"isolation_level": "read uncommitted"}, "READ-UNCOMMITTED"),
        ({"isolation_level": "Repeatable Read"}, "REPEATABLE-READ"),
        ({"isolation_level": "serializable"}, "SERIALIZABLE"),
    ],
    ids=str,
)
async def test_transactions_have_the_isolation_level_of_the_options(options, expected):
    with database(options) as alias:
        # MariaDB calls it tx_isolation, MySQL transaction_isolation, and newer versions of MariaDB have both.
        rows = await in_both(alias, "SHOW VARIABLES LIKE 't%x%isolation'")
        rows += await in_both(alias, "SHOW VARIABLES LIKE 'transaction_isolation'")
        assert {level for _, level in rows} == {expected}


@pytest.mark.parametrize(
    "options",
    [
        {"init_command": "SELEC 1"},
        {"init_command": "SET @x = 1; SET @y = 2", "multi_statements": False, "isolation_level": None},
        {"sql_mode": "NONSENSE"},
        {"collation": "nonsense"},
        {"charset": "latin1", "collation": "utf8mb4_bin"},
        {"isolation_level": "nonsense"},
        {"charset": "armscii8"},
    ],
    ids=str,
)
async def test_an_option_that_does_not_work_fails_alike_in_both_modes(options):
    with database(options) as alias:
        assert await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
        assert vinyl.connections[alias].statistics()["pool_size"] == 0
    # mysqlclient's connection is in the traceback of the error that it has failed with.
    gc.collect()


async def test_several_statements_are_refused_where_they_are_turned_off():
    with database({"multi_statements": False, "isolation_level": None}) as alias:
        _, (code, _), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1; SELECT 2"), alias)
    assert code == 1064


@pytest.mark.parametrize(
    "options",
    [
        {"compress": True},
        {"named_pipe": "x"},
        {"use_unicode": False},
        {"local_infile": True},
        {"local_infile_dir": "/"},
        {"auth_plugin": "auth_gssapi_client"},
        {"client_flag": CLIENT.COMPRESS},
        {"client_flag": CLIENT.LOCAL_FILES},
        {"charset": "gbk"},
        {"charset": "utf17"},
        {"ssl_mode": "SOMETIMES"},
        {"executemany_fallback": "never"},
        {"nonsense": 1},
        {"server_public_key_path": "/nowhere"},
        {"server_public_key_path": os.devnull},
    ],
    ids=str,
)
async def test_what_asyncmy_cannot_do_is_named(options):
    ((name, _),) = options.items()
    with database(options) as alias, pytest.raises(ImproperlyConfigured, match=rf"{alias}.*OPTIONS.*{name}"):
        await vinyl.connections[alias].execute("SELECT 1")


@pytest.mark.parametrize("options", [{"compress": False}, {"local_infile": False}, {"charset": None}], ids=str)
async def test_an_option_that_switches_nothing_on_is_not_refused(options):
    with database(options) as alias:
        assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]


HOST = "SELECT SUBSTRING_INDEX(USER(), '@', -1)"


def is_there(path):
    return os.path.exists(path)


async def local_socket():
    """Return the path of the server's socket."""
    ((path,),) = await vinyl.connection.execute("SELECT @@socket")
    if not is_there(path) or connections.settings["default"]["HOST"] not in ("127.0.0.1", "localhost", path):
        pytest.skip("not on a server that is elsewhere")
    return path


async def test_the_socket_of_a_local_server_is_used_as_in_the_sync_mode(tmp_path, monkeypatch):
    path = await local_socket()
    over_the_network = await vinyl.connections["default"].execute(HOST)
    with database(HOST=path, PORT="") as alias:
        assert await in_both(alias, HOST) == [("localhost",)]
        assert await same(lambda: connections[alias].cursor().connection.get_host_info(), alias)
    with database({"unix_socket": path}, HOST="", PORT="") as alias:
        assert await in_both(alias, HOST) == [("localhost",)]
    with database({"unix_socket": path}, HOST="localhost", PORT="1") as alias:
        assert await in_both(alias, HOST) == [("localhost",)]
    with database({"unix_socket": "/nowhere"}, HOST="127.0.0.1") as alias:
        assert await in_both(alias, HOST) == over_the_network
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\nsocket = {path}\n")
    with database({"read_default_file": str(file)}, HOST="", PORT="") as alias:
        assert await in_both(alias, HOST) == [("localhost",)]
    # mysqlclient's library reads the variable too, but once for a process.
    monkeypatch.setenv("MYSQL_UNIX_PORT", path)
    with database(HOST="localhost", PORT="") as alias:
        assert await vinyl.connections[alias].execute(HOST) == [("localhost",)]


async def test_a_statement_is_killed_through_the_socket_as_well():
    path = await local_socket()
    with database(HOST=path, PORT="") as alias:
        await cancel_a_statement(alias)


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({"HOST": "/nowhere/mysqld.sock"}, (2002,)),
        ({"HOST": "nowhere.invalid"}, (2005,)),
        # The latter is MySQL's, the former what MariaDB's library makes of it.
        ({"HOST": "127.0.0.1", "PORT": "1"}, (2002, 2003)),
    ],
    ids=str,
)
async def test_a_server_that_cannot_be_reached_is_an_error_of_mysqlclients_class(settings, codes):
    with database(**settings) as alias:
        ours, theirs = await both(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert ours[0] is theirs[0] is OperationalError
    assert ours[2] is theirs[2]
    assert {ours[1][0], theirs[1][0]} <= set(codes)
    assert settings["HOST"] in ours[1][1]


@pytest.mark.parametrize(
    "settings", [{"PASSWORD": "wrong"}, {"USER": "nobody"}, {"NAME": "no_such_database"}, {"NAME": "é"}], ids=str
)
async def test_who_is_not_let_in_gets_the_error_of_mysqlclient(settings):
    with database(**settings) as alias:
        kind, (code, _), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert kind is OperationalError
    assert code in (1045, 1049, 1698)


@pytest.mark.parametrize("greeting", [b"", b"\x00", b"\x17\x00\x00\x00\xff\x10\x04Too many connections"], ids=repr)
async def test_a_server_that_ends_the_greeting_is_an_error_of_mysqlclients_class(greeting):
    async def speak(_, writer):
        writer.write(greeting)

    async with pretending(speak) as alias:
        ours, theirs = await both(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert ours[0] is theirs[0] is OperationalError
    assert ours[1][0] == theirs[1][0]
    assert ours[1][0] in (2013, 1040)


async def test_who_is_not_named_is_the_user_of_the_system(monkeypatch):
    monkeypatch.setenv("LOGNAME", getpass.getuser())
    with database(USER="", PASSWORD="wrong") as alias:
        _, (code, message), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert code in (1045, 1698)
    assert f"'{getpass.getuser()}'" in message


async def test_a_password_of_the_environment_is_used_where_the_settings_have_none(monkeypatch):
    with database(USER="nobody", PASSWORD="") as alias:
        _, (_, message), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
        assert "using password: NO" in message
        monkeypatch.setenv("MYSQL_PWD", "x")
        _, (_, message), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
        assert "using password: YES" in message


@pytest.mark.parametrize("timeout", [{"read_timeout": 1}, {"read_timeout": 1, "write_timeout": 30}], ids=str)
async def test_a_silent_server_is_given_up_after_read_timeout(timeout, marker):
    with database(timeout) as alias:
        async with asyncio.timeout(10):
            ours, theirs = await both(lambda: error_of(fetch, alias, server_connections.sleep(20, marker)), alias)
        assert ours[0] is theirs[0] is OperationalError
        assert ours[1][0] == theirs[1][0] == 2013
        assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]
        assert vinyl.connections[alias].statistics()["returns_bad"] == 1
    # The server has not noticed, and would be found busy by the next tests.
    await server_connections.end(
        *[number for number, statement in (await server_connections.statements()).items() if marker in statement]
    )


async def test_a_server_that_does_not_greet_is_given_up_after_connect_timeout():
    async def speak(reader, _):
        await reader.read()

    async with pretending(speak, options={"connect_timeout": 1}) as alias, asyncio.timeout(10):
        ours, theirs = await both(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert ours[0] is theirs[0] is OperationalError
    assert "timed out" in ours[1][1]


def asks_for(file, said):
    """The server of the tests, until it is asked for a lamp: then it asks for a file, and notes what it gets."""

    async def relay(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)

    async def speak(reader, writer):
        upstream = await asyncio.open_connection(*where)
        answers = asyncio.create_task(relay(upstream[0], writer))
        try:
            while data := await reader.read(65536):
                if b"a lamp" not in data:
                    upstream[1].write(data)
                    continue
                writer.write((len(file) + 1).to_bytes(3, "little") + b"\x01\xfb" + file.encode())
                said.append(await reader.read(65536))
                writer.write(b"\x07\x00\x00\x03" + bytes(7))
        finally:
            answers.cancel()
            upstream[1].close()

    settings = connections.settings["default"]
    where = (settings["HOST"], int(settings["PORT"] or 3306))
    return speak


async def test_a_server_that_asks_for_a_file_gets_none_in_either_mode(tmp_path):
    if connections.settings["default"]["HOST"].startswith("/"):
        pytest.skip("not on a server that is reached through a socket")
    file, said = tmp_path / "secret", []
    file.write_text("a secret")
    async with pretending(asks_for(str(file), said), {"ssl_mode": "DISABLED"}) as alias:
        ours, theirs = await both(lambda: error_of(fetch, alias, "SELECT 'a lamp'"), alias)
        assert ours[0] is theirs[0] is OperationalError
        assert ours[1][0] == 2068
        # The other is that of MariaDB's library.
        assert theirs[1][0] in (2068, 2000)
        assert len(said) == 2
        assert not any(b"secret" in answer for answer in said)
        assert await same(lambda: fetch(alias, "SELECT 1"), alias) == [(1,)]
