"""Users of MySQL and MariaDB are let in, or not, in the async mode as in the sync mode, whatever they identify by.

Servers that none of the tests' servers can be are scripted: they greet, and ask for what they are told to.
"""

import asyncio
import os
import struct
import sys
import uuid
from contextlib import asynccontextmanager

import pytest
from django.db import OperationalError, ProgrammingError, connections

import vinyl
from tests.aliases import database
from tests.modes import both, error_of, fetch, pretending, same
from tests.secrecy import assert_is_told_to_nobody

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

import asyncmy.auth
from asyncmy.constants import CLIENT

from vinyl.drivers.mysql.options import options_for
from vinyl.drivers.mysql.wire import open_wire

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.asynchronous]

# Each process has users of its own.
USER = f"vinyl_{os.getpid()}"
PASSWORD = "pä'ss"
WHO = "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)"
CIPHER = "SHOW STATUS LIKE 'Ssl_cipher'"


@asynccontextmanager
async def user(how, *passwords):
    """Create a user who identifies like that; in `how` %s stands for a password."""
    create = f"CREATE USER {USER}@'%%' IDENTIFIED {how}"
    await vinyl.connection.execute(f"DROP USER IF EXISTS {USER}@'%%'", [])
    await vinyl.connection.execute(create, list(passwords))
    try:
        yield
    finally:
        await vinyl.close()
        await vinyl.connection.execute(f"DROP USER {USER}@'%%'", [])


@asynccontextmanager
async def user_by(plugin, password=PASSWORD):
    """Create a user who identifies by a plugin, in the words of whichever server it is."""
    if not await vinyl.connection.execute("SELECT 1 FROM information_schema.plugins WHERE plugin_name = %s", [plugin]):
        pytest.skip(f"not on a server without {plugin}")
    ((version,),) = await vinyl.connection.execute("SELECT VERSION()")
    how = f"VIA {plugin} USING PASSWORD(%s)" if "MariaDB" in version else f"WITH {plugin} BY %s"
    async with user(how, password):
        yield


def settings(password=PASSWORD, **others):
    return {"USER": USER, "PASSWORD": password, "NAME": "information_schema", **others}


async def through_the_socket():
    """Return the settings that lead through the server's socket."""
    ((path,),) = await vinyl.connection.execute("SELECT @@socket")
    if connections.settings["default"]["HOST"] not in ("127.0.0.1", "localhost", path):
        pytest.skip("not on a server that is elsewhere")
    return {"HOST": path, "PORT": ""}


PLUGINS = ["caching_sha2_password", "sha256_password", "mysql_native_password"]
WAYS = [{}, {"ssl_mode": "DISABLED"}, {"ssl_mode": "REQUIRED"}, "socket"]


async def way(options):
    """Return options and settings; without TLS there is no requiring it."""
    if options == "socket":
        return {}, await through_the_socket()
    if options.get("ssl_mode") == "REQUIRED":
        ((_, cipher),) = await vinyl.connection.execute(CIPHER)
        if not cipher:
            pytest.skip("not on a server without TLS")
    return options, {}


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_a_user_with_a_password_is_let_in_at_first_and_later(plugin, options):
    options, where = await way(options)
    async with user_by(plugin):
        # The server has not seen the user yet, so the first to come proves to know the password at length.
        with database(options, **settings(**where)) as alias:
            assert await vinyl.connections[alias].execute(WHO) == [(USER,)]
        with database(options, **settings(**where)) as alias:
            assert await same(lambda: fetch(alias, WHO), alias) == [(USER,)]


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_a_wrong_password_has_the_error_of_mysqlclient(plugin, options):
    options, where = await way(options)
    async with user_by(plugin):
        for password in ("wrong", ""):
            with database(options, **settings(password, **where)) as alias:
                kind, (code, message), *_ = await same(lambda alias=alias: error_of(fetch, alias, WHO), alias)
            assert (kind, code) == (OperationalError, 1045)
            assert message.endswith(f"(using password: {'YES' if password else 'NO'})")


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_a_wrong_password_is_told_to_nobody(plugin, options, log):
    options, where = await way(options)
    wrong = uuid.uuid4().hex
    async with user_by(plugin):
        with database(options, **settings(wrong, **where)) as alias:
            with pytest.raises(OperationalError) as caught:
                await vinyl.connections[alias].execute(WHO)
            assert_is_told_to_nobody(wrong, alias, log, caught.value)


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_a_user_without_a_password_is_let_in_with_none(plugin):
    async with user_by(plugin, ""):
        with database(**settings("")) as alias:
            assert await same(lambda: fetch(alias, WHO), alias) == [(USER,)]
        with database(**settings("x")) as alias:
            assert (await same(lambda: error_of(fetch, alias, WHO), alias))[1][0] == 1045


