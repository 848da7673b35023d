"""Querysets: the same results as Django's, awaited; and writing by them."""

import asyncio
import contextvars
import datetime as dt
import re
from decimal import Decimal

import pytest
from django.core.exceptions import FieldError
from django.db import IntegrityError, NotSupportedError, OperationalError, connection
from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    Max,
    Min,
    Model,
    OuterRef,
    ProtectedError,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Lower, RowNumber, TruncYear, Upper
from django.db.transaction import TransactionManagementError
from django.utils import timezone

import vinyl
from tests import settings
from tests.library.models import Author, BigBranch, Book, Branch, Cover, Letter, Loan, Member, Place, Tag
from vinyl import VinylModel, VinylQuerySet

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def shop(db):
    """Three authors; books of two of them, with covers, editors and tags; places of each kind."""
    ann = Author.objects.create(name="Ann", born=dt.date(1929, 10, 21))
    bo = Author.objects.create(name="Bo", born=dt.date(1952, 3, 11))
    Author.objects.create(name="Cy")
    new, old = Tag.objects.create(label="new"), Tag.objects.create(label="old")
    for number, (author, editor, title) in enumerate(
        [(ann, bo, "One"), (ann, None, "Two"), (bo, ann, "Three"), (bo, bo, "Four"), (ann, None, "Five")]
    ):
        book = Book.objects.create(
            author=author,
            editor=editor,
            title=title,
            price=Decimal(number) + Decimal("0.50"),
            stock=number % 3,
            published=dt.datetime(2000 + number // 2, 1 + number, 2, 12, tzinfo=dt.UTC) if number else None,
        )
        book.tags.set([new, old][: number % 3])
    Cover.objects.create(book=Book.objects.get(title="One"), colour="red")
    Place.objects.create(name="Park")
    Branch.objects.create(name="Town", seats=40)
    BigBranch.objects.create(name="City", seats=90, floors=3)


def comparable(value, above=()):
    """Return a value of Django's or vinyl's in a form in which the two are compared, types of values included."""
    if isinstance(value, Model):
        if value in above:
            # The other side of a relation.
            return value._meta.model, value.pk
        loaded = {**vars(value), **value._state.fields_cache, "_state": (value._state.db, value._state.adding)}
        return value._meta.model, comparable(loaded, (*above, value))
    if isinstance(value, dict):
        return {key: comparable(each, above) for key, each in value.items()}
    if isinstance(value, QuerySet | list | tuple):
        # The result of a query is a list with vinyl; a queryset is what has been prefetched, of a database or of none.
        kind = type(value).__name__ if isinstance(value, list | tuple) else (QuerySet, value._db)
        return kind, getattr(value, "_fields", None), [comparable(each, above) for each in value]
    return type(value), value


def evaluated(result):
    return list(result) if isinstance(result, QuerySet) else result


async def compare(query, model):
    """Evaluate a query with both managers, and compare. What the database cannot do is refused to both."""
    try:
        expected = await vinyl.run(lambda: comparable(evaluated(query(model.objects))))
    except NotSupportedError as error:
        assert not connection.features.allow_sliced_subqueries_with_in
        with pytest.raises(NotSupportedError, match=re.escape(str(error))):
            await query(vinyl.manager(model))
        return []
    found = await query(vinyl.manager(model))
    assert comparable(found) == expected
    return found


def years(books):
    return books.annotate(year=TruncYear("published")).values_list("year", flat=True).distinct().order_by("year")


CHAINS = {
    "all": lambda m: m.all(),
    "filter": lambda m: m.filter(title__startswith="T", stock__gte=1),
    "filter across relations": lambda m: m.filter(author__name="Ann", tags__label="new"),
    "filter by an object": lambda m: m.filter(author=Author(pk=-1)),
    "exclude": lambda m: m.exclude(tags__label="old"),
    "Q": lambda m: m.filter(Q(title="One") | ~Q(author__name="Ann")),
    "F": lambda m: m.filter(stock__gt=F("price")),
    "isnull": lambda m: m.filter(editor=None),
    "in": lambda m: m.filter(title__in=["One", "Two"]),
    "nothing": lambda m: m.filter(title="Six"),
    "none": lambda m: m.none(),
    "order_by": lambda m: m.order_by("-author__name", "title"),
    "reverse": lambda m: m.order_by("title").reverse(),
    "slice": lambda m: m.order_by("title")[1:3],
    "slice of a slice": lambda m: m.order_by("title")[1:][:2],
    "slice with a step": lambda m: m.order_by("title")[:5:2],
    "index": lambda m: m.order_by("title")[1],
    "distinct": lambda m: m.filter(tags__label__in=["new", "old"]).distinct(),
    "only": lambda m: m.only("title", "author"),
    "defer": lambda m: m.defer("price", "changed"),
    "only none": lambda m: m.only("title").only("stock"),
    "annotate": lambda m: m.annotate(tag_count=Count("tags"), loud=Upper("title")),
    "alias": lambda m: m.alias(n=Count("tags")).filter(n__gt=1),
    "Case": lambda m: m.annotate(cheap=Case(When(price__lt=2, then=Value("yes")), default=Value("no"))),
    "Coalesce": lambda m: m.annotate(by=Coalesce("editor__name", "author__name")).order_by("by", "title"),
    "FilteredRelation": lambda m: m.annotate(news=FilteredRelation("tags", condition=Q(tags__label="new"))).filter(
        news__isnull=False
    ),
    "extra": lambda m: m.extra(select={"double": "stock * 2"}),
    "values": lambda m: m.values("title", "author__name", double=F("stock") * 2),
    "values of a group": lambda m: m.values("author__name").annotate(n=Count("id"), most=Max("price")).order_by("n"),
    "values_list": lambda m: m.values_list("id", "title", "published"),
    "values_list flat": lambda m: m.values_list("price", flat=True),
    "values_list named": lambda m: m.values_list("title", "stock", named=True),
    "dates": lambda m: m.dates("published", "year"),
    "datetimes": lambda m: m.datetimes("published", "month", order="DESC"),
    "Trunc": lambda m: years(m.exclude(published=None)),
    "union": lambda m: m.filter(title="One").order_by().union(m.filter(stock=0).order_by()).order_by("title"),
    "union of values": lambda m: (
        m.order_by().values_list("title").union(m.order_by().values_list("author__name")).order_by("title")
    ),
    "intersection": lambda m: m.filter(stock=0).order_by().intersection(m.filter(author__name="Bo").order_by()),
    "difference": lambda m: m.order_by().difference(m.filter(stock=0).order_by()).order_by("title"),
    "or": lambda m: m.filter(title="One") | m.filter(title="Two"),
    "and": lambda m: m.filter(stock=1) & m.filter(author__name="Ann"),
    "xor": lambda m: m.filter(stock=1) ^ m.filter(author__name="Ann"),
    "or of nothing": lambda m: m.none() | m.filter(title="One"),
    "or of a slice": lambda m: m.order_by("title")[:1] | m.filter(title="Two"),
    "xor of a slice": lambda m: m.order_by("title")[:1] ^ m.filter(title__in=["Five", "Two"]),
    "subquery": lambda m: m.annotate(
        latest=Subquery(m.filter(author=OuterRef("author")).order_by("-price").values("title")[:1])
    ),
    "subquery in filter": lambda m: m.filter(author__in=m.filter(stock=2).values("author")),
    "Exists": lambda m: m.filter(Exists(m.filter(editor=OuterRef("author")))),
    "window": lambda m: m.annotate(
        place=Window(RowNumber(), partition_by="author", order_by="price"),
        sum=Window(Sum("price"), partition_by="author"),
    ),
    "select_related": lambda m: m.select_related("author", "editor", "cover"),
    "prefetch_related": lambda m: m.prefetch_related("tags", "author__edited"),
    "using": lambda m: m.using("other"),
    "reverse relation of a filter": lambda m: m.filter(cover__colour="red"),
    "select_for_update": lambda m: m.select_for_update().none(),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("query", CHAINS.values(), ids=CHAINS)
async def test_an_awaited_queryset_gives_what_django_gives(query):
    with timezone.override(dt.UTC):
        found = await compare(query, Book)
    models = [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, Model)]
    assert all(type(each) is Book.vinyl.vinyl_class for each in models)


@pytest.fixture
def zones(db):
    """Ask for a server that knows time zones by their names. Those of MySQL and MariaDB have to be told of them."""
    if not connection.features.has_zoneinfo_database:
        pytest.skip("not on a server without time zones")


IN_A_ZONE = {
    **{name: CHAINS[name] for name in ("dates", "datetimes", "Trunc")},
    "Trunc of NULL": lambda m: years(m.all()),
}


@pytest.mark.usefixtures("shop", "zones")
@pytest.mark.parametrize("query", IN_A_ZONE.values(), ids=IN_A_ZONE)
async def test_dates_are_cut_off_in_the_current_zone_as_django_does(query):
    with timezone.override("Africa/Nairobi"):
        found = await compare(query, Book)
    assert any(found)


@pytest.mark.parametrize("name", [name for name in CHAINS if name not in ("index", "slice with a step")])
def test_a_method_that_chains_gives_a_queryset_of_vinyl_and_of_the_project(name):
    queryset = CHAINS[name](Book.vinyl)
    assert isinstance(queryset, VinylQuerySet)
    assert isinstance(queryset, type(CHAINS[name](Book.objects)))
    assert queryset.model is Book.vinyl.vinyl_class
    assert queryset.query.model is Book


TERMINALS = {
    "get": lambda m: m.get(title="One"),
    "get of values": lambda m: m.values("title").get(title="One"),
    "first": lambda m: m.first(),
    "first of order_by": lambda m: m.order_by("title").first(),
    "first of nothing": lambda m: m.filter(title="Six").first(),
    "last": lambda m: m.last(),
    "last of values_list": lambda m: m.values_list("title", flat=True).last(),
    "earliest": lambda m: m.earliest("price"),
    "latest": lambda m: m.latest("price", "id"),
    "count": lambda m: m.count(),
    "count of filter": lambda m: m.filter(tags__label="new").count(),
    "count of a slice": lambda m: m.all()[1:3].count(),
    "count of distinct": lambda m: m.values("author").distinct().count(),
    "exists": lambda m: m.filter(title="One").exists(),
    "exists of nothing": lambda m: m.filter(title="Six").exists(),
    "contains": lambda m: m.contains(Book(pk=-1)),
    "aggregate": lambda m: m.aggregate(Sum("price"), n=Count("id"), low=Min("stock"), mean=Avg("stock")),
    "aggregate of a group": lambda m: m.values("author").annotate(n=Count("id")).aggregate(Max("n")),
    "in_bulk": lambda m: m.in_bulk(),
    "in_bulk of keys": lambda m: m.in_bulk([-1]),
    "in_bulk of nothing": lambda m: m.in_bulk([]),
    "update": lambda m: m.filter(title="Six").update(stock=1),
    "delete": lambda m: m.filter(title="Six").delete(),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("query", TERMINALS.values(), ids=TERMINALS)
async def test_a_method_that_queries_gives_what_djangos_gives(query):
    found = await compare(query, Book)
    assert isinstance(found, VinylModel) == isinstance(found, Model)


OTHER_MODELS = {
    "in_bulk by a field": (Tag, lambda m: m.in_bulk(["new"], field_name="label")),
    "children": (Branch, lambda m: m.filter(seats__gt=1).order_by("name")),
    "grandchildren": (BigBranch, lambda m: m.all()),
    "the child of each parent": (Place, lambda m: m.select_related("branch__bigbranch").order_by("name")),
    "deferred fields of a child": (BigBranch, lambda m: m.defer("name", "seats")),
    "only a field of a parent": (BigBranch, lambda m: m.only("name")),
    "joined child": (
        Author,
        lambda m: m.annotate(n=Count("books"), m=Count("edited", distinct=True)).order_by("-n", "id"),
    ),
    "a relation to a child of an abstract base": (Letter, lambda m: m.filter(stamp="new")),
    "reverse one to many": (Author, lambda m: m.filter(books__price__gt=2).distinct()),
    "deferred and joined": (Book, lambda m: m.select_related("author").only("title", "author__name")),
    "joined twice": (Cover, lambda m: m.select_related("book__author", "book__editor")),
    "ordered by an expression": (Author, lambda m: m.order_by(Lower("name").desc())),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("model", "query"), OTHER_MODELS.values(), ids=OTHER_MODELS)
async def test_models_of_other_kinds_give_what_django_gives(model, query):
    await compare(query, model)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("name", "arguments"), [("one", ("title", "One")), ("none", ("title", "Six"))])
async def test_contains_tells_whether_an_object_is_in_the_result(name, arguments):
    one = await Book.vinyl.get(title="One")
    assert await Book.vinyl.filter(**dict([arguments])).contains(one) is (name == "one")


@pytest.mark.usefixtures("shop")
async def test_explain_gives_the_databases_plan():
    plan = await Book.vinyl.filter(title="One").explain()
    assert isinstance(plan, str)
    assert "library_book" in plan


# Loading.


@pytest.mark.usefixtures("shop")
async def test_awaiting_a_queryset_gives_a_list():
    books = await Book.vinyl.filter(author__name="Ann")
    assert type(books) is list
    assert [book.title for book in books] == ["One", "Two", "Five"]


@pytest.mark.usefixtures("shop")
async def test_a_queryset_is_iterated_by_async_for():
    titles = []
    async for book in Book.vinyl.filter(author__name="Ann"):
        assert isinstance(book, VinylModel)
        titles.append(book.title)
    assert titles == ["One", "Two", "Five"]
    assert [title async for title in Book.vinyl.values_list("title", flat=True)[:1]] == ["One"]


@pytest.fixture
def queries():
    """Count the queries of the test in a list."""
    executed = []

    def note(execute, sql, params, many, context):
        executed.append(sql)
        return execute(sql, params, many, context)

    note.executed = executed
    return note


@pytest.mark.usefixtures("shop")
async def test_a_queryset_queries_once_and_keeps_its_result(queries):
    books = Book.vinyl.all()
    with vinyl.connection.execute_wrapper(queries):
        first = await books
        assert len(queries.executed) == 1
        assert await books == first
        assert [book async for book in books] == first
        assert await books.count() == 5
        assert await books.exists()
        assert books[2] == first[2]
        assert await books.contains(first[0])
        assert len(queries.executed) == 1
        await books.all()
        assert len(queries.executed) == 2


@pytest.mark.usefixtures("shop")
async def test_the_list_that_await_gives_is_the_callers_own():
    books = Book.vinyl.all()
    (await books).clear()
    assert len(await books) == 5


@pytest.mark.usefixtures("shop")
async def test_building_a_queryset_does_not_query(queries):
    with vinyl.connection.execute_wrapper(queries):
        for name, query in CHAINS.items():
            if name not in ("index", "slice with a step"):
                query(Book.vinyl)
    assert queries.executed == []


@pytest.mark.usefixtures("shop")
def test_in_the_sync_mode_each_method_returns_at_once():
    with vinyl.sync_mode():
        assert Book.vinyl.count() == 5
        assert Book.vinyl.filter(title="One").exists()
        assert Book.vinyl.get(title="One").stock == 0
        assert Book.vinyl.aggregate(Sum("stock")) == {"stock__sum": 4}
        assert Author.vinyl.get_or_create(name="Ann")[1] is False


# Django's names.

AWAITED = {
    "get": {"name": "Ann"},
    "first": {},
    "last": {},
    "earliest": ("id",),
    "latest": ("id",),
    "count": {},
    "exists": {},
    "contains": (Author(pk=-1),),
    "aggregate": (Count("books"),),
    "in_bulk": {},
    "explain": {},
    "update": {"born": None},
    "get_or_create": {"name": "Ann"},
    "update_or_create": {"name": "Ann"},
    "bulk_create": ([],),
    "bulk_update": ([], ["name"]),
}


def call(queryset, name, arguments):
    method = getattr(queryset, name)
    return method(**arguments) if isinstance(arguments, dict) else method(*arguments)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("name", "arguments"), AWAITED.items(), ids=AWAITED)
