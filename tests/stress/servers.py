"""The servers of the bank, each a private one, and what can befall them.

    with SERVERS["postgresql"](Random(1)) as server:
        server.url, server.programs
        server.small["connections killed"]()    # a fault that hits a connection or two
        server.large["stopped and started"]()   # one that hits all of them; it returns when the server is back

This module knows neither Django nor vinyl.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import psycopg

from tests import private_mariadb, private_mysql, private_postgresql
from tests.daemons import Daemon
from tests.probes import mysql_parameters, require_mysqlclient

# Seconds for which another process keeps SQLite's lock: most wait for it, and none has as much patience.
LOCK_SECONDS = 0.2
LONG_LOCK_SECONDS = 1.5

# Returns on how many it was done.
Fault = Callable[[], int]


@dataclass(frozen=True)
class Server:
    """A server, and its faults by their names."""

    url: str
    programs: str
    small: Mapping[str, Fault] = field(repr=False)
    large: Mapping[str, Fault] = field(repr=False)


@contextmanager
def postgresql(random: Random) -> Iterator[Server]:
    def on_some(function: str) -> int:
        others = "datname LIKE 'test_%' AND pid <> pg_backend_pid()"
        chosen = f"SELECT pid FROM pg_stat_activity WHERE {others} ORDER BY random() LIMIT {random.randint(1, 3)}"
        with psycopg.connect(daemon.url, connect_timeout=3, autocommit=True) as connection:
            return connection.execute(f"SELECT {function}(pid) FROM ({chosen}) AS chosen").rowcount

    with private_postgresql.started(durable=True) as daemon:
        small = {
            "connections killed": partial(on_some, "pg_terminate_backend"),
            "statements cancelled": partial(on_some, "pg_cancel_backend"),
        }
        yield Server(daemon.url, daemon.programs, small, restarts(daemon))


@contextmanager
def mysql(serve: Callable[..., AbstractContextManager[Daemon]], random: Random) -> Iterator[Server]:
    """MariaDB or MySQL."""
    driver = require_mysqlclient()

    def on_some(command: str) -> int:
        others = "db LIKE 'test_%' AND id <> CONNECTION_ID()"
        chosen = f"SELECT id FROM information_schema.processlist WHERE {others} ORDER BY RAND()"
        with driver.connect(connect_timeout=3, **mysql_parameters(daemon.url)) as connection:
            cursor = connection.cursor()
            cursor.execute(f"{chosen} LIMIT {random.randint(1, 3)}")
            return sum(succeeds(partial(cursor.execute, f"{command} {number}")) for (number,) in cursor.fetchall())

    def succeeds(action: Callable[[], object]) -> bool:
        try:
            action()
        except driver.OperationalError:
            # It has ended meanwhile.
            return False
        return True

    with serve(durable=True) as daemon:
        small = {
            "connections killed": partial(on_some, "KILL CONNECTION"),
            "statements killed": partial(on_some, "KILL QUERY"),
        }
        yield Server(daemon.url, daemon.programs, small, restarts(daemon))


def restarts(daemon: Daemon) -> dict[str, Fault]:
    def restart(end: Callable[[], None]) -> int:
        end()
        daemon.start()
        return 1

    return {"stopped and started": partial(restart, daemon.stop), "killed and started": partial(restart, daemon.kill)}


@contextmanager
def sqlite(random: Random) -> Iterator[Server]:
    """SQLite has no server that could be lost, but another process that writes, which can be killed as it does."""
    with tempfile.TemporaryDirectory(prefix="vinyl-sqlite-") as folder:

        def lock(seconds: float, *, until_killed: bool = False) -> int:
            # Django names the file.
            [path] = Path(folder).glob("*.sqlite3")
            command = [sys.executable, "-m", "tests.stress.locker", str(path)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
                assert other.stdin is not None
                assert other.stdout is not None
                is_locked = other.stdout.readline() != b""
                if is_locked:
                    time.sleep(seconds)
                if until_killed:
                    other.kill()
                other.stdin.close()
            return int(is_locked)

        small = {"locked by another": lambda: lock(random.expovariate(1 / LOCK_SECONDS))}
        large = {
            "locked for long": lambda: lock(LONG_LOCK_SECONDS),
            "other killed in a transaction": lambda: lock(LOCK_SECONDS, until_killed=True),
        }
        yield Server(f"sqlite:///{folder}", "in a file", small, large)


SERVERS: dict[str, Callable[[Random], AbstractContextManager[Server]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mariadb": partial(mysql, private_mariadb.started),
    "mysql": partial(mysql, private_mysql.started),
}


def require_programs(engine: str) -> None:
    """Raise CannotStart or Unavailable, which say what is missing, where an engine's server could not be started."""
    if engine == "postgresql":
        private_postgresql.find_programs(None, copy_to=None)
    elif engine != "sqlite":
        require_mysqlclient()
        (private_mariadb if engine == "mariadb" else private_mysql).find_programs(None, copy_to=None)
