"""The private server that is measured: started for the benchmark, with an empty database, and removed in the end."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

from benchmarks.target import DATABASE
from tests import mysqlclient, private_mariadb, private_mysql, private_postgresql
from tests.daemons import CannotStart, Daemon
from tests.probes import mysql_parameters

# Nothing but the adapters shall work: tables are vacuumed between the cells, and a checkpoint is made then.
UNDISTURBED = {
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "8GB",
    "shared_buffers": "256MB",
    "max_connections": "300",
}


@contextmanager
def started(engine: str) -> Iterator[Daemon]:
    """Give the server of an engine, which nobody else uses."""
    with SERVERS[engine]() as server:
        yield server


@contextmanager
def postgresql() -> Iterator[Daemon]:
    with private_postgresql.started() as server:
        server.stop()
        # The last of two options of one name counts.
        server.command = [*server.command, *(f"--{name}={value}" for name, value in UNDISTURBED.items())]
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        yield server


@contextmanager
def mysql(begin: Callable[[], AbstractContextManager[Daemon]]) -> Iterator[Daemon]:
    """MariaDB or MySQL."""
    driver = mysqlclient.load()
    if driver is None:
        raise CannotStart("mysqlclient is not installed; `python -m tests.mysqlclient` says what it lacks.")
    with begin() as server:
        connection = driver.connect(**mysql_parameters(server.url))
        connection.cursor().execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        connection.close()
        yield server


SERVERS: dict[str, Callable[[], AbstractContextManager[Daemon]]] = {
    "postgresql": postgresql,
    "mariadb": lambda: mysql(private_mariadb.started),
    "mysql": lambda: mysql(private_mysql.started),
}