async def test_djangos_asynchronous_name_gives_what_the_plain_name_gives(name, arguments):
    expected = await call(Author.vinyl, name, arguments)
    found = await call(Author.vinyl, f"a{name}", arguments)
    if name != "explain":
        assert comparable(found) == comparable(expected)
    assert type(found) is type(expected)


@pytest.mark.asynchronous
@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("name", "arguments"), AWAITED.items(), ids=AWAITED)
async def test_djangos_asynchronous_names_are_awaited_in_the_sync_mode_too(name, arguments):
    expected = await call(Author.vinyl, name, arguments)
    with vinyl.sync_mode():
        found = await call(Author.vinyl, f"a{name}", arguments)
    assert type(found) is type(expected)


@pytest.mark.usefixtures("shop")
async def test_acreate_and_adelete_write():
    dee = await Author.vinyl.acreate(name="Dee")
    assert await Author.vinyl.contains(dee)
    assert await Author.vinyl.filter(name="Dee").adelete() == (1, {"library.Author": 1})
    assert not await Author.vinyl.contains(dee)


def test_each_name_of_django_that_begins_with_a_is_answered_by_vinyl():
    names = {name for name in dir(QuerySet) if name[0] == "a" and hasattr(QuerySet, name[1:])}
    assert names == {name for name in names if hasattr(VinylQuerySet, name) and name in vars(VinylQuerySet)}


