"""Databases under other names: an alias of the default database with other settings, or behind a proxy."""

import copy
import itertools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.conf import settings
from django.db import connections
from django.test import override_settings

import vinyl
from tests.proxy import Proxy

_numbers = itertools.count()


@contextmanager
def database(
    options: Mapping[str, Any] | None = None, *, pool: Mapping[str, Any] | None = None, **changes: Any
) -> Iterator[str]:
    """An alias of the default database with other settings; `pool` has the options of its pool."""
    alias = f"changed{next(_numbers)}"
    changed = copy.deepcopy(connections.settings["default"])
    changed.update(changes, OPTIONS=options or {})
    connections.settings[alias] = changed
    try:
        # Beside those of other aliases that are there at the moment.
        pools = {**getattr(settings, "VINYL", {}).get("POOL", {}), alias: dict(pool or {})}
        with override_settings(VINYL={"POOL": pools}):
            yield alias
    finally:
        for wrapper in connections.all(initialized_only=True):
            if wrapper.alias == alias:
                # In a coroutine Django lets nobody close, not even what was never opened.
                if wrapper.connection is not None:
                    wrapper.close()
                del connections[alias]
        del connections.settings[alias]


def through(
    proxy: Proxy, options: Mapping[str, Any] | None = None, *, pool: Mapping[str, Any] | None = None, **changes: Any
) -> AbstractContextManager[str]:
    """An alias of the default database whose connections go through a proxy."""
    return database(options, pool=pool, HOST=proxy.host, PORT=str(proxy.port), **changes)


def counts(alias: str, *names: str) -> tuple[int, ...]:
    """Return these statistics of the pool of an alias, in the order of their names."""
    statistics = vinyl.connections[alias].statistics()
    return tuple(statistics[name] for name in names)
