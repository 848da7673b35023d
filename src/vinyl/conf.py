"""Settings of vinyl: none is needed, all are validated, and what is read is frozen.

`VINYL["POOL"][alias]` sizes an alias's pool of asynchronous connections. `DATABASES[alias]["OPTIONS"]["pool"]`, which
Django has for PostgreSQL, gives the defaults for the same names; what psycopg_pool has beyond them is left to it.

`VINYL["DEADLINE"][alias]` is how many seconds each statement may take in the asynchronous mode, and each wait for a
connection, where no vinyl.deadline() says otherwise.

`VINYL["PLANS"]`, True unless told otherwise, is whether queries of a shape that was seen before are sent without
building and compiling them anew; with `VINYL["VERIFY_PLANS"]` each of them is built and compiled all the same, and
compared. `VINYL["PREPARED_STATEMENTS"][alias]` is whether such queries are prepared on the server, also True unless
told otherwise.

`VINYL["ACTIVITY"]` is a folder by which other processes can ask for vinyl.activity().

`VINYL["SQL_COMMENTS"]`, True or a list of keys, has statements say which view and trace they are of.

`VINYL["NATIVE_CALLS"]`, False unless told otherwise, is whether thread-sensitive calls of sync_to_async() run in the
bridge.

`VINYL["WATCHDOG"]`, None unless told otherwise, is after how many seconds a warning tells what blocks the event loop.
It is None with DEBUG too: a process that begins imports, compiles and connects for longer than anybody would set.
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """The options of one alias's pool, with psycopg_pool's names. Times are seconds.

    min_size      connections kept open once one was needed
    max_size      connections open at most, in this process and event loop
    timeout       how long a query waits for a connection, connecting included, before PoolTimeout
    max_waiting   how many may wait before TooManyRequests; 0 is no limit
    max_lifetime  age at which a connection is replaced
    max_idle      how long a connection may go unused before it is closed
    """

    min_size: int = 0
    max_size: int = 10
    timeout: float = 30.0
    max_waiting: int = 0
    max_lifetime: float = 3600.0
    max_idle: float = 600.0


_NAMES = [option.name for option in fields(PoolOptions)]
_INTEGERS = ("min_size", "max_size", "max_waiting")
_POSITIVE = ("timeout", "max_lifetime")


def pool_options(alias: str, database: Mapping[str, Any]) -> PoolOptions:
    """Return the options of the alias's pool; raise ImproperlyConfigured for what is unknown or makes no sense."""
    options = PoolOptions()
    djangos = database.get("OPTIONS", {}).get("pool")
    if isinstance(djangos, Mapping):
        where = f"DATABASES[{alias!r}]['OPTIONS']['pool']"
        known = {name: value for name, value in djangos.items() if name in _NAMES and value is not None}
        options = _validated(where, options, known)
    return _validated(f"VINYL['POOL'][{alias!r}]", options, _of_vinyl(alias))


def deadline_of(alias: str) -> float | None:
    """Return the alias's default deadline in seconds, or None; raise ImproperlyConfigured for nonsense."""
    return _seconds(f"VINYL['DEADLINE'][{alias!r}]", _by_alias("DEADLINE").get(alias))


def watchdog_seconds() -> float | None:
    """Return how long the event loop may be blocked before the watchdog tells, or None; raise as deadline_of()."""
    return _seconds("VINYL['WATCHDOG']", _configured().get("WATCHDOG"))


