"""Several servers behind one alias, `"HOST": "a,b:3307,[::1]"`: which of them to try, and in what order.

The list is that of MariaDB's C library from 3.3 on, so mysqlclient built with that takes the same in the synchronous
mode: hosts with commas between them, each with a port of its own if `PORT` is not meant. They are tried in the order
given, as libpq does for PostgreSQL. One that has failed goes to the end of the line for a while: a host that swallows
packets would otherwise take its whole `connect_timeout` from every new connection. This module connects to nothing.
"""

import re
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

# Seconds that a host which has failed is tried after the others.
AVOIDED = 30.0
# Seconds that each of several hosts has to answer where no `connect_timeout` is set: the default of Oracle's library.
PATIENCE = 10.0

# When each host failed last, in time.monotonic()'s seconds.
_failures: dict["Address", float] = {}


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str, port: int) -> tuple[Address, ...]:
    """Return the addresses in a host name, or a list of them; raise ValueError for an entry that is none.

    A single name is taken as it is, for an IPv6 address needs no brackets there.
    """
    if "," not in text:
        return (Address(text, port),)
    return tuple(_address(entry.strip(), port) for entry in text.split(","))


def _address(entry: str, port: int) -> Address:
    if entry.count(":") > 1 and not entry.startswith("["):
        return Address(entry, port)
    parts = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[]+))(?::([0-9]+))?", entry)
    if parts is None:
        raise ValueError(entry)
    return Address(parts[1] or parts[2], int(parts[3] or port))


def in_order(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses as they are to be tried now: those that have failed lately at the end."""
    since = monotonic() - AVOIDED
    return sorted(addresses, key=lambda address: _failures.get(address, since) > since)


def note(address: Address, *, failed: bool) -> None:
    """Remember whether a host could be reached."""
    if failed:
        _failures[address] = monotonic()
    else:
        _failures.pop(address, None)
