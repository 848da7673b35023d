"""Exchanges with the server, one at a time, each of which is brought to its end, even if it is cancelled.

The protocol of a cancellation is in the package's docstring. This module knows asyncmy's coroutines, not what they are
for.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple

import MySQLdb
from asyncmy.errors import MySQLError
from MySQLdb.constants import CR, ER

from vinyl.common.deadlines import TimeLimit, bounded, patience
from vinyl.drivers.mysql.errors import is_of_server, translated
from vinyl.drivers.mysql.options import Options
from vinyl.drivers.mysql.resumable import Patience, Resumable
from vinyl.drivers.mysql.wire import NOTHING, Wire, kill
from vinyl.drivers.persistence import leave_behind, persist
from vinyl.errors import OwnershipError

# Seconds that a cancelled statement has to end by itself, before a connection is opened to kill it.
GRACE = 0.02
# Seconds until a statement that goes on is killed again: a kill that has overtaken it was of no effect.
KILLED_EVERY = 0.2
# Seconds that the server has to end a cancelled statement, before its connection is closed.
CANCEL_TIMEOUT = 5.0

logger = logging.getLogger("vinyl.mysql")


class Failure(NamedTuple):
    """What is to be said of an exchange that has failed; by default of one that has not."""

    code: int = 0
    message: str = ""
    sqlstate: str = "00000"


class Exchange:
    """What is going on between a connection and its server."""

    def __init__(self, wire: Wire, options: Options, time_limit: TimeLimit) -> None:
        self._wire = wire
        self._time_limit = time_limit
        self._options = options
        self._statement: Resumable | None = None
        read, write = (options.rest.get(name) or None for name in ("read_timeout", "write_timeout"))
        self._patience = None if read is write is None else Patience(read, write, lambda: wire.is_writing)
        # Of the last exchange.
        self.failure = Failure()

    @property
    def is_going_on(self) -> bool:
        return self._statement is not None

    async def complete(self, command: Callable[..., Coroutine[Any, None, Any]], *args: Any) -> Any:
        """Await a coroutine of the wire's; raise mysqlclient's errors."""
        limit = self._time_limit
        if not limit.is_set:
            return await self._complete(command, *args)
        deadline = limit.begin(limit.executing)
        return await bounded(deadline, self._complete(command, *args), lambda: limit.executing)

    async def _complete(self, command: Callable[..., Coroutine[Any, None, Any]], *args: Any) -> Any:
        if self._statement is not None:
            raise OwnershipError(
                "Two tasks used one MySQL connection, or a cursor of it, at the same time. Give each task a cursor of "
                "its own."
            )
        statement = self._statement = Resumable(command(*args), self._patience)
        self.failure = Failure()
        try:
            return await statement.wait()
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            await self._end(statement)
            raise
        except TimeoutError as error:
            self._wire.shut(politely=False)
            raise MySQLdb.OperationalError(
                CR.SERVER_LOST, "Lost connection to server during query (read_timeout)"
            ) from error
        except MySQLError as error:
            if not is_of_server(error):
                self._wire.shut(politely=False)
            ours = translated(error)
            code, message = ours.args
            self.failure = Failure(code, message, str(error.sqlstate or "HY000"))
            raise ours from None
        except GeneratorExit:
            # The coroutine is being dropped, and cannot wait. The server would go on, and keep its locks.
            leave_behind(self._kill_left_behind)
            self._wire.shut(politely=False)
            raise
        except BaseException:
            # What has arrived makes no sense: the rest of the answer is lost.
            self._wire.shut(politely=False)
            raise
        finally:
            self._statement = None
            statement.close()

    async def _end(self, statement: Resumable) -> None:
        """Bring a cancelled statement to its end, killing it on the server if it goes on, or close the connection."""
        seconds = patience(CANCEL_TIMEOUT)
        if not seconds:
            self._wire.shut(politely=False)
            return
        now = asyncio.get_running_loop().time()
        deadline = now + seconds
        try:
            if not await _has_ended(statement, now + GRACE):
                if await self._kill_until_ended(statement, deadline):
                    await self._outlive_kill(deadline)
                else:
                    self._wire.shut(politely=True)
            elif self._wire.answer is None:
                # An error, which does not tell whether a transaction is open.
                await self._outlive_kill(deadline)
        except TimeoutError:
            logger.warning(
                "The server did not end a cancelled statement within %.2g s; its connection is closed.", seconds
            )
            self._wire.shut(politely=False)
        except Exception as error:
            logger.warning("A cancelled statement could not be ended (%s); its connection is closed.", error)
            self._wire.shut(politely=False)
        except BaseException:
            self._wire.shut(politely=False)
            raise

    async def _kill_until_ended(self, statement: Resumable, deadline: float) -> bool:
        """Kill the running statement, again and again, until its answer has come; tell whether each kill succeeded."""
        now = asyncio.get_running_loop().time
        while now() < deadline:
            is_killed = await self._kill(deadline)
            if await _has_ended(statement, min(now() + KILLED_EVERY, deadline) if is_killed else deadline):
                return is_killed
        raise TimeoutError

    async def _kill(self, deadline: float) -> bool:
        """Kill the running statement; tell whether the server has said that it did."""
        killing = asyncio.create_task(kill(self._options, self._wire, b"QUERY"))
        try:
            await persist(lambda: asyncio.shield(killing), deadline)
        except TimeoutError:
            raise
        except (MySQLdb.MySQLError, MySQLError, OSError) as error:
            logger.warning("A cancelled statement could not be killed (%s); its connection is closed.", error)
            return False
        finally:
            killing.cancel()
        return True

    async def _kill_left_behind(self) -> None:
        with suppress(TimeoutError, MySQLdb.MySQLError, MySQLError, OSError):
            async with asyncio.timeout(CANCEL_TIMEOUT):
                # The whole connection, which is closed here: a kill that overtakes the statement is of effect as well.
                await kill(self._options, self._wire, b"CONNECTION")

    async def _outlive_kill(self, deadline: float) -> None:
        """Send statements until one is not killed: a kill that came too late would hit somebody else's.

        Its answer tells whether a transaction is open, as well.
        """
        while True:
            probe = Resumable(self._wire.query(NOTHING))
            try:
                await persist(probe.wait, deadline)
            except MySQLError as error:
                if error.args[0] != ER.QUERY_INTERRUPTED:
                    raise
            else:
                return


async def _has_ended(statement: Resumable, deadline: float) -> bool:
    """Wait for the answer to a cancelled statement, which may well be an error, until the deadline."""
    try:
        await persist(statement.wait, deadline)
    except TimeoutError:
        return False
    except MySQLError as error:
        if not is_of_server(error):
            raise
    return True
