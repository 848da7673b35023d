"""Loading: what the generated loops make of rows is what Django makes of them."""

import asyncio
import copy
import gc
import pickle
from datetime import datetime

import pytest
from django.apps import apps
from django.db import connections
from django.db.models import F, FilteredRelation, Q
from django.db.models.query import BaseIterable
from django.test import override_settings

import vinyl
from tests.django_suite.likeness import Comparison
from tests.kinds import models as kinds
from tests.kinds.models.fields import ColourField
from tests.library.models import Author, BigBranch, Book, Branch, Cover, Loan, Member, Note, Place, Shelf
from tests.test_kinds import KINDS
from vinyl import fairness
from vinyl.loading import rows as loading
from vinyl.loading import states
from vinyl.loading.hydration import is_plain
from vinyl.plans import lanes

pytestmark = pytest.mark.usefixtures("kinds")

# Classes that have a say in how their instances are made.
WITH_HOOKS = {kinds.Initialised, kinds.Remembering, kinds.Tracked, kinds.Photo, kinds.PhotoOfLateSize, kinds.Picture}


@pytest.fixture
def shop():
    """Books with all that can be joined to them, and a book without."""
    ann, bo = Author.objects.create(name="Ann"), Author.objects.create(name="Bo", born="1970-01-01")
    one = Book.objects.create(author=ann, editor=bo, title="One", price="1.50", published="2001-02-03T04:05:06Z")
    Book.objects.create(author=bo, title="Two")
    Cover.objects.create(book=one, colour="red")
    Loan.objects.create(book=one, member=Member.objects.create(name="Cy"))
    BigBranch.objects.create(name="Town", seats=3, floors=4)
    Branch.objects.create(name="Village")
    Place.objects.create(name="Hill")
    Shelf.objects.create(code="B")
    Note.objects.create(about=one, text="Good")


async def assert_alike(build, model=Book):
    """Claim that the queryset gives what Django's gives, and return its results."""
    found = list(await build(vinyl.manager(model).all()))
    expected = await vinyl.run(lambda: list(build(model._base_manager.all())))
    assert found
    difference = Comparison(with_vinyl=True).first(expected, found)
    assert difference is None, difference
    return found


# Instances


@pytest.mark.parametrize(("model", "values", "_"), KINDS.values(), ids=KINDS)
async def test_instances_of_each_kind_are_as_djangos(model, values, _):
    await vinyl.run(lambda: model._base_manager.create(**values))
    await assert_alike(lambda queryset: queryset, model)
    (found,) = await vinyl.manager(model).all()
    read = await vinyl.run(model._base_manager.get)
    # Asking makes them.
    assert found._state.fields_cache == read._state.fields_cache == {}
    assert vars(found._state) == vars(read._state)
    assert {name: type(value) for name, value in vars(found).items()} == {
        name: type(value) for name, value in vars(read).items()
    }