async def test_without_tls_the_password_is_encrypted_at_first_and_not_sent_at_all_later(monkeypatch):
    pytest.importorskip("cryptography", reason="not on an environment without cryptography")
    encrypted = []
    encrypt = asyncmy.auth.sha2_rsa_encrypt
    monkeypatch.setattr(asyncmy.auth, "sha2_rsa_encrypt", lambda *args: encrypted.append(args) or encrypt(*args))
    async with user_by("caching_sha2_password"):
        for _ in range(2):
            with database({"ssl_mode": "DISABLED"}, **settings()) as alias:
                assert await vinyl.connections[alias].execute(WHO) == [(USER,)]
    assert len(encrypted) == 1


async def test_the_servers_key_may_be_in_a_file(tmp_path, monkeypatch):
    rsa = pytest.importorskip(
        "cryptography.hazmat.primitives.asymmetric.rsa", reason="not on an environment without cryptography"
    )
    from cryptography.hazmat.primitives import serialization

    async with user_by("caching_sha2_password"):
        ((_, key),) = await vinyl.connection.execute("SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key'")
        file = tmp_path / "key.pem"
        options = {"ssl_mode": "DISABLED", "server_public_key_path": str(file)}
        another = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        file.write_bytes(
            another.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        with database(options, **settings()) as alias:
            kind, _, *_ = await same(lambda: error_of(fetch, alias, WHO), alias)
            assert kind is OperationalError
        file.write_text(key)
        with database(options, **settings()) as alias:
            assert await vinyl.connections[alias].execute(WHO) == [(USER,)]
        await vinyl.connection.execute("FLUSH PRIVILEGES")
        with database(options, **settings()) as alias:
            assert await same(lambda: fetch(alias, WHO), alias) == [(USER,)]


async def install_ed25519():
    pytest.importorskip("nacl.bindings", reason="not on an environment without pynacl")
    try:
        await vinyl.connection.execute("INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'")
    except (OperationalError, ProgrammingError):
        pytest.skip("not on a server without ed25519")


async def test_a_user_of_ed25519_is_let_in():
    await install_ed25519()
    async with user_by("ed25519"):
        for where in ({}, await through_the_socket()):
            with database(**settings(**where)) as alias:
                assert await same(lambda alias=alias: fetch(alias, WHO), alias) == [(USER,)]
        with database(**settings("wrong")) as alias:
            assert (await same(lambda: error_of(fetch, alias, WHO), alias))[1][0] == 1045


@pytest.mark.parametrize("plugins", [("ed25519", "mysql_native_password"), ("mysql_native_password", "ed25519")])
async def test_a_user_of_several_plugins_is_let_in_by_any(plugins):
    await install_ed25519()
    how = " OR ".join(f"{plugin} USING PASSWORD(%s)" for plugin in plugins)
    async with user(f"VIA {how}", "first", "second"):
        for password in ("first", "second"):
            with database(**settings(password)) as alias:
                assert await same(lambda alias=alias: fetch(alias, WHO), alias) == [(USER,)]
        with database(**settings("third")) as alias:
            assert (await same(lambda: error_of(fetch, alias, WHO), alias))[1][0] == 1045


# Scripted servers.

CAPABILITIES = (
    CLIENT.PROTOCOL_41
    | CLIENT.TRANSACTIONS
    | CLIENT.SECURE_CONNECTION
    | CLIENT.PLUGIN_AUTH
    | CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
)
SALT = bytes(range(1, 21))
OK = b"\x00\x00\x00\x02\x00\x00\x00"


def greeting(capabilities=CAPABILITIES):
    low, high = capabilities & 0xFFFF, capabilities >> 16
    middle = struct.pack("<I8sxHBHHB10x", 7, SALT[:8], low, 45, 2, high, 21)
    return b"\x0a11.8.0-MariaDB\0" + middle + SALT[8:] + b"\0mysql_native_password\0"


def switch(plugin, data=SALT):
    return b"\xfe" + plugin.encode() + b"\0" + data + b"\0"


def script(*packets, said, welcome=None):
    """A server that greets, and then answers each packet with the next of its own."""

    async def speak(reader, writer):
        number = 0
        for packet in (welcome or greeting(), *packets):
            writer.write(len(packet).to_bytes(3, "little") + bytes([number]) + packet)
            header = await reader.read(4)
            if not header:
                return
            said.append(await reader.readexactly(int.from_bytes(header[:3], "little")))
            number = header[3] + 1

    return speak


def connecting(alias):
    """Connect to a scripted server, without what Django asks of a server that it has connected to."""
    return open_wire(options_for(alias, {**connections[alias].get_connection_params(), "ssl_mode": "DISABLED"}))


@pytest.mark.parametrize("plugin", ["parsec", "auth_gssapi_client", "mysql_old_password"])
async def test_a_plugin_that_asyncmy_does_not_have_is_named_with_the_cure(plugin):
    said = []
    async with pretending(script(switch(plugin), said=said), **settings()) as alias:
        ours, theirs = await both(lambda: error_of(fetch, alias, WHO), alias)
    assert ours[0] is theirs[0] is OperationalError
    assert ours[1][0] == 2059
    assert ours[1][1].startswith(f"Authentication plugin '{plugin}' cannot be loaded: asyncmy has only mysql_native")
    assert ours[1][1].endswith("or use this database in the synchronous mode only")


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog"])
async def test_a_password_is_not_sent_in_clear_text_without_tls(plugin):
    said = []
    async with pretending(script(switch(plugin, b"\x04Password: "), said=said), **settings()) as alias:
        with pytest.raises(OperationalError, match=r"2061.*in clear text.*OPTIONS\['ssl_mode'\] to 'REQUIRED'"):
            await vinyl.connections[alias].execute("SELECT 1")
    assert not any(PASSWORD.encode() in packet for packet in said)


async def test_a_package_that_a_plugin_needs_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nacl", None)
    monkeypatch.setattr(asyncmy.auth, "_nacl_bindings", None)
    async with pretending(script(switch("client_ed25519", SALT + bytes(12)), said=[]), **settings()) as alias:
        with pytest.raises(OperationalError, match=r"2061.*'pynacl' package is required.*install it, or use another"):
            await vinyl.connections[alias].execute("SELECT 1")
    monkeypatch.setattr(asyncmy.auth, "_have_cryptography", False)
    needs_key = script(switch("caching_sha2_password"), b"\x01\x04", b"\x01key", said=[])
    async with pretending(needs_key, **settings()) as alias:
        with pytest.raises(OperationalError, match=r"2061.*'cryptography' package is required.*install it, or use"):
            await vinyl.connections[alias].execute("SELECT 1")


async def test_a_server_may_go_on_to_a_second_and_a_third_plugin():
    said = []
    answers = [switch("mysql_native_password", bytes(range(n, n + 20))) for n in (2, 3, 4)]
    async with pretending(script(*answers, OK, said=said), **settings()) as alias:
        async with asyncio.timeout(5):
            wire = await connecting(alias)
        assert wire.is_open
        assert said[1:] == [
            asyncmy.auth.scramble_native_password(PASSWORD.encode(), bytes(range(n, n + 20))) for n in (2, 3, 4)
        ]
        wire.shut(politely=False)


@pytest.mark.parametrize("gives_up", ["timeout", "cancellation"])
async def test_a_server_that_falls_silent_in_the_middle_of_tls_is_given_up(gives_up):
    said = []

    async def silent(reader, writer):
        await script(welcome=greeting(CAPABILITIES | CLIENT.SSL), said=said)(reader, writer)
        await reader.read()

    options = {"ssl_mode": "REQUIRED", **({"connect_timeout": 1} if gives_up == "timeout" else {})}
    async with pretending(silent, options, **settings()) as alias:
        if gives_up == "timeout":
            with pytest.raises(OperationalError, match=r"2003.*timed out"):
                await vinyl.connections[alias].execute("SELECT 1")
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await vinyl.connections[alias].execute("SELECT 1")
        assert vinyl.connections[alias].statistics()["pool_size"] == 0
    assert len(said[0]) == 32
