"""Keys of every type, relations by them, and what the database computes: vinyl gives what Django gives, type by type.

Each test runs a way twice, by the hand of Django and by that of vinyl; see types_of_fields/hands.py.
"""

import datetime as dt
import inspect
import uuid
from decimal import Decimal

import pytest
from django.apps import apps
from django.db import models

from tests.conftest import empty
from tests.types_of_fields.described import described, is_error, result_of
from tests.types_of_fields.hands import ByDjango, ByVinyl, at_once, called, given, inserted
from tests.types_of_fields.models import (
    BigKey,
    CharKey,
    Computed,
    DecimalKey,
    Defaulted,
    Key,
    MomentKey,
    Part,
    Reference,
    Required,
    SmallKey,
    UuidKey,
    Whole,
)
from tests.types_of_fields.values import KATHMANDU, VALUES

# The largest are not the very last: SQLite and MySQL go on to count from there.
KEYS = {
    SmallKey: [-(2**15), -5, 0, 32_000, 2**15, "7", "x"],
    Key: [-(2**31), -5, 0, 2**31 - 1000, 2**31, "7", "x"],
    BigKey: [-(2**63), -5, 0, 2**62, 2**63, "7", "x"],
    CharKey: ["", "é🦆", "it's \\ %s", "x" * 100, "x" * 101, 5],
    DecimalKey: [Decimal("0.0000"), Decimal("-1.50"), Decimal("99999999.9999"), "2.5", 3, "x"],
    MomentKey: [
        dt.datetime(2024, 2, 29, 1, 2, 3, 4, dt.UTC),
        dt.datetime(2024, 2, 29, tzinfo=KATHMANDU),
        dt.datetime.max.replace(tzinfo=dt.UTC),
        "2024-02-29T00:00Z",
        "x",
    ],
    UuidKey: [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), "{123E4567-E89B-12D3-A456-426655440000}", 5, "x"],
    Whole: [("é🦆", uuid.UUID(int=1), dt.date(999, 12, 31)), ("", uuid.UUID(int=0), dt.date.max), ("x", "x", "x")],
}
RELATIONS = {field.name: field.remote_field.model for field in Reference._meta.local_fields if field.is_relation}


@pytest.fixture(autouse=True)
def emptied():
    """Leave the tables empty."""
    yield
    empty("default", "types_of_fields")


def by_django(way, model, *args):
    """Run a way by the hand of Django, and empty the tables."""
    result = at_once(way, ByDjango(model), *args)
    empty("default", "types_of_fields")
    return result


# Keys.


async def keyed(hand, keys):
    """Insert rows with the keys; give what comes of it, the keys as they are read, and what is found by them."""
    results = [await result_of(inserted(hand, pk=key)) for key in keys]
    rows = hand.objects.order_by("pk")
    read = {
        "instances": [row.pk for row in await given(rows.all())],
        "values": list(await given(rows.values_list("pk", flat=True))),
        "in_bulk": sorted(await given(hand.objects.in_bulk())),
        "last": (await given(rows.last())).pk,
    }
    found = [await result_of(called(hand.objects.get, pk=key)) for key in keys]
    return results, described(read), found


@pytest.fixture(params=KEYS, ids=lambda model: model.__name__)
def model(request):
    return request.param


@pytest.fixture
def keyed_by_django(model):
    return by_django(keyed, model, KEYS[model])


async def test_keys_are_written_read_and_found_as_by_django(model, keyed_by_django):
    assert await keyed(ByVinyl(model), KEYS[model]) == keyed_by_django


async def made(hand):
    """Insert rows without a key, one alone and two at once; give the types of the keys that they have got."""
    rows = [await inserted(hand), *await given(hand.objects.bulk_create([hand.new(), hand.new()]))]
    return [type(row.pk) for row in (*rows, *await given(hand.objects.all()))]


@pytest.fixture(params=[SmallKey, Key, BigKey, UuidKey], ids=lambda model: model.__name__)
def model_that_makes_keys(request):
    return request.param


@pytest.fixture
def made_by_django(model_that_makes_keys):
    return by_django(made, model_that_makes_keys)


async def test_keys_that_are_made_have_the_types_that_they_have_in_django(model_that_makes_keys, made_by_django):
    assert await made(ByVinyl(model_that_makes_keys)) == made_by_django
    expected = uuid.UUID if model_that_makes_keys is UuidKey else int
    assert made_by_django[0] is made_by_django[-1] is expected


# Relations.


async def related(hand, name, keys):
    """Refer to a row with each of the keys; give the keys in each way that a relation gives them."""
    targets = type(hand)(RELATIONS[name])
    for key in keys:
        if not is_error(await result_of(inserted(targets, pk=key))):
            await inserted(hand, **{name: await given(targets.objects.get(pk=key))})
    rows = hand.objects.order_by("pk")
    read = {
        "attribute": [getattr(row, f"{name}_id") for row in await given(rows.all())],
        "joined": [getattr(row, name).pk for row in await given(rows.select_related(name))],
        "prefetched": [getattr(row, name).pk for row in await given(rows.prefetch_related(name))],
        "values": list(await given(rows.values_list(name, f"{name}__pk", "_order"))),
        "from there": list(await given(targets.objects.order_by("pk").values_list(f"reference__{name}", flat=True))),
        "found": [
            len(await given(rows.filter(**{name: target}))) for target in await given(targets.objects.order_by("pk"))
        ],
        "found among": len(await given(rows.filter(**{f"{name}__in": targets.objects.all()}))),
    }
    return described(read)


@pytest.fixture(params=RELATIONS)
def relation(request):
    return request.param