JOINED = {
    "foreign keys": lambda books: books.select_related("author", "editor"),
    "reverse one-to-one": lambda books: books.select_related("cover"),
    "nested": lambda books: books.select_related("cover__book__editor"),
    "annotations": lambda books: books.annotate(more=F("stock") + 1, by=F("author__name")),
    "an annotation by the name of a property": lambda books: books.annotate(more=F("stock")).select_related("author"),
    "only": lambda books: books.only("title", "author__name").select_related("author"),
    "defer": lambda books: books.defer("price", "author"),
    "extra": lambda books: books.extra(select={"twice": "stock * 2"}),
    "ordered by what is not selected": lambda books: books.order_by("author__name").distinct(),
    "a filtered relation": lambda books: books.annotate(
        written_by=FilteredRelation("author", condition=Q(author__name="Ann"))
    ).select_related("written_by"),
    "nothing but nulls": lambda books: books.filter(editor=None).select_related("editor", "cover"),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("name", JOINED)
async def test_joined_instances_and_annotations_are_as_djangos(name):
    await assert_alike(JOINED[name])


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("relations", [["branch"], ["branch__bigbranch"], []])
async def test_children_of_several_tables_are_as_djangos(relations):
    await assert_alike(lambda places: places.select_related(*relations) if relations else places, Place)
    await assert_alike(lambda branches: branches.select_related("place_ptr"), BigBranch)


@pytest.mark.usefixtures("shop")
async def test_models_of_the_shop_are_as_djangos():
    for model in (Author, Cover, Loan, Note, Place, Branch, BigBranch, Shelf):
        await assert_alike(lambda queryset: queryset, model)
    await assert_alike(lambda loans: loans.select_related("book__author", "book__cover", "member"), Loan)


async def test_composite_primary_keys_are_as_djangos():
    tenant = await kinds.Tenant.vinyl.create(name="Ann")
    await kinds.Order.vinyl.create(tenant=tenant, number=7)
    await assert_alike(lambda orders: orders.select_related("tenant"), kinds.Order)
    await assert_alike(lambda orders: orders.values("pk", "note"), kinds.Order)
    await assert_alike(lambda orders: orders.values_list("note", "pk"), kinds.Order)
    await assert_alike(lambda orders: orders.values_list("pk", flat=True), kinds.Order)


@pytest.mark.usefixtures("shop")
async def test_rows_of_another_database_know_it():
    await vinyl.run(lambda: Author.objects.using("other").create(name="Di"))
    (di,) = await assert_alike(lambda authors: authors.using("other"), Author)
    assert vars(di)["_state"].db == "other"


@pytest.mark.usefixtures("shop")
async def test_books_of_an_author_know_him_unless_another_one_was_joined():
    ann = await Author.vinyl.get(name="Ann")
    (book,) = await ann.books.all()
    assert book.author is ann
    (book,) = await ann.books.select_related("author")
    assert book.author is not ann
    assert "author_id" not in vars((await ann.books.only("title"))[0])


# Dictionaries, tuples and values


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "build",
    [
        lambda books: books.values(),
        lambda books: books.values("title", "author__name", more=F("stock") + 1),
        lambda books: books.annotate(more=F("stock") + 1).values("more", "published", "price"),
        lambda books: books.extra(select={"twice": "stock * 2"}).values("title", "twice"),
        lambda books: books.values_list(),
        lambda books: books.values_list("title", "price", "published"),
        lambda books: books.values_list("author__name").order_by("editor__name", "id").distinct(),
        lambda books: books.extra(select={"twice": "stock * 2"}).values_list("title", "twice"),
        lambda books: books.values_list("published", flat=True),
        lambda books: books.values_list("title", "price", named=True),
        lambda books: books.annotate(more=F("stock") + 1).values_list(named=True),
        lambda books: books.dates("published", "year"),
        lambda books: books.order_by().values("title").union(books.order_by().values("author__name")).order_by("title"),
    ],
)
async def test_values_are_as_djangos(build):
    await assert_alike(build)


@pytest.mark.usefixtures("shop")
async def test_an_iterable_of_the_projects_own_is_left_alone():
    class Titles(BaseIterable):
        def __iter__(self):
            compiler = self.queryset.query.get_compiler(self.queryset.db)
            return (row[0] for row in compiler.results_iter())

    books = Book.vinyl.order_by("title").values_list("title")
    books._iterable_class = Titles
    assert list(await books) == ["One", "Two"]
    assert loading.loader_of(books, None, "default") is None


# Who is asked


@pytest.mark.parametrize("model", [*apps.get_app_config("kinds").get_models(), Author, Book, Member])
def test_only_classes_without_hooks_are_made_past_them(model):
    assert is_plain(vinyl.manager(model).vinyl_class) == (model not in WITH_HOOKS)


async def test_what_overrides_from_db_for_a_while_is_asked_too(monkeypatch):
    await Author.vinyl.create(name="Ann")
    await Author.vinyl.get()
    made = []
    from_db = Author.from_db.__func__
    monkeypatch.setattr(
        Author, "from_db", classmethod(lambda cls, *args, **kwargs: made.append(1) or from_db(cls, *args, **kwargs))
    )
    with override_settings(VINYL={"PLANS": False}):
        await Author.vinyl.get()
    assert made


def test_text_is_made_of_quoted_names():
    name = "x': __import__('os').abort(), '"
    queryset = Author.vinyl.annotate(fine=F("name"))
    queryset.query.annotations[name] = queryset.query.annotations.pop("fine")
    queryset.query.set_annotation_mask(None)
    compiler = queryset.query.get_compiler("default")
    compiler.pre_sql_setup()
    loader = loading.loader_of(queryset, compiler, "default")
    (author,) = loader([(1, "Ann", None, "value")], connections["default"])
    assert vars(author)[name] == "value"


# A loader


