"""TLS and passwords with PostgreSQL: as `OPTIONS` say, in both modes, by a server that lets in nobody without them."""

import asyncio
import ssl
import struct
import uuid
from contextlib import closing
from urllib.parse import unquote, urlsplit

import pytest
from django.db import OperationalError

import vinyl
from tests.daemons import CannotStart
from tests.modes import cancel_a_statement, database, error_of, fetch, pretending, relay, same

pytest.importorskip("cryptography", reason="not on an environment without cryptography")

from tests import certificates
from tests.private_postgresql import Secured, serve
from tests.secrecy import assert_is_told_to_nobody

pytestmark = [pytest.mark.engine("postgresql"), pytest.mark.asynchronous]

PASSWORD = "pä'ss %s"
# What a client of PostgreSQL's begins with, and how a server asks for a password.
REQUEST_FOR_TLS = struct.pack(">II", 8, 80877103)
CLEAR_TEXT = 3
IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return certificates.make_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(files):
    """The settings of a server that speaks TLS and asks for a password."""
    try:
        secured = Secured(files["good"], files["authority"], PASSWORD, certificates.CLIENT)
        with serve(None, secured) as (url, _):
            parts = urlsplit(url)
            user, password = unquote(parts.username), unquote(parts.password)
            yield {
                "NAME": "postgres",
                "USER": user,
                "PASSWORD": password,
                "HOST": parts.hostname,
                "PORT": str(parts.port),
            }
    except CannotStart as error:
        pytest.skip(f"PostgreSQL with TLS cannot be started: {error}")


def filled(options, files):
    """Put the paths of files in the place of their names."""
    return {name: str(files.get(value, value)) for name, value in options.items()}


VERIFIED = {"sslmode": "verify-full", "sslrootcert": "authority"}
ELSEWHERE = {"hostaddr": "127.0.0.1"}


@pytest.mark.parametrize(
    "options",
    [
        *({"sslmode": mode} for mode in ("allow", "prefer", "require")),
        {},
        {"sslmode": "require", "sslrootcert": "authority"},
        {"sslmode": "verify-ca", "sslrootcert": "authority"},
        VERIFIED,
        {**VERIFIED, "channel_binding": "require"},
        {**VERIFIED, "ssl_min_protocol_version": "TLSv1.3"},
    ],
    ids=str,
)
async def test_tls_is_spoken_to_a_server_that_is_trusted_as_far_as_asked(options, server, files):
    with database(filled(options, files), **server) as alias:
        assert await same(lambda: fetch(alias, IS_ENCRYPTED), alias) == [(True,)]


async def test_a_certificate_for_another_host_is_refused_only_if_the_host_matters(server, files):
    elsewhere = {**server, "HOST": "elsewhere.invalid"}
    with database(filled({**VERIFIED, **ELSEWHERE}, files), **elsewhere) as alias:
        kind, (message,), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
        assert kind is OperationalError
        assert 'does not match host name "elsewhere.invalid"' in message
    with database(filled({**VERIFIED, **ELSEWHERE, "sslmode": "verify-ca"}, files), **elsewhere) as alias:
        assert await same(lambda: fetch(alias, IS_ENCRYPTED), alias) == [(True,)]


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_certificate_of_an_unknown_authority_is_refused_in_both_modes(mode, server, files):
    with database(filled({"sslmode": mode, "sslrootcert": "another"}, files), **server) as alias:
        kind, (message,), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert kind is OperationalError
    assert "certificate verify failed" in message


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_certificate_that_has_expired_is_refused_in_both_modes(mode, files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["expired"])

    async def speak(reader, writer):
        await reader.readexactly(8)
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except (OSError, EOFError) as error:
            refusals.append(error)

    refusals = []
    async with pretending(speak, filled({"sslmode": mode, "sslrootcert": "authority"}, files)) as alias:
        kind, (message,), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert kind is OperationalError
    assert "certificate verify failed" in message
    assert "expired" in str(refusals[0])


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_without_tls_is_refused_if_tls_is_asked_for(mode, files):
    async def speak(reader, writer):
        said.append(await reader.readexactly(8))
        writer.write(b"N")
        said.append(await reader.read())

    said = []
    async with pretending(speak, filled({"sslmode": mode, "sslrootcert": "authority"}, files)) as alias:
        kind, (message,), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert kind is OperationalError
    assert "server does not support SSL, but SSL was required" in message
    assert said[1::2] == [b"", b""]


