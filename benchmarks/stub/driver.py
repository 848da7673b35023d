"""How vinyl waits for the stub: for each statement one turn of the event loop, natively or by way of the bridge.

See `vinyl.drivers` for what a driver offers.
"""

from collections.abc import Generator, Sequence
from typing import Any

from benchmarks.stub import base
from vinyl import bridge, drivers

# See vinyl.drivers.
pipelines = True
# Rows that arrive at a time.
CHUNK = 400


class _Turn:
    """One turn of the event loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Wrapper:
    """Adds nothing: the stub's connections have the shape that vinyl needs."""


def register() -> None:
    """Make this the driver of the stub in vinyl."""
    drivers.NATIVE[base.__name__] = __name__
    base.wait = wait


def wait() -> None:
    if bridge.active():
        bridge.await_(_Turn())


class Statement:
    """A statement whose answer is known once it is made."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.is_large = False
        self._result: tuple[int, Result] = (0, Result(0, ()))

    def result(self) -> "Result":
        """Return the answer, which is looked up once for each number of rows, as a server's is by no code of ours."""
        if self._result[0] != base.rows:
            self._result = base.rows, Result(*base.answer(self.sql))
        return self._result[1]


class Result:
    """The answer to a statement."""

    def __init__(self, rowcount: int, rows: Sequence[tuple[Any, ...]]) -> None:
        self.rowcount = rowcount
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, start: int = 0, stop: int | None = None) -> Sequence[tuple[Any, ...]]:
        return self._rows[start:stop]


async def execute(connection: Any, statement: Statement, params: Any) -> Result:
    await _Turn()
    return statement.result()


async def execute_in_chunks(connection: Any, statement: Statement, params: Any, take: Any) -> bool:
    await _Turn()
    result = statement.result()
    for start in range(0, len(result), CHUNK):
        take(result.rows(start, start + CHUNK))
    return True


async def execute_many(connection: Any, statements: Sequence[tuple[Statement, Any]]) -> list[Result]:
    await _Turn()
    return [statement.result() for statement, _ in statements]


def is_caught_up(connection: Any) -> bool:
    return True


def is_idle(connection: Any) -> bool:
    return bool(connection.autocommit)


def is_alive(connection: Any) -> bool:
    return not connection.closed


def terminate(connection: Any) -> None:
    connection.close()


def drop_cursor(cursor: Any) -> bool:
    return True


def catch_up(connection: Any) -> bool:
    return True
