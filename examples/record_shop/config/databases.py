"""The project's database, chosen by environment variables.

    RECORD_SHOP_DB           sqlite (the default) or postgresql
    RECORD_SHOP_SQLITE       the file of the SQLite database
    RECORD_SHOP_POSTGRESQL   postgresql://user:password@host:port/name, each part of which may be left out

SQLite is for looking at the shop at once; its servers may be several processes all the same.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def from_environment(environ: Mapping[str, str], directory: Path) -> dict[str, Any]:
    """Return the entry for DATABASES; `directory` is where an SQLite database is kept unless told otherwise."""
    engine = environ.get("RECORD_SHOP_DB") or "sqlite"
    if engine == "sqlite":
        return sqlite(environ.get("RECORD_SHOP_SQLITE") or directory / "db.sqlite3")
    if engine == "postgresql":
        return postgresql(environ.get("RECORD_SHOP_POSTGRESQL") or "postgresql:")
    raise ImproperlyConfigured(f"RECORD_SHOP_DB is {engine!r}. It must be 'sqlite' or 'postgresql'.")


def sqlite(file: str | Path) -> dict[str, Any]:
    """Return the entry for a file of SQLite's, set up to be shared by several processes."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(file),
        "OPTIONS": {
            # Readers do not wait for the writer, and a transaction that will write waits at its beginning, not halfway.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
        "CONN_MAX_AGE": 60,
    }


def postgresql(url: str) -> dict[str, Any]:
    """Return the entry for a PostgreSQL URL. What follows `?` is for libpq, such as sslmode."""
    parts = urlsplit(url)
    # Not parts.hostname, which is in lower case: the host may be the folder of a socket, percent-encoded.
    host = parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}")
    if parts.scheme not in ("postgresql", "postgres"):
        raise ImproperlyConfigured("RECORD_SHOP_POSTGRESQL must begin with postgresql://.")
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")) or "record_shop",
        "USER": unquote(parts.username or "") or options.pop("user", "postgres"),
        "PASSWORD": unquote(parts.password or "") or options.pop("password", ""),
        "HOST": unquote(host).strip("[]") or options.pop("host", "127.0.0.1"),
        "PORT": str(parts.port or options.pop("port", 5432)),
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
    }