async def test_a_server_that_insists_on_tls_refuses_who_does_not_speak_it(server):
    with database({"sslmode": "disable"}, **server) as alias:
        kind, (message,), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert kind is OperationalError
    assert "no encryption" in message


async def test_a_client_is_let_in_by_its_certificate(server, files):
    certified = {**server, "USER": certificates.CLIENT, "PASSWORD": ""}
    with database(**server) as alias:
        await vinyl.connections[alias].execute(f'CREATE USER "{certificates.CLIENT}"')
    for options in ({"sslcert": "client", "sslkey": "client"}, {**VERIFIED, "sslcert": "client", "sslkey": "client"}):
        with database(filled(options, files), **certified) as alias:
            assert await same(lambda alias=alias: fetch(alias, "SELECT current_user"), alias) == [("client.invalid",)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "connection requires a valid client certificate"),
        ({"sslcert": "foreign client", "sslkey": "foreign client"}, "unknown ca"),
        ({"sslcert": "good", "sslkey": "good"}, "certificate authentication failed"),
        ({"sslcert": "client", "sslkey": "good"}, "key values mismatch"),
        ({"sslcert": "client", "sslkey": "nowhere"}, "nowhere.pem"),
    ],
    ids=str,
)
async def test_a_client_is_not_let_in_by_another_certificate(options, reason, server, files):
    certified = {**server, "USER": certificates.CLIENT, "PASSWORD": ""}
    with database(filled(options, files), **certified) as alias:
        kind, (message,), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert kind is OperationalError
    assert reason in message


async def test_a_wrong_password_is_refused_in_both_modes(server):
    for wrong in ("", "wrong", PASSWORD.upper()):
        with database(**{**server, "PASSWORD": wrong}) as alias:
            kind, (message,), *_ = await same(lambda alias=alias: error_of(fetch, alias, "SELECT 1"), alias)
        assert kind is OperationalError
        assert ("password authentication failed" if wrong else "no password supplied") in message
        assert wrong == "" or wrong not in message


@pytest.mark.parametrize("options", [{}, VERIFIED], ids=str)
async def test_a_wrong_password_is_told_to_nobody(options, server, files, log):
    wrong = uuid.uuid4().hex
    with database(filled(options, files), **{**server, "PASSWORD": wrong}) as alias:
        with pytest.raises(OperationalError, match="password authentication failed") as caught:
            await vinyl.connections[alias].execute("SELECT 1")
        assert_is_told_to_nobody(wrong, alias, log, caught.value)


@pytest.mark.loops
async def test_a_cancelled_statement_is_ended_through_tls_too(server, files):
    with database(filled(VERIFIED, files), **server) as alias:
        await cancel_a_statement(alias)
        await vinyl.close()


async def test_the_request_to_cancel_a_statement_is_encrypted_too(server, files):
    async def speak(reader, writer):
        begins.append(await reader.readexactly(8))
        upstream = await asyncio.open_connection(server["HOST"], server["PORT"])
        with closing(upstream[1]):
            upstream[1].write(begins[-1])
            await relay((reader, writer), upstream)

    begins = []
    others = {name: value for name, value in server.items() if name not in ("HOST", "PORT")}
    async with pretending(speak, filled(VERIFIED, files), **others) as alias:
        await cancel_a_statement(alias)
        await vinyl.close()
    assert begins == [REQUEST_FOR_TLS] * 2


async def test_a_password_is_not_sent_in_clear_text_if_scram_is_required():
    async def speak(reader, writer):
        length = int.from_bytes(await reader.readexactly(4))
        said.append(await reader.readexactly(length - 4))
        writer.write(b"R" + struct.pack(">II", 8, CLEAR_TEXT))
        said.append(await reader.read())

    said = []
    options = {"require_auth": "scram-sha-256", "sslmode": "disable"}
    async with pretending(speak, options, PASSWORD=PASSWORD) as alias:
        kind, (message,), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert kind is OperationalError
    assert "server requested a cleartext password" in message
    assert said[1::2] == [b"", b""]
