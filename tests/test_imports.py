"""Importing vinyl: it loads and changes nothing that is not needed, and its public names are these."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vinyl

SOURCE = str(Path(vinyl.__file__).parent.parent)


def run(script, *arguments, folder=SOURCE):
    """Run a script in a fresh interpreter, without Django's settings, and return the JSON that it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    environment["PYTHONPATH"] = os.pathsep.join([SOURCE, str(folder)])
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_importing_vinyl_needs_no_settings_and_loads_no_driver_and_no_model():
    loaded, models, configured = run(
        "import sys, json, vinyl\n"
        "from django.conf import settings\n"
        "from django.db.models import Model\n"
        "print(json.dumps([list(sys.modules), [str(model) for model in Model.__subclasses__()], settings.configured]))"
    )
    drivers = ("psycopg", "psycopg2", "sqlite3", "asyncmy", "MySQLdb", "oracledb", "django.db.backends.sqlite3.base")
    assert [name for name in loaded if name.startswith(drivers)] == []
    assert [name for name in loaded if name.startswith("django.db.backends.postgresql")] == []
    assert models == []
    assert configured is False


def test_importing_vinyl_loads_little_but_its_own_modules_and_greenlet():
    added = run(
        "import sys, json, django.db.models\n"
        "before = set(sys.modules)\n"
        "import vinyl\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    # A module of one line, which each backend imports.
    others = {name.partition(".")[0] for name in added if name != "django.db.backends.signals"} - {"vinyl"}
    assert others <= {"dataclasses", "gc", "greenlet"}
    assert [name for name in added if name.startswith("vinyl.test")] == []
    assert len(added) < 90


def test_importing_vinyl_starts_no_thread_and_no_event_loop():
    threads, loop = run(
        "import json, threading, asyncio, vinyl\n"
        "print(json.dumps([threading.active_count(), asyncio._get_running_loop() is not None]))"
    )
    assert (threads, loop) == (1, False)


# debug_toolbar: it imports the toolbar, which asks for the settings and the applications of a project.
MODULES = sorted({path.stem for path in Path(vinyl.__file__).parent.glob("[a-z_]*.py")} - {"debug_toolbar"})


@pytest.mark.parametrize("module", MODULES)
def test_each_module_can_be_imported_first(module):
    name = "vinyl" if module == "__init__" else f"vinyl.{module}"
    assert run(f"import json, {name}; print(json.dumps('imported'))") == "imported"


@pytest.mark.parametrize("name", vinyl.__all__)
def test_each_public_name_exists_and_is_documented(name):
    assert getattr(vinyl, name).__doc__


def test_the_public_names_are_sorted_and_complete():
    assert vinyl.__all__ == sorted(set(vinyl.__all__))
    modules = {name for name, value in vars(vinyl).items() if inspect.ismodule(value)}
    others = {name for name in vars(vinyl) if name[0] != "_"} - modules
    # Importing vinyl installs it: nobody else needs to.
    assert {*vinyl.__all__} == others - {"install"} | {"transaction"}


MODELS = """
import sys
from django.db import models


class Shop(models.Model):
    name = models.CharField(max_length=20)

    if "declared" in sys.argv:
        from vinyl import VinylManager

        vinyl = VinylManager()


class Article(models.Model):
    shop = models.ForeignKey(Shop, models.CASCADE)
    sold = models.Manager()
"""

PROJECT = """
import sys
if "unused" in sys.argv:
    import vinyl

import contextlib, io, json, django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shop"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.apps import apps
from django.contrib.contenttypes.models import ContentType

if "migrated" in sys.argv:
    with contextlib.redirect_stdout(io.StringIO()):
        call_command("makemigrations", "shop")

output = io.StringIO()
try:
    call_command("makemigrations", "--check", "--dry-run", verbosity=3, stdout=output)
    code = 0
except SystemExit as exit:
    code = exit.code

call_command("migrate", verbosity=0)

models = {
    model._meta.label: {
        "managers": [(manager.name, type(manager).__qualname__) for manager in model._meta.managers],
        "default": model._default_manager.name,
        "base": type(model._base_manager).__qualname__,
        "fields": [field.name for field in model._meta.get_fields()],
        "attributes": sorted(set(dir(model)) - {"vinyl", "VinylManager"}),
        "bases": [base.__name__ for base in model.__mro__],
    }
    for model in apps.get_models()
}
types = sorted(ContentType.objects.values_list("app_label", "model"))
print(json.dumps([code, output.getvalue(), models, types, "vinyl" in sys.modules]))
"""


@pytest.fixture
def project(tmp_path):
    """A folder for an ordinary project whose application has no migrations yet."""

    def make(name, *arguments):
        application = tmp_path / name / "shop"
        (application / "migrations").mkdir(parents=True)
        for file in ("__init__.py", "migrations/__init__.py"):
            (application / file).touch()
        (application / "models.py").write_text(MODELS)
        return run(PROJECT, *arguments, folder=tmp_path / name)

    return make


def comparable(output):
    """Return what a command has printed, without what differs by the folder and by the time."""
    lines = output.replace("/with/", "/without/").splitlines()[1:]
    return [line for line in lines if not line.startswith("# Generated by Django")]


@pytest.mark.parametrize("migrated", [[], ["migrated"]], ids=["with changes to find", "without changes"])
@pytest.mark.parametrize("use", ["unused", "declared"])
def test_migrations_managers_and_content_types_are_what_they_were(project, use, migrated):
    *without, loaded = project("without", *migrated)
    assert not loaded
    *with_vinyl, loaded = project("with", use, *migrated)
    assert loaded
    assert without[0] == (0 if migrated else 1)
    assert with_vinyl[0] == without[0]
    assert comparable(with_vinyl[1]) == comparable(without[1])
    assert with_vinyl[2:] == without[2:]
