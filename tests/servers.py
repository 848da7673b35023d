"""The database servers that the tests run on: named by the environment, found running, or started for the occasion.

`ENGINES` maps the name of an engine to a function that returns a context manager. Entering it gives a `Server`, or
raises `Unavailable` with the reason; leaving it removes what was started. A further engine is one more entry.

PostgreSQL is, in this order: the server that VINYL_TEST_POSTGRESQL names (postgresql://user:password@host:port/dbname);
one on the standard local port or socket that lets us in without a password and lets us create databases; a private one.
MariaDB (or MySQL) is the server that VINYL_TEST_MARIADB names (mysql://user:password@host:port/, or a socket's path,
quoted, as the host), or one on the standard local port or socket that lets root in without a password.
VINYL_TEST_PRIVATE=1 asks for the private one at once; `debian` or `wheel` instead of 1 also say whose programs to run.
"""

import getpass
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg

from tests import private_postgresql
from tests.daemons import CannotStart


class Unavailable(Exception):
    """No server of this engine is to be had, for the reason given."""


@dataclass(frozen=True)
class Server:
    """A server: its URL, for the tests; its version and where it comes from, for people."""

    url: str
    version: str
    origin: str


@contextmanager
def sqlite() -> Iterator[Server]:
    """SQLite has no server; its URL is that of a folder for the tests' files."""
    with tempfile.TemporaryDirectory(prefix="vinyl-sqlite-") as folder:
        yield Server(f"sqlite:///{folder}", sqlite3.sqlite_version, "in files")


@contextmanager
def postgresql() -> Iterator[Server]:
    private = os.environ.get("VINYL_TEST_PRIVATE")
    if url := os.environ.get("VINYL_TEST_POSTGRESQL"):
        yield ask_postgresql(url, "named by VINYL_TEST_POSTGRESQL")
    elif not private and (server := find_postgresql()):
        yield server
    else:
        try:
            with private_postgresql.serve(private) as (url, programs):
                yield ask_postgresql(url, f"private, {programs}")
        except CannotStart as error:
            found = "no server was looked for" if private else "no server was found"
            raise Unavailable(f"{found} and none could be started: {error}") from error


@contextmanager
def mariadb() -> Iterator[Server]:
    if url := os.environ.get("VINYL_TEST_MARIADB"):
        yield ask_mariadb(url, "named by VINYL_TEST_MARIADB")
        return
    refusals = []
    for host in ["127.0.0.1", "/run/mysqld/mysqld.sock", "/tmp/mysql.sock"]:
        try:
            server = ask_mariadb(f"mysql://root@{quote(host, safe='')}:3306/", f"found at {host}")
        except Unavailable as error:
            refusals.append(str(error))
        else:
            yield server
            return
    raise Unavailable("; ".join(refusals))


ENGINES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
}


def find_postgresql() -> Server | None:
    """Look where a local server usually listens, as the users that it usually has."""
    users = dict.fromkeys(filter(None, [os.environ.get("PGUSER"), getpass.getuser(), "postgres"]))
    for host in ["127.0.0.1", "/var/run/postgresql"]:
        for user in users:
            url = f"postgresql://{quote(user, safe='')}@{quote(host, safe='')}:5432/postgres"
            try:
                return ask_postgresql(url, f"found at {host}")
            except Unavailable:
                continue
    return None


def ask_postgresql(url: str, origin: str) -> Server:
    """Connect to a server once, for its version, and to see whether the tests may create their databases there."""
    may_create = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            version = connection.info.server_version
            allowed = connection.execute(may_create).fetchone()
    except psycopg.Error as error:
        raise Unavailable(f"the server {origin} refused: {' '.join(str(error).split())}") from error
    if allowed != (True,):
        raise Unavailable(f"the server {origin} does not let its user create databases.")
    return Server(url, f"{version // 10000}.{version % 10000}", origin)


def ask_mariadb(url: str, origin: str) -> Server:
    """Connect to a server once, for its version, and to see whether the tests may create their databases there."""
    try:
        import MySQLdb
    except ImportError as error:
        raise Unavailable("mysqlclient is not installed") from error
    parts = urlsplit(url)
    host = unquote(parts.hostname or "127.0.0.1")
    where: dict[str, Any] = {"unix_socket": host} if host.startswith("/") else {"host": host}
    name = "test_vinyl_probe"
    try:
        with MySQLdb.connect(
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            port=parts.port or 3306,
            connect_timeout=3,
            **where,
        ) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT VERSION()")
            version = cursor.fetchone()[0]
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
            cursor.execute(f"DROP DATABASE {name}")
    except MySQLdb.Error as error:
        raise Unavailable(f"the server {origin} refused: {' '.join(map(str, error.args))}") from error
    return Server(url, version, origin)
