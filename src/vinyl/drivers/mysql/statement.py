"""One exchange with the server, and its errors as mysqlclient's.

asyncmy reads an answer in coroutines of its own: a cancellation that reaches them leaves half an answer behind, so they
close the connection. A `Statement` steps such a coroutine itself. It is the one that is cancelled, at one place where
nothing is lost, and can be waited for again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import asyncmy.errors
import MySQLdb
from MySQLdb.constants import CR, ER

# Errors of a server that serves nobody at the moment, whatever it is asked: too many connections, being shut down, a
# Galera node that has lost its cluster or is still catching up with it.
UNAVAILABLE = (ER.CON_COUNT_ERROR, ER.SERVER_SHUTDOWN, ER.UNKNOWN_COM_ERROR)


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds the server may take to read more of a statement, and to send more of its answer."""

    read_timeout: float | None
    write_timeout: float | None
    is_writing: Callable[[], bool]

    def limit(self, is_writing: bool) -> float | None:
        return (self.write_timeout or self.read_timeout) if is_writing else self.read_timeout


class Statement:
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


def is_of_server(error: BaseException) -> bool:
    """Tell whether an error is the server's answer to a statement, after which the connection goes on as before."""
    if not isinstance(error, asyncmy.errors.MySQLError) or not error.args or not isinstance(error.args[0], int):
        return False
    code = error.args[0]
    return code > 0 and code not in UNAVAILABLE and not CR.MIN_ERROR <= code <= CR.MAX_ERROR


def translated(error: "asyncmy.errors.MySQLError") -> MySQLdb.MySQLError:
    """Return mysqlclient's error for one of asyncmy's."""
    if len(error.args) < 2 or not isinstance(error.args[0], int):
        # asyncmy's own, about what has arrived.
        return MySQLdb.InternalError(CR.UNKNOWN_ERROR, " ".join(map(str, error.args)))
    code, message = error.args[0], error.args[1]
    if code == 0:
        # asyncmy's for a connection that is closed.
        return MySQLdb.OperationalError(CR.SERVER_GONE_ERROR, message)
    return error_class(code)(code, message)


def error_class(code: int) -> type[MySQLdb.MySQLError]:
    """Return the class that mysqlclient gives to an error of the server with this code."""
    return _CLASSES.get(code) or (MySQLdb.InternalError if code < 1000 else MySQLdb.OperationalError)


def _codes(*names: str) -> list[int]:
    # mysqlclient knows those that its C library knew when it was built.
    return [getattr(ER, name) for name in names if hasattr(ER, name)]


_CLASSES: dict[int, type[MySQLdb.MySQLError]] = {
    **dict.fromkeys(
        [
            CR.COMMANDS_OUT_OF_SYNC,
            *_codes(
                "DB_CREATE_EXISTS",
                "SYNTAX_ERROR",
                "PARSE_ERROR",
                "NO_SUCH_TABLE",
                "WRONG_DB_NAME",
                "WRONG_TABLE_NAME",
                "FIELD_SPECIFIED_TWICE",
                "INVALID_GROUP_FUNC_USE",
                "UNSUPPORTED_EXTENSION",
                "TABLE_MUST_HAVE_COLUMNS",
                "CANT_DO_THIS_DURING_AN_TRANSACTION",
            ),
        ],
        MySQLdb.ProgrammingError,
    ),
    **dict.fromkeys(
        _codes(
            "WARN_DATA_TRUNCATED",
            "WARN_DATA_OUT_OF_RANGE",
            "NO_DEFAULT",
            "PRIMARY_CANT_HAVE_NULL",
            "DATA_TOO_LONG",
            "DATETIME_FUNCTION_OVERFLOW",
        ),
        MySQLdb.DataError,
    ),
    **dict.fromkeys(
        _codes(
            "DUP_ENTRY",
            "DUP_UNIQUE",
            "NO_REFERENCED_ROW",
            "NO_REFERENCED_ROW_2",
            "ROW_IS_REFERENCED",
            "ROW_IS_REFERENCED_2",
            "CANNOT_ADD_FOREIGN",
            "NO_DEFAULT_FOR_FIELD",
            "BAD_NULL_ERROR",
        ),
        MySQLdb.IntegrityError,
    ),
    **dict.fromkeys(
        _codes("WARNING_NOT_COMPLETE_ROLLBACK", "NOT_SUPPORTED_YET", "FEATURE_DISABLED", "UNKNOWN_STORAGE_ENGINE"),
        MySQLdb.NotSupportedError,
    ),
}
