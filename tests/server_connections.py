"""The server's side of connections: their numbers, what runs on them, and ending them, as an administrator does.

All of it is asked for on the alias "other", so that the pool of the database that is looked at does not change. Each
function works in both modes. SQLite has no server.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connections

import vinyl
from tests import settings

_NUMBER = {
    "postgresql": "SELECT pg_backend_pid()",
    "mariadb": "SELECT CONNECTION_ID()",
    "mysql": "SELECT CONNECTION_ID()",
}
_SLEEP = {"postgresql": "SELECT pg_sleep({})", "mariadb": "SELECT SLEEP({})", "mysql": "SELECT SLEEP({})"}
# Milliseconds in which PostgreSQL ends a connection.
PATIENCE = 5000


def sleep(seconds: float, marker: str = "") -> str:
    """Return the statement that takes so long, and can be found by its marker."""
    return f"{_SLEEP[settings.ENGINE].format(seconds)} /* {marker} */"


async def own_number(alias: str = "default") -> int:
    """Return the server's number of the connection that a statement gets."""
    ((number,),) = await vinyl.connections[alias].execute(_NUMBER[settings.ENGINE])
    return int(number)


async def statements() -> dict[int, str]:
    """Return what runs at the moment on each connection of the test's database, by its number; "" if nothing does."""
    name = connections.settings["default"]["NAME"]
    if settings.ENGINE == "postgresql":
        rows = await _ask(
            "SELECT pid, CASE state WHEN 'active' THEN query ELSE '' END FROM pg_stat_activity WHERE datname = %s", name
        )
        return {int(number): str(statement) for number, statement in rows}
    # Not from information_schema: MySQL's is in utf8mb3, and fails where anybody's statement is not.
    rows = await _ask("SHOW FULL PROCESSLIST")
    return {
        int(number): str(statement or "") for number, _, _, database, _, _, _, statement, *_ in rows if database == name
    }


async def number_of(marker: str) -> int:
    """Wait until a statement with the marker runs, and return the number of its connection."""
    while True:
        found = [number for number, statement in (await statements()).items() if marker in statement]
        if found:
            return found[0]


async def end(*numbers: int) -> None:
    """End connections, whatever they are doing, and wait until they are no more."""
    for number in numbers:
        if settings.ENGINE == "postgresql":
            await _ask("SELECT pg_terminate_backend(%s, %s)", number, PATIENCE)
        else:
            await _ask(f"KILL {number}")
    await until_gone(numbers)


async def until_gone(numbers: Iterable[int]) -> None:
    """Wait until the server has none of these connections."""
    while not (await statements()).keys().isdisjoint(numbers):
        pass


async def _ask(sql: str, *parameters: object) -> Any:
    return await vinyl.connections["other"].execute(sql, list(parameters) or None)
