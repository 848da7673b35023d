"""A site behind a real server: uvicorn, in the event loop and the thread of the test."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import uvicorn


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[str]:
    """Serve the application on a free port, until the block ends; give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(uvicorn.Config(application, lifespan="off", log_config=None, timeout_graceful_shutdown=5))
        task = asyncio.create_task(server.serve([listening]))
        await server.has_started.wait()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it has started, and leaves signals to the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    def capture_signals(self) -> Any:
        return nullcontext()
