"""Ending a statement of a driver that blocks, at a deadline: for the synchronous mode.

    with Watch(wrapper, deadline):
        …                       whatever waits for the server, on Django's ordinary connection

While it waits the thread can do nothing, so two others are ready. At the deadline the first has the statement
cancelled: PostgreSQL by a cancel request, MySQL and MariaDB by KILL QUERY over a second connection, SQLite by
interrupt(). Later by half of the grace the second shuts the socket down, at which the driver gives up. Neither comes
too late: leaving the block waits for who has begun, so that the next statement is not hit instead.

This module knows Django's wrappers, not where they are from.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from vinyl.common.deadlines import GRACE, Deadline

logger = logging.getLogger("vinyl.deadline")


class Watch:
    """Watches over what the thread does in the block, on this wrapper's connection."""

    def __init__(self, wrapper: Any, deadline: Deadline) -> None:
        self._wrapper = wrapper
        # Asked for here, since mysqlclient answers nobody while it waits. sqlite3 has neither, nor has who is closed.
        self._thread_id = self._descriptor = None
        with suppress(Exception):
            self._thread_id = getattr(wrapper.connection, "thread_id", lambda: None)()
            self._descriptor = wrapper.connection.fileno()
        self._ended = False
        self._lock = threading.Lock()
        self._timers = [
            threading.Timer(deadline.remaining, self._cancel),
            threading.Timer(deadline.remaining + GRACE / 2, self._sever),
        ]

    def __enter__(self) -> None:
        for timer in self._timers:
            timer.daemon = True
            timer.start()

    def __exit__(self, *exc_info: object) -> None:
        for timer in self._timers:
            timer.cancel()
        with self._lock:
            self._ended = True

    def _cancel(self) -> None:
        cancel(self._wrapper, self._thread_id, GRACE / 2, self._unless_ended)

    def _sever(self) -> None:
        """Shut the socket down. The driver has not read what it waits for, so nobody else reads there."""
        if self._descriptor is not None:
            self._unless_ended(partial(self._shut_down, self._descriptor))

    def _shut_down(self, descriptor: int) -> None:
        # Else Django would connect anew to end the transaction, to a server that does not answer.
        self._wrapper.closed_in_transaction |= not self._wrapper.autocommit
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)

    def _unless_ended(self, action: Callable[[], Any]) -> None:
        with self._lock:
            if not self._ended:
                action()


def _at_once(action: Callable[[], Any]) -> None:
    action()


def cancel(
    wrapper: Any, thread_id: int | None, timeout: float, do: Callable[[Callable[[], Any]], None] = _at_once
) -> None:
    """Have the statement cancelled that another thread waits for, on this wrapper's connection; log what fails.

    `thread_id` is MySQL's number of the connection. What reaches the server is called by `do`.
    """
    connection = wrapper.connection
    try:
        if hasattr(connection, "interrupt"):
            do(connection.interrupt)
        elif hasattr(connection, "cancel_safe"):
            do(lambda: connection.cancel_safe(timeout=timeout))
        elif thread_id is not None:
            second = wrapper.get_new_connection(wrapper.get_connection_params())
            try:
                do(lambda: second.query(f"KILL QUERY {thread_id}"))
            finally:
                second.close()
    except Exception as error:
        logger.warning("A statement could not be cancelled: %s", error)
