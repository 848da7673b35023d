"""TLS with MySQL and MariaDB in the async mode: negotiated and verified as `ssl` and `ssl_mode` say, in both modes."""

import ssl

import pytest
from django.db import OperationalError, connections

import vinyl
from tests.aliases import database
from tests.modes import both, cancel_a_statement, error_of, fetch, same

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")
pytest.importorskip("cryptography", reason="not on an environment without cryptography")

from tests import certificates, mysql_tls
from vinyl.drivers.mysql.tls import MODES

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.asynchronous]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return certificates.make_files(tmp_path_factory.mktemp("tls"))


def context_of(files, certificate, *, for_clients_of=None, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[certificate])
    if for_clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files[for_clients_of])
    if version is not None:
        context.maximum_version = version
    return context


async def upstream():
    """Return where the server of the tests is: its socket, if it is here, which it trusts as TLS."""
    ((path,),) = await vinyl.connection.execute("SELECT @@socket")
    settings = connections.settings["default"]
    return path if settings["HOST"] in ("127.0.0.1", "localhost") else (settings["HOST"], int(settings["PORT"] or 3306))


def filled(options, files):
    """Put the paths of files in the place of their names."""
    given = options.get("ssl")
    named = {name: str(files.get(value, value)) for name, value in given.items()} if isinstance(given, dict) else given
    return {**options, "ssl": named} if "ssl" in options else options


def uses_tls(alias):
    """Tell whether the connection that the pool would lend speaks TLS to whoever it has connected to."""

    def look():
        connections[alias].ensure_connection()
        return connections[alias].connection._wire._tls_established

    return vinyl.run(look)


VERIFIED = {"ca": "authority"}


@pytest.mark.parametrize(
    ("certificate", "options"),
    [
        *(("good", {"ssl_mode": mode}) for mode in ("PREFERRED", "REQUIRED")),
        *(("expired", options) for options in ({}, {"ssl": {}}, {"ssl": True}, {"ssl_mode": "REQUIRED"})),
        ("good", {"ssl": VERIFIED}),
        *(("good", {"ssl": VERIFIED, "ssl_mode": mode}) for mode in MODES[1:]),
        ("elsewhere", {"ssl": VERIFIED}),
        ("elsewhere", {"ssl": VERIFIED, "ssl_mode": "REQUIRED"}),
        ("good", {"ssl": {"ca": "authority", "cipher": "ECDHE-ECDSA-AES256-GCM-SHA384"}}),
    ],
    ids=str,
)
async def test_tls_is_spoken_to_a_server_that_is_trusted_as_far_as_asked(certificate, options, files):
    async with mysql_tls.serving(context_of(files, certificate), await upstream()) as port:
        with database(filled(options, files), HOST="127.0.0.1", PORT=str(port)) as alias:
            assert await same(lambda: fetch(alias, "SELECT 1"), alias) == [(1,)]
            assert await uses_tls(alias)


async def test_a_certificate_for_another_host_is_refused_only_if_the_host_matters(files):
    async with mysql_tls.serving(context_of(files, "elsewhere"), await upstream()) as port:
        options = filled({"ssl": VERIFIED, "ssl_mode": "VERIFY_IDENTITY"}, files)
        with database(options, HOST="127.0.0.1", PORT=str(port)) as alias:
            ours, theirs = await both(lambda: error_of(fetch, alias, "SELECT 1"), alias)
            assert ours[0] is theirs[0] is OperationalError
            assert ours[1][0] == theirs[1][0] == 2026
            assert "certificate is not valid for '127.0.0.1'" in ours[1][1]
        # As MySQL's library has it; MariaDB's cannot verify one without the other.
        options["ssl_mode"] = "VERIFY_CA"
        with database(options, HOST="127.0.0.1", PORT=str(port)) as alias:
            assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("certificate", "options", "reason"),
    [
        ("good", {"ssl": {"ca": "another"}}, "unable to get local issuer certificate"),
        *(
            ("good", {"ssl": {"ca": "another"}, "ssl_mode": mode}, "unable to get local issuer certificate")
            for mode in MODES[1:]
        ),
        *(("good", {"ssl_mode": mode}, "unable to get local issuer certificate") for mode in MODES[3:]),
        ("expired", {"ssl": VERIFIED}, "certificate has expired"),
        ("expired", {"ssl": VERIFIED, "ssl_mode": "VERIFY_IDENTITY"}, "certificate has expired"),
    ],
    ids=str,
)
async def test_a_server_that_cannot_be_verified_is_refused_in_both_modes(certificate, options, reason, files):
    async with mysql_tls.serving(context_of(files, certificate), await upstream()) as port:
        with database(filled(options, files), HOST="127.0.0.1", PORT=str(port)) as alias:
            kind, (code, message), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert (kind, code) == (OperationalError, 2026)
    assert reason in message


