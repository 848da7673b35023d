"""What the tests of the drivers share: the same done in both modes and compared, and a server that is none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from django.db import connections

import vinyl
from tests.aliases import database

T = TypeVar("T")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def both(function: Callable[[], T], alias: str = "default") -> tuple[T, T]:
    """Run the function on the asynchronous connection, and on Django's in a thread; give both results."""

    def plainly() -> T:
        try:
            return function()
        finally:
            connections[alias].close()

    return await vinyl.run(function), await asyncio.to_thread(plainly)


async def same(function: Callable[[], T], alias: str = "default") -> T:
    """Give the result that the function has in both modes, values and types alike."""
    ours, theirs = await both(function, alias)
    assert ours == theirs, f"async: {ours!r}\nsync:  {theirs!r}"
    assert repr(ours) == repr(theirs), "They are equal, but of other types."
    return ours


async def cancel_a_statement(alias: str) -> None:
    """Cancel a statement that takes long, and see that it was killed and that its connection goes on."""
    connection = vinyl.connections[alias]
    sleep = "pg_sleep" if connections.settings[alias]["ENGINE"].endswith("postgresql") else "SLEEP"
    await connection.execute("SELECT 1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await connection.execute(f"SELECT {sleep}(20)")
    assert await connection.execute("SELECT 1") == [(1,)]
    assert connection.statistics()["returns_bad"] == 0


def error_of(function: Callable[..., object], *args: object) -> Any:
    """Give the class and the arguments of the error that the function raises, and of the driver's beneath it."""
    try:
        function(*args)
    except Exception as error:
        cause = error.__cause__
        return type(error), error.args, type(cause), getattr(cause, "args", None)
    return None


def fetch(alias: str, *statements: str) -> list[tuple[Any, ...]]:
    """Execute, in whatever mode it is, and give the rows of the last statement."""
    with connections[alias].cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
        return list(cursor.fetchall())


async def in_both(alias: str, sql: str) -> list[tuple[Any, ...]]:
    """Execute in both modes, and give the rows that they share."""
    return await same(lambda: fetch(alias, sql), alias)


@asynccontextmanager
async def pretending(
    speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[str]:
    """An alias of a database whose server is none: `speak()` says what it has to say to each client."""

    clients: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(asyncio.current_task())
        try:
            await speak(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            with database(options, HOST="127.0.0.1", PORT=str(port), **settings) as alias:
                yield alias
        finally:
            # Before Python 3.12 nobody else waits for them.
            for client in filter(None, clients):
                client.cancel()
                await asyncio.wait([client])


async def relay(client: Streams, server: Streams) -> None:
    """Pass on what either says, until one of them ends."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    pumps = [
        asyncio.create_task(pump(client[0], server[1])),
        asyncio.create_task(pump(server[0], client[1])),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.wait(pumps)
