"""`manage.py vinyl`: what it says of databases that can be connected to, and of those that cannot."""

import io

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import post_save
from django.test import override_settings

from tests import settings as of_tests
from tests.aliases import database
from tests.library.models import Author

pytestmark = pytest.mark.usefixtures("db", "installed")


@pytest.fixture
def installed():
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "vinyl"]):
        yield


def said(*arguments):
    output = io.StringIO()
    call_command("vinyl", *arguments, stdout=output, no_color=True)
    return output.getvalue()


def section(text, name):
    """The lines under a heading, by their first word."""
    lines = iter(text.split(f"\n{name}\n")[1].split("\n\n")[0].splitlines())
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if len(line.split()) > 1}


def test_it_says_what_each_database_runs_on_and_connects_in_both_modes():
    text = said()
    assert text.startswith("  vinyl ")
    about = section(text, "default")
    number = ".".join(map(str, connection.get_database_version()))
    assert about["engine"] == connection.settings_dict["ENGINE"]
    for mode in ("async", "sync"):
        assert about[mode].startswith(f"{connection.display_name} {number}, connected in ")
    drivers = {"sqlite": "Django's own, in a thread", "postgresql": "async: psycopg 3"}
    assert drivers.get(of_tests.ENGINE, "async: asyncmy 0.") in about["driver"]
    assert about["pool"].startswith("min_size 0, max_size 10, timeout 30, ")
    assert section(text, "other")["deadline"] == "none"


def test_it_says_what_is_configured():
    with override_settings(
        VINYL={
            "POOL": {"other": {"max_size": 3}},
            "DEADLINE": {"other": 2},
            "PREPARED_STATEMENTS": {"other": False},
            "SQL_COMMENTS": ["route"],
            "PLANS": False,
        }
    ):
        text = said()
    about = section(text, "other")
    assert "max_size 3" in about["pool"]
    assert about["deadline"] == "2 s"
    assert about["prepares"] == "no"
    assert "\n  plans       off\n  comments    route\n" in text


def test_the_checks_that_apply_are_listed():
    def receiver(**kwargs): ...

    assert said().endswith("\nchecks\n  none\n")
    post_save.connect(receiver, sender=Author)
    try:
        text = said()
    finally:
        post_save.disconnect(receiver, sender=Author)
    assert "\n  vinyl.W003  <class 'tests.library.models.Author'>: Receivers of post_save" in text


@pytest.mark.engine("postgresql", "mariadb", "mysql")
def test_a_database_that_cannot_be_connected_to_is_told_and_the_others_are_shown():
    output = io.StringIO()
    with (
        database(HOST="127.0.0.1", PORT="1") as alias,
        pytest.raises(CommandError, match=rf"No connection to {alias}\."),
    ):
        call_command("vinyl", stdout=output)
    about = section(output.getvalue(), alias)
    assert about["async"].startswith("fails: OperationalError: ")
    assert about["sync"].startswith("fails: OperationalError: ")
    assert "connected in" in section(output.getvalue(), "default")["async"]


def test_a_process_that_cannot_be_asked_is_told_with_the_cure():
    with pytest.raises(CommandError, match=r"VINYL\['ACTIVITY'\] names a folder"):
        said("--live", "1")


def test_the_application_has_no_models():
    assert list(apps.get_app_config("vinyl").get_models()) == []