@pytest.mark.parametrize(
    "files_of_client",
    [
        {"ca": "nowhere"},
        {"capath": "authority", "ca": "nowhere"},
        {"cert": "nowhere"},
        {"cert": "client", "key": "nowhere"},
        {"cert": "client", "key": "good"},
        {"cipher": "NONSENSE"},
    ],
    ids=str,
)
async def test_files_that_cannot_be_used_are_an_error_of_mysqlclients_class(files_of_client, files):
    options = filled({"ssl": files_of_client, "ssl_mode": "REQUIRED"}, files)
    async with mysql_tls.serving(context_of(files, "good"), await upstream()) as port:
        with database(options, HOST="127.0.0.1", PORT=str(port)) as alias:
            ours, theirs = await both(lambda: error_of(fetch, alias, "SELECT 1"), alias)
    assert ours[0] is theirs[0] is OperationalError
    assert ours[1][0] == theirs[1][0] == 2026
    assert ours[1][1].endswith(f"Correct the files in DATABASES['{alias}']['OPTIONS']['ssl']")


async def test_a_server_that_asks_for_a_certificate_gets_the_clients(files):
    context = context_of(files, "good", for_clients_of="authority")
    async with mysql_tls.serving(context, await upstream()) as port:
        for given in ({"cert": "client"}, {"cert": "client", "key": "client", "ca": "authority"}):
            with database(filled({"ssl": given}, files), HOST="127.0.0.1", PORT=str(port)) as alias:
                assert await same(lambda alias=alias: fetch(alias, "SELECT 1"), alias) == [(1,)]
        with database({"ssl_mode": "REQUIRED"}, HOST="127.0.0.1", PORT=str(port)) as alias:
            ours, theirs = await both(lambda: error_of(fetch, alias, "SELECT 1"), alias)
            assert ours[0] is theirs[0] is OperationalError


@pytest.mark.parametrize(
    ("options", "works"),
    [
        ({}, True),
        ({"ssl": {}}, True),
        ({"ssl_mode": "PREFERRED"}, True),
        ({"ssl": VERIFIED, "ssl_mode": "PREFERRED"}, True),
        ({"ssl": VERIFIED}, False),
        ({"ssl": True}, False),
        *(({"ssl_mode": mode}, False) for mode in MODES[2:]),
    ],
    ids=str,
)
async def test_a_server_without_tls_is_refused_if_tls_is_asked_for(options, works, files):
    async with mysql_tls.serving(None, await upstream()) as port:
        with database(filled(options, files), HOST="127.0.0.1", PORT=str(port)) as alias:
            if works:
                assert await same(lambda: fetch(alias, "SELECT 1"), alias) == [(1,)]
                assert not await uses_tls(alias)
            else:
                # Not every build of mysqlclient asks for it.
                with pytest.raises(OperationalError, match=r"2026.*TLS is required, but the server does not offer it"):
                    await vinyl.connections[alias].execute("SELECT 1")


@pytest.mark.parametrize("options", [{"ssl_mode": "DISABLED"}, {"ssl": False}], ids=str)
async def test_tls_that_is_offered_is_not_taken_where_it_is_disabled(options, files):
    async with mysql_tls.serving(context_of(files, "good"), await upstream()) as port:
        with database(options, HOST="127.0.0.1", PORT=str(port)) as alias:
            assert await same(lambda: fetch(alias, "SELECT 1"), alias) == [(1,)]
            assert not await uses_tls(alias)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
async def test_large_statements_and_answers_pass_through_tls(version, files):
    text = "é" * 2_000_000
    async with mysql_tls.serving(context_of(files, "good", version=version), await upstream()) as port:
        with database({"ssl_mode": "REQUIRED"}, HOST="127.0.0.1", PORT=str(port)) as alias:
            assert await vinyl.connections[alias].execute("SELECT LENGTH(%s), %s", [text, text]) == [(4_000_000, text)]


@pytest.mark.loops
async def test_a_cancelled_statement_is_killed_through_tls_too(files):
    async with mysql_tls.serving(context_of(files, "good"), await upstream()) as port:
        with database(filled({"ssl": VERIFIED}, files), HOST="127.0.0.1", PORT=str(port)) as alias:
            await cancel_a_statement(alias)
            await vinyl.close()


async def test_what_was_sent_before_tls_is_not_taken_for_what_arrives_by_it(files):
    async with mysql_tls.serving(context_of(files, "good"), await upstream(), behind_greeting=b"x") as port:
        expected = pytest.raises(OperationalError, match=r"2026.*has sent more than its greeting")
        with database(filled({"ssl": VERIFIED}, files), HOST="127.0.0.1", PORT=str(port)) as alias, expected:
            await vinyl.connections[alias].execute("SELECT 1")


async def test_the_server_itself_is_asked_for_tls_as_far_as_it_offers_it():
    ciphers = "SHOW STATUS LIKE 'Ssl_cipher'"
    with database({"ssl_mode": "PREFERRED"}) as alias:
        ((_, cipher),) = await vinyl.connections[alias].execute(ciphers)
    with database({"ssl_mode": "REQUIRED"}) as alias:
        if cipher:
            (row,) = await same(lambda: fetch(alias, ciphers), alias)
            assert row[1]
        else:
            with pytest.raises(OperationalError, match=r"2026.*does not offer"):
                await vinyl.connections[alias].execute("SELECT 1")
