"""Frozen queries: functions of their parameters, which give what the queryset would give."""

import asyncio
import datetime
import inspect
from decimal import Decimal

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db.models import Case, F, Q, When
from django.test import override_settings

import vinyl
from tests.library.models import Author, Book, Tag
from tests.plans import ENOUGH, built
from vinyl import Param, UnsupportedOperation
from vinyl.plans import shapes

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def authors():
    # Before the test's loop runs, so that both modes find them.
    shapes.forget()
    found = [Author.objects.create(name=name, born=datetime.date(2000, 1, 1)) for name in "abc"]
    Author.objects.create(name="d")
    for author in found:
        Book.objects.create(author=author, title=author.name, stock=3, price=Decimal(author.pk))
    with override_settings(VINYL={}):
        yield found
    shapes.forget()


def names(authors):
    return [author.name for author in authors]


async def test_a_frozen_query_gives_what_the_queryset_gives():
    query = Author.vinyl.filter(name__gte=Param("least")).order_by("name")[:2].freeze()
    for _ in range(ENOUGH):
        assert names(await query(least="b")) == ["b", "c"]
        assert names(await query(least="a")) == ["a", "b"]
        assert (await query.first(least="c")).name == "c"
        assert await query.count(least="d") == 1
        assert not await query.exists(least="e")
        assert names(await query.queryset(least="b").all()) == ["b", "c"]


@pytest.mark.parametrize(
    ("build", "value"),
    [
        (lambda q: q.exclude(name=Param("value")).order_by("name"), "d"),
        (lambda q: q.filter(pk__gte=Param("value")).order_by("name")[:3], 1),
        # What Django refuses of the samples by which it was tried is forgotten.
        (lambda q: q.filter(born=Param("value")).order_by("name"), datetime.date(2000, 1, 1)),
        (lambda q: q.filter(name__in=Param("value")).order_by("name"), ["a", "b", "c"]),
    ],
)
async def test_it_is_not_built_again(build, value):
    query = build(Author.vinyl.all()).freeze()
    for _ in range(ENOUGH):
        await query(value=value)
    with built() as calls:
        assert names(await query(value=value)) == ["a", "b", "c"]
    assert calls == []


async def test_a_queryset_of_which_django_has_refused_a_call_is_planned_as_before():
    base = Author.vinyl.order_by("name")
    for _ in range(ENOUGH):
        with pytest.raises(ValidationError):
            base.filter(born="no date")
        await base.filter(name__lt="d")
    with built() as calls:
        assert names(await base.filter(name__lt="d")) == ["a", "b", "c"]
    assert calls == []


