"""An alias may name several servers; who cannot be reached, or serves nobody, leaves it to the next."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections

import vinyl
from tests.aliases import database
from tests.modes import cancel_a_statement, in_both

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

from vinyl.drivers.mysql import hosts, wire
from vinyl.drivers.mysql.hosts import Address

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.asynchronous]

TOO_MANY_CONNECTIONS = b"\x17\x00\x00\x00\xff\x10\x04Too many connections"


@pytest.fixture(autouse=True)
def without_memories(monkeypatch):
    monkeypatch.setattr(hosts, "_failures", {})


@pytest.fixture
def real():
    """The server of the tests, as an entry of a list."""
    settings = connections.settings["default"]
    return f"{settings['HOST']}:{settings['PORT'] or 3306}"


@pytest.fixture
def closed():
    """An address where nobody listens."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{unheard.getsockname()[1]}"


@asynccontextmanager
async def listening(greeting=b""):
    """A server that says this and nothing more, and counts its visitors."""
    visitors = []

    async def welcome(reader, writer):
        visitors.append(writer)
        writer.write(greeting)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", visitors
        for writer in visitors:
            writer.close()


def fetch_in(alias):
    return vinyl.connections[alias].execute("SELECT 1")


async def test_a_host_that_cannot_be_reached_leaves_it_to_the_next_in_both_modes(closed, real):
    with database(HOST=f"{closed},{real}") as alias:
        assert await in_both(alias, "SELECT 1") == [(1,)]


async def test_a_host_without_a_port_has_that_of_the_settings(real):
    host, port = real.split(":")
    with database(HOST=f"{host},{host}:1", PORT=port) as alias:
        assert await in_both(alias, "SELECT 1") == [(1,)]


async def test_a_server_with_too_many_connections_leaves_it_to_the_next(real):
    async with listening(TOO_MANY_CONNECTIONS) as (full, visitors):
        with database(HOST=f"{full},{real}") as alias:
            assert await fetch_in(alias) == [(1,)]
        assert len(visitors) == 1


async def test_a_silent_host_costs_its_connect_timeout_and_is_then_tried_last(real):
    async with listening() as (silent, visitors):
        for _ in range(3):
            with database({"connect_timeout": 0.2}, HOST=f"{silent},{real}") as alias:
                assert await fetch_in(alias) == [(1,)]
        assert len(visitors) == 1


async def test_a_host_is_tried_first_again_after_a_while(closed, real, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(hosts, "monotonic", lambda: clock[0])
    first, second = addresses = hosts.parse(f"{closed},{real}", 3306)
    with database(HOST=f"{closed},{real}") as alias:
        await fetch_in(alias)
    assert hosts.in_order(addresses) == [second, first]
    clock[0] += hosts.AVOIDED
    assert hosts.in_order(addresses) == [first, second]


async def test_who_gives_up_on_a_silent_host_leaves_word_for_the_next(real, monkeypatch):
    monkeypatch.setattr(wire, "SILENCE", 0.0)
    async with listening() as (silent, visitors):
        with database(HOST=f"{silent},{real}") as alias:
            waiting = asyncio.ensure_future(fetch_in(alias))
            while not visitors:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await fetch_in(alias) == [(1,)]
        assert len(visitors) == 1


async def test_where_no_server_can_be_used_the_error_names_them_all(closed):
    async with listening(TOO_MANY_CONNECTIONS) as (full, _):
        with database(HOST=f"{closed},{full}") as alias, pytest.raises(OperationalError) as caught:
            await fetch_in(alias)
    code, message = caught.value.args
    assert code == 1040
    assert message.startswith(f"None of the servers can be used ({closed}: Can't connect to server on '127.0.0.1' (")
    assert message.endswith(f"; {full}: Too many connections)")


async def test_a_wrong_password_is_not_tried_on_the_next_server(real):
    async with listening() as (other, visitors):
        with database(HOST=f"{real},{other}", PASSWORD="wrong") as alias, pytest.raises(OperationalError, match="1045"):
            await fetch_in(alias)
        assert not visitors


async def test_a_cancelled_statement_is_killed_on_the_server_that_runs_it(closed, real):
    with database(HOST=f"{closed},{real}") as alias:
        await cancel_a_statement(alias)
        assert vinyl.connections[alias].statistics()["connections_num"] == 1


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a", [("a", 1)]),
        ("", [("", 1)]),
        ("::1", [("::1", 1)]),
        ("a,b", [("a", 1), ("b", 1)]),
        ("a:2, b,", None),
        ("a:2, b:3", [("a", 2), ("b", 3)]),
        ("a,::1", [("a", 1), ("::1", 1)]),
        ("[::1]:2,[::2]", [("::1", 2), ("::2", 1)]),
        ("a,[::1", None),
        ("a,[::1]2", None),
        ("a,b:", None),
        ("a,b:c", None),
        ("a,:2", None),
    ],
)
def test_a_list_of_hosts_is_read_as_mariadbs_library_reads_it(text, addresses):
    if addresses is None:
        with pytest.raises(ValueError, match=r"^"):
            hosts.parse(text, 1)
    else:
        assert list(hosts.parse(text, 1)) == [Address(*each) for each in addresses]


async def test_a_host_that_cannot_be_read_is_named_with_its_alias():
    with database(HOST="a,b:c") as alias:
        expected = rf"DATABASES\['{alias}'\]\['HOST'\] has 'b:c' among its hosts"
        with pytest.raises(ImproperlyConfigured, match=expected):
            await fetch_in(alias)
