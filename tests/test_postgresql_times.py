"""Points in time are loaded by psycopg's own loader where that gives what Django's gives."""

import datetime

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg.pq import Format

import vinyl
from tests.aliases import database
from tests.library.models import Shelf
from tests.plans import ENOUGH
from vinyl.drivers.postgresql import times

pytestmark = [pytest.mark.engine("postgresql"), pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

ZONES = {"default": None, "UTC": "UTC", "another": "America/St_Johns"}
MOMENTS = [
    "0001-01-03 00:00:00+00",
    "1883-11-18 12:03:58.5+00",
    "1999-12-31 23:59:59.999999+00",
    "2024-02-29 00:00:00+00",
    "2024-11-03 05:29:00+00",
    "2024-11-03 06:29:00.000001+00",
    "9999-12-31 20:00:00+00",
    "9999-12-31 23:59:59.999999+00",
]
SQL = "SELECT unnest(%s::timestamptz[])"


def as_seen(rows):
    return [(moment, moment.tzinfo, moment.fold, repr(moment)) for (moment,) in rows]


@pytest.fixture(params=ZONES)
def zoned(request):
    """An alias of a time zone, and what Django loads there."""
    with database(TIME_ZONE=ZONES[request.param]) as alias:
        with connections[alias].cursor() as cursor:
            cursor.execute(SQL, [MOMENTS])
            expected = as_seen(cursor.fetchall())
        yield alias, expected


@pytest.mark.session
async def test_they_are_those_that_django_loads(zoned):
    alias, expected = zoned
    for _ in range(2):
        assert as_seen(await vinyl.connections[alias].execute(SQL, [MOMENTS])) == expected
    assert {tzinfo for _, tzinfo, _, _ in expected} == {connections[alias].timezone}
    await vinyl.close()


@pytest.mark.session
async def test_in_a_session_of_another_time_zone_they_are_djangos_too():
    def load():
        connection = connections["default"]
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'America/St_Johns'")
            cursor.execute(SQL, [MOMENTS])
            loaded = as_seen(cursor.fetchall())
            assert isinstance(cursor.cursor._tx.get_loader(times.TIMESTAMPTZ, Format.TEXT), BaseTzLoader)
        return loaded

    async with vinyl.connection.hold():
        assert {tzinfo for _, tzinfo, _, _ in await vinyl.run(load)} == {datetime.UTC}


async def test_a_planned_query_gives_them_without_a_call_of_pythons(monkeypatch):
    made = datetime.datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=datetime.UTC)
    loaders = []
    monkeypatch.setattr(times.UTCLoader, "load", lambda self, data: loaders.append(data))
    shelf = await Shelf.vinyl.create(code="A", made=made)
    for _ in range(ENOUGH):
        found = await Shelf.vinyl.get(pk=shelf.pk)
        assert found.made == made
        assert found.made.tzinfo is datetime.UTC
    assert loaders == []
