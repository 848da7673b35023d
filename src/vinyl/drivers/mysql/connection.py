"""mysqlclient's connection, waiting through the bridge for asyncmy.

mysqlclient's Connection is a thin layer of Python around one of C. This is the same layer of Python, taken from there,
around asyncmy: what is below, with the names and the meaning that the C layer gives them.

It differs in when the server is told of autocommit: just before the next statement; and a transaction in which nothing
was executed is neither committed nor rolled back. So one transaction after the other costs a round trip for each COMMIT
and no more. A connection may be idle without autocommit then, which keeps nothing that anybody waits for.
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import MySQLdb
import MySQLdb.connections
from asyncmy.constants import SERVER_STATUS
from MySQLdb import _mysql
from MySQLdb.constants import CLIENT

from vinyl.bridge import await_
from vinyl.common.deadlines import TimeLimit, with_grace
from vinyl.drivers.mysql.exchange import Exchange
from vinyl.drivers.mysql.options import Options, is_unsafe
from vinyl.drivers.mysql.result import Result
from vinyl.drivers.mysql.wire import Wire, open_wire
from vinyl.errors import DeadlineExceeded

MULTI_STATEMENTS_OFF = 1

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

    def __init__(self, wire: Wire, options: Options, time_limit: TimeLimit) -> None:
        rest = options.rest
        self._wire = wire
        self._options = options
        self._answer: Any = None
        self._has_more = False
        self._hides_number = False
        self._exchange = Exchange(wire, options, time_limit)
        self.server_status = wire.server_status
        self._status_is_known = True
        # What the next statement is to find; None: what is there.
        self._wanted_autocommit: bool | None = None
        # Whether anything was executed without autocommit that was not committed or rolled back.
        self._may_have_begun = False
        # mysqlclient's attributes.
        self.converter = rest["conv"]
        self.encoders = {kind: convert for kind, convert in rest["conv"].items() if type(kind) is not int}
        self.encoding = wire.encoding
        self.charset = rest["charset"]
        self.cursorclass = rest.get("cursorclass", self.default_cursor)
        self.executemany_fallback = rest["executemany_fallback"]
        self._binary_prefix = rest.get("binary_prefix", False)
        self.host, self.port = wire.address
        self.user = options.asyncmy["user"]
        self.database = self.db = options.asyncmy["database"] or ""
        self.client_flag = options.asyncmy["client_flag"] | CLIENT.MULTI_RESULTS | CLIENT.MULTI_STATEMENTS
        self.server_capabilities = wire.server_capabilities
        self._server_version = tuple(map(int, self.get_server_info().split(".")[:2]))
        self.messages: list[Any] = []

    def begin_session(self) -> None:
        """Do what mysqlclient does after connecting, in its order."""
        rest = self._options.rest
        if not rest.get("multi_statements", True):
            self.set_server_option(MULTI_STATEMENTS_OFF)
            self.client_flag &= ~CLIENT.MULTI_STATEMENTS
        for command in rest["init_commands"]:
            self.query(command)
            while self.next_result() == 0:
                pass
        self.set_character_set(self.charset, rest.get("collation"))
        if rest.get("sql_mode"):
            self.set_sql_mode(rest["sql_mode"])
        if rest.get("autocommit") is not None:
            self.autocommit(rest["autocommit"])

    # Exchanges with the server.

    def query(self, query: bytes | bytearray | str) -> None:
        sent = query.encode(self.encoding) if isinstance(query, str) else bytes(query)
        await_(self._take_answer(self._wire.query, sent))

    async def answer_to(self, query: bytes) -> Any:
        """In a coroutine: execute a statement, and return asyncmy's answer."""
        await self._take_answer(self._wire.query, query)
        return self._answer

    def next_result(self) -> int:
        """Read the next answer of a statement that has several; return -1 where there is none."""
        if not self._has_more:
            return -1
        await_(self._take_answer(self._wire.next_answer))
        return 0

    def autocommit(self, on: bool) -> None:
        if not self.open:
            # Who begins a transaction learns that there is nothing to begin it on.
            self.ping()
        self._wanted_autocommit = bool(on)
        if on and self._is_in_transaction:
            # Which it commits.
            await_(self._switch_autocommit(self._wanted_autocommit))

    def commit(self) -> None:
        self._end_transaction(b"COMMIT")

    def rollback(self) -> None:
        self._end_transaction(b"ROLLBACK")

    def _end_transaction(self, query: bytes) -> None:
        if self._is_in_transaction or not self.open:
            self.query(query)
            self._may_have_begun = False

    async def _switch_autocommit(self, on: bool) -> None:
        """Tell the server of what is wanted, if it has something else."""
        if on is not self._has_autocommit:
            try:
                await self._exchange.complete(self._wire.query, b"SET autocommit = %d" % on)
            finally:
                self._note_answer()
            self._may_have_begun = False
        self._wanted_autocommit = None

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        if is_unsafe(charset):
            raise MySQLdb.NotSupportedError(f"Values cannot be sent in {charset!r} in the asynchronous mode.")
        self.query(f"SET NAMES {charset} COLLATE {collation}" if collation else f"SET NAMES {charset}")
        self.charset = charset
        self.encoding = self._wire.encoding = MySQLdb.connections._charset_to_encoding.get(charset, charset)

    def ping(self, reconnect: bool = False) -> None:
        await_(self._exchange.complete(self._wire.check))

    def select_db(self, name: str) -> None:
        await_(self._exchange.complete(self._wire.select_database, name))

    def set_server_option(self, option: int) -> None:
        await_(self._exchange.complete(self._wire.set_option, option))

    def kill(self, thread_id: int) -> None:
        self.query(b"KILL %d" % thread_id)

    def stat(self) -> str:
        return str(await_(self._exchange.complete(self._wire.status)))

    async def _take_answer(self, command: Callable[..., Coroutine[Any, None, Any]], *args: Any) -> None:
        if self._wanted_autocommit is not None:
            await self._switch_autocommit(self._wanted_autocommit)
        self._answer, self._has_more, self._hides_number = None, False, False
        was_idle, self._status_is_known = self._seems_idle, False
        self._may_have_begun = self._may_have_begun or not self._has_autocommit
        try:
            await self._exchange.complete(command, *args)
        except MySQLdb.MySQLError:
            if was_idle:
                await self._ask_for_status()
            raise
        finally:
            # A cancelled statement has been answered as well.
            self._note_answer()
        failures = self._options.failures
        if failures:
            error = failures[0]
            failures.clear()
            raise error

    async def _ask_for_status(self) -> None:
        """Learn whether a statement that has failed left a transaction behind, as a procedure may; errors do not tell.

        A ping leaves the server's warnings as they are, unlike a statement.
        """
        failure = self._exchange.failure
        with suppress(MySQLdb.MySQLError, DeadlineExceeded), with_grace():
            await self._exchange.complete(self._wire.check)
            self.server_status = self._wire.server_status
            self._status_is_known = True
        self._exchange.failure = failure

    def _note_answer(self) -> None:
        answer = self._answer = self._wire.answer
        if answer is not None:
            self._has_more = bool(answer.has_next)
            self._status_is_known = True
            if answer.description is None or self._wire.states_are_complete:
                # asyncmy takes no notice of a status of 0: no autocommit, and no transaction either.
                self.server_status = answer.server_status

    # The answer.

    def store_result(self) -> Result | None:
        return None if self._answer is None or self._answer.description is None else Result(self._answer)

    def use_result(self) -> Result | None:
        """Return the rows, all of which have arrived, whoever asks; how many they are is not told."""
        self._hides_number = True
        return self.store_result()

    def discard_result(self) -> None:
        """Forget an answer that next_result() has read."""

    def more_results(self) -> bool:
        return self._has_more

    def affected_rows(self) -> int:
        if self._answer is None or (self._hides_number and self._answer.description is not None):
            return -1
        return int(self._answer.affected_rows)

    def field_count(self) -> int:
        return 0 if self._answer is None else int(self._answer.field_count)

    def insert_id(self) -> int:
        return 0 if self._answer is None else int(self._answer.insert_id)

    def warning_count(self) -> int:
        return 0 if self._answer is None else int(self._answer.warning_count)

    def info(self) -> str | None:
        message = None if self._answer is None else self._answer.message
        # Its length comes before it.
        return message[1:].decode("utf-8", "replace") if message else None

    def errno(self) -> int:
        return self._exchange.failure.code

    def error(self) -> str:
        return self._exchange.failure.message

    def sqlstate(self) -> str:
        return self._exchange.failure.sqlstate

    # The connection.

    @property
    def open(self) -> int:
        return int(self._wire.is_open)

    @property
    def closed(self) -> int:
        return int(not self.open)

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing is known to have arrived that nobody has asked for."""
        return not self._exchange.is_going_on and self._wire.is_open and not self._wire.has_unread

    @property
    def is_idle(self) -> bool:
        return self._status_is_known and self._seems_idle and not self._has_more and self.is_quiet

    @property
    def _seems_idle(self) -> bool:
        return self.get_autocommit() and not self._is_in_transaction

    @property
    def _is_in_transaction(self) -> bool:
        """Whether there may be something to commit or to roll back."""
        return self._may_have_begun or bool(self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def _has_autocommit(self) -> bool:
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)

    def fileno(self) -> int:
        return self._wire.fileno()

    def thread_id(self) -> int:
        return int(self._wire.thread_id())

    def get_server_info(self) -> str:
        # MariaDB before 11 begins with the version of MySQL that it is compatible with.
        return str(self._wire.server_version).removeprefix("5.5.5-")

    def get_host_info(self) -> str:
        return "Localhost via UNIX socket" if self._options.asyncmy["unix_socket"] else f"{self.host} via TCP/IP"

    def get_proto_info(self) -> int:
        return int(self._wire.protocol_version)

    def character_set_name(self) -> str:
        return str(self.charset)

    def get_autocommit(self) -> bool:
        return self._has_autocommit if self._wanted_autocommit is None else self._wanted_autocommit

    def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        """Close the socket without waiting."""
        self._has_more = False
        self._wire.shut(politely=not self._exchange.is_going_on)

    # Escaping, as the C layer does it.

    def string_literal(self, value: object) -> bytes:
        data = bytes(value) if isinstance(value, bytes | bytearray) else str(value).encode(self.encoding)
        return b"'" + self.escape_string(data) + b"'"

    def escape_string(self, value: bytes | str) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        if self.server_status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES:
            return data.replace(b"'", b"''")
        escaped: bytes = _mysql.escape_string(data)
        return escaped

    def escape(self, value: object, mapping: Mapping[Any, Callable[..., Any]] | None = None) -> Any:
        mapping = self.encoders if mapping is None else mapping
        convert = mapping.get(type(value))
        return self.string_literal(value) if convert is None else convert(value, mapping)


def connect(options: Options, time_limit: TimeLimit) -> Connection:
    """Connect without blocking the event loop; in place of MySQLdb.connect()."""
    connection = Connection(await_(open_wire(options)), options, time_limit)
    try:
        connection.begin_session()
    except BaseException:
        connection.terminate()
        raise
    return connection
