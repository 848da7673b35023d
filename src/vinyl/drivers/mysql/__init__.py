"""MySQL and MariaDB by asyncmy, without threads.

Django's MySQL backend runs on mysqlclient, and goes on doing so in the synchronous mode. Here it gets a connection of
mysqlclient's shape whose statements asyncmy carries: mysqlclient's cursors, converters and escaping work on it as they
are, so values, row counts, `executemany()` and errors are those of the synchronous mode.

    statements.py   statements that are made once and executed often, without cursors and without the bridge
    connection.py   mysqlclient's connection, on top of the others
    result.py       mysqlclient's result
    exchange.py     exchanges with the server, one at a time, each brought to its end
    resumable.py    one exchange, which can be waited for again after a cancellation
    wire.py         asyncmy's connection: connecting, TLS, authentication
    options.py      what Django passes to mysqlclient, as asyncmy wants it; refuses what asyncmy cannot do
    converters.py   mysqlclient's converters, as asyncmy wants them
    tls.py          what the options say about TLS
    hosts.py        several servers behind one alias
    optionfile.py   MySQL's option files
    errors.py       mysqlclient's errors for asyncmy's

Protocol of a statement that is cancelled: its answer is waited for, a moment at first, since most come at once; then
the statement is killed on the server (`KILL QUERY` over a second connection), its answer is read to the end, and a
statement that does nothing is sent after it, for a kill that came too late to hit. What cannot be brought to an end
within a deadline is closed instead. So a connection that survives is idle, or in a transaction.

As with mysqlclient's default cursor all rows of an answer are read at once; nothing is left on the server when a cursor
is dropped, but for further answers of a statement with several.

The package knows nothing of pools, scopes or models. See https://mysqlclient.readthedocs.io/.
"""

import select
from functools import cached_property
from importlib.metadata import version
from typing import Any

from django.core.exceptions import ImproperlyConfigured

try:
    import asyncmy  # noqa: F401
except ImportError as error:
    raise ImproperlyConfigured(
        "The asynchronous mode needs asyncmy for MySQL and MariaDB. Install it with 'pip install django-vinyl[mysql]'."
    ) from error

if tuple(map(int, version("asyncmy").split(".")[:3])) < (0, 2, 15):
    raise ImproperlyConfigured(
        f"The asynchronous mode needs asyncmy 0.2.15 or newer, but {version('asyncmy')} is installed. Install it with "
        "'pip install django-vinyl[mysql]'."
    )

from vinyl.common.deadlines import TimeLimit
from vinyl.drivers.mysql.connection import Connection, connect
from vinyl.drivers.mysql.options import options_for
from vinyl.drivers.mysql.statements import Result, Statement, execute, execute_in_chunks

__all__ = [
    "Connection",
    "Result",
    "Statement",
    "Wrapper",
    "catch_up",
    "connect",
    "drop_cursor",
    "execute",
    "execute_in_chunks",
    "is_alive",
    "is_caught_up",
    "is_idle",
    "pipelines",
    "terminate",
]

# Each statement is a round trip of its own.
pipelines = False

# What Django asks each wrapper's server for: its version, mode and time zones. By alias, host and port.
_server_data: dict[tuple[Any, ...], dict[str, Any]] = {}


class Wrapper:
    """Mixin for a DatabaseWrapper derived from Django's MySQL backend."""

    alias: str
    settings_dict: dict[str, Any]
    connection: Connection | None
    time_limit: TimeLimit

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        return connect(options_for(self.alias, conn_params), self.time_limit)

    def is_usable(self) -> bool:
        # Django's MySQL backend asks the connection without looking whether there is one, as there is between two
        # statements only in a transaction.
        return self.connection is not None and super().is_usable()  # type: ignore[misc]

    @cached_property
    def mysql_server_data(self) -> dict[str, Any]:
        """Asked for once in a process, since wrappers come and go; Django has one wrapper in a thread for all time."""
        key = (self.alias, self.settings_dict["HOST"], self.settings_dict["PORT"])
        if key not in _server_data:
            _server_data[key] = super().mysql_server_data  # type: ignore[misc]
        return _server_data[key]


def is_idle(connection: Connection) -> bool:
    """Tell whether the connection is open, in autocommit, outside of a transaction, and nothing runs on it."""
    return connection.is_idle


def is_alive(connection: Connection) -> bool:
    """Tell whether an idle connection can be used: its socket is open, and the server has sent nothing unasked for.

    What an idle connection has to say is that the server has ended it. It may have arrived without the event loop
    having had the time to read it.
    """
    if not connection.is_quiet:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLPRI)
    return not poll.poll(0)


def terminate(connection: Connection) -> None:
    """Close the socket at once. The server rolls back what was not committed."""
    connection.terminate()


def drop_cursor(cursor: Any) -> bool:
    """Close a cursor; False if further answers to its statement are still to be read."""
    # Django's wrapper of mysqlclient's cursor.
    cursor = getattr(cursor, "cursor", cursor)
    if cursor.connection is not None and cursor.connection.more_results():
        cursor.connection = None
        return False
    cursor.close()
    return True


def is_caught_up(connection: Connection) -> bool:
    """Nothing is left to be waited for, see catch_up()."""
    return True


def catch_up(connection: Connection) -> bool:
    """Nothing is left to be waited for: a connection with an answer to come is not idle."""
    return True