@pytest.mark.usefixtures("shop")
async def test_a_loader_serves_later_executions_and_keeps_no_connection():
    def loader_and_rows(title):
        queryset = Book.vinyl.filter(title=title).annotate(more=F("stock") + 1)
        compiler = queryset.query.get_compiler("default")
        sql, params = compiler.as_sql()
        loader = loading.loader_of(queryset, compiler, "default")
        with compiler.connection.cursor() as cursor:
            cursor.execute(sql, params)
            return loader, cursor.fetchall()

    loader, _ = await vinyl.run(loader_and_rows, "One")
    _, rows = await vinyl.run(loader_and_rows, "Two")
    assert not _reaches(loader, type(connections["default"]))

    def load():
        return loading.load(loader, rows, connections["default"])

    (two,) = await vinyl.run(load)
    assert two.title == "Two"
    assert isinstance((await vinyl.run(load))[0].changed, datetime)


def _reaches(start, kind):
    """Whether an object of the kind is referred to from there, but not by classes and modules."""
    seen, waiting = set(), [start]
    while waiting:
        ob = waiting.pop()
        if isinstance(ob, kind):
            return True
        if id(ob) not in seen and not isinstance(ob, type) and type(ob).__name__ not in ("module", "Options", "Apps"):
            seen.add(id(ob))
            held = ob.__closure__ or () if hasattr(ob, "__closure__") else gc.get_referents(ob)
            waiting.extend(held)
    return False


# The state


@pytest.fixture
def untouched(monkeypatch):
    """A function that returns an instance whose state nobody has asked for."""

    async def load(**lookup):
        author = await Author.vinyl.get(**lookup)
        assert "_state" not in states.attributes_of(author)
        return author

    return load


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda ob: pickle.loads(pickle.dumps(ob))])
async def test_an_instance_whose_state_nobody_has_asked_for_is_copied_and_pickled(untouched, copied):
    ann = await untouched(name="Ann")
    other = copied(ann)
    assert other == ann
    assert type(other) is type(ann)
    assert (other._state.db, other._state.adding) == ("default", False)
    assert other._state is not ann._state
    of_django = copied(await vinyl.run(Author.objects.get, name="Ann"))
    assert vars(other).keys() == vars(of_django).keys()
    assert vars(other._state).keys() == vars(of_django._state).keys()


@pytest.mark.usefixtures("shop")
async def test_the_state_is_there_for_who_looks_at_the_attributes(untouched):
    ann = await untouched(name="Ann")
    assert vars(ann)["_state"] is ann._state
    ann = await untouched(name="Ann")
    assert ann._state is vars(ann)["_state"]
    ann.__dict__ = dict(vars(ann), name="Anna")
    assert ann.name == "Anna"
    with pytest.raises(AttributeError):
        type(ann)._state  # noqa: B018


@pytest.mark.usefixtures("shop")
async def test_an_instance_whose_state_nobody_has_asked_for_is_written_refreshed_and_deleted(untouched):
    bo = await untouched(name="Bo")
    await bo.update(name="Bob")
    await (await untouched(name="Bob")).refresh()
    await (await untouched(name="Bob")).delete()
    assert [author.name for author in await Author.vinyl.all()] == ["Ann"]


# Giving way


async def authors(count):
    await Author.vinyl.bulk_create([Author(name=f"A{number}") for number in range(count)])


@pytest.fixture
def one_row_a_turn(monkeypatch):
    """Each step takes a whole turn, in the bridge."""
    monkeypatch.setattr(loading, "SLICE", 1)
    monkeypatch.setattr(fairness, "TURN", 0)
    with override_settings(VINYL={"PLANS": False}):
        yield


class Turns:
    """Counts how often another task has its turn in the block."""

    async def __aenter__(self):
        self.count = 0
        self._counting = asyncio.ensure_future(self._run())
        await asyncio.sleep(0)
        self.count = 0
        return self

    async def _run(self):
        while True:
            self.count += 1
            await asyncio.sleep(0)

    async def __aexit__(self, *exc_info):
        self._counting.cancel()


@pytest.mark.loops
async def test_loading_many_rows_gives_way_to_other_tasks(one_row_a_turn):
    rows = [(number,) for number in range(20)]
    async with Turns() as turns:
        assert await vinyl.run(loading.load, lambda rows, connection: rows, rows, None) == rows
    assert turns.count >= 20


