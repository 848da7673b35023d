"""A database for the demo, gone when the demo is over. Which one it is goes into the environment, for the settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo_parts.problem import Problem

NAME = "record_shop_demo"


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A file in the folder, which the caller removes."""
    os.environ.update(RECORD_SHOP_DB="sqlite", RECORD_SHOP_SQLITE=str(folder / "record_shop.sqlite3"))
    yield "SQLite"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A database of its own on the server that VINYL_TEST_POSTGRESQL names, else on the standard local port."""
    url = os.environ.get("VINYL_TEST_POSTGRESQL") or "postgresql://postgres@127.0.0.1:5432/postgres"
    parts = urlsplit(url)
    server = url if parts.path.strip("/") else parts._replace(path="/postgres").geturl()
    os.environ.update(RECORD_SHOP_DB="postgresql", RECORD_SHOP_POSTGRESQL=parts._replace(path=f"/{NAME}").geturl())
    version = execute(server, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)", f"CREATE DATABASE {NAME}")
    try:
        yield f"PostgreSQL {version}"
    finally:
        execute(server, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


def execute(server: str, *statements: str) -> str:
    """Execute the statements, each by itself, and return the server's version; raise Problem if it cannot be done."""
    psycopg = driver()
    try:
        with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
            for statement in statements:
                connection.execute(statement)
            return str(connection.info.server_version // 10000)
    except psycopg.Error as error:
        raise Problem(
            f"PostgreSQL does not let the demo make its database: {' '.join(str(error).split())}\n"
            "The demo uses the server that VINYL_TEST_POSTGRESQL names, as postgresql://user:password@host:port/name, "
            "else the user postgres on 127.0.0.1:5432. `make demo` alone uses SQLite and needs no server."
        ) from error


def driver() -> Any:
    """Import psycopg only where it is needed."""
    try:
        import psycopg
    except ImportError as error:
        raise Problem(f"The demo on PostgreSQL needs psycopg 3 ({error}): pip install 'psycopg[binary]'.") from error
    return psycopg


ENGINES = {"sqlite": sqlite, "postgresql": postgresql}