# Errors.


@pytest.mark.usefixtures("shop")
async def test_get_raises_the_models_own_errors():
    with pytest.raises(Book.DoesNotExist):
        await Book.vinyl.get(title="Six")
    with pytest.raises(Book.MultipleObjectsReturned):
        await Book.vinyl.get(author__name="Ann")
    with pytest.raises(Book.DoesNotExist):
        await Book.vinyl.aget(title="Six")
    with pytest.raises(Book.DoesNotExist):
        await Book.vinyl.filter(title="Six").latest("price")


async def test_an_unknown_field_raises_django_field_error():
    with pytest.raises(FieldError, match="colour"):
        Book.vinyl.filter(colour="red")
    with pytest.raises(FieldError, match="colour"):
        await Book.vinyl.get(colour="red")
    with pytest.raises(FieldError, match="colour"):
        await Book.vinyl.aggregate(Sum("colour"))
    with pytest.raises(FieldError, match="colour"):
        await Book.vinyl.only("title").order_by("colour")


async def test_a_negative_index_is_refused():
    with pytest.raises(ValueError, match="Negative indexing is not supported"):
        await Book.vinyl.all()[-1]


async def test_an_index_beyond_the_end_is_refused():
    with pytest.raises(IndexError):
        await Book.vinyl.all()[7]


