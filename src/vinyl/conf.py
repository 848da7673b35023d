"""Settings of vinyl: none is needed, all are validated, and what is read is frozen.

`VINYL["POOL"][alias]` sizes an alias's pool of asynchronous connections. `DATABASES[alias]["OPTIONS"]["pool"]`, which
Django has for PostgreSQL, gives the defaults for the same names; what psycopg_pool has beyond them is left to it.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


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


def _of_vinyl(alias: str) -> Mapping[str, Any]:
    configured = getattr(settings, "VINYL", {})
    _check_mapping("VINYL", configured)
    _check_names("VINYL", configured, ["POOL"])
    pools = configured.get("POOL", {})
    _check_mapping("VINYL['POOL']", pools)
    _check_names("VINYL['POOL']", pools, list(settings.DATABASES))
    options: Mapping[str, Any] = pools.get(alias, {})
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
