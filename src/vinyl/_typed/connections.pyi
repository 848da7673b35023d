from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeAlias

from vinyl._typed.operations import Operation

Row: TypeAlias = tuple[Any, ...]

class Cursor:
    """A cursor, whose methods that may wait are awaited in the async mode. Attributes and errors are PEP 249's."""

    @property
    def description(self) -> Any:
        """PEP 249's description of the columns, or None."""
    @property
    def rowcount(self) -> int:
        """The number of rows that the last statement has returned or changed."""
    def execute(self, sql: str, params: Any = None) -> Operation[Any]:
        """Execute one statement."""
    def executemany(self, sql: str, param_list: Sequence[Any]) -> Operation[Any]:
        """Execute one statement for each set of parameters."""
    def callproc(self, procname: str, params: Sequence[Any] | None = None) -> Operation[Any]:
        """Call a stored procedure."""
    def fetchone(self) -> Operation[Row | None]:
        """Give the next row, or None."""
    def fetchmany(self, size: int | None = None) -> Operation[Sequence[Row]]:
        """Give the next rows, at most `size`."""
    def fetchall(self) -> Operation[Sequence[Row]]:
        """Give all rows that are left."""
    def __iter__(self) -> Iterator[Row]: ...
    def __aiter__(self) -> AsyncIterator[Row]: ...

class CursorBlock:
    def __enter__(self) -> Cursor: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
    async def __aenter__(self) -> Cursor: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

class HoldBlock:
    def __enter__(self) -> None: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
    async def __aenter__(self) -> None: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

class Connection:
    """The connection of one alias, whichever is the scope's."""

    alias: str
    def execute(self, sql: str, params: Any = None) -> Operation[Any]:
        """Execute one statement. Give all its rows as a list of tuples, or the row count if it returns no rows."""
    def cursor(self) -> CursorBlock:
        """Return a cursor for `async with` (or `with`): PEP 249's methods, awaited. It pins its connection."""
    def hold(self) -> HoldBlock:
        """Return a block for `async with` (or `with`) all of whose queries go to one connection of its own."""
    def execute_wrapper(self, wrapper: Callable[..., Any]) -> AbstractContextManager[None]:
        """Apply `wrapper` to each execution in the block, as Django's execute_wrapper() does, in this context only."""
    @property
    def queries(self) -> list[dict[str, str]]:
        """The queries logged so far, as Django's `connection.queries`: by all tasks of this loop, if DEBUG is True."""
    def statistics(self) -> dict[str, int]:
        """Return the counters of this event loop's pool, with psycopg_pool's names. The sync mode has no pool: {}."""

class Connections:
    """The connections of all aliases: `connections[alias]`, as in Django."""

    def __getitem__(self, alias: str) -> Connection: ...
    def __iter__(self) -> Iterator[str]: ...

connections: Connections
connection: Connection

def close() -> Operation[None]:
    """Close the pools of the running event loop; in the sync mode, Django's connections of this thread."""