# Writing.


async def test_create_inserts_and_gives_the_instance():
    ann = await Author.vinyl.create(name="Ann")
    assert isinstance(ann, VinylModel)
    assert (ann._state.adding, ann._state.db) == (False, "default")
    assert await Author.vinyl.values_list("pk", "name") == [(ann.pk, "Ann")]


async def test_create_raises_integrity_errors_as_django_does():
    await vinyl.manager(Tag).create(label="new")
    with pytest.raises(IntegrityError):
        await vinyl.manager(Tag).create(label="new")


async def test_get_or_create_creates_once():
    ann, created = await Author.vinyl.get_or_create(name="Ann", defaults={"born": dt.date(1929, 10, 21)})
    assert created
    assert isinstance(ann, VinylModel)
    assert ann.born == dt.date(1929, 10, 21)
    again, created = await Author.vinyl.get_or_create(name="Ann", defaults={"born": None})
    assert not created
    assert isinstance(again, VinylModel)
    assert (again, again.born) == (ann, dt.date(1929, 10, 21))
    assert await Author.vinyl.count() == 1


async def test_get_or_create_gets_the_row_that_another_has_created_meanwhile(monkeypatch):
    members = vinyl.manager(Tag)
    await members.create(label="new")
    got = []
    get = QuerySet.get

    def get_too_early(self, *args, **kwargs):
        got.append(kwargs)
        if len(got) == 1:
            raise Tag.DoesNotExist
        return get(self, *args, **kwargs)

    monkeypatch.setattr(QuerySet, "get", get_too_early)
    tag, created = await members.get_or_create(label="new")
    assert (tag.label, created, len(got)) == ("new", False, 2)


