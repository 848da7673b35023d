"""`manage.py vinyl`: what vinyl runs on, how it is configured, and whether it can connect; or what a process does.

manage.py vinyl                 all databases, in both modes; fails if one cannot be connected to
manage.py vinyl --live 4711     the activity of another process, see vinyl/activities.py
"""

import asyncio
import platform
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from time import perf_counter
from typing import Any

import django
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.utils import load_backend

import vinyl
from vinyl.checks import check_models
from vinyl.conf import deadline_of, pool_options, prepares_statements, sql_comments, uses_plans, verifies_plans
from vinyl.drivers import driver_for
from vinyl.observing.activities import activity_of

# What is installed for the drivers: in the asynchronous mode, and in the synchronous one.
PACKAGES = {
    "vinyl.drivers.postgresql": (("psycopg",), ("psycopg", "psycopg2")),
    "vinyl.drivers.mysql": (("asyncmy",), ("mysqlclient",)),
}
WIDTH = 12

Row = tuple[str, str]


class Command(BaseCommand):
    """See the module's docstring."""

    help = "Show what vinyl runs on, how it is configured, and whether it can connect in both modes."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--live",
            type=int,
            metavar="PID",
            help="show what another process does at the moment, which needs VINYL['ACTIVITY']",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["live"] is not None:
            self._show_activity(options["live"])
            return
        self._write([("vinyl", version("django-vinyl")), *_versions(), *_switches()])
        failed = []
        for alias in connections:
            rows, has_failed = _about(alias)
            self.stdout.write(f"\n{alias}")
            self._write(rows)
            failed += [alias] if has_failed else []
        self.stdout.write("\nchecks")
        self._write([(message.id or "", f"{message.obj}: {message.msg}") for message in check_models(None)])
        if failed:
            raise CommandError(f"No connection to {', '.join(failed)}.")

    def _show_activity(self, process: int) -> None:
        try:
            self.stdout.write(activity_of(process))
        except OSError as error:
            raise CommandError(
                f"The process {process} cannot be asked what it does ({error}). It answers if VINYL['ACTIVITY'] names "
                "a folder that exists, once it has used a database in the asynchronous mode, and to its own user only."
            ) from error

    def _write(self, rows: list[Row]) -> None:
        for name, value in rows or [("none", "")]:
            first, *rest = value.splitlines() or [""]
            self.stdout.write(f"  {name:<{WIDTH}}{first}".rstrip())
            for line in rest:
                self.stdout.write(f"  {'':<{WIDTH}}{line}".rstrip())


def version(package: str) -> str:
    """Return the version of a package, or say that there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _versions() -> Iterator[Row]:
    yield "Django", django.__version__
    yield "Python", platform.python_version()
    yield "greenlet", version("greenlet")


def _switches() -> Iterator[Row]:
    plans = ("verified by Django's queries" if verifies_plans() else "on") if uses_plans() else "off"
    yield "plans", plans
    yield "comments", ", ".join(sql_comments()) or "off"


def _about(alias: str) -> tuple[list[Row], bool]:
    """Return what there is to say of a database, and whether it cannot be connected to in one of the modes."""
    settings = connections.settings[alias]
    rows = [("engine", settings["ENGINE"]), *_drivers(settings["ENGINE"])]
    deadline = deadline_of(alias)
    rows += [
        ("pool", ", ".join(f"{name} {value:g}" for name, value in asdict(pool_options(alias, settings)).items())),
        ("deadline", "none" if deadline is None else f"{deadline:g} s"),
        ("prepares", "yes" if prepares_statements(alias, settings) else "no"),
    ]
    attempts = [("async", _connect_asynchronously), ("sync", _connect_synchronously)]
    failed = False
    for mode, connect in attempts:
        started = perf_counter()
        try:
            server = connect(alias)
        except Exception as error:
            failed = True
            rows.append((mode, f"fails: {type(error).__name__}: {error}"))
        else:
            rows.append((mode, f"{server}, connected in {(perf_counter() - started) * 1000:.0f} ms"))
    return rows, failed


def _drivers(engine: str) -> Iterator[Row]:
    try:
        name = driver_for(load_backend(engine).DatabaseWrapper).__name__  # type: ignore[attr-defined]
    except Exception as error:
        yield "driver", f"cannot be loaded: {error}"
        return
    if name not in PACKAGES:
        yield "driver", "Django's own, in a thread for each connection"
        return
    ours, djangos = PACKAGES[name]
    yield "driver", f"async: {_first(ours)}, without threads; sync: {_first(djangos)}"


def _first(packages: tuple[str, ...]) -> str:
    installed = [package for package in packages if version(package) != "not installed"]
    return f"{installed[0]} {version(installed[0])}" if installed else f"{packages[0]} (not installed)"


def _connect_asynchronously(alias: str) -> str:
    async def connect() -> str:
        server: str = await vinyl.run(_server, alias)
        return server

    with vinyl.async_mode():
        return asyncio.run(connect())


def _connect_synchronously(alias: str) -> str:
    # A connection of its own, so that there is one to be made.
    connection = connections[alias].copy()
    try:
        return _server_of(connection)
    finally:
        connection.close()


def _server(alias: str) -> str:
    return _server_of(connections[alias])


def _server_of(connection: Any) -> str:
    with connection.cursor():
        number = ".".join(map(str, connection.get_database_version()))
    return f"{connection.display_name} {number}"
