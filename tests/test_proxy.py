"""The proxy of the tests does what it says; else the tests of faults would claim nothing."""

import socket

import pytest

from tests.proxy import Proxy, black_hole


@pytest.fixture
def server():
    """A server that the tests speak for."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        yield listening


@pytest.fixture
def proxy(server):
    with Proxy(*server.getsockname()) as proxy:
        yield proxy


@pytest.fixture
def connected(proxy, server):
    """A connection from end to end: the client's side and the server's."""
    with connect(proxy) as client, server.accept()[0] as peer:
        peer.settimeout(5)
        yield client, peer


def connect(proxy):
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def received(source, number):
    data = b""
    while len(data) < number and (piece := source.recv(number - len(data))):
        data += piece
    return data


def test_it_forwards_in_both_directions_until_either_side_closes(proxy, connected):
    client, peer = connected
    client.sendall(b"question")
    assert received(peer, 8) == b"question"
    peer.sendall(b"x" * 300_000)
    assert received(client, 300_000) == b"x" * 300_000
    assert proxy.connections == 1
    peer.close()
    assert client.recv(1) == b""
    client.close()
    proxy.wait_until(lambda: proxy.connections == 0)


def test_who_is_held_back_is_overtaken(proxy, server, connected):
    client, peer = connected
    proxy.hold_back(b"mark")
    client.sendall(b"with a mark")
    proxy.wait_for(b"with a mark")
    with connect(proxy) as second, server.accept()[0] as its_peer:
        second.sendall(b"without")
        assert received(its_peer, 7) == b"without"
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)
    peer.settimeout(5)
    proxy.let_through()
    assert received(peer, 11) == b"with a mark"
    assert proxy.accepted == 2


def test_a_unix_socket_is_reached(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        with Proxy(str(tmp_path / "socket")) as proxy, connect(proxy) as client, listening.accept()[0] as peer:
            client.sendall(b"x")
            assert peer.recv(1) == b"x"


def test_frozen_it_forwards_nothing_and_connects_nobody_until_it_thaws(proxy, server, connected):
    client, peer = connected
    proxy.freeze()
    client.sendall(b"marker")
    proxy.wait_for(b"marker")
    peer.settimeout(0.05)
    server.settimeout(0.05)
    with connect(proxy) as second:
        with pytest.raises(TimeoutError):
            peer.recv(1)
        with pytest.raises(TimeoutError):
            server.accept()
        second.sendall(b"second")
        server.settimeout(5)
        proxy.thaw()
        assert received(peer, 6) == b"marker"
        with server.accept()[0] as other:
            assert received(other, 6) == b"second"


@pytest.mark.parametrize("number", [0, 1, 5, 10])
def test_it_cuts_after_so_many_bytes_of_the_server_and_is_then_as_before(proxy, server, connected, number):
    client, peer = connected
    proxy.cut_after(number)
    client.sendall(b"question")
    assert received(peer, 8) == b"question"
    peer.sendall(b"0123456789")
    assert received(client, number) == b"0123456789"[:number]
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    proxy.wait_until(lambda: proxy.connections == 0)
    with connect(proxy) as second, server.accept()[0] as other:
        other.sendall(b"0123456789")
        assert received(second, 10) == b"0123456789"


def test_it_resets_all_connections_frozen_ones_too(proxy, server, connected):
    client, _ = connected
    proxy.freeze()
    with connect(proxy) as second:
        proxy.wait_until(lambda: proxy.connections == 2)
        proxy.cut()
        assert proxy.connections == 0
        for each in (client, second):
            with pytest.raises(ConnectionResetError):
                each.recv(1)


def test_a_reset_of_one_side_reaches_the_other(proxy, connected):
    client, peer = connected
    peer.sendall(b"unread")
    proxy.wait_until(lambda: proxy.connections == 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    assert received(client, 6) == b"unread"
    peer.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_it_refuses_for_a_while_at_a_port_that_stays_the_same(proxy, server, connected):
    client, peer = connected
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    client.sendall(b"x")
    assert peer.recv(1) == b"x"
    proxy.accept()
    with connect(proxy) as second, server.accept()[0] as other:
        other.sendall(b"y")
        assert second.recv(1) == b"y"


def test_a_black_hole_answers_no_attempt_to_connect():
    with black_hole() as port, socket.socket() as client:
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.connect(("127.0.0.1", port))
