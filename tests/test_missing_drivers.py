"""Drivers that are missing or too old, engines that are none, servers that do not answer: told alike in both modes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vinyl
from tests import settings

# Prints the class and the message of the error of a query in each mode.
SCRIPT = """
import asyncio, json, sys
for name in {hidden}:
    sys.modules[name] = None
import vinyl
from django.conf import settings
settings.configure(DATABASES={{"default": {database}}})
{before}
async def query():
    return await vinyl.connection.execute("SELECT 1")
errors = []
for mode in (vinyl.async_mode, vinyl.sync_mode):
    with mode():
        try:
            asyncio.run(query()) if vinyl.is_async() else vinyl.portable(query)()
        except Exception as error:
            errors.append([type(error).__name__, str(error)])
        else:
            errors.append(["none", ""])
print(json.dumps(errors))
"""

POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "NAME": "nope", "HOST": "127.0.0.1", "PORT": "1"}
MYSQL = {**POSTGRESQL, "ENGINE": "django.db.backends.mysql"}
# As if Django went on with psycopg2: its backend is imported already when psycopg 3 goes.
PSYCOPG2 = """
import django.db.backends.postgresql.base
for name in [name for name in sys.modules if name.split(".")[0] == "psycopg"]:
    sys.modules[name] = None
"""

OLD_ASYNCMY = """
import importlib.metadata
of_package = importlib.metadata.version
importlib.metadata.version = lambda name: "0.2.14" if name == "asyncmy" else of_package(name)
"""


def errors(database, hidden=(), before=""):
    """Return the errors of a query in a fresh interpreter: in the async mode, in the sync mode."""
    script = SCRIPT.format(hidden=list(hidden), database=database, before=before)
    source = str(Path(vinyl.__file__).parent.parent)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    command = [sys.executable, "-c", script]
    result = subprocess.run(
        command, env={**environment, "PYTHONPATH": source}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.engine("postgresql")
def test_without_psycopg_the_error_is_djangos():
    in_async, in_sync = errors(POSTGRESQL, hidden=["psycopg", "psycopg2"])
    assert in_async == in_sync == ["ImproperlyConfigured", "Error loading psycopg2 or psycopg module"]


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize(
    ("before", "said"),
    [
        (PSYCOPG2, "needs psycopg 3.2 or newer for PostgreSQL; psycopg2 serves only the sync mode"),
        ("import psycopg; psycopg.__version__ = '3.1.18'", "needs psycopg 3.2 or newer, but 3.1.18 is installed"),
    ],
    ids=["psycopg2", "too old"],
)
def test_without_a_psycopg_that_can_wait_the_async_mode_names_it_and_how_to_install_it(before, said):
    (kind, message), _ = errors(POSTGRESQL, before=before)
    assert kind == "ImproperlyConfigured"
    assert said in message
    assert "pip install django-vinyl[postgresql]" in message


@pytest.mark.engine("mariadb", "mysql")
@pytest.mark.parametrize(
    ("hidden", "before", "said"),
    [
        (["asyncmy"], "", "needs asyncmy for MySQL and MariaDB"),
        ([], OLD_ASYNCMY, "needs asyncmy 0.2.15 or newer, but 0.2.14 is installed"),
    ],
    ids=["missing", "too old"],
)
def test_without_an_asyncmy_that_will_do_the_async_mode_names_it_and_how_to_install_it(hidden, before, said):
    (kind, message), (kind_in_sync, _) = errors(MYSQL, hidden, before)
    assert kind == "ImproperlyConfigured"
    assert said in message
    assert "pip install django-vinyl[mysql]" in message
    assert kind_in_sync == "OperationalError"


@pytest.mark.engine("mariadb", "mysql")
def test_without_mysqlclient_the_error_is_djangos():
    in_async, in_sync = errors(MYSQL, hidden=["MySQLdb"])
    assert in_async == in_sync
    assert in_async == ["ImproperlyConfigured", "Error loading MySQLdb module.\nDid you install mysqlclient?"]


@pytest.mark.engine("sqlite")
@pytest.mark.parametrize(
    ("database", "kind", "said"),
    [
        ({"ENGINE": "nope"}, "ImproperlyConfigured", "'nope' isn't an available database backend"),
        ({"ENGINE": ""}, "ImproperlyConfigured", "Please supply the ENGINE value"),
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": ""}, "ImproperlyConfigured", "Please supply the NAME value"),
        (
            {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/at/all"},
            "OperationalError",
            "unable to open database file",
        ),
    ],
    ids=["engine", "no engine", "no name", "no file"],
)
def test_an_engine_or_a_file_that_is_none_is_djangos_error_in_both_modes(database, kind, said):
    in_async, in_sync = errors(database)
    assert in_async == in_sync
    assert in_async[0] == kind
    assert said in in_async[1]


@pytest.mark.engine("postgresql", "mariadb", "mysql")
def test_a_server_that_does_not_answer_is_an_operational_error_in_both_modes():
    for kind, message in errors(POSTGRESQL if settings.ENGINE == "postgresql" else MYSQL):
        assert kind == "OperationalError"
        assert "127.0.0.1" in message