@pytest.mark.parametrize(
    ("build", "params", "expected"),
    [
        (lambda q: q.filter(name=Param("n"), born__isnull=False), {"n": "a"}, "a"),
        (lambda q: q.filter(born__isnull=False, name=Param("n")), {"n": "a"}, "a"),
        (lambda q: q.filter(born=None, name=Param("n")), {"n": "d"}, "d"),
        (lambda q: q.filter(name__in=["a", "b", "d"], name__gte=Param("n")), {"n": "b"}, "bd"),
        (lambda q: q.filter(name__gte=Param("n"), name__in=["a", "b", "d"]), {"n": "b"}, "bd"),
        (lambda q: q.filter(name__lt="d", name__gt=Param("n")), {"n": "a"}, "bc"),
        (lambda q: q.filter(name__gt=Param("n")).filter(name__lt="d"), {"n": "a"}, "bc"),
        (lambda q: q.filter(name__gt=Param("n"), name__lt=Param("m")), {"m": "d", "n": "b"}, "c"),
        (lambda q: q.filter(name=Param("n")).exclude(name=Param("n")), {"n": "a"}, ""),
        (lambda q: q.filter(name__gte=Param("n"), name__lte=Param("n")), {"n": "c"}, "c"),
        (lambda q: q.exclude(name__in=Param("names")), {"names": ["a", "b"]}, "cd"),
        (lambda q: q.filter(name__in=Param("names")), {"names": ["a"]}, "a"),
        (lambda q: q.filter(name__in=Param("names")), {"names": []}, ""),
        (lambda q: q.filter(name__in=Param("names")), {"names": {"a", "b"}}, "ab"),
        (lambda q: q.filter(name__range=Param("names")), {"names": ("b", "c")}, "bc"),
        (lambda q: q.filter(born=Param("born")), {"born": None}, "d"),
        (lambda q: q.filter(born__isnull=Param("missing")), {"missing": True}, "d"),
        (lambda q: q.filter(born__isnull=Param("missing")), {"missing": False}, "abc"),
        (lambda q: q.filter(born=Param("born")), {"born": datetime.date(2000, 1, 1)}, "abc"),
        (lambda q: q.filter(books__title=Param("title")), {"title": "b"}, "b"),
        (lambda q: q.filter(books__stock=Param("stock"), name="c"), {"stock": 3}, "c"),
        (lambda q: q.exclude(books__title=Param("title")), {"title": "b"}, "acd"),
        (lambda q: q.filter(name=Param("n")).prefetch_related("books"), {"n": "a"}, "a"),
        (lambda q: q.filter(name__gt=Param("n"))[1:2], {"n": "a"}, "c"),
        (lambda q: q.filter(name__gt=Param("n")).order_by("-name").only("name"), {"n": "b"}, "dc"),
        (lambda q: q.filter(Q(name="a") | Q(name="b"), name__gt=Param("n")), {"n": "a"}, "b"),
        (lambda q: q.filter(name__gt=Param("n")).filter(~Q(name="c"), name__lt=Param("m")), {"n": "a", "m": "d"}, "b"),
        (lambda q: q, {}, "abcd"),
        (lambda q: q.filter(name="a"), {}, "a"),
    ],
)
async def test_parameters_stand_anywhere(build, params, expected):
    query = build(Author.vinyl.order_by("name")).freeze()
    for _ in range(ENOUGH):
        assert "".join(names(await query(**params))) == expected
        assert await query.count(**params) == len(expected)
        assert await query.exists(**params) is bool(expected)


async def test_values_of_several_kinds_by_turns(authors):
    query = Book.vinyl.filter(author=Param("author")).freeze()
    author = authors[1]
    vinyl_author = await Author.vinyl.get(pk=author.pk)
    for _ in range(ENOUGH):
        for value in (
            author.pk,
            author,
            vinyl_author,
            str(author.pk),
            Decimal(author.pk),
            True,
            None,
            float(author.pk),
        ):
            expected = [book.title for book in await Book.vinyl.filter(author=value)]
            assert [book.title for book in await query(author=value)] == expected


async def test_the_errors_of_values_are_djangos():
    query = Book.vinyl.filter(author=Param("author")).freeze()
    for _ in range(ENOUGH):
        assert len(await query(author=1)) <= 1
        with pytest.raises(ValueError, match="Field 'id' expected a number but got 'x'"):
            await query(author="x")
        with pytest.raises(Book.DoesNotExist, match="Book matching query does not exist"):
            await query.get(author=0)
    every = Author.vinyl.filter(name__gte=Param("name")).freeze()
    with pytest.raises(Author.MultipleObjectsReturned, match="it returned 4!"):
        await every.get(name="a")


def test_wrong_names_are_told_where_they_are_written():
    with pytest.raises(FieldError, match="Cannot resolve keyword 'nmae'"):
        Author.vinyl.filter(nmae=Param("name"))
    with pytest.raises(FieldError, match="Unsupported lookup 'nope'"):
        Author.vinyl.filter(name__nope=Param("name"))
    with pytest.raises(FieldError, match="Cannot resolve keyword 'nope'"):
        Author.vinyl.filter(name=Param("name")).order_by("nope")
    with pytest.raises(TypeError, match="Param"):
        Param("not a name")
    with pytest.raises(TypeError, match="Param"):
        Param(1)
    with pytest.raises(TypeError, match="slice"):
        Author.vinyl.filter(name=Param("name"))[:2].filter(name="a")


@pytest.mark.parametrize(
    "build",
    [
        lambda q: q.filter(Q(name=Param("name"))),
        lambda q: q.filter(Q(born__isnull=True) | ~Q(books__title=Param("name"))),
        lambda q: q.filter(Q(name="a") | Q(name=Param("name")), name=Param("other")),
        lambda q: q.filter(name=Param("other")).exclude(Q(name=Param("name"))),
        lambda q: q.filter(name__in=["a", Param("name")]),
        lambda q: q.filter(name__range=("a", Param("name"))),
        lambda q: q.filter(name=Param("other"), name__in=[Param("name")]),
        lambda q: q.filter(pk=F("id") + Param("name")),
        lambda q: q.annotate(x=Case(When(name=Param("name"), then=1))),
    ],
)
def test_a_parameter_within_a_value_is_refused_with_the_cure(build):
    with pytest.raises(UnsupportedOperation, match=r"Param\('name'\) stands in a Q\(\).*filter\(name__in=Param"):
        build(Author.vinyl.all())


