"""bulk_create() by a plan: what is written, and what the instances are afterwards, is as by Django's own.

The first call is Django's and teaches the plan; the next is by it.
"""

import datetime
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError
from django.db.models.sql.compiler import SQLInsertCompiler
from django.db.transaction import atomic as django_atomic
from django.test import override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

import vinyl
from tests.library.models import Author, Tag
from tests.types_of_fields.models import Moments, Numbers, Part, UuidKey
from vinyl import transaction
from vinyl.plans import bulk_writes, shapes
from vinyl.plans.learning import Plan

pytestmark = pytest.mark.usefixtures("types_of_fields", "db")

# MySQL does not return the keys of several rows.
GIVES_KEYS = settings.ENGINE != "mysql"

# As in fuzzing.py.
set_hypothesis_home_dir(Path(tempfile.gettempdir(), "vinyl-tests", "hypothesis"))

Tags = vinyl.manager(Tag)


@pytest.fixture(autouse=True)
def nothing_known():
    shapes.forget()
    yield
    shapes.forget()


@contextmanager
def compiled():
    """Give what Django compiles in the block."""
    calls = []
    original = SQLInsertCompiler.as_sql

    def as_sql(self):
        calls.append(self)
        return original(self)

    SQLInsertCompiler.as_sql = as_sql
    try:
        yield calls
    finally:
        SQLInsertCompiler.as_sql = original


def authors(names, **values):
    return [Author.vinyl(name=name, **values) for name in names]


async def names():
    return [author.name for author in await Author.vinyl.order_by("id")]


async def test_each_of_several_calls_writes_and_tells_the_instances():
    for text in ("ab", "cde", "fg"):
        given = authors(text, born=datetime.date(2000, 1, 1))
        written = await Author.vinyl.bulk_create(given)
        assert written == given
        assert written is not given
        if GIVES_KEYS:
            assert all(not author._state.adding and author._state.db == "default" for author in given)
            assert [(await Author.vinyl.get(pk=author.pk)).name for author in given] == list(text)
    assert await names() == list("abcdefg")


@pytest.mark.engine("postgresql")
async def test_the_second_call_is_not_compiled():
    with override_settings(VINYL={}):
        await Author.vinyl.bulk_create(authors("ab"))
        with compiled() as calls:
            await Author.vinyl.bulk_create(authors("cde"))
            await Author.vinyl.abulk_create(authors("fg"))
    assert calls == []


async def test_primary_keys_that_are_given_are_written():
    for first in (1000, 2000, 3000):
        await Author.vinyl.bulk_create([Author.vinyl(pk=first + number, name="a") for number in range(3)])
    assert await Author.vinyl.filter(pk__in=[1002, 2002, 3002]).count() == 3


async def test_keys_that_the_database_does_not_make_need_not_be_returned():
    keys = vinyl.manager(UuidKey)
    for _ in range(3):
        given = await keys.bulk_create([keys(), keys()])
        assert await keys.filter(pk__in=[key.pk for key in given]).count() == 2
        assert not any(key._state.adding for key in given)


async def test_instances_with_and_without_a_primary_key_are_djangos():
    for first in (1000, 2000):
        mixed = [Author.vinyl(pk=first, name="a"), Author.vinyl(name="b")]
        await Author.vinyl.bulk_create(mixed)
        assert mixed[0].pk == first
        assert bool(mixed[1].pk) is GIVES_KEYS


async def test_columns_may_have_null_anywhere():
    day = datetime.date(2000, 1, 1)
    for born in ([day, None], [None, day], [None, None], [None, day, day, None]):
        await Author.vinyl.all().bulk_create([Author.vinyl(name="a", born=each) for each in born])
        found = await Author.vinyl.order_by("-id")[: len(born)]
        assert [author.born for author in found] == born[::-1]


async def test_a_failing_call_leaves_the_instances_as_they_are():
    await Tags.bulk_create([Tags(label="a"), Tags(label="b")])
    again = [Tags(label="c"), Tags(label="a")]
    with pytest.raises(IntegrityError):
        async with transaction.atomic():
            await Tags.bulk_create(again)
    assert [(tag.pk, tag._state.adding, tag._state.db) for tag in again] == [(None, True, None)] * 2
    assert await Tags.count() == 2


