"""PostgreSQL by psycopg 3, without threads.

psycopg's operations are generators that yield where they would block, and its synchronous and asynchronous classes
differ only in who waits. So this is psycopg's *synchronous* connection, whose `wait()` waits through the bridge:
Django's PostgreSQL backend, its cursors and its adapters work on it as they are. Only connecting is left to psycopg's
asynchronous class, which resolves host names without blocking.

    statements.py   statements that are made once and executed often, without cursors and without the bridge
    chunks.py       large results, whose rows are worked on as they arrive
    cursors.py      psycopg's cursors, which send BEGIN with the first statement of a transaction
    connection.py   psycopg's connection, and what becomes of a statement that is cancelled
    pipelines.py    several statements in one round trip
    prepared.py     what a connection has prepared on the server
    times.py        loading points in time
    waiting.py      waiting for the socket

The package knows nothing of pools, scopes or models. See https://www.psycopg.org/psycopg3/docs/.
"""

import select
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql.psycopg_any import is_psycopg3

try:
    import psycopg
except ImportError as error:
    raise ImproperlyConfigured(
        "The asynchronous mode needs psycopg 3.2 or newer for PostgreSQL; psycopg2 serves only the sync mode. Install "
        "it with 'pip install django-vinyl[postgresql]'."
    ) from error

if not is_psycopg3 or tuple(map(int, psycopg.__version__.split(".")[:2])) < (3, 2):
    raise ImproperlyConfigured(
        f"The asynchronous mode needs psycopg 3.2 or newer, but {psycopg.__version__} is installed. Install it with "
        "'pip install django-vinyl[postgresql]'."
    )

from psycopg import sql
from psycopg.pq import ConnStatus, TransactionStatus

from vinyl.common.deadlines import TimeLimit
from vinyl.drivers.postgresql.chunks import execute_in_chunks
from vinyl.drivers.postgresql.connection import CANCEL_TIMEOUT, Connection, connect
from vinyl.drivers.postgresql.statements import Result, Statement, execute, execute_many

__all__ = [
    "CANCEL_TIMEOUT",
    "Connection",
    "Result",
    "Statement",
    "Wrapper",
    "catch_up",
    "connect",
    "drop_cursor",
    "execute",
    "execute_in_chunks",
    "execute_many",
    "is_alive",
    "is_caught_up",
    "is_idle",
    "pipelines",
    "terminate",
]

# Several statements can be sent in one round trip.
pipelines = True


class _Database:
    """The module psycopg, but for connect()."""

    connect = staticmethod(connect)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class Wrapper:
    """Mixin for a DatabaseWrapper derived from Django's PostgreSQL backend."""

    Database = _Database()
    # OPTIONS["pool"] is for psycopg's pool of threads; its values size vinyl's own pool instead.
    pool = None
    settings_dict: dict[str, Any]
    time_limit: TimeLimit

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        # For connect(), since Django goes on to use the connection before it gives it.
        conn_params = {**conn_params, "time_limit": self.time_limit}
        connection: Connection = super().get_new_connection(conn_params)  # type: ignore[misc]
        # It is what Django's users say of a pooler that gives them another session for each transaction.
        connection.prepares = not self.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        return connection


def is_idle(connection: Connection) -> bool:
    """Tell whether the connection is open, in autocommit, outside of a transaction, and nothing runs on it."""
    status = connection.pgconn.transaction_status
    return (
        (status == TransactionStatus.IDLE or (connection.has_answer_to_come and status == TransactionStatus.ACTIVE))
        and connection.autocommit
        and connection._pipeline is None
    )


def is_alive(connection: Connection) -> bool:
    """Tell whether an idle connection can be used: its socket is open, and the server has sent nothing unasked for.

    What an idle connection has to say is mostly that the server has ended it. The rest (the configuration was reloaded,
    a late answer) is not worth telling apart from that: the connection is replaced.
    """
    if connection.pgconn.status != ConnStatus.OK:
        return False
    if connection.has_answer_to_come:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN | select.POLLPRI)
    return not poll.poll(0)


def terminate(connection: Connection) -> None:
    """Close the socket at once. The server rolls back what was not committed."""
    connection.close()


def drop_cursor(cursor: Any) -> bool:
    """Close a cursor; for one of the server's, send the request to close it and leave the answer to catch_up()."""
    is_done = not isinstance(cursor, psycopg.ServerCursor) or cursor.closed or _request_close(cursor)
    # The client's part only: that of ServerCursor would wait.
    psycopg.Cursor.close(cursor)
    return is_done


def _request_close(cursor: "psycopg.ServerCursor[Any]") -> bool:
    connection: Any = cursor.connection
    status = connection.pgconn.transaction_status
    if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR) and not cursor.withhold:
        # It ends with its transaction.
        return True
    if status != TransactionStatus.IDLE:
        return False
    try:
        connection.pgconn.send_query(sql.SQL("CLOSE {}").format(sql.Identifier(cursor.name)).as_bytes(connection))
        connection.has_answer_to_come = True
        # It fits into the socket's buffer, unless the server has not read for long.
        return bool(connection.pgconn.flush() == 0)
    except psycopg.Error:
        return False
    finally:
        connection.waiter.check()


def is_caught_up(connection: Connection) -> bool:
    """Tell whether catch_up() has nothing to wait for."""
    return not connection.has_answer_to_come


def catch_up(connection: Connection) -> bool:
    """Read the answer to the request of drop_cursor(), if there was one."""
    if connection.has_answer_to_come:
        try:
            connection.read_answer()
        except psycopg.Error:
            return False
    return True