def test_a_frozen_query_says_of_what_types_its_parameters_are():
    query = (
        Book.vinyl.filter(author=Param("author"), price__lt=Param("limit"), title__in=Param("titles"))
        .exclude(published__isnull=Param("is_planned"), published__year=Param("year"))
        .filter(published__gte=Param("since"), author__born=Param("born"), stock__range=Param("stock"))
        .freeze()
    )
    assert {name: each.annotation for name, each in inspect.signature(query).parameters.items()} == {
        "author": int,
        "limit": Decimal,
        "titles": list[str],
        "is_planned": bool,
        "year": int,
        "since": datetime.datetime,
        "born": datetime.date,
        "stock": list[int],
    }
    untold = Author.vinyl.exclude(books__notes=Param("note")).freeze()
    assert [*inspect.signature(untold).parameters] == ["note"]


@pytest.mark.parametrize("given", [{}, {"nmae": "a"}, {"name": "a", "more": 1}])
async def test_parameters_are_all_given_by_name(given):
    query = Author.vinyl.filter(name=Param("name")).freeze()
    for call in (query, query.get, query.first, query.count, query.exists, query.queryset):
        with pytest.raises(TypeError, match="The frozen query of Author takes 'name', not"):
            await call(**given)
    with pytest.raises(TypeError):
        await query("a")
    with pytest.raises(TypeError, match="takes no parameters, not 'name'"):
        await Author.vinyl.all().freeze()(name="a")


def test_an_open_query_has_no_results():
    query = Author.vinyl.filter(name=Param("name"))
    for use in (
        list,
        lambda q: q[0],
        lambda q: q.get(),
        lambda q: q.count(),
        lambda q: q.update,
        lambda q: q.__await__(),
    ):
        with pytest.raises(UnsupportedOperation, match=r"has parameters whose values are not given \('name'\)"):
            use(query)
    with pytest.raises(AttributeError):
        _ = query.nope
    assert repr(query) == "<open query of library.Author: name>"


async def test_a_parameter_may_have_any_name():
    query = Author.vinyl.filter(name=Param("self"), born=Param("params")).freeze()
    for _ in range(ENOUGH):
        assert await query.count(self="a", params=datetime.date(2000, 1, 1)) == 1


def test_what_a_frozen_query_shows():
    query = Author.vinyl.filter(name=Param("b"), born=Param("a")).exclude(name=Param("b")).freeze()
    assert repr(query) == "<frozen query of library.Author(b, a)>"
    assert list(inspect.signature(query).parameters) == ["b", "a"]


async def test_a_base_that_is_loaded_is_asked_anew():
    base = Author.vinyl.filter(name__lt="c")
    assert names(await base) == ["a", "b"]
    query = base.filter(name__gte=Param("name")).freeze()
    everything = base.freeze()
    await Author.vinyl.create(name="bb")
    for _ in range(ENOUGH):
        assert names(await query(name="b")) == ["b", "bb"]
        assert names(await everything()) == ["a", "b", "bb"]


async def test_other_settings_are_other_plans():
    query = Author.vinyl.filter(name=Param("name")).freeze()
    for _ in range(ENOUGH):
        await query(name="a")
    with override_settings(TIME_ZONE="Europe/Vienna"), built() as calls:
        assert names(await query(name="b")) == ["b"]
    assert calls


@pytest.mark.asynchronous
async def test_tasks_share_it():
    query = Author.vinyl.filter(name=Param("name")).freeze()
    for _ in range(ENOUGH):
        found = await asyncio.gather(*(query.get(name=name) for name in "abcabc"))
        assert "".join(names(found)) == "abcabc"


async def test_models_without_a_manager_of_vinyls_own():
    query = vinyl.manager(Tag).filter(label=Param("label")).freeze()
    assert await query(label="a") == []
