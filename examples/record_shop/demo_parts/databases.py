"""A database for the demo, gone when the demo is over. Its URL goes into the environment, for the settings."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from demo_parts.problem import Problem

NAME = "record_shop_demo"


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A file in the folder, which the caller removes."""
    os.environ["RECORD_SHOP_DATABASE"] = f"sqlite://{folder / 'record_shop.sqlite3'}"
    yield "SQLite"


@contextmanager
def on_server(label: str, usual: str, drop: str, execute: Callable[..., str], folder: Path) -> Iterator[str]:
    """A database of its own on the server that the environment names, else on the standard local port."""
    variable = f"VINYL_TEST_{label.upper()}"
    url = urlsplit(os.environ.get(variable) or usual)
    os.environ["RECORD_SHOP_DATABASE"] = url._replace(path=f"/{NAME}").geturl()
    try:
        version = execute(url.geturl(), drop, f"CREATE DATABASE {NAME}")
    except Exception as error:
        raise Problem(
            f"{label} does not let the demo make its database: {' '.join(str(error).split())}\n"
            f"The demo uses the server that {variable} names, as {url.scheme}://user:password@host:port/, else "
            f"{usual}. `make demo` alone uses SQLite and needs no server."
        ) from error
    try:
        yield f"{label} {version}"
    finally:
        execute(url.geturl(), drop)


def execute_on_postgresql(url: str, *statements: str) -> str:
    """Execute the statements, each by itself, and return the server's version."""
    import psycopg

    server = url if urlsplit(url).path.strip("/") else urlsplit(url)._replace(path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
        for statement in statements:
            connection.execute(statement)
        return str(connection.info.server_version // 10000)


def execute_on_mysql(url: str, *statements: str) -> str:
    """Execute the statements, each by itself, and return the server's version."""
    import MySQLdb

    server = urlsplit(url)
    host = unquote(server.hostname or "127.0.0.1")
    with MySQLdb.connect(
        **({"unix_socket": host} if host.startswith("/") else {"host": host, "port": server.port or 3306}),
        user=unquote(server.username or "root"),
        password=unquote(server.password or ""),
        connect_timeout=5,
    ) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return str(connection.get_server_info().removeprefix("5.5.5-").partition("-")[0])


postgresql = partial(
    on_server,
    "PostgreSQL",
    "postgresql://postgres@127.0.0.1:5432/postgres",
    f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)",
    execute_on_postgresql,
)
mysql, mariadb = (
    partial(on_server, label, "mysql://root@127.0.0.1:3306/", f"DROP DATABASE IF EXISTS {NAME}", execute_on_mysql)
    for label in ("MySQL", "MariaDB")
)

ENGINES = {"sqlite": sqlite, "postgresql": postgresql, "mariadb": mariadb, "mysql": mysql}
