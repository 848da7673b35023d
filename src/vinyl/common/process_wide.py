"""What looks at all statements of the process, in both modes, at who waits for a connection, and at new event loops.

    wrappers    around each execution, as Django's execute_wrapper() has them, the outermost first, and all of them
                inside of those of a context
    waits       given an alias, blocks in which a connection to it is waited for; in the asynchronous mode
    beginnings  called as an event loop uses a database for the first time

In the asynchronous mode vinyl's wrappers ask for them (see pins.py). Django's ordinary connections, which belong to
threads, are given `through` as they connect; those of other threads that are connected already are not reached. This
module knows nothing of what they are for.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import django.db
from django.conf import settings
from django.db.backends.signals import connection_created

wrappers: list[Callable[..., Any]] = []
waits: list[Callable[[str], AbstractContextManager[Any]]] = []
beginnings: list[Callable[[], None]] = []


def add(wrapper: Callable[..., Any], *, innermost: bool = False) -> None:
    """Apply the wrapper to each execution from now on, unless it is already; around those that are there, or inside."""
    if wrapper not in wrappers:
        wrappers.insert(len(wrappers) if innermost else 0, wrapper)
        for connection in _connected():
            attach(connection)


def remove(wrapper: Callable[..., Any]) -> None:
    """Apply the wrapper no longer."""
    if wrapper in wrappers:
        wrappers.remove(wrapper)
    if not wrappers:
        for connection in _connected():
            if through in connection.execute_wrappers:
                connection.execute_wrappers.remove(through)


def _connected() -> list[Any]:
    return list(django.db.connections.all(initialized_only=True)) if settings.configured else []


def attach(connection: Any, **kwargs: Any) -> None:
    """Have one of Django's ordinary connections apply the wrappers, if there are any."""
    if wrappers and through not in connection.execute_wrappers:
        connection.execute_wrappers.append(through)


connection_created.connect(attach)


def through(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    """Execute within all wrappers; one of Django's own, for ordinary connections."""
    for wrapper in reversed(wrappers):
        execute = partial(wrapper, execute)
    return execute(sql, params, many, context)
