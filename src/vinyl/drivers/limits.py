"""What the server of a connection is told about a deadline: how long a statement may run.

The client cancels a statement at its deadline by itself. This is for when it cannot, because it was killed or the
network is gone.

Telling costs a statement. So it is done when what the server knows is less than the time that is left, or more than
twice that: once for all statements of a default, a few times in a block. What the project has set itself is read
before, never exceeded, and put back for who has no deadline.

    PostgreSQL   statement_timeout; in a transaction by SET LOCAL, since a rollback takes back what was set
    MariaDB      max_statement_time
    MySQL        max_execution_time, which only counts for SELECT
    SQLite       busy_timeout: how long it waits for others, which nothing can interrupt

Behind a pooler that gives each transaction another session, known by Django's DISABLE_SERVER_SIDE_CURSORS, PostgreSQL
is told in transactions only. This module works on the connections of both modes; it knows neither scopes nor pools.
"""

from math import ceil, inf, nan
from typing import Any, NamedTuple


class Dialect(NamedTuple):
    """How a server is asked for its limit and told another. `units` of it are a second; `endless` stands for none."""

    read: str
    write: str
    units: int
    endless: int | None = 0
    write_in_transaction: str | None = None

    def seconds(self, value: Any) -> float:
        return inf if float(value) == self.endless else float(value) / self.units

    def statement(self, seconds: float, *, in_transaction: bool) -> str:
        template = self.write_in_transaction if in_transaction and self.write_in_transaction else self.write
        return template.format(self.endless if seconds == inf else f"{seconds * self.units:.10g}")


POSTGRESQL = Dialect(
    read="SELECT setting FROM pg_settings WHERE name = 'statement_timeout'",
    write="SET statement_timeout = {}",
    write_in_transaction="SET LOCAL statement_timeout = {}",
    units=1000,
)
MARIADB = Dialect(read="SELECT @@max_statement_time", write="SET max_statement_time = {}", units=1)
MYSQL = Dialect(read="SELECT @@max_execution_time", write="SET max_execution_time = {}", units=1000)
SQLITE = Dialect(read="PRAGMA busy_timeout", write="PRAGMA busy_timeout = {}", units=1000, endless=None)

# psycopg's TransactionStatus, of both its connections.
IDLE, IN_ERROR = 0, 3


def dialect_of(wrapper: Any) -> Dialect | None:
    """Return the dialect of Django's wrapper; None for a kind of database that cannot be told."""
    if wrapper.vendor == "mysql":
        # Django's mysql_is_mariadb may have to ask the server, by a statement that would come here again.
        return MARIADB if "MariaDB" in wrapper.connection.get_server_info() else MYSQL
    return {"postgresql": POSTGRESQL, "sqlite": SQLITE}.get(wrapper.vendor)


class StatementLimit:
    """What the server knows, of one connection. Times are seconds; nan is for what nobody knows, and equals nothing."""

    __slots__ = ("_known", "_known_in_transaction", "_own")

    def __init__(self) -> None:
        # What the project has set; None as long as nobody has asked.
        self._own: float | None = None
        self._known = inf
        # In PostgreSQL, what was told for the transaction that is open.
        self._known_in_transaction: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether the server knows something else than what the project has set."""
        return self._own is not None and (self._known_in_transaction is not None or self._known != self._own)

    def tell(self, wrapper: Any, remaining: float | None, sql: str = "") -> None:
        """Have the server end what takes longer than the time that remains; None: than the project wants.

        `sql` is the statement that comes next.
        """
        dialect = dialect_of(wrapper)
        if dialect is None:
            return
        in_transaction = self._follow_transaction(wrapper, sql) if dialect is POSTGRESQL else False
        if in_transaction is None:
            return
        if self._own is None:
            if remaining is None:
                return
            self._own = self._known = dialect.seconds(_ask(wrapper, dialect.read))
        wanted = self._own if remaining is None else min(self._own, max(ceil(remaining * 1000), 1) / 1000)
        known = self._known if self._known_in_transaction is None else self._known_in_transaction
        if known == wanted or (remaining is not None and wanted <= known <= 2 * wanted):
            return
        # It may be cancelled when the server has done it.
        self._note(nan, in_transaction)
        _ask(wrapper, dialect.statement(wanted, in_transaction=in_transaction))
        self._note(wanted, in_transaction)

    def _note(self, seconds: float, in_transaction: bool) -> None:
        if in_transaction:
            self._known_in_transaction = seconds
        else:
            self._known = seconds

    def _follow_transaction(self, wrapper: Any, sql: str) -> bool | None:
        """Tell whether a transaction is open or begins; None where nothing can be set."""
        status = wrapper.connection.pgconn.transaction_status
        if status == IDLE:
            self._known_in_transaction = None
        elif sql.startswith("ROLLBACK TO") and self._known_in_transaction is not None:
            # It becomes what it was at the savepoint.
            self._known_in_transaction = nan
        if status == IN_ERROR:
            return None
        in_transaction = status != IDLE or not wrapper.connection.autocommit
        may_set = in_transaction or not wrapper.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        return in_transaction if may_set else None


def _ask(wrapper: Any, sql: str) -> Any:
    """Execute on the driver's connection: in no log, and through no execute_wrapper()."""
    with wrapper.wrap_database_errors:
        cursor = wrapper.connection.cursor()
        try:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None
        finally:
            cursor.close()
