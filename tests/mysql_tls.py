"""TLS in front of the tests' MySQL or MariaDB server.

Not every server speaks TLS, and none has a certificate that a test could verify. `serving()` is a server which does
and has: it takes the client's TLS and passes the plain protocol on, over the local socket where there is one, which
servers trust as they trust TLS. Packets are numbered, and TLS costs the client one, so they are numbered anew until
the client is logged in.

Of a server's greeting and of a client's answer it knows no more than the place of their capabilities.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from tests.modes import Streams, relay

CLIENT_SSL = 0x800
# A client that wants TLS says so in a packet of this length, which ends where its user's name would begin.
REQUEST_FOR_TLS = 32
OK, ERROR = 0x00, 0xFF
# What follows is the server's word too, not an answer of the client's.
FAST_AUTHENTICATION = b"\x01\x03"


@asynccontextmanager
async def serving(
    context: ssl.SSLContext | None, upstream: str | tuple[str, int], behind_greeting: bytes = b""
) -> AsyncIterator[int]:
    """Give the port of a server, with TLS if there is a context for it, in front of another's socket or address."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        async def accept() -> None:
            while True:
                client, _ = await loop.sock_accept(listener)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients.append(asyncio.create_task(_serve(client, context, upstream, behind_greeting)))

        clients: list[asyncio.Task[None]] = []
        accepting = asyncio.create_task(accept())
        try:
            yield listener.getsockname()[1]
        finally:
            for task in (accepting, *clients):
                task.cancel()
            await asyncio.wait((accepting, *clients))


async def _serve(
    client: socket.socket,
    context: ssl.SSLContext | None,
    upstream: str | tuple[str, int],
    behind_greeting: bytes,
) -> None:
    server = await (
        asyncio.open_unix_connection(upstream) if isinstance(upstream, str) else asyncio.open_connection(*upstream)
    )
    # A client that does not like the certificate leaves in the middle.
    with suppress(OSError, EOFError), closing(server[1]):
        try:
            begin = await _greet(client, server[0], context is not None, behind_greeting)
        except BaseException:
            client.close()
            raise
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        reader.feed_data(begin)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=None if begin else context)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        with closing(writer):
            await _log_in((reader, writer), server, shift=0 if begin else 1)
            await relay((reader, writer), server)


async def _greet(
    client: socket.socket, server: asyncio.StreamReader, offers_tls: bool, behind_greeting: bytes
) -> bytes:
    """Pass the server's greeting on; return the beginning of the client's answer, nothing if it asks for TLS."""
    header, greeting = await _packet(server)
    # After the protocol's version, the server's up to a zero byte, a number of four bytes, and nine of salt.
    at = greeting.index(0, 1) + 1 + 4 + 9
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, header + _with_tls(greeting, at, offers_tls) + behind_greeting)
    # Not a byte more may be read than the request: what follows belongs to TLS.
    begin = await _exactly(client, 4)
    if not offers_tls or begin[0] != REQUEST_FOR_TLS:
        return begin
    await _exactly(client, REQUEST_FOR_TLS)
    return b""


async def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await asyncio.get_running_loop().sock_recv(client, count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


async def _log_in(client: Streams, server: Streams, shift: int) -> None:
    header, answer = await _packet(client[0])
    server[1].write(_numbered(header, -shift) + _with_tls(answer, 0, False))
    while True:
        header, said = await _packet(server[0])
        client[1].write(_numbered(header, shift) + said)
        if said[0] in (OK, ERROR):
            return
        if said != FAST_AUTHENTICATION:
            header, answer = await _packet(client[0])
            server[1].write(_numbered(header, -shift) + answer)


async def _packet(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    header = await reader.readexactly(4)
    return header, await reader.readexactly(int.from_bytes(header[:3], "little"))


def _numbered(header: bytes, shift: int) -> bytes:
    return header[:3] + bytes([(header[3] + shift) % 256])


def _with_tls(packet: bytes, at: int, offered: bool) -> bytes:
    capabilities = int.from_bytes(packet[at : at + 2], "little")
    capabilities = capabilities | CLIENT_SSL if offered else capabilities & ~CLIENT_SSL
    return packet[:at] + capabilities.to_bytes(2, "little") + packet[at + 2 :]