@pytest.mark.loops
@pytest.mark.parametrize(
    "build",
    [lambda queryset: queryset, lambda queryset: queryset.values(), lambda queryset: queryset.values_list("name")],
)
async def test_a_large_result_gives_way_to_other_tasks(build, one_row_a_turn):
    await authors(20)
    async with Turns() as turns:
        assert len(await build(Author.vinyl.all())) == 20
    # One of each row that is read, and one of each that is loaded.
    assert turns.count >= 40


@pytest.mark.asynchronous
async def test_a_small_result_gives_way_to_nobody(monkeypatch):
    monkeypatch.setattr(fairness, "give_way", lambda: pytest.fail("gave way"))
    monkeypatch.setattr(fairness, "TURN", 60)
    await authors(20)
    assert len(await Author.vinyl.all()) == 20


@pytest.mark.asynchronous
async def test_who_is_cancelled_as_it_gives_way_has_given_its_connection_back(monkeypatch, one_row_a_turn):
    await authors(5)
    pauses = []
    give_way = fairness.give_way

    def count_and_give_way():
        pauses.append(1)
        give_way()

    monkeypatch.setattr(fairness, "give_way", count_and_give_way)
    await Author.vinyl.all()
    for at in range(1, len(pauses) + 1):
        pauses.clear()

        async def load():
            return await Author.vinyl.all()

        task = asyncio.ensure_future(load())
        while len(pauses) < at:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert vinyl.connection.statistics()["pool_in_use"] == 0
        assert gc.isenabled()
    assert await Author.vinyl.count() == 5


@pytest.mark.asynchronous
async def test_a_transaction_goes_on_after_its_loading_was_cancelled_as_it_gave_way(one_row_a_turn):
    await authors(3)
    async with vinyl.transaction.atomic():
        with pytest.raises(asyncio.CancelledError):
            await _cancelled_as_it_gives_way(Author.vinyl.all())
        await Author.vinyl.create(name="Di")
    assert await Author.vinyl.count() == 4


@pytest.mark.engine("postgresql")
@pytest.mark.loops
async def test_a_large_result_of_a_plan_gives_way_to_other_tasks(monkeypatch):
    await authors(20)
    for _ in range(3):
        await Author.vinyl.all()
    monkeypatch.setattr(lanes, "SLICE", 1)
    monkeypatch.setattr(lanes, "TURN", 0)
    async with Turns() as turns:
        assert len(await Author.vinyl.all()) == 20
    assert turns.count >= 20


async def _cancelled_as_it_gives_way(queryset):
    give_way, task = fairness.give_way, asyncio.current_task()

    def cancel_and_give_way():
        fairness.give_way = give_way
        task.cancel()
        give_way()

    fairness.give_way = cancel_and_give_way
    try:
        await queryset
    finally:
        fairness.give_way = give_way
        task.uncancel()


# The garbage collector


@pytest.fixture
def seen(monkeypatch):
    """Whether the collector was on, each time that a value was converted or an instance made by from_db()."""
    seen = []

    def convert(self, value, expression, connection):
        seen.append(gc.isenabled())
        return value

    def from_db(cls, *args, **kwargs):
        seen.append(gc.isenabled())
        return super(kinds.Swatch, cls).from_db(*args, **kwargs)

    monkeypatch.setattr(loading, "_kept", {})
    monkeypatch.setattr(ColourField, "from_db_value", convert)
    monkeypatch.setattr(kinds.Swatch, "from_db", classmethod(from_db))
    return seen


async def test_the_collector_is_held_while_rows_are_loaded(seen):
    await kinds.Swatch.vinyl.create()
    await kinds.Swatch.vinyl.values("colour")
    assert seen == [False]
    assert gc.isenabled()


async def test_the_collector_is_not_held_where_the_project_may_wait_for_something(seen):
    await kinds.Swatch.vinyl.create()
    await kinds.Swatch.vinyl.only("warmth")
    assert seen == [True]


async def test_a_collector_that_was_off_stays_off(seen):
    await kinds.Swatch.vinyl.create()
    gc.disable()
    try:
        await kinds.Swatch.vinyl.values("colour")
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_the_collector_is_on_again_after_an_error(monkeypatch):
    await kinds.Swatch.vinyl.create()
    monkeypatch.setattr(loading, "_kept", {})
    monkeypatch.setattr(ColourField, "from_db_value", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await kinds.Swatch.vinyl.values("colour")
    assert gc.isenabled()
