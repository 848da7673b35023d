"""Plans: a query of a shape that was seen before is sent without being built, and gives what Django gives.

A claim is made of the same call again and again: the first is Django's, one of the next teaches the plan, and the last
is by it. VERIFY_PLANS compares each with Django's; here what counts is the result.
"""

import asyncio
import contextvars
import datetime

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.test import override_settings

from tests.library.models import Author
from tests.plans import ENOUGH, built
from vinyl.lending import scopes

pytestmark = pytest.mark.usefixtures("nothing_known", "db")


@pytest.fixture
def authors():
    # Before the test's loop runs, so that both modes find them.
    return [Author.objects.create(name=name, born=datetime.date(1900, 1, 1)) for name in "abc"]


QUERIES = {
    "get": lambda: Author.vinyl.get(name="b"),
    "get of a queryset": lambda: Author.vinyl.filter(name="b").get(),
    "get with more": lambda: Author.vinyl.filter(name="b").get(born=datetime.date(1900, 1, 1)),
    "first": lambda: Author.vinyl.filter(name__gt="a").first(),
    "first in an order": lambda: Author.vinyl.order_by("-name").first(),
    "first of none": lambda: Author.vinyl.filter(name="z").first(),
    "first of all": lambda: Author.vinyl.first(),
    "last": lambda: Author.vinyl.filter(name__lt="c").last(),
    "count": lambda: Author.vinyl.filter(name__in=["a", "b", "z"]).count(),
    "count of all": lambda: Author.vinyl.count(),
    "count of a slice": lambda: Author.vinyl.all()[1:].count(),
    "exists": lambda: Author.vinyl.exclude(name="a").exists(),
    "exists not": lambda: Author.vinyl.filter(name__startswith="z%").exists(),
    "aget": lambda: Author.vinyl.aget(name__iexact="B"),
    "update": lambda: Author.vinyl.filter(name__lt="b").update(name="a", born=datetime.date(2000, 1, 1)),
    "update to nothing": lambda: Author.vinyl.filter(name="a").update(born=None),
    "fetch": lambda: Author.vinyl.filter(name__contains="b", born__isnull=False),
    "slice": lambda: Author.vinyl.order_by("name")[1:3],
    "values": lambda: Author.vinyl.values("name"),
    "tuples": lambda: Author.vinyl.values_list("name", "born"),
    "named tuples": lambda: Author.vinyl.values_list("name", named=True),
    "flat": lambda: Author.vinyl.filter(name__range=["a", "b"]).values_list("name", flat=True),
    "only": lambda: Author.vinyl.only("name"),
    "defer": lambda: Author.vinyl.defer("name"),
    "distinct": lambda: Author.vinyl.values_list("born").distinct(),
    "prefetch": lambda: Author.vinyl.prefetch_related("books"),
    "reverse": lambda: Author.vinyl.reverse(),
    "database": lambda: Author.vinyl.using("default"),
    "database by name": lambda: Author.vinyl.using(alias="default").filter(name="a"),
}
# The queries of prefetches are Django's.
BUILT = {"prefetch"}
AWAITED = {"aget"}


async def results_of(name, how):
    if how == "sync" and name in AWAITED:
        pytest.skip("not on the sync mode, in which it is awaited too")
    result = QUERIES[name]()
    return list(await result) if isinstance(result, QuerySet) else await result


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.usefixtures("authors")
async def test_what_is_planned_is_not_built_and_gives_the_same(name, how):
    results = [await results_of(name, how) for _ in range(ENOUGH)]
    with built() as calls:
        assert await results_of(name, how) == results[0]
    assert calls == [] or name in BUILT
    assert results == [results[0]] * ENOUGH
    assert results[0] is not None or "none" in name


@pytest.mark.usefixtures("authors")
async def test_other_values_are_those_that_are_sent():
    for name in ["a", "b", "c", "a", "c"]:
        assert (await Author.vinyl.get(name=name)).name == name
        assert [author.name for author in await Author.vinyl.filter(name__gte=name).order_by("name")[:2]] == [
            each for each in "abc" if each >= name
        ][:2]
        assert await Author.vinyl.filter(name=name).update(born=datetime.date(2000, 1, ord(name) - 96)) == 1
        assert (await Author.vinyl.get(name=name)).born.day == ord(name) - 96


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
async def test_a_task_makes_no_wrapper_of_a_database_for_its_first_query(monkeypatch):
    async def calls():
        author = await Author.vinyl.filter(name="a").first()
        assert author is None or author.name == "a"
        await Author.vinyl.bulk_create([Author.vinyl(name="a"), Author.vinyl(name="b")])

    async def in_a_new_context():
        await asyncio.get_running_loop().create_task(calls(), context=contextvars.Context())

    for _ in range(ENOUGH):
        await in_a_new_context()
    made = []
    original = BaseDatabaseWrapper.__init__

    def noted(self, *args, **kwargs):
        made.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(BaseDatabaseWrapper, "__init__", noted)
    await in_a_new_context()
    assert made == []


@pytest.mark.asynchronous
async def test_values_are_converted_by_the_settings_as_they_are():
    before = scopes.source("default").unconnected
    assert scopes.source("default").unconnected is before
    with override_settings(TIME_ZONE="Asia/Tokyo"):
        assert scopes.source("default").unconnected is not before
        assert scopes.source("default").unconnected.timezone_name == connections["default"].timezone_name
