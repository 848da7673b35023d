"""asyncmy's connection to a server: what it lacks for connecting as mysqlclient does.

TLS is negotiated by what the server offers, and by the event loop's own means, which serve uvloop too. A password is
not sent in clear text over a network. All that this package knows of asyncmy's internals, `Resumable` aside, is here.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

import asyncmy.connection
import MySQLdb
from asyncmy.charset import charset_by_name
from asyncmy.constants import CLIENT as ASYNCMY_CLIENT
from asyncmy.constants import COMMAND
from asyncmy.errors import MySQLError, OperationalError
from MySQLdb.constants import CLIENT, CR, ER

from vinyl.drivers.mysql.errors import UNAVAILABLE, translated
from vinyl.drivers.mysql.hosts import Address, in_order, note
from vinyl.drivers.mysql.options import PLUGINS, Options

LARGEST_PACKET = 2**24 - 1
QUIT = b"\x01\x00\x00\x00\x01"
NOTHING = b"DO 0"
# MySQL's library has this code for a server that asks for a file; mysqlclient has no name for it.
FILE_REJECTED = 2068
# Seconds after which a host that has not answered is taken for one that will not.
SILENCE = 1.0
PLAIN_TEXT_PLUGINS = ("mysql_clear_password", "dialog")
# Typed in part only: most of what is used here is not meant for others.
_Asyncmy: Any = asyncmy.connection.Connection


class Wire(_Asyncmy):  # type: ignore[misc]
    """asyncmy's connection. Made by open_wire()."""

    _transport: Any

    def __init__(self, *, tls: ssl.SSLContext | None, tls_is_required: bool, **parameters: Any) -> None:
        super().__init__(**parameters)
        # Who connects has a deadline. asyncmy would keep one of its own, by asyncio.wait_for(), which until Python 3.11
        # loses a cancellation that comes as the socket is connected: a silent server would be waited for without end.
        self._connect_timeout = None
        self._tls = tls
        self._tls_is_required = tls_is_required

    async def _request_authentication(self) -> Any:
        if self._tls is not None:
            if self.server_capabilities & CLIENT.SSL:
                await self._start_tls(self._tls)
            elif self._tls_is_required:
                raise OperationalError(CR.SSL_CONNECTION_ERROR, "TLS is required, but the server does not offer it")
        try:
            packet = await super()._request_authentication()
            # asyncmy gives None for what ends caching_sha2_password.
            while packet is not None and packet.is_auth_switch_request():
                # A user of MariaDB's may have several methods, and the server goes on to the next.
                packet.read_uint8()
                packet = await self._process_auth(packet.read_string(), packet)
        except RuntimeError as error:
            if "package is required" not in str(error):
                raise
            raise OperationalError(CR.AUTH_PLUGIN_ERR, f"{error}; install it, or use another method") from error
        return packet

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        if self.has_unread:
            # Whoever has put it there wants it to be taken for what arrives by TLS.
            raise OperationalError(CR.SSL_CONNECTION_ERROR, "TLS/SSL error: the server has sent more than its greeting")
        self._client_flag |= CLIENT.SSL | (self.server_capabilities & ASYNCMY_CLIENT.DEPRECATE_EOF)
        charset = charset_by_name(self._charset).id
        self.write_packet(struct.pack("<IIB23x", self._client_flag, LARGEST_PACKET, charset & 0xFF))
        try:
            self._transport = await self._loop.start_tls(
                self._transport, self._proto, context, server_hostname=self._host
            )
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error
            raise OperationalError(CR.SSL_CONNECTION_ERROR, f"TLS/SSL error: {reason}") from error
        # Without these asyncmy would begin TLS once more, or hide the password from the server.
        self._tls_established = self._secure = True

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        name = plugin_name.decode()
        if name not in PLUGINS:
            raise OperationalError(
                CR.AUTH_PLUGIN_CANNOT_LOAD,
                f"Authentication plugin '{name}' cannot be loaded: asyncmy has only {', '.join(PLUGINS)}. Identify the "
                "user by one of these, or use this database in the synchronous mode only",
            )
        if name in PLAIN_TEXT_PLUGINS and not self._secure:
            raise OperationalError(
                CR.AUTH_PLUGIN_ERR,
                f"the server asks for the password in clear text ({name}), which is not sent without TLS: set "
                "OPTIONS['ssl_mode'] to 'REQUIRED'",
            )
        if name == "sha256_password":
            # It trusts TLS alone; asyncmy would send the password in clear text through a local socket too.
            self._secure = self._tls_established
        return await super()._process_auth(plugin_name, auth_packet)

    @property
    def address(self) -> Address:
        """The server's, out of those that it could have been."""
        return Address(self._host, self._port)

    @property
    def encoding(self) -> str:
        return str(self._encoding)

    @encoding.setter
    def encoding(self, encoding: str) -> None:
        self._encoding = encoding

    @property
    def states_are_complete(self) -> bool:
        """Whether answers with rows tell the server's status too."""
        return bool(self._deprecate_eof)

    @property
    def answer(self) -> Any:
        """The last answer: asyncmy's MySQLResult."""
        return self._result

    async def next_answer(self) -> None:
        await self._read_query_result()

    async def _read_query_result(self, unbuffered: bool = False) -> None:
        try:
            await super()._read_query_result(unbuffered)
        except RuntimeError as error:
            if "LOAD_LOCAL" not in str(error):
                raise
            raise OperationalError(
                FILE_REJECTED, "The server asks for a file of this machine, which it does not get (LOAD DATA LOCAL)"
            ) from error

    async def set_option(self, option: int) -> None:
        await self._execute_command(COMMAND.COM_SET_OPTION, struct.pack("<H", option))
        await self.read_packet()

    async def check(self) -> None:
        await self._execute_command(COMMAND.COM_PING, b"")
        await self._read_ok_packet()

    async def status(self) -> str:
        await self._execute_command(COMMAND.COM_STATISTICS, b"")
        packet = await self.read_packet()
        return str(packet.get_all_data().decode())

    async def select_database(self, name: str) -> None:
        await self.select_db(name)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._stream_broken

    @property
    def has_unread(self) -> bool:
        return bool(self._proto.length != self._proto.pos)

    @property
    def is_writing(self) -> bool:
        return bool(self._transport.get_write_buffer_size())

    def fileno(self) -> int:
        return int(self._transport.get_extra_info("socket").fileno())

    def shut(self, *, politely: bool) -> None:
        """Close the socket without waiting, after a word to the server or in the middle of whatever it is."""
        transport, self._transport = self._transport, None
        self._connected = False
        if transport is None:
            return
        try:
            if politely and not transport.is_closing():
                transport.write(QUIT)
            if politely and not self._tls_established:
                transport.close()
            else:
                # With TLS close() waits for the server, and the event loop may end before.
                transport.abort()
        except RuntimeError:
            _close_without_loop(transport)


