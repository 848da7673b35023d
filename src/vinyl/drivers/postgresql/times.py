"""Points in time, as Django loads them, without a call of Python's for each.

Django has psycopg load a timestamptz, and then puts its own time zone on the result, by a loader in Python. Where both
are UTC, as they are by default, that changes nothing: psycopg's own loader, which is in C, gives the same object.

For any other zone Django's loader stays: at the ends of the calendar psycopg's gives times of fixed offsets.
"""

import datetime
from typing import Any

import psycopg
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg.adapt import AdaptersMap
from psycopg.postgres import types
from psycopg.pq import Format

TIMESTAMPTZ = types["timestamptz"].oid
_psycopgs: Any = psycopg.adapters.get_loader(TIMESTAMPTZ, Format.TEXT)


class UTCLoader(BaseTzLoader):  # type: ignore[misc]
    """Django's loader for UTC; it makes psycopg's where the session's time zone is UTC, too."""

    # Django compares it with its own when it opens a cursor.
    timezone = datetime.UTC

    def __new__(cls, oid: int, context: Any = None) -> Any:
        connection = None if context is None else context.connection
        if connection is not None and connection.pgconn.parameter_status(b"TimeZone") == b"UTC":
            return _psycopgs(oid, context)
        return super().__new__(cls)


def load_faster(adapters: AdaptersMap) -> None:
    """Have the adapters load what they load, if they are Django's for UTC."""
    loader: Any = adapters.get_loader(TIMESTAMPTZ, Format.TEXT)
    if issubclass(loader, BaseTzLoader) and loader.timezone is datetime.UTC:
        adapters.register_loader(TIMESTAMPTZ, UTCLoader)
