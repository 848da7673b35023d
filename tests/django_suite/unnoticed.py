"""Querying without leaving a trace in what tests look at: the logs of queries, and wrappers of executions."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections

from vinyl.common.variables import temporarily
from vinyl.lending import pins
from vinyl.lending.wrappers import ScopedWrapper


@contextmanager
def unnoticed() -> Iterator[None]:
    """Restore the logs after this block, and call no wrapper of executions in it."""
    with ExitStack() as stack:
        stack.enter_context(temporarily(pins._execute_wrappers, {}))
        for connection in connections.all():
            stack.enter_context(_unlogged(connection))
        yield


@contextmanager
def _unlogged(connection: Any) -> Iterator[None]:
    log = list(connection.queries_log)
    forced, connection.force_debug_cursor = connection.force_debug_cursor, False
    wrappers = connection.execute_wrappers
    if not isinstance(connection, ScopedWrapper):
        connection.execute_wrappers = []
    try:
        yield
    finally:
        connection.force_debug_cursor = forced
        connection.queries_log.clear()
        connection.queries_log.extend(log)
        if not isinstance(connection, ScopedWrapper):
            connection.execute_wrappers = wrappers