def _close_without_loop(transport: Any) -> None:
    """Close the socket of a transport whose event loop was closed before it, for which asyncio has no means."""
    transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    # Below TLS; uvloop's has no such attribute, and closes its socket with the loop.
    lower = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    if getattr(lower, "_sock", None) is not None:
        # Else the transport would warn that it was not closed.
        lower._sock.close()
        lower._sock = None


async def open_wire(options: Options) -> Wire:
    """Connect to the first server that is ready; raise mysqlclient's errors.

    One that cannot be reached, or that will not serve anybody at the moment, leaves it to the next. An error that
    another server would have as well, a wrong password for one, is raised at once.
    """
    addresses = in_order(options.addresses)
    refusals: list[MySQLdb.MySQLError] = []
    for address in addresses:
        started = monotonic()
        try:
            wire = await _open_wire_to(address, options, prove=len(addresses) > 1)
        except MySQLdb.MySQLError as error:
            if not _leaves_it_to_others(error):
                raise
            refusals.append(error)
            note(address, failed=True)
        except asyncio.CancelledError:
            # Whoever gave up will come back, and would wait for the same silent host again.
            note(address, failed=monotonic() - started > SILENCE)
            raise
        else:
            note(address, failed=False)
            return wire
    if len(refusals) == 1:
        raise refusals[0]
    reasons = "; ".join(f"{address}: {error.args[1]}" for address, error in zip(addresses, refusals, strict=True))
    raise MySQLdb.OperationalError(refusals[-1].args[0], f"None of the servers can be used ({reasons})")


def _leaves_it_to_others(error: MySQLdb.MySQLError) -> bool:
    return error.args[0] in UNAVAILABLE or CR.MIN_ERROR <= error.args[0] <= CR.MAX_ERROR


async def _open_wire_to(address: Address, options: Options, *, prove: bool) -> Wire:
    """Connect to one server; with `prove`, see that it serves: a Galera node without its cluster connects, no more."""
    wire = Wire(tls=options.tls, tls_is_required=options.tls_is_required, **address._asdict(), **options.asyncmy)
    try:
        async with asyncio.timeout(options.connect_timeout):
            await _in_a_task(wire.connect())
            if prove:
                await wire.query(NOTHING)
    except TimeoutError:
        wire.shut(politely=False)
        raise _unreachable(address, options, "timed out") from None
    except MySQLError as error:
        wire.shut(politely=False)
        if error.args[0] == CR.CONN_HOST_ERROR and isinstance(error.__cause__, OSError):
            raise _unreachable(address, options, error.__cause__) from None
        raise translated(error) from None
    except BaseException:
        wire.shut(politely=False)
        raise
    return wire


async def _in_a_task(connecting: Coroutine[Any, Any, Any]) -> None:
    """Await this in a task of its own, which the event loop brings to its end though the caller's coroutine is dropped.

    asyncio's sock_connect(), dropped itself, would leave its file descriptor in the selector, where the next socket of
    that number is lost.
    """
    task = asyncio.ensure_future(connecting)
    try:
        await task
    except GeneratorExit:
        # The event loop may have been closed before.
        with suppress(RuntimeError):
            task.cancel()
        raise


def _unreachable(address: Address, options: Options, why: object) -> MySQLdb.OperationalError:
    if path := options.asyncmy["unix_socket"]:
        code, where = CR.CONNECTION_ERROR, f"local server through socket '{path}'"
    else:
        code, where = CR.CONN_HOST_ERROR, f"server on '{address.host}'"
    if isinstance(why, socket.gaierror):
        code = CR.UNKNOWN_HOST
    return MySQLdb.OperationalError(code, f"Can't connect to {where} ({why})")


async def kill(options: Options, wire: Wire, what: bytes) -> None:
    """End the QUERY that runs on a wire, or its CONNECTION, over a connection made for this to the same server."""
    without_database = replace(options, asyncmy={**options.asyncmy, "database": None})
    second = await _open_wire_to(wire.address, without_database, prove=False)
    try:
        await second.query(b"KILL %b %d" % (what, wire.thread_id()))
    except MySQLError as error:
        if error.args[0] != ER.NO_SUCH_THREAD:
            raise
    finally:
        second.shut(politely=True)
