"""Looking for a password where it must not be: in what is said, logged and counted, and in what anybody may print."""

import asyncio
import gc
import traceback

import pytest

import vinyl
from vinyl.common import whereabouts

# Of whose types the objects are shown. A queryset is not: showing it may query. Nor is what psycopg keeps, for whoever
# asks its error for it, of a connection that could not be made.
MODULES = (
    *("asyncio", "asyncmy", "MySQLdb", "psycopg.connection", "psycopg.cursor", "django.db.backends", "django.db.utils"),
    *("vinyl.drivers", "vinyl.lending", "vinyl.faces.sql", "vinyl.transaction"),
)


def _shown(ob: object) -> str:
    try:
        return repr(ob)
    except AttributeError:
        # One of Django's, which other tests have left unfinished: it cannot be printed at all.
        return ""


def assert_is_told_to_nobody(
    password: str, alias: str, log: pytest.LogCaptureFixture, error: BaseException | None = None
) -> None:
    """Look for the password in all that is said, logged and counted, and in each object that anybody may print."""
    told = [_shown(ob) for ob in gc.get_objects() if str(type(ob).__module__).startswith(MODULES)]
    assert len(told) > 20
    told += [log.text, str(vinyl.connections[alias].statistics())]
    if vinyl.is_async():
        told += [whereabouts.of_task(task) for task in asyncio.all_tasks()]
    while error is not None:
        told += [*traceback.format_exception(error), repr(error), str(error.args)]
        error = error.__cause__ or error.__context__
    assert [text for text in told if password in text] == []
