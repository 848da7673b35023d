"""What DATABASES says about MySQL or MariaDB holds in both modes, or the async mode names what it cannot do."""

import asyncio
import copy
import itertools
import os
import ssl
from contextlib import contextmanager

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections

import vinyl

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

from MySQLdb.constants import CLIENT
from MySQLdb.cursors import SSCursor

from vinyl.drivers.mysql.optionfile import read_groups

pytestmark = [pytest.mark.engine("mariadb"), pytest.mark.asynchronous]

numbers = itertools.count()


@contextmanager
def database(options=None, **settings):
    """An alias of the default database with other settings."""
    alias = f"changed{next(numbers)}"
    changed = copy.deepcopy(connections.settings["default"])
    changed.update(settings, OPTIONS=options or {})
    connections.settings[alias] = changed
    try:
        yield alias
    finally:
        del connections.settings[alias]


async def in_both(alias, sql):
    """Execute on the asynchronous connection, and on Django's in a thread; give the result that they share."""

    def fetch():
        with connections[alias].cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def plainly():
        try:
            return fetch()
        finally:
            connections[alias].close()

    ours, theirs = await vinyl.run(fetch), await asyncio.to_thread(plainly)
    assert ours == theirs
    return ours


@pytest.mark.parametrize(
    ("options", "sql", "expected"),
    [
        ({"init_command": "SET @x = 1; SELECT 1; SET @y = 2"}, "SELECT @x, @y", (1, 2)),
        ({"sql_mode": "ANSI_QUOTES"}, 'SELECT 1 AS "x", @@sql_mode', (1, "ANSI_QUOTES")),
        ({"isolation_level": "serializable"}, "SELECT @@tx_isolation", ("SERIALIZABLE",)),
        ({}, "SELECT @@tx_isolation", ("READ-COMMITTED",)),
        ({"isolation_level": None}, "SELECT @@tx_isolation", ("REPEATABLE-READ",)),
        (
            {"charset": "latin1"},
            "SELECT 'é', @@character_set_client, @@collation_connection",
            ("é", "latin1", "latin1_swedish_ci"),
        ),
        ({"charset": "utf8mb3"}, "SELECT 'é', @@character_set_results", ("é", "utf8mb3")),
        ({"collation": "utf8mb4_bin"}, "SELECT @@collation_connection", ("utf8mb4_bin",)),
        ({"autocommit": False}, "SELECT @@autocommit", (1,)),
        ({"ssl_mode": "DISABLED"}, "SELECT 1", (1,)),
        ({"ssl_mode": "PREFERRED"}, "SELECT 1", (1,)),
        ({"ssl": {}}, "SELECT 1", (1,)),
        ({"connect_timeout": 5, "read_timeout": 5, "write_timeout": 5}, "SELECT 1", (1,)),
        ({"client_flag": CLIENT.FOUND_ROWS | CLIENT.INTERACTIVE}, "SELECT 1", (1,)),
        ({"auth_plugin": "mysql_native_password"}, "SELECT 1", (1,)),
        ({"cursorclass": SSCursor}, "SELECT 1", (1,)),
        ({"multi_statements": False, "isolation_level": None}, "SELECT 1", (1,)),
    ],
    ids=str,
)
async def test_an_option_does_the_same_in_both_modes(options, sql, expected):
    with database(options) as alias:
        assert await in_both(alias, sql) == [expected]


async def test_several_statements_are_refused_where_they_are_turned_off():
    with database({"multi_statements": False}) as alias, pytest.raises(Exception, match="1064"):
        await in_both(alias, "SELECT 1; SELECT 2")


@pytest.mark.parametrize(
    "options",
    [
        {"compress": True},
        {"named_pipe": "x"},
        {"use_unicode": False},
        {"local_infile_dir": "/"},
        {"auth_plugin": "auth_gssapi_client"},
        {"client_flag": CLIENT.COMPRESS},
        {"charset": "gbk"},
        {"charset": "utf17"},
        {"ssl_mode": "SOMETIMES"},
        {"nonsense": 1},
        {"conv": {8: ((1, int),)}},
    ],
    ids=str,
)
async def test_what_asyncmy_cannot_do_is_named(options):
    ((name, _),) = options.items()
    with database(options) as alias, pytest.raises(ImproperlyConfigured, match=rf"{alias}.*OPTIONS.*{name}"):
        await vinyl.connections[alias].execute("SELECT 1")


SOCKET = "SELECT @@socket"
HOST = "SELECT SUBSTRING_INDEX(host, ':', 1) FROM information_schema.processlist WHERE id = CONNECTION_ID()"


def is_socket(path):
    return os.path.exists(path)


async def test_the_socket_of_a_local_server_is_used_as_in_the_sync_mode(tmp_path, monkeypatch):
    ((path,),) = await vinyl.connection.execute(SOCKET)
    if not is_socket(path) or connections.settings["default"]["HOST"] not in ("127.0.0.1", "localhost", path):
        pytest.skip("not on a server that is elsewhere")
    over_the_network = await vinyl.connections["default"].execute(HOST)
    with database(HOST=path, PORT="") as alias:
        assert await in_both(alias, HOST) == [("localhost",)]
    with database({"unix_socket": path}, HOST="", PORT="") as alias:
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


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({"HOST": "/nowhere/mysqld.sock"}, (2002,)),
        ({"HOST": "nowhere.invalid"}, (2005,)),
        ({"PASSWORD": "wrong"}, (1045, 1698)),
        ({"NAME": "no_such_database"}, (1049,)),
    ],
    ids=str,
)
async def test_connecting_fails_with_the_error_of_mysqlclient(settings, codes):
    with database(**settings) as alias:
        with pytest.raises(OperationalError) as ours:
            await vinyl.connections[alias].execute("SELECT 1")

        def plainly():
            with pytest.raises(OperationalError) as theirs:
                connections[alias].ensure_connection()
            return theirs.value.args[0]

        assert ours.value.args[0] == await asyncio.to_thread(plainly)
        assert ours.value.args[0] in codes


