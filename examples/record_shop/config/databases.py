"""The project's database, which RECORD_SHOP_DATABASE names by a URL:

    sqlite:///path/of/a/file                        for looking at the shop at once; the default
    postgresql://user:password@host:port/name       what follows `?` is for libpq, such as sslmode
    mysql://user:password@host:port/name            MariaDB as well; what follows `?` is for mysqlclient

Each part may be left out. A host that begins with a slash, the folder or path of a socket, is percent-encoded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def from_environment(environ: Mapping[str, str], directory: Path) -> dict[str, Any]:
    """Return the entry for DATABASES; `directory` is where an SQLite database is kept unless told otherwise."""
    url = urlsplit(environ.get("RECORD_SHOP_DATABASE") or f"sqlite://{directory / 'db.sqlite3'}")
    if url.scheme == "sqlite":
        return sqlite(url.path)
    if url.scheme in ("postgresql", "postgres"):
        return server(url, "django.db.backends.postgresql", user="postgres", port=5432)
    if url.scheme in ("mysql", "mariadb"):
        return server(url, "django.db.backends.mysql", user="root", port=3306)
    raise ImproperlyConfigured(
        f"RECORD_SHOP_DATABASE begins with {url.scheme!r}. It must be a URL of sqlite, postgresql, mysql or mariadb."
    )


def sqlite(file: str) -> dict[str, Any]:
    """Return the entry for a file of SQLite's, set up to be shared by several processes."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "OPTIONS": {
            # Readers do not wait for the writer, and a transaction that will write waits at its beginning, not halfway.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
        "CONN_MAX_AGE": 60,
    }


def server(url: SplitResult, engine: str, *, user: str, port: int) -> dict[str, Any]:
    """Return the entry for a database on a server."""
    # Not url.hostname, which is in lower case: the host may be a path.
    host = url.netloc.rpartition("@")[2].removesuffix(f":{url.port}")
    options = dict(parse_qsl(url.query))
    return {
        "ENGINE": engine,
        "NAME": unquote(url.path.strip("/")) or "record_shop",
        "USER": unquote(url.username or "") or options.pop("user", user),
        "PASSWORD": unquote(url.password or "") or options.pop("password", ""),
        "HOST": unquote(host).strip("[]") or options.pop("host", "127.0.0.1"),
        "PORT": str(url.port or options.pop("port", port)),
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
    }