async def test_update_or_create_updates_or_creates():
    ann, created = await Author.vinyl.update_or_create(name="Ann", defaults={"born": dt.date(1929, 10, 21)})
    assert (created, ann.born) == (True, dt.date(1929, 10, 21))
    again, created = await Author.vinyl.update_or_create(name="Ann", defaults={"born": dt.date(1930, 1, 1)})
    assert (created, again) == (False, ann)
    assert isinstance(again, VinylModel)
    assert await Author.vinyl.values_list("name", "born") == [("Ann", dt.date(1930, 1, 1))]


async def test_update_or_create_takes_other_values_for_a_new_row():
    _, created = await Author.vinyl.update_or_create(
        name="Ann", defaults={"born": None}, create_defaults={"name": "Ann", "born": dt.date(1929, 10, 21)}
    )
    assert created
    assert await Author.vinyl.values_list("born", flat=True) == [dt.date(1929, 10, 21)]


@pytest.mark.usefixtures("shop")
async def test_update_or_create_writes_only_the_defaults():
    book, _ = await Book.vinyl.update_or_create(title="One", defaults={"stock": F("stock") + 7})
    assert book.stock == 7
    assert await Book.vinyl.filter(title="One", stock=7).count() == 1


async def test_bulk_create_inserts_all_and_sets_the_primary_keys_that_the_database_returns():
    authors = [Author.vinyl(name=name) for name in "abc"]
    assert await Author.vinyl.bulk_create(authors, batch_size=2) == authors
    assert await Author.vinyl.values_list("name", flat=True) == ["a", "b", "c"]
    if settings.ENGINE == "mysql":
        # As in Django: who does not know the key cannot say which row this is.
        assert [(author.pk, author._state.adding) for author in authors] == [(None, True)] * 3
    else:
        assert not [author for author in authors if author._state.adding]
        assert await Author.vinyl.values_list("pk", flat=True) == [author.pk for author in authors]