def _seconds(where: str, value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < inf:
        raise ImproperlyConfigured(f"{where} must be a number of seconds, more than 0, or None, not {value!r}.")
    return float(value)


def uses_plans() -> bool:
    """Tell whether queries are planned; raise ImproperlyConfigured for nonsense."""
    return _switch("PLANS", True)


def verifies_plans() -> bool:
    """Tell whether planned queries are compared with Django's; raise ImproperlyConfigured for nonsense."""
    return _switch("VERIFY_PLANS", False)


def makes_native_calls() -> bool:
    """Tell whether sync_to_async() runs in the bridge; raise ImproperlyConfigured for nonsense.

    asgiref is used without Django as well, where nobody has settings.
    """
    return settings.configured and _switch("NATIVE_CALLS", False)


def prepares_statements(alias: str, database: Mapping[str, Any]) -> bool:
    """Tell whether planned queries are prepared on the alias's server.

    Not behind a pooler that gives each transaction another session, which Django's DISABLE_SERVER_SIDE_CURSORS tells.
    """
    value: object = _by_alias("PREPARED_STATEMENTS").get(alias, not database.get("DISABLE_SERVER_SIDE_CURSORS"))
    return _truth(f"VINYL['PREPARED_STATEMENTS'][{alias!r}]", value)


def activity_folder() -> str | None:
    """Return the folder of VINYL["ACTIVITY"], or None; raise ImproperlyConfigured for nonsense."""
    value: object = _configured().get("ACTIVITY")
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise ImproperlyConfigured(f"VINYL['ACTIVITY'] must be the path of a folder, or None, not {value!r}.")
    return os.fspath(value)


COMMENT_KEYS = ("controller", "db_driver", "framework", "route", "traceparent")


def sql_comments() -> Sequence[str]:
    """Return the keys of the comments in statements, sorted; raise ImproperlyConfigured for nonsense."""
    if _comments is None:
        _read_comments()
    assert _comments is not None
    return _comments


def _read_comments() -> None:
    global _comments
    value: object = _configured().get("SQL_COMMENTS", False)
    if isinstance(value, bool):
        _comments = COMMENT_KEYS if value else ()
        return
    if not isinstance(value, list | tuple) or not all(key in COMMENT_KEYS for key in value):
        keys = ", ".join(map(repr, COMMENT_KEYS))
        raise ImproperlyConfigured(f"VINYL['SQL_COMMENTS'] must be True, False or a list of {keys}, not {value!r}.")
    _comments = tuple(sorted(set(value)))


# Asked for each statement.
_comments: Sequence[str] | None = None
# Asked for each query.
_switches: dict[str, bool] = {}


def _switch(name: str, default: bool) -> bool:
    value = _switches.get(name)
    if value is None:
        value = _switches[name] = _truth(f"VINYL[{name!r}]", _configured().get(name, default))
    return value


def _forget_switches(**kwargs: object) -> None:
    global _comments
    _switches.clear()
    _comments = None


setting_changed.connect(_forget_switches)


def _truth(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ImproperlyConfigured(f"{where} must be True or False, not {value!r}.")
    return value


_SETTINGS = [
    *("POOL", "DEADLINE", "PLANS", "VERIFY_PLANS", "PREPARED_STATEMENTS", "SQL_COMMENTS", "ACTIVITY"),
    *("NATIVE_CALLS", "WATCHDOG"),
]


def _configured() -> Mapping[str, Any]:
    configured: Mapping[str, Any] = getattr(settings, "VINYL", {})
    _check_mapping("VINYL", configured)
    _check_names("VINYL", configured, _SETTINGS)
    return configured


def _by_alias(name: str) -> Mapping[str, Any]:
    """Return one of vinyl's settings, which has an entry for each alias that it says something of."""
    entries: Mapping[str, Any] = _configured().get(name, {})
    _check_mapping(f"VINYL[{name!r}]", entries)
    _check_names(f"VINYL[{name!r}]", entries, list(settings.DATABASES))
    return entries


def _of_vinyl(alias: str) -> Mapping[str, Any]:
    options: Mapping[str, Any] = _by_alias("POOL").get(alias, {})
    _check_mapping(f"VINYL['POOL'][{alias!r}]", options)
    _check_names(f"VINYL['POOL'][{alias!r}]", options, _NAMES)
    return options


def _validated(where: str, options: PoolOptions, values: Mapping[str, Any]) -> PoolOptions:
    for name, value in values.items():
        kinds = (int,) if name in _INTEGERS else (int, float)
        is_positive = name in _POSITIVE
        if not isinstance(value, kinds) or isinstance(value, bool) or not (value > 0 if is_positive else value >= 0):
            kind = "a whole number" if name in _INTEGERS else "a number of seconds"
            least = "more than 0" if is_positive else "0 or more"
            raise ImproperlyConfigured(f"{where}[{name!r}] must be {kind}, {least}, not {value!r}.")
    if "min_size" in values and "max_size" not in values:
        # As psycopg_pool has it: max_size is at least min_size where only that is given.
        values = {**values, "max_size": max(options.max_size, values["min_size"])}
    options = replace(options, **values)
    if options.max_size < max(options.min_size, 1):
        raise ImproperlyConfigured(
            f"{where}['max_size'] is {options.max_size}: it must be 1 or more, and no less than min_size "
            f"({options.min_size})."
        )
    return options


def _check_mapping(where: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"{where} must be a dictionary, not {value!r}.")


def _check_names(where: str, given: Mapping[str, Any], allowed: list[str]) -> None:
    for name in given:
        if name not in allowed:
            close = difflib.get_close_matches(str(name), allowed, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(map(repr, allowed))}."
            raise ImproperlyConfigured(f"{where} has no option {name!r}.{hint}")
