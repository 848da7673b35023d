"""A network that fails on demand: a TCP proxy between a client and a server, and a host that never answers.

    with Proxy(host, port) as proxy:      what connects to proxy.host, proxy.port is connected to host, port
        proxy.freeze(); proxy.thaw()      forward nothing for a while, in either direction; new clients wait as well
        proxy.hold_back(b"marker")        forward nothing of who has sent this, until let_through(); others overtake it
        proxy.delay = 0.05                hold each piece back for so many seconds
        proxy.cut()                       reset all connections, now
        proxy.cut_after(5)                let so many more bytes through from the server, then reset that connection
        proxy.refuse(); proxy.accept()    have no listener for a while, at a port that stays the same
        proxy.wait_for(b"marker")         wait until a client has sent this
        proxy.wait_until(condition)       wait until this is so, for instance of proxy.connections

The proxy runs in a thread with an event loop of its own, so it goes on while that of the test is blocked. Its methods
take effect before they return. Those that wait block their thread: a coroutine calls them by asyncio.to_thread().

This module knows neither Django nor what is said in the connections, which must not be encrypted for wait_for().
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self, TypeVar

from tests.daemons import HOST, free_ports

T = TypeVar("T")

# Seconds after which a test that waits for the proxy fails.
PATIENCE = 10.0
# What close() shall do: reset the connection, instead of sending what is left and saying goodbye.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards to `host`, `port`; a `host` that begins with a slash is the path of a Unix socket."""

    def __init__(self, host: str, port: int | str = 0) -> None:
        self.host = HOST
        [self.port] = free_ports(1)
        self.delay = 0.0
        self._target = (host, int(port or 0))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listening: socket.socket | None = None
        # The connections, each by the task that serves it, with its sockets.
        self._served: dict[asyncio.Task[None], list[socket.socket]] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._held_back: bytes | None = None
        self._let_through = asyncio.Event()
        self._bytes_until_cut: int | None = None
        self._sent = bytearray()
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Faults.

    def freeze(self) -> None:
        """Forward nothing until thaw(): what arrives meanwhile is kept, and new clients are not yet connected."""
        self._call(self._flowing.clear)

    def thaw(self) -> None:
        self._call(self._flowing.set)

    def hold_back(self, marker: bytes) -> None:
        """Forward nothing more of a client that has sent these bytes in one piece, those included."""
        self._call(self._let_through.clear)
        self._held_back = marker

    def let_through(self) -> None:
        self._held_back = None
        self._call(self._let_through.set)

    def cut(self) -> None:
        """Reset all connections."""
        self._await(self._cut())

    def cut_after(self, number: int | None) -> None:
        """Reset a connection as soon as `number` more bytes were forwarded from the server to clients, in all.

        After 0 bytes means as soon as the server answers: it has done what it was asked for, and nobody is told. None
        takes back what was not reached yet.
        """
        self._bytes_until_cut = number

    def refuse(self) -> None:
        """Refuse new connections; those that are open go on."""
        self._call(self._stop_listening)

    def accept(self) -> None:
        """Accept connections, again at the same port."""
        self._call(self._listen)

    # What has happened.

    @property
    def connections(self) -> int:
        """How many connections clients have with the proxy."""
        return len(self._served)

    accepted = 0
    """How many connections clients have made, those included that are closed."""

    def was_sent(self, marker: bytes) -> bool:
        """Whether some client has sent these bytes."""
        return marker in self._sent

    def wait_for(self, marker: bytes) -> None:
        """Wait until some client has sent these bytes, now or earlier."""
        self.wait_until(lambda: self.was_sent(marker))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until this is true; it is evaluated whenever something is sent, opened or closed."""
        with self._changed:
            if not self._changed.wait_for(condition, PATIENCE):
                raise TimeoutError(f"The proxy waited for {PATIENCE:g} s; {self.connections} connections are open.")

    # In the thread.

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def _call(self, function: Callable[[], None]) -> None:
        async def call() -> None:
            function()

        self._await(call())

    def _note(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = socket.create_server((self.host, self.port), backlog=512)
            self._listening.setblocking(False)
            self._loop.add_reader(self._listening, self._accept, self._listening)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(BlockingIOError):
            client, _ = listening.accept()
            client.setblocking(False)
            self.accepted += 1
            task = self._loop.create_task(self._serve(client))
            self._served[task] = [client]
            task.add_done_callback(self._forget)
            self._note()

    def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            self._loop.remove_reader(listening)
            listening.close()

    async def _cut(self) -> None:
        served = list(self._served)
        for task in served:
            for each in self._served[task]:
                _will_reset(each)
            task.cancel()
        if served:
            await asyncio.wait(served)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        # Here, and not where it ends: a task that is cancelled before it begins never gets there.
        for each in self._served.pop(task):
            each.close()
        self._note()

    async def _serve(self, client: socket.socket) -> None:
        try:
            await self._flowing.wait()
            server = await self._connect()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(client, server, self._from_client))
                group.create_task(self._forward(server, client, self._from_server))
        except* OSError:
            # One side has reset the connection, so the other gets to see that too.
            for each in self._served[_current_task()]:
                _will_reset(each)

    async def _connect(self) -> socket.socket:
        host, port = self._target
        family, address = (socket.AF_UNIX, host) if host.startswith("/") else (socket.AF_INET, (host, port))
        server = socket.socket(family, socket.SOCK_STREAM)
        self._served[_current_task()].append(server)
        server.setblocking(False)
        await self._loop.sock_connect(server, address)
        return server

    async def _forward(
        self, source: socket.socket, target: socket.socket, note: Callable[[bytes], tuple[bytes, bool]]
    ) -> None:
        """Forward what comes; `note` is told each piece and gives what to forward of it, and whether to cut then."""
        while piece := await self._loop.sock_recv(source, 65536):
            part, is_last = note(piece)
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._flowing.wait()
            if self._held_back is not None and self._held_back in piece:
                await self._let_through.wait()
            await self._loop.sock_sendall(target, part)
            if is_last:
                raise ConnectionResetError
        await self._flowing.wait()
        target.shutdown(socket.SHUT_WR)

    def _from_client(self, piece: bytes) -> tuple[bytes, bool]:
        self._sent += piece
        self._note()
        return piece, False

    def _from_server(self, piece: bytes) -> tuple[bytes, bool]:
        limit = self._bytes_until_cut
        if limit is None:
            return piece, False
        is_last = len(piece) >= limit
        self._bytes_until_cut = None if is_last else limit - len(piece)
        return piece[:limit], is_last


def _current_task() -> "asyncio.Task[None]":
    task = asyncio.current_task()
    assert task is not None
    return task


def _will_reset(each: socket.socket) -> None:
    with suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@contextmanager
def black_hole() -> Iterator[int]:
    """Give the port of a host that answers no attempt to connect, as where a firewall drops all packets.

    It is a listener that accepts nobody and whose queue is full: the system ignores whoever else comes.
    """
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        while True:
            client = stack.enter_context(socket.socket())
            client.settimeout(0.1)
            try:
                client.connect(listening.getsockname())
            except TimeoutError:
                break
        yield listening.getsockname()[1]
