"""What has to hold after each cancellation: the pool is whole, answers are not mixed up, and the server is at rest."""

import asyncio
import sqlite3
import threading
import time
import uuid

from django.db import connections

import vinyl
from tests import settings

# A statement that ends only by being cancelled, for each engine. SQLite's reads a table, and so locks the file.
SLOW = {
    "sqlite": (
        "WITH RECURSIVE n(i) AS (SELECT count(*) FROM library_author UNION ALL SELECT i + 1 FROM n) "
        "SELECT count(*) FROM n"
    ),
    "postgresql": "SELECT pg_sleep(60)",
    "mariadb": "SELECT SLEEP(60)",
    "mysql": "SELECT SLEEP(60)",
}[settings.ENGINE]
# Seconds until what is left of a cancelled operation has to be gone.
PATIENCE = 1.0


async def assert_pool_is_whole(alias: str = "default") -> None:
    statistics = vinyl.connections[alias].statistics()
    assert (statistics["pool_in_use"], statistics["requests_waiting"]) == (0, 0)


async def assert_answers_are_not_mixed_up(count: int = 1000, alias: str = "default") -> None:
    """Have `count` statements echo a value of their own: an answer left over from before would come back instead.

    They go over the connections that there are, at least two, side by side.
    """
    tasks = max(vinyl.connections[alias].statistics()["pool_size"], 2)
    await asyncio.gather(*(vinyl.run(_echo, -(-count // tasks), alias) for _ in range(tasks)))
    await assert_pool_is_whole(alias)


def _echo(count: int, alias: str) -> None:
    for _ in range(count):
        value = str(uuid.uuid4())
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT %s", [value])
            assert list(cursor.fetchall()) == [(value,)]


async def assert_nothing_runs() -> None:
    """Wait until the server has nothing to do for the pool of the default database."""
    deadline = time.monotonic() + PATIENCE
    while running := await what_is_running():
        assert time.monotonic() < deadline, f"There is more than there should be: {running}"
        await asyncio.sleep(0)


async def is_anything_running() -> bool:
    """Tell whether a statement or a transaction goes on, or a connection is open that the pool does not know."""
    return bool(await what_is_running())


async def what_is_running() -> list[str]:
    """Return what is_anything_running() tells of: all threads or sessions, if one of them should not be there."""
    size = vinyl.connection.statistics()["pool_size"]
    if settings.ENGINE == "sqlite":
        threads = [thread.name for thread in threading.enumerate() if thread.name == "vinyl default"]
        return ["a lock"] if _is_locked() else threads if len(threads) > size else []
    sessions = await (_sessions_of_postgresql() if settings.ENGINE == "postgresql" else _sessions_of_mysql())
    # One is Django's own. A pooler keeps as many as it wants.
    is_more = any(is_busy for is_busy, _ in sessions) or (not settings.POOL_MODE and len(sessions) > size + 1)
    return [f"{'busy' if is_busy else 'idle'}, {what}" for is_busy, what in sessions] if is_more else []


async def _sessions_of_postgresql() -> list[tuple[bool, str]]:
    """Tell of each connection to the default database whether it is busy, and its last statement."""
    return await vinyl.connections["other"].execute(  # type: ignore[no-any-return]
        "SELECT state <> 'idle', query FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
        [connections["default"].settings_dict["NAME"]],
    )


async def _sessions_of_mysql() -> list[tuple[bool, str]]:
    # Not from information_schema: MySQL's is in utf8mb3, and fails where anybody's statement is not.
    rows = await vinyl.connections["other"].execute("SHOW FULL PROCESSLIST")
    name = connections["default"].settings_dict["NAME"]
    return [
        (command != "Sleep", f"{number} {statement}")
        for number, _, _, database, command, _, _, statement, *_ in rows
        if database == name
    ]


def _is_locked() -> bool:
    """Tell whether anybody reads from or writes to SQLite's file."""
    probe = sqlite3.connect(connections["default"].settings_dict["NAME"], timeout=0, isolation_level=None)
    try:
        probe.execute("BEGIN EXCLUSIVE")
        probe.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        probe.close()
    return False
