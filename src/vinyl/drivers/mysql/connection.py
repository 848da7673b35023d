"""mysqlclient's connection, waiting through the bridge for asyncmy.

mysqlclient's Connection is a thin layer of Python around one of C. This is the same layer of Python, taken from there,
around asyncmy: what is below, with the names and the meaning that the C layer gives them.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import MySQLdb
import MySQLdb.connections
from asyncmy.constants import SERVER_STATUS
from asyncmy.errors import MySQLError
from MySQLdb import _mysql
from MySQLdb.constants import CLIENT, CR, ER

from vinyl.bridge import await_
from vinyl.drivers.mysql.options import Options
from vinyl.drivers.mysql.result import Result
from vinyl.drivers.mysql.statement import Patience, Statement, is_of_server, translated
from vinyl.drivers.mysql.wire import NOTHING, Wire, kill_statement, open_wire
from vinyl.drivers.persistence import persist
from vinyl.errors import OwnershipError

# Seconds that a cancelled statement has to end by itself, before a connection is opened to kill it.
GRACE = 0.02
# Seconds that the server has to end a cancelled statement, before its connection is closed.
CANCEL_TIMEOUT = 5.0

MULTI_STATEMENTS_OFF = 1

logger = logging.getLogger("vinyl.mysql")

# What mysqlclient's Connection does in Python: literal(), cursor(), show_warnings(), and the names of its errors.
_Python: Any = type(
    "_Python",
    (),
    {
        name: value
        for name, value in vars(MySQLdb.connections.Connection).items()
        if not name.startswith("__") or name in ("__enter__", "__exit__")
    },
)


class Connection(_Python):  # type: ignore[misc]
    """A connection to a server. Made by connect()."""

    def __init__(self, wire: Wire, options: Options) -> None:
        rest = options.rest
        self._wire = wire
        self._options = options
        self._answer: Any = None
        self._has_more = False
        self._running: Statement | None = None
        read, write = rest.get("read_timeout") or None, rest.get("write_timeout") or None
        self._patience = None if read is write is None else Patience(read, write, lambda: wire.is_writing)
        self.server_status = wire.server_status
        # mysqlclient's attributes.
        self.converter = rest["conv"]
        self.encoders = {kind: convert for kind, convert in rest["conv"].items() if type(kind) is not int}
        self.encoding = wire.encoding
        self.charset = rest["charset"]
        self.cursorclass = rest.get("cursorclass", self.default_cursor)
        self.executemany_fallback = rest.get("executemany_fallback", "loop")
        self._binary_prefix = rest.get("binary_prefix", False)
        self.host = wire.address.host or "localhost"
        self.port = wire.address.port
        self.user = options.asyncmy["user"]
        self.database = self.db = options.asyncmy["database"] or ""
        self.client_flag = options.asyncmy["client_flag"] | CLIENT.MULTI_RESULTS | CLIENT.MULTI_STATEMENTS
        self.server_capabilities = wire.server_capabilities
        self._server_version = tuple(map(int, self.get_server_info().split(".")[:2]))
        self.messages: list[Any] = []

    def begin_session(self) -> None:
        """Do what mysqlclient does after connecting, in its order."""
        rest = self._options.rest
        if rest.get("init_command"):
            self.query(rest["init_command"].encode(self.encoding))
            while self.next_result() == 0:
                pass
        self.set_character_set(self.charset, rest.get("collation"))
        if rest.get("sql_mode"):
            self.set_sql_mode(rest["sql_mode"])
        if rest.get("autocommit") is not None:
            self.autocommit(rest["autocommit"])
        if not rest.get("multi_statements", True):
            self.set_server_option(MULTI_STATEMENTS_OFF)
            self.client_flag &= ~CLIENT.MULTI_STATEMENTS

    # Exchanges with the server.

    def query(self, query: bytes | bytearray | str) -> None:
        self._take_answer(self._wire.query(query.encode(self.encoding) if isinstance(query, str) else bytes(query)))

    def next_result(self) -> int:
        """Read the next answer of a statement that has several; return -1 where there is none."""
        if not self._has_more:
            return -1
        self._take_answer(self._wire.next_answer())
        return 0

    def autocommit(self, on: bool) -> None:
        if self.get_autocommit() != bool(on):
            self.query(b"SET autocommit = %d" % bool(on))

    def commit(self) -> None:
        self.query(b"COMMIT")

    def rollback(self) -> None:
        self.query(b"ROLLBACK")

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        self.query(f"SET NAMES {charset} COLLATE {collation}" if collation else f"SET NAMES {charset}")

    def ping(self, reconnect: bool = False) -> None:
        self._exchange(self._wire.check())

    def select_db(self, name: str) -> None:
        self._exchange(self._wire.select_database(name))

    def set_server_option(self, option: int) -> None:
        self._exchange(self._wire.set_option(option))

    def _take_answer(self, coroutine: Coroutine[Any, None, Any]) -> None:
        self._answer, self._has_more = None, False
        try:
            self._exchange(coroutine)
        finally:
            # A cancelled statement has been answered as well.
            self._note_answer()
        failures = self._options.failures
        if failures:
            error = failures[0]
            failures.clear()
            raise error

    def _note_answer(self) -> None:
        answer = self._answer = self._wire.answer
        if answer is not None:
            self._has_more = bool(answer.has_next)
            if answer.description is None or self._wire.states_are_complete:
                # asyncmy takes no notice of a status of 0: no autocommit, and no transaction either.
                self.server_status = answer.server_status

    # The answer.

    def store_result(self) -> Result | None:
        return None if self._answer is None or self._answer.description is None else Result(self._answer)

    # All rows have arrived, whoever asks.
    use_result = store_result

    def discard_result(self) -> None:
        """Forget an answer that next_result() has read."""

    def more_results(self) -> bool:
        return self._has_more

    def affected_rows(self) -> int:
        return -1 if self._answer is None else int(self._answer.affected_rows)

    def insert_id(self) -> int:
        return 0 if self._answer is None else int(self._answer.insert_id)

    def warning_count(self) -> int:
        return 0 if self._answer is None else int(self._answer.warning_count)

    def info(self) -> str | None:
        message = None if self._answer is None else self._answer.message
        # Its length comes before it.
        return message[1:].decode("utf-8", "replace") if message else None

    # The connection.

    @property
    def open(self) -> bool:
        return self._wire.is_open

    @property
    def closed(self) -> int:
        return int(not self.open)

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing is known to have arrived that nobody has asked for."""
        return self._running is None and self._wire.is_open and not self._wire.has_unread

    @property
    def is_idle(self) -> bool:
        in_autocommit = self.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
        in_transaction = self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
        return bool(in_autocommit and not in_transaction and not self._has_more and self.is_quiet)

    def fileno(self) -> int:
        return self._wire.fileno()

    def thread_id(self) -> int:
        return int(self._wire.thread_id())

    def get_server_info(self) -> str:
        # MariaDB before 11 begins with the version of MySQL that it is compatible with.
        return str(self._wire.server_version).removeprefix("5.5.5-")

    def get_host_info(self) -> str:
        return str(self._wire.host_info)

    def get_proto_info(self) -> int:
        return int(self._wire.protocol_version)

    def character_set_name(self) -> str:
        return str(self.charset)

    def get_autocommit(self) -> bool:
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)

    def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        """Close the socket without waiting."""
        self._has_more = False
        self._wire.shut(politely=self._running is None)

    # Escaping, as the C layer does it.

    def string_literal(self, value: object) -> bytes:
        return b"'" + self.escape_string(value) + b"'"

    def escape_string(self, value: object) -> bytes:
        data = bytes(value) if isinstance(value, bytes | bytearray) else str(value).encode(self.encoding)
        if self.server_status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES:
            return data.replace(b"'", b"''")
        escaped: bytes = _mysql.escape_string(data)
        return escaped

    def escape(self, value: object, mapping: Mapping[Any, Callable[..., Any]] | None = None) -> Any:
        mapping = self.encoders if mapping is None else mapping
        convert = mapping.get(type(value))
        return self.string_literal(value) if convert is None else convert(value, mapping)

    # Waiting.

    def _exchange(self, coroutine: Coroutine[Any, None, Any]) -> Any:
        return await_(self._exchanged(coroutine))

    async def _exchanged(self, coroutine: Coroutine[Any, None, Any]) -> Any:
        if self._running is not None:
            coroutine.close()
            raise OwnershipError(
                "Two tasks used one MySQL connection, or a cursor of it, at the same time. Give each task a cursor of "
                "its own."
            )
        statement = self._running = Statement(coroutine, self._patience)
        try:
            return await statement.wait()
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            await self._end_statement(statement)
            raise
        except TimeoutError as error:
            self._wire.shut(politely=False)
            raise MySQLdb.OperationalError(
                CR.SERVER_LOST, "Lost connection to server during query (read_timeout)"
            ) from error
        except MySQLError as error:
            if not is_of_server(error):
                self._wire.shut(politely=False)
            raise translated(error) from None
        except BaseException:
            # The coroutine is being dropped, or what has arrived makes no sense: the rest of the answer is lost.
            self._wire.shut(politely=False)
            raise
        finally:
            self._running = None
            statement.close()

    async def _end_statement(self, statement: Statement) -> None:
        """Bring a cancelled statement to its end, killing it on the server if it goes on, or close the connection."""
        now = asyncio.get_running_loop().time()
        deadline = now + CANCEL_TIMEOUT
        try:
            if not await _has_ended(statement, now + GRACE):
                is_killed = await self._kill(deadline)
                if not await _has_ended(statement, deadline):
                    raise TimeoutError
                if is_killed:
                    await self._outlive_kill(deadline)
                else:
                    self._wire.shut(politely=True)
        except TimeoutError:
            logger.warning(
                "The server did not end a cancelled statement within %g s; its connection is closed.", CANCEL_TIMEOUT
            )
            self._wire.shut(politely=False)
        except Exception as error:
            logger.warning("A cancelled statement could not be ended (%s); its connection is closed.", error)
            self._wire.shut(politely=False)
        except BaseException:
            self._wire.shut(politely=False)
            raise

    async def _kill(self, deadline: float) -> bool:
        """Kill the running statement; tell whether the server has said that it did."""
        killing = asyncio.create_task(kill_statement(self._options, self._wire))
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

    async def _outlive_kill(self, deadline: float) -> None:
        """Send statements until one is not killed: a kill that came too late would hit somebody else's."""
        while True:
            probe = Statement(self._wire.query(NOTHING))
            try:
                await persist(probe.wait, deadline)
            except MySQLError as error:
                if error.args[0] != ER.QUERY_INTERRUPTED:
                    raise
            else:
                return


def connect(options: Options) -> Connection:
    """Connect without blocking the event loop; in place of MySQLdb.connect()."""
    connection = Connection(await_(open_wire(options)), options)
    try:
        connection.begin_session()
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _has_ended(statement: Statement, deadline: float) -> bool:
    """Wait for the answer to a cancelled statement, which may well be an error, until the deadline."""
    try:
        await persist(statement.wait, deadline)
    except TimeoutError:
        return False
    except MySQLError as error:
        if not is_of_server(error):
            raise
    return True
