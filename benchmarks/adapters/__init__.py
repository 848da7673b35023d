"""The adapters by name: each does the workloads by one library, in the way that the library's documentation shows.

A new one is a module with a subclass of `Adapter`, and an entry here. Modules are imported in the worker only, which
has one adapter in its life: some of them set up Django, each in a way of its own.
"""

import importlib
from dataclasses import dataclass

from benchmarks.adapters.base import Adapter
from benchmarks.target import Target

POSTGRESQL = ("postgresql",)
MYSQL = ("mariadb", "mysql")
ALL = POSTGRESQL + MYSQL


@dataclass(frozen=True)
class Entry:
    """Where an adapter is, the engines it is for, and the packages that it measures."""

    path: str
    engines: tuple[str, ...]
    packages: tuple[str, ...]


ADAPTERS = {
    "vinyl": Entry("with_vinyl:Vinyl", ALL, ("django-vinyl",)),
    "vinyl_frozen": Entry("with_vinyl_frozen:VinylFrozen", ALL, ("django-vinyl",)),
    "vinyl_sync": Entry("with_vinyl_sync:VinylSync", ALL, ("django-vinyl",)),
    "django": Entry("with_django:Django", ALL, ("django",)),
    "django_async": Entry("with_django_async:DjangoAsync", ALL, ("django",)),
    "django_async_by_request": Entry("with_django_async:DjangoAsyncByRequest", POSTGRESQL, ("django",)),
    "django_async_backend": Entry("with_async_backend:AsyncBackend", POSTGRESQL, ("django-async-backend",)),
    "django_async_backend_by_request": Entry(
        "with_async_backend:AsyncBackendByRequest", POSTGRESQL, ("django-async-backend",)
    ),
    "tortoise": Entry("with_tortoise:TortoiseAdapter", ALL, ("tortoise-orm",)),
    "sqlalchemy_asyncpg": Entry("with_sqlalchemy:WithAsyncpg", POSTGRESQL, ("sqlalchemy", "asyncpg")),
    "sqlalchemy_psycopg": Entry("with_sqlalchemy:WithPsycopg", POSTGRESQL, ("sqlalchemy", "psycopg")),
    "sqlalchemy_asyncmy": Entry("with_sqlalchemy:WithAsyncmy", MYSQL, ("sqlalchemy", "asyncmy")),
    "piccolo": Entry("with_piccolo:Piccolo", POSTGRESQL, ("piccolo", "asyncpg")),
    "raw_asyncpg": Entry("raw_asyncpg:RawAsyncpg", POSTGRESQL, ("asyncpg",)),
    "raw_psycopg": Entry("raw_psycopg:RawPsycopg", POSTGRESQL, ("psycopg", "psycopg-pool")),
    "raw_asyncmy": Entry("raw_asyncmy:RawAsyncmy", MYSQL, ("asyncmy",)),
}
# What the others are compared with, if it is measured too: a driver without an ORM.
BASES = {"postgresql": "raw_asyncpg", "mariadb": "raw_asyncmy", "mysql": "raw_asyncmy"}


def names(engine: str) -> list[str]:
    """Return the adapters for an engine."""
    return [name for name, entry in ADAPTERS.items() if engine in entry.engines]


def make(name: str, target: Target) -> Adapter:
    """Import an adapter and make it; ImportError says what is not installed."""
    module, _, kind = ADAPTERS[name].path.partition(":")
    adapter: Adapter = getattr(importlib.import_module(f"benchmarks.adapters.{module}"), kind)(target)
    return adapter