@pytest.fixture
def related_by_django(relation):
    return by_django(related, Reference, relation, KEYS[RELATIONS[relation]])


async def test_relations_give_the_keys_that_they_give_in_django(relation, related_by_django):
    assert await related(ByVinyl(Reference), relation, KEYS[RELATIONS[relation]]) == related_by_django


async def related_to_many(hand):
    codes = type(hand)(UuidKey)
    reference = await inserted(hand)
    targets = [await inserted(codes, pk=uuid.UUID(int=number)) for number in (0, 2**128 - 1)]
    await given(reference.codes.add(*targets))
    (prefetched,) = await given(hand.objects.prefetch_related("codes"))
    read = {
        "related": sorted(row.pk for row in await given(reference.codes.all())),
        "prefetched": sorted(row.pk for row in prefetched.codes.all()),
        "values": sorted(await given(hand.objects.values_list("codes", flat=True))),
    }
    return described(read)


@pytest.fixture
def related_to_many_by_django():
    return by_django(related_to_many, Reference)


async def test_relations_to_many_give_the_keys_that_they_give_in_django(related_to_many_by_django):
    assert await related_to_many(ByVinyl(Reference)) == related_to_many_by_django


async def related_to_whole(hand):
    wholes = type(hand)(Whole)
    for key in KEYS[Whole][:2]:
        await inserted(hand, whole=await inserted(wholes, pk=key))
    rows = hand.objects.order_by("pk")
    read = {
        "attributes": [(row.char, row.uuid, row.date) for row in await given(rows.all())],
        "joined": [row.whole.pk for row in await given(rows.select_related("whole"))],
        "prefetched": [row.whole.pk for row in await given(rows.prefetch_related("whole"))],
        "values": list(await given(rows.values_list("whole__pk", "whole__date"))),
    }
    return described(read)


@pytest.fixture
def related_to_whole_by_django():
    return by_django(related_to_whole, Part)


async def test_a_relation_by_several_columns_gives_the_keys_that_it_gives_in_django(related_to_whole_by_django):
    assert await related_to_whole(ByVinyl(Part)) == related_to_whole_by_django


# What the database computes, and what it requires.


async def computed(hand, name):
    """Give what the database has computed of each value, as the instances have it that were inserted."""

    async def insert_one(value):
        return getattr(await inserted(hand, label=name, **{name: value}), f"{name}_again")

    return [await result_of(insert_one(value)) for value in VALUES[name]]


@pytest.fixture(params=[field.name for field in Computed._meta.fields if hasattr(Computed, f"{field.name}_again")])
def name(request):
    return request.param


@pytest.fixture
def computed_by_django(name):
    return by_django(computed, Computed, name)


async def test_generated_values_are_those_that_django_gives(name, computed_by_django):
    assert await computed(ByVinyl(Computed), name) == computed_by_django
    assert sum(not is_error(result) for result in computed_by_django) > 2


async def defaulted(hand):
    """Give the defaults of the database, as an instance has them that was inserted, and as they are read."""
    rows = [await inserted(hand), await given(hand.objects.get())]
    return [
        {field.name: described(getattr(row, field.name)) for field in Defaulted._meta.fields if field.name != "id"}
        for row in rows
    ]


@pytest.fixture
def defaulted_by_django():
    return by_django(defaulted, Defaulted)


async def test_defaults_of_the_database_are_there_after_insert_as_django_reads_them(defaulted_by_django):
    # Where the engine does not return them, an instance of Django 5.2 does not have them.
    _, read = defaulted_by_django
    assert await defaulted(ByVinyl(Defaulted)) == [read, read]


async def required(hand):
    """Give the errors of what lacks a value, has one that is too long, or has the key of another row."""
    rows = [{"char": None, "number": 1}, {"char": "a"}, {"char": "a", "number": None}, {"char": "x" * 9, "number": 1}]
    first = await inserted(hand, pk=1, char="a", number=1)
    errors = [await result_of(inserted(hand, pk=1, char="b", number=2))]
    for row in rows:
        errors.append(await result_of(inserted(hand, pk=2, **row)))
        errors.append(await result_of(called(hand.objects.bulk_create, [hand.new(pk=2, **row)])))
    for values in ({"char": None}, {"number": None}):
        errors.append(await result_of(called(hand.update, first, values)))
        errors.append(await result_of(called(hand.objects.filter(pk=1).update, **values)))
    return errors


@pytest.fixture
def required_by_django():
    return by_django(required, Required)


async def test_rows_that_lack_what_is_required_are_refused_as_by_django(required_by_django):
    assert await required(ByVinyl(Required)) == required_by_django


# Nothing is left out.


def field_classes(module):
    """Return the classes of fields in a module, but for those that Django has removed."""
    classes = [value for value in vars(module).values() if inspect.isclass(value)]
    return {
        value for value in classes if issubclass(value, models.Field) and value.system_check_removed_details is None
    }


def classes_of_fields(kinds):
    fields = [field for kind in kinds for field in (*kind._meta.get_fields(), *kind._meta.private_fields)]
    return {type(field) for field in fields}


def test_every_field_class_of_django_is_tried():
    tried = classes_of_fields(apps.get_app_config("types_of_fields").get_models())
    assert field_classes(models) - tried == {models.Field}


@pytest.mark.engine("postgresql")
def test_every_field_class_of_django_for_postgresql_is_tried():
    from django.contrib.postgres import fields

    from tests.types_of_fields.postgresql import Compounds, Maps

    assert field_classes(fields) - classes_of_fields([Compounds, Maps]) == {fields.RangeField}
