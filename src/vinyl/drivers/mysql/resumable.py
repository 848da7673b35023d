"""One exchange with the server, which can be waited for again after a cancellation.

asyncmy reads an answer in coroutines of its own: a cancellation that reaches them leaves half an answer behind, so they
close the connection. A `Resumable` steps such a coroutine itself. It is the one that is cancelled, at one place where
nothing is lost, and can be waited for again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds the server may take to read more of a statement, and to send more of its answer."""

    read_timeout: float | None
    write_timeout: float | None
    is_writing: Callable[[], bool]

    def limit(self, is_writing: bool) -> float | None:
        return (self.write_timeout or self.read_timeout) if is_writing else self.read_timeout


class Resumable:
    """A coroutine of asyncmy's that goes on where it was when wait() is called again after a cancellation."""

    def __init__(self, coroutine: Coroutine[Any, None, Any], patience: Patience | None = None) -> None:
        self._coroutine = coroutine
        self._patience = patience
        self._waits_for: Any = None

    async def wait(self) -> Any:
        """Wait for the answer; raise TimeoutError where patience ends."""
        while True:
            if self._waits_for is not None and not self._waits_for.done():
                # Only the shield is cancelled with the task.
                if self._patience is None:
                    await asyncio.shield(self._waits_for)
                else:
                    await self._arrival(self._patience)
            try:
                self._waits_for = self._coroutine.send(None)
            except StopIteration as stop:
                return stop.value
            # What `await` tells the task about the future, which it will not see.
            self._waits_for._asyncio_future_blocking = False

    async def _arrival(self, patience: Patience) -> None:
        while True:
            is_writing = patience.is_writing()
            try:
                async with asyncio.timeout(patience.limit(is_writing)):
                    await asyncio.shield(self._waits_for)
                return
            except TimeoutError:
                if not is_writing or patience.is_writing():
                    raise

    def close(self) -> None:
        """Give the exchange up: asyncmy closes its connection."""
        self._coroutine.close()