async def test_an_option_file_says_where_to_connect(tmp_path):
    where = connections.settings["default"]
    file = tmp_path / "my.cnf"
    file.write_text(
        f'# a comment\n[client]\nuser = nobody\nuser = {where["USER"]}\npassword = "{where["PASSWORD"]}"\n'
        f"host={where['HOST']}\nport={where['PORT'] or 3306}\nunknown-option\n[other]\nport = 1\n"
        "[vinyl]\ninit_command = 'SET @b = 2'\n"
    )
    options = {"read_default_file": str(file), "read_default_group": "vinyl"}
    with database(options, USER="", PASSWORD="", HOST="", PORT="") as alias:
        assert await in_both(alias, "SELECT @b") == [(2,)]
    # What the settings say wins.
    with database(options, USER="nobody") as alias, pytest.raises(OperationalError, match="nobody"):
        await vinyl.connections[alias].execute("SELECT 1")
    file.write_text("[client]\ncompress\n")
    with database(options) as alias, pytest.raises(ImproperlyConfigured, match=r"read_default_file.*compress"):
        await vinyl.connections[alias].execute("SELECT 1")


def test_option_files_have_includes_quotes_and_escapes(tmp_path):
    (tmp_path / "included").mkdir()
    (tmp_path / "included" / "a.cnf").write_text("[mine]\nport = 1\n[other]\nport = 2\n")
    (tmp_path / "one.cnf").write_text("[client]\nhost = there\n")
    file = tmp_path / "my.cnf"
    file.write_text(
        f"port = 9\n[client]\n!includedir {tmp_path / 'included'}\n!include {tmp_path / 'one.cnf'}\n; a comment\n"
        "user = 'o''k' # a comment\npassword = a#b\\s\ndefault_character_set=\"x \"\ncompress\n!include nothing\n"
    )
    expected = {"user": "o", "password": "a#b ", "default-character-set": "x ", "compress": "1", "host": "there"}
    assert read_groups(str(file), "mine") == {**expected, "port": "1"}
    assert read_groups(str(file), None) == expected
    assert read_groups(str(tmp_path / "nothing"), None) == {}


async def offers_tls():
    ((_, have),) = await vinyl.connection.execute("SHOW VARIABLES LIKE 'have_ssl'")
    return have == "YES"


async def cipher(alias):
    ((_, name),) = await vinyl.connections[alias].execute("SHOW STATUS LIKE 'Ssl_cipher'")
    return name


async def test_tls_is_used_as_far_as_the_server_offers_it():
    offered = await offers_tls()
    with database() as alias:
        assert bool(await cipher(alias)) == offered
    with database({"ssl_mode": "DISABLED"}) as alias:
        assert not await cipher(alias)
    for options in ({"ssl_mode": "REQUIRED"}, {"ssl": True}):
        with database(options) as alias:
            if offered:
                assert await cipher(alias)
            else:
                with pytest.raises(OperationalError, match=r"2026.*does not offer"):
                    await cipher(alias)


async def test_a_server_that_cannot_be_verified_is_refused():
    if not await offers_tls():
        pytest.skip("not on a server without TLS")
    for options in ({"ssl_mode": "VERIFY_CA"}, {"ssl": {"ca": ssl.get_default_verify_paths().cafile}}):
        with database(options) as alias, pytest.raises(OperationalError, match=r"2026.*CERTIFICATE_VERIFY_FAILED"):
            await cipher(alias)


@pytest.mark.parametrize("timeout", [{"read_timeout": 1}, {"read_timeout": 1, "write_timeout": 30}], ids=str)
async def test_a_silent_server_is_given_up_after_read_timeout(timeout):
    with database(timeout) as alias:
        with pytest.raises(OperationalError, match="2013"):
            async with asyncio.timeout(5):
                await vinyl.connections[alias].execute("SELECT SLEEP(20)")
        assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]
        assert vinyl.connections[alias].statistics()["returns_bad"] == 1


@pytest.mark.parametrize("plugin", ["mysql_native_password", "ed25519"])
async def test_a_password_is_taken_by_each_plugin(plugin):
    find = "SELECT 1 FROM information_schema.plugins WHERE plugin_name = %s"
    if not await vinyl.connection.execute(find, [plugin]):
        pytest.skip(f"not on a server without {plugin}")
    if plugin == "ed25519":
        pytest.importorskip("nacl", reason="not on an environment without pynacl")
    await vinyl.connection.execute(
        f"CREATE OR REPLACE USER vinyl_user@'%%' IDENTIFIED VIA {plugin} USING PASSWORD(%s)", ["é"]
    )
    try:
        with database(USER="vinyl_user", PASSWORD="é", NAME="information_schema") as alias:
            assert await in_both(alias, "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)") == [("vinyl_user",)]
    finally:
        await vinyl.connection.execute("DROP USER vinyl_user@'%'")
