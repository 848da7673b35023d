"""What a database server is asked before the tests use it: who it is, and whether it lets the tests do what they do.

Each question is one connection, by the blocking driver. It knows nothing of where servers come from.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from tests import mysqlclient

DATABASE = "test_vinyl_probe"


class Unavailable(Exception):
    """No server of this engine is to be had, for the reason given."""


@dataclass(frozen=True)
class Server:
    """A server: its URL, for the tests; its version and where it comes from, for people.

    One that is not complete lacks something that a few tests need, and is used only if there is no other.
    """

    url: str
    version: str
    origin: str
    is_complete: bool = True


def ask_postgresql(url: str, origin: str) -> Server:
    """See whether this user may create databases."""
    may_create = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            version = connection.info.server_version
            allowed = connection.execute(may_create).fetchone()
    except psycopg.Error as error:
        raise Unavailable(f"the server {origin} refused: {' '.join(str(error).split())}") from error
    if allowed != (True,):
        raise Unavailable(f"the server {origin} does not let its user create databases")
    return Server(url, f"{version // 10000}.{version % 10000}", origin)


def ask_mysql(name: str, url: str, origin: str) -> Server:
    """See whether it is MariaDB or MySQL, as its name should be, and whether this user may create databases.

    It is complete if time zones are loaded, without which Django's queries by date raise ValueError.
    """
    driver = require_mysqlclient()
    try:
        with driver.connect(connect_timeout=3, **mysql_parameters(url)) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT VERSION(), CONVERT_TZ('2000-01-01', 'UTC', 'Europe/Paris') IS NOT NULL")
            version, has_time_zones = cursor.fetchone()
            if ("MariaDB" in version) != (name == "MariaDB"):
                raise Unavailable(f"the server {origin} is not {name}, but of version {version}")
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
            cursor.execute(f"DROP DATABASE {DATABASE}")
    except driver.Error as error:
        raise Unavailable(f"the server {origin} refused: {' '.join(map(str, error.args))}") from error
    return Server(url, version, origin if has_time_zones else f"{origin}, without time zones", bool(has_time_zones))


def mysql_parameters(url: str) -> dict[str, Any]:
    """Return mysqlclient's parameters for a URL."""
    parts = urlsplit(url)
    host = unquote(parts.hostname or "127.0.0.1")
    return {
        **({"unix_socket": host} if host.startswith("/") else {"host": host, "port": parts.port or 3306}),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }


def require_mysqlclient() -> Any:
    """Return the blocking driver of MariaDB and MySQL."""
    if driver := mysqlclient.load():
        return driver
    raise Unavailable(f"mysqlclient is not installed, or does not work; the cure: {mysqlclient.CURE}")
