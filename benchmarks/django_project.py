"""Django's settings, which differ by adapter: how connections are kept, and by which backend they are made."""

from typing import Any

import django
from django.conf import settings

from benchmarks.target import DATABASE, Target
from tests import mysqlclient


def set_up(target: Target, *, pooled: int = 0, async_backend: bool = False) -> None:
    """Set up Django for this process.

    Each thread keeps its connection, unless they come from Django's pool of `pooled` connections.
    """
    database: dict[str, Any] = {
        "ENGINE": engine(target, async_backend=async_backend),
        "NAME": DATABASE,
        "USER": target.user,
        "HOST": target.host,
        "PORT": target.port,
        "OPTIONS": {},
        "CONN_MAX_AGE": 0 if pooled else None,
    }
    if pooled:
        database["OPTIONS"]["pool"] = {"min_size": target.pool, "max_size": pooled, "timeout": 60}
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=["benchmarks", *(["django_async_backend"] if async_backend else [])],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        VINYL={"POOL": {"default": {"max_size": target.pool}}},
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
    )
    django.setup()


def engine(target: Target, *, async_backend: bool) -> str:
    """Return the path of Django's backend."""
    if not target.is_postgresql:
        mysqlclient.load()
        return "django.db.backends.mysql"
    return "django_async_backend.db.backends.postgresql" if async_backend else "django.db.backends.postgresql"
