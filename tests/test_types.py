"""Values of every type of field: what vinyl writes and reads in either mode is what Django does alone, type by type.

The values are in types_of_fields/values.py; those that are refused are refused in the same words.
"""

import pytest
from django.db import connection

from tests import settings
from tests.types_of_fields.columns import COLUMNS
from tests.types_of_fields.described import described, is_error, result_of
from tests.types_of_fields.hands import ByDjango, ByVinyl, at_once
from tests.types_of_fields.reading import by_instances, find, read, with_label
from tests.types_of_fields.writing import insert, write


@pytest.fixture(scope="module")
def tables(databases):
    """Create the tables of the types that are PostgreSQL's own; give their models."""
    if settings.ENGINE != "postgresql":
        yield []
        return
    from django.contrib.postgres.operations import HStoreExtension

    from tests.types_of_fields.postgresql import Compounds, Maps

    models = [Compounds]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'hstore'")
        if cursor.fetchone() is not None:
            models.append(Maps)
    with connection.schema_editor() as editor:
        if Maps in models:
            HStoreExtension().database_forwards("types_of_fields", editor, None, None)
        for model in models:
            editor.create_model(model)
    yield models
    with connection.schema_editor() as editor:
        for model in models:
            editor.delete_model(model)


@pytest.fixture(params=COLUMNS.values(), ids=COLUMNS, scope="module")
def column(request, tables):
    column = request.param
    if column.name == "hstore" and column.model not in tables:
        pytest.skip("not on a server without the extension hstore")
    with column.circumstances():
        yield column


@pytest.fixture
def name(column):
    return column.name


@pytest.fixture(scope="module")
def django(column):
    return ByDjango(column.model)


@pytest.fixture
def hand(column):
    return ByVinyl(column.model)


@pytest.fixture(scope="module")
def written(django, column):
    """What Django writes, and refuses."""
    return at_once(write, django, column.name, column.values)


async def test_vinyl_writes_and_refuses_what_django_writes_and_refuses(hand, column, written):
    assert await write(hand, column.name, column.values) == written


@pytest.fixture(scope="module")
def labels(django, column, written):
    """The labels of rows that Django has written: the name, and one more for each that Django cannot read."""
    results = zip(column.values, written["results"]["insert"], strict=True)
    taken = [value for value, result in results if not is_error(result)]
    at_once(insert, django, column.name, column.name, taken)
    labels = [column.name]
    if is_error(at_once(result_of, by_instances(django, column.name, column.name))):
        labels += set_apart(django, column.name)
    yield labels
    django.objects.filter(label__in=labels).delete()


def set_apart(django, name):
    """Give each row that Django cannot read a label of its own."""
    for row in with_label(django, name).only("label"):
        try:
            getattr(row, name)
        except Exception:
            row.label = f"{name}, {row.pk}"
            row.save(update_fields=["label"])
            yield row.label


@pytest.fixture(scope="module")
def readings(django, column, labels):
    return {label: at_once(read, django, label, column.name) for label in labels}


async def test_vinyl_reads_what_django_reads(hand, name, labels, readings):
    assert {label: await read(hand, label, name) for label in labels} == readings


def test_values_can_be_read_in_all_ways_but_not_all_have_a_maximum(name, readings):
    assert {way for way, result in readings[name].items() if is_error(result)} <= {"Max"}


@pytest.fixture(scope="module")
def values(django, column, labels):
    """The values that Django reads."""
    return at_once(by_instances, django, column.name, column.name)


@pytest.fixture(scope="module")
def lookups(column, values):
    """The values that Django reads, then those that it reads otherwise than they were written."""
    known = list(map(described, values))
    return values + [value for value in column.values if described(value) not in known]


@pytest.fixture(scope="module")
def found(django, column, lookups):
    return at_once(find, django, column.name, column.name, lookups)


async def test_vinyl_finds_what_django_finds(hand, name, lookups, found):
    assert await find(hand, name, name, lookups) == found


INCOMPARABLE = {
    "array_of_json": "PostgreSQL, which cannot compare arrays of json with what Django sends",
    "search_vector": "PostgreSQL, where what Django compares search vectors with is a query",
}
if connection.vendor == "sqlite":
    INCOMPARABLE |= dict.fromkeys(["decimal", "decimal_of_units"], "SQLite, which keeps decimals as floats")


def test_rows_are_found_by_what_is_read_from_them(name, values, found):
    if name in INCOMPARABLE:
        pytest.skip(f"not on {INCOMPARABLE[name]}")
    for value, places in zip(values, found, strict=False):
        # What JSON calls null is not NULL, but is read as None too.
        if value is not None:
            assert any(alike(values[int(place)], value) for _, place in places[1]), f"{value!r} is not found"


def alike(one, other):
    # nan is not equal to itself.
    return one == other or described(one) == described(other)


def test_several_values_can_be_written_one_by_one_and_in_bulk_and_read(written, values):
    assert len({repr(described(value)) for value in values}) > 2
    assert not any(is_error(written["results"][way][0]) for way in ("bulk_create", "bulk_update"))
