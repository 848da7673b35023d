"""The database servers that the tests run on: named by the environment, found running, or started for the occasion.

`ENGINES` maps the name of an engine to a function that returns a context manager. Entering it gives a `Server`, or
raises `Unavailable` with what was tried and the cure; leaving it removes what was started. A further engine is one more
entry.

But for SQLite, a server is, in this order:

    the one that VINYL_TEST_POSTGRESQL, VINYL_TEST_MARIADB or VINYL_TEST_MYSQL names
                    postgresql://user:password@host:port/dbname, mysql://user:password@host:port/; the host may be the
                    path of a socket, quoted
    one that runs   at the standard local port or socket, lets us in without a password and create databases
    a private one   which is started, and removed in the end

VINYL_TEST_PRIVATE=1 asks for the private one at once; `system` or `packages` instead of 1 also say whose programs to
run: those that the machine has installed, or those that are unpacked or installed for the tests.
"""

import getpass
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from urllib.parse import quote

from tests import private_mariadb, private_mysql, private_postgresql
from tests.daemons import SOURCES, CannotStart
from tests.probes import Server, Unavailable, ask_mysql, ask_postgresql, require_mysqlclient

__all__ = ["ENGINES", "Server", "Unavailable", "sqlite"]

# Asks a server of this URL and origin; starts a private one, with programs of this source.
Ask = Callable[[str, str], Server]
Serve = Callable[[str | None], AbstractContextManager[tuple[str, str]]]


@contextmanager
def sqlite() -> Iterator[Server]:
    """SQLite has no server; its URL is that of a folder for the tests' files."""
    with tempfile.TemporaryDirectory(prefix="vinyl-sqlite-") as folder:
        yield Server(f"sqlite:///{folder}", sqlite3.sqlite_version, "in files")


def postgresql() -> AbstractContextManager[Server]:
    users = dict.fromkeys(filter(None, [os.environ.get("PGUSER"), getpass.getuser(), "postgres"]))
    places = {
        f"postgresql://{quote(user, safe='')}@{quote(host, safe='')}:5432/postgres": host
        for host in ["127.0.0.1", "/var/run/postgresql"]
        for user in users
    }
    return provide("VINYL_TEST_POSTGRESQL", places, ask_postgresql, private_postgresql.serve)


@contextmanager
def mysql(name: str, serve: Serve) -> Iterator[Server]:
    """MariaDB or MySQL, by its name: they are looked for at the same places."""
    require_mysqlclient()
    sockets = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"]
    places = {f"mysql://root@{quote(host, safe='')}/": host for host in ["127.0.0.1", *filter(os.path.exists, sockets)]}
    with provide(f"VINYL_TEST_{name.upper()}", places, partial(ask_mysql, name), serve) as server:
        yield server


ENGINES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mariadb": partial(mysql, "MariaDB", private_mariadb.serve),
    "mysql": partial(mysql, "MySQL", private_mysql.serve),
}


@contextmanager
def provide(variable: str, places: dict[str, str], ask: Ask, serve: Serve) -> Iterator[Server]:
    """Give the server that the variable names, else one of those places, by URL, else a private one."""
    private = os.environ.get("VINYL_TEST_PRIVATE")
    if private and private not in ("1", *SOURCES):
        raise Unavailable(f"VINYL_TEST_PRIVATE is {private!r}, which is none of 1, {', '.join(SOURCES)}.")
    if url := os.environ.get(variable):
        yield ask(url, f"named by {variable}")
        return
    server, refusals = (None, ["no server was looked for"]) if private else find(places, ask)
    with ExitStack() as started:
        if not server or not server.is_complete:
            try:
                url, programs = started.enter_context(serve(private if private in SOURCES else None))
                server = ask(url, f"private, {programs}")
            except CannotStart as error:
                if not server:
                    tried = "; ".join([*refusals, f"a private one cannot be started: {error}"])
                    raise Unavailable(f"{tried} {variable} may name another.") from error
        yield server


def find(places: dict[str, str], ask: Ask) -> tuple[Server | None, list[str]]:
    """Return the first server that is complete, else the first at all, and what others are refused for."""
    incomplete, refusals = None, []
    for url, place in places.items():
        try:
            server = ask(url, f"found at {place}")
        except Unavailable as error:
            refusals.append(str(error))
        else:
            if server.is_complete:
                return server, refusals
            incomplete = incomplete or server
    return incomplete, list(dict.fromkeys(refusals))