async def test_bulk_create_takes_instances_of_the_django_model_too():
    await Author.vinyl.bulk_create([Author(name="a")])
    assert await Author.vinyl.values_list("name", flat=True) == ["a"]


async def test_bulk_create_can_ignore_or_update_conflicts():
    tags = vinyl.manager(Tag)
    await tags.create(label="a")
    await tags.bulk_create([tags(label="a"), tags(label="b")], ignore_conflicts=True)
    assert await tags.order_by("label").values_list("label", flat=True) == ["a", "b"]
    with pytest.raises(IntegrityError):
        await tags.bulk_create([tags(label="c"), tags(label="a")])
    assert await tags.count() == 2
    first = await tags.get(label="a")
    # MySQL and MariaDB look at all unique fields.
    target = {"unique_fields": ["id"]} if connection.features.supports_update_conflicts_with_target else {}
    again = tags(pk=first.pk, label="z")
    await tags.bulk_create([again], update_conflicts=True, update_fields=["label"], **target)
    assert await tags.order_by("label").values_list("label", flat=True) == ["b", "z"]


@pytest.mark.usefixtures("shop")
async def test_bulk_update_writes_the_fields_of_all_and_gives_the_count():
    books = await Book.vinyl.filter(author__name="Ann")
    for number, book in enumerate(books):
        book.stock, book.title, book.price = 10 + number, Lower("title"), Decimal(0)
    assert await Book.vinyl.bulk_update(books, ["stock", "title"], batch_size=2) == 3
    written = await Book.vinyl.filter(author__name="Ann").values_list("title", "stock", "price")
    assert written == [("one", 10, Decimal("0.50")), ("two", 11, Decimal("1.50")), ("five", 12, Decimal("4.50"))]