async def test_instances_are_as_before_when_the_transaction_is_attempted_again():
    await Author.vinyl.bulk_create(authors("ab"))
    given = authors("cd")

    @transaction.atomic(retries=1)
    async def write():
        await Author.vinyl.bulk_create(given)
        raise LookupError

    with pytest.raises(LookupError):
        await write()
    assert [(author.pk, author._state.adding) for author in given] == [(None, True)] * 2


async def test_another_model_is_refused():
    await Author.vinyl.bulk_create(authors("ab"))
    with pytest.raises(TypeError, match="instances of it"):
        await Author.vinyl.bulk_create([*authors("c"), Tags(label="a")])


async def test_plans_are_compared():
    with override_settings(VINYL={**getattr(settings, "VINYL", {}), "VERIFY_PLANS": True}):
        for text in ("ab", 'c"d', "é\\"):
            await Author.vinyl.bulk_create(authors(text, born=datetime.date(2000, 1, 1)))
    assert await names() == list('abc"dé\\')


_text = st.text(st.one_of(st.sampled_from('"\\{},NUL nul\t%s'), st.characters(exclude_categories=["Cs"])), max_size=20)
_moment = {"min_value": datetime.datetime(1, 1, 3), "max_value": datetime.datetime(9999, 12, 28)}
_offsets = st.integers(-900, 900).map(lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)))
COLUMNS = {
    "label": (Numbers, _text),
    "big_integer": (Numbers, st.integers(-(2**63), 2**63 - 1)),
    "integer": (Numbers, st.integers(-(2**31) - 9, 2**31 + 8)),
    "small": (Numbers, st.integers(-(2**15), 2**15 - 1)),
    "boolean": (Numbers, st.booleans()),
    "decimal": (Numbers, st.decimals(allow_infinity=False, min_value=-(10**19), max_value=10**19)),
    "float": (Numbers, st.floats()),
    "date": (Moments, st.dates()),
    "date_time": (Moments, st.datetimes(**_moment, timezones=_offsets)),
    "time": (Moments, st.times()),
    "uuid": (Part, st.uuids()),
}


def outcome(manager, new, name, values):
    """Write a column and give what is there then, or the error."""
    others = {"char": "x", "date": datetime.date(2000, 1, 1)} if manager.model._meta.model is Part else {"label": "x"}
    try:
        with django_atomic():
            manager.bulk_create([new(**{**others, name: value}) for value in values])
            return repr(list(manager.order_by("id").values_list(name, flat=True)))
    except (DatabaseError, ValueError, UnicodeError) as error:
        return type(error)
    finally:
        manager.all().delete()


@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_written_is_what_django_writes(db, name):
    model, values = COLUMNS[name]
    element = values if name in ("label", "uuid") else st.none() | values

    @examples(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(element, min_size=2, max_size=6))
    def check(column):
        with vinyl.sync_mode():
            ours = outcome(model.vinyl, model.vinyl, name, column)
            again = outcome(model.vinyl, model.vinyl, name, column)
        theirs = outcome(model._default_manager, model, name, column)
        assert ours == theirs
        assert again == theirs

    check()
    learned = [plan for key, plan in bulk_writes._plans.items() if key[0] is model.vinyl.vinyl_class]
    assert learned
    assert all(type(plan) is Plan for plan in learned)


@pytest.mark.engine("postgresql")
async def test_numbers_that_are_out_of_range_fail_as_djangos():
    await Numbers.vinyl.bulk_create([Numbers.vinyl(label="a", integer=1) for _ in range(2)])
    with pytest.raises(DataError):
        await Numbers.vinyl.bulk_create([Numbers.vinyl(label="a", integer=2**40) for _ in range(2)])


async def test_what_is_remembered_of_columns_has_a_bound(monkeypatch):
    monkeypatch.setattr(shapes, "MOST_SHAPES", 5)
    for number in range(20):
        names = ("integer", "small", "big_integer", "positive")
        values = {name: 1 for position, name in enumerate(names) if number >> position & 1}
        await Numbers.vinyl.bulk_create([Numbers.vinyl(label="a", **values) for _ in range(2)])
        assert len(bulk_writes._plans) <= 5 + 1
    await Numbers.vinyl.filter(label="a").delete()
