"""Finding calls that block the event loop, or that run in a thread.

`watched()` makes these raise in the thread that uses it: sleeping, waiting for a socket, psycopg's blocking waits and
libpq's blocking calls, whatever mysqlclient asks a server, statements of sqlite3; and starting a thread where `threads`
does not allow it.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

_watching = threading.local()

# Events of https://docs.python.org/3/library/audit_events.html
_BLOCKING = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "sqlite3.connect"}
_SQLITE = {"execute", "executemany", "fetchone", "fetchmany", "fetchall", "commit", "rollback"}
_MYSQL = ("__init__", "query", "next_result", "commit", "rollback", "autocommit", "ping", "close")
_THREADS = {"start_new_thread", "start_joinable_thread"}


class BlockingCall(BaseException):
    """Not an Exception, so that nothing on the way can take it for an error of the database's."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and arguments[0].gettimeout() == 0:
        return
    if event in getattr(_watching, "events", ()):
        raise BlockingCall(f"{event}{arguments}")


# An audit hook can never be removed, hence it is one that looks at what is watched.
sys.addaudithook(_audit)


def _profile(frame: Any, event: str, function: Any) -> None:
    """See calls of sleep(), of sqlite3 that reach the database, and those that start a thread, whoever makes them.

    Python forgets a profile function that raises, so only the first call is found.
    """
    if event != "c_call":
        return
    owner = getattr(function, "__self__", None)
    if function is time.sleep:
        raise BlockingCall("time.sleep()")
    if isinstance(owner, sqlite3.Connection | sqlite3.Cursor) and function.__name__ in _SQLITE:
        raise BlockingCall(f"sqlite3's {function.__name__}()")
    if not _watching.threads and getattr(owner, "__name__", "") == "_thread" and function.__name__ in _THREADS:
        raise BlockingCall("a thread is started")


@contextmanager
def watched(*, threads: bool) -> Iterator[None]:
    """Raise BlockingCall in this thread for what blocks, and unless `threads` for starting a thread."""
    _watching.events, _watching.threads = _BLOCKING, threads
    sys.setprofile(_profile)
    try:
        with _psycopg_may_not_block(), _mysqlclient_may_not_block():
            yield
    finally:
        sys.setprofile(None)
        del _watching.events


@contextmanager
def _psycopg_may_not_block() -> Iterator[None]:
    try:
        from psycopg import waiting
        from psycopg.connection import Connection
    except ImportError:
        yield
        return

    def blocked(*args: Any, **kwargs: Any) -> Any:
        raise BlockingCall("psycopg waits for a socket")

    with (
        mock.patch.object(waiting, "wait", blocked),
        mock.patch.object(waiting, "wait_conn", blocked),
        mock.patch.object(waiting, "wait_selector", blocked),
        mock.patch.object(Connection, "cancel", blocked),
    ):
        yield


@contextmanager
def _mysqlclient_may_not_block() -> Iterator[None]:
    try:
        from MySQLdb.connections import Connection
    except ImportError:
        yield
        return

    def blocked(*args: Any, **kwargs: Any) -> Any:
        raise BlockingCall("mysqlclient waits for a socket")

    with ExitStack() as stack:
        for name in _MYSQL:
            stack.enter_context(mock.patch.object(Connection, name, blocked))
        yield