@pytest.mark.usefixtures("shop")
async def test_update_of_a_queryset_gives_the_number_of_rows():
    assert await Book.vinyl.filter(author__name="Ann").update(stock=F("stock") + 10) == 3
    assert await Book.vinyl.filter(stock__gte=10).count() == 3
    assert await Branch.vinyl.filter(seats=40).update(name="Village", seats=1) == 1
    assert await Place.vinyl.filter(name="Village", branch__seats=1).exists()


@pytest.mark.usefixtures("shop")
async def test_delete_of_a_queryset_follows_the_on_delete_rules_and_gives_the_counts():
    counts = {"library.Author": 1, "library.Book": 3, "library.Cover": 1, "library.Book_tags": 2}
    assert await Author.vinyl.filter(name="Ann").delete() == (7, counts)
    assert await Book.vinyl.values_list("title", "editor__name") == [("Three", None), ("Four", "Bo")]


@pytest.mark.usefixtures("shop")
async def test_delete_of_a_queryset_with_a_protected_row_deletes_nothing():
    book = await Book.vinyl.get(title="One")
    await Loan.vinyl.create(book=book, member=await Member.vinyl.create(name="Ada"))
    with pytest.raises(ProtectedError):
        await Author.vinyl.all().delete()
    assert (await Author.vinyl.count(), await Book.vinyl.count()) == (3, 5)


def test_delete_is_a_method_of_querysets_only_as_in_django():
    assert not hasattr(Author.vinyl, "delete")
    assert not hasattr(Author.vinyl, "adelete")


# Locks.


@pytest.mark.engine("postgresql", "mariadb", "mysql")
@pytest.mark.usefixtures("shop")
async def test_select_for_update_outside_of_a_transaction_is_refused():
    with pytest.raises(TransactionManagementError, match="outside of a transaction"):
        await Book.vinyl.select_for_update()
    with pytest.raises(TransactionManagementError, match="outside of a transaction"):
        await Book.vinyl.select_for_update().get(title="One")


@pytest.mark.usefixtures("shop")
async def test_select_for_update_works_in_a_transaction():
    async with vinyl.transaction.atomic():
        book = await Book.vinyl.select_for_update().get(title="One")
        await book.update(stock=F("stock") + 1)
    assert await Book.vinyl.filter(title="One", stock=1).exists()


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql", "mariadb", "mysql")
@pytest.mark.usefixtures("shop")
async def test_a_row_that_a_transaction_has_locked_is_locked_for_others():
    of = ("self",) if await vinyl.run(lambda: connection.features.has_select_for_update_of) else ()

    async def titles():
        async with vinyl.transaction.atomic():
            locked = Book.vinyl.select_for_update(skip_locked=True).filter(author__name="Bo")
            return await locked.select_for_update(skip_locked=True, of=of).values_list("title", flat=True)

    other = contextvars.copy_context()
    async with vinyl.transaction.atomic():
        await Book.vinyl.select_for_update().get(title="Three")
        assert await asyncio.create_task(titles(), context=other) == ["Four"]
    assert await titles() == ["Three", "Four"]


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql", "mariadb", "mysql")
@pytest.mark.usefixtures("shop")
async def test_a_row_that_is_locked_is_not_waited_for_where_it_is_said_so():
    no_key = connection.features.has_select_for_no_key_update

    async def lock():
        async with vinyl.transaction.atomic():
            await Book.vinyl.select_for_update(nowait=True, no_key=no_key).get(title="Three")

    other = contextvars.copy_context()
    async with vinyl.transaction.atomic():
        await Book.vinyl.select_for_update(no_key=no_key).get(title="Three")
        with pytest.raises(OperationalError, match=r"could not obtain lock|Lock wait timeout|NOWAIT"):
            await asyncio.create_task(lock(), context=other)
    await lock()
