"""prefetch_related() of plain relations leaves on the instances what Django leaves, by as many queries."""

import asyncio
import copy
import gc
import pickle
import sys

import pytest
from django.db import OperationalError, connection, models
from django.db.models import Prefetch
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

import vinyl
from tests.aliases import counts, database
from tests.library.models import Author, Book, Cover, Note, Tag
from tests.test_querysets import comparable
from vinyl import bridge
from vinyl.plans import natively, plain_relations, prefetching, shapes

pytestmark = pytest.mark.usefixtures("db")

LOOKUPS = {
    "foreign key": (Book, ["author"]),
    "nullable foreign key": (Book, ["editor"]),
    "other side": (Author, ["books"]),
    "two other sides": (Author, ["books", "edited"]),
    "many to many": (Book, ["tags"]),
    "many to many from there": (Tag, ["books"]),
    "one to one": (Book, ["cover"]),
    "one to one from there": (Cover, ["book"]),
    "deep": (Author, ["books__tags"]),
    "deep and there again": (Author, ["books__tags__books__author"]),
    "along a foreign key": (Book, ["author__books", "author__edited", "tags"]),
    "the same twice": (Author, ["books", "books__tags", "books"]),
    "to itself": (Note, ["answers__answer_to"]),
    "generic": (Book, ["notes", "author"]),
    "below a generic one": (Note, ["about__author"]),
    "several of one level": (Book, ["author__edited__tags", "editor__books", "tags__books", "cover", "notes"]),
    "one relation on two branches": (Author, ["books__tags", "edited__tags", "books__editor", "edited__editor"]),
    "a generic one beside them": (Book, ["tags__books", "notes__answers", "author", "tags__books__author"]),
    "a Prefetch among them": (Author, ["books", Prefetch("edited", to_attr="edits"), "edits__tags"]),
}


@pytest.fixture(autouse=True)
def nothing_known():
    shapes.forget()
    yield
    shapes.forget()


async def library():
    """Three authors, of whom one has no book; books with and without editor, tags and notes."""
    ann, bob, _ = [await Author.vinyl.create(name=name) for name in ("Ann", "Bob", "Cid")]
    new, old, unused = [await vinyl.manager(Tag).create(label=label) for label in ("new", "old", "unused")]
    for number, (author, tags) in enumerate([(ann, [new, old]), (ann, []), (bob, [old])]):
        book = await Book.vinyl.create(author=author, title=str(number), editor=[None, bob, bob][number])
        await book.tags.set(tags)
        question = await Note.vinyl.create(about=book, text="?")
        await Note.vinyl.create(about=book, text="!", answer_to=question)
    await Cover.vinyl.create(book=book, colour="red")
    return new, unused


def by_django(model, lookups):
    with CaptureQueriesContext(connection) as queries:
        found = comparable(list(model._default_manager.order_by("pk").prefetch_related(*lookups)))
    return found, len(queries)


@pytest.mark.parametrize("name", LOOKUPS)
async def test_what_is_prefetched_is_what_django_prefetches(name):
    await library()
    model, lookups = LOOKUPS[name]
    expected, number = await vinyl.run(by_django, model, lookups)
    for _ in range(3):
        sent: list[str] = []

        def watch(execute, *args, sent=sent):
            sent.append(args[0])
            return execute(*args)

        with vinyl.connection.execute_wrapper(watch):
            found = await vinyl.manager(model).order_by("pk").prefetch_related(*lookups)
        assert comparable(found) == expected
        assert len(sent) == number
        # Without anybody who looks, which is the shorter way.
        assert comparable(await vinyl.manager(model).order_by("pk").prefetch_related(*lookups)) == expected


async def test_objects_that_several_branches_reach_have_what_any_of_them_loads():
    await library()
    lookups = ["books__author__edited__tags", "edited__editor", "books__tags__books"]
    expected, _ = await vinyl.run(by_django, Author, lookups)
    for _ in range(3):
        authors = await Author.vinyl.order_by("pk").prefetch_related(*lookups)
        assert comparable(authors) == expected
        assert authors[0].books.all()[0].author is authors[0]


async def test_values_have_no_relations_to_prefetch():
    await library()
    for _ in range(3):
        keys = await Author.vinyl.order_by("pk").prefetch_related("books").values_list("pk", flat=True)
        assert keys == await vinyl.run(lambda: list(Author.objects.order_by("pk").values_list("pk", flat=True)))
        assert (await Author.vinyl.prefetch_related("books").values("name"))[0].keys() == {"name"}


async def test_what_was_prefetched_is_built_on_by_the_routers_choice():
    await library()
    for _ in range(2):
        (author, *_) = await Author.vinyl.order_by("pk").prefetch_related("books")
        assert author.books.all()._db is None
        assert author.books.all().filter(title="0").db == "default"


async def test_a_plain_relation_is_not_left_to_django(monkeypatch):
    await library()
    monkeypatch.setattr(prefetching, "prefetch_related_objects", lambda *args: pytest.fail(f"Django was asked: {args}"))
    for _ in range(2):
        authors = await Author.vinyl.prefetch_related("books__tags", "books__author", "edited")
        assert [[tag.label for tag in book.tags.all()] for book in authors[0].books.all()] == [["new", "old"], []]
        assert authors[0].books.all()[0].author is authors[0]


async def test_without_plans_django_is_asked(monkeypatch):
    await library()
    asked = []
    django = prefetching.prefetch_related_objects
    monkeypatch.setattr(prefetching, "prefetch_related_objects", lambda *args: asked.append(args[1:]) or django(*args))
    with override_settings(VINYL={"PLANS": False}):
        assert len(await Author.vinyl.prefetch_related("books")) == 3
    assert asked == [("books",)]


async def test_a_prefetched_manager_goes_on_as_any():
    new, unused = await library()
    for _ in range(2):
        book = await Book.vinyl.prefetch_related("tags").order_by("pk").first()
        tags = book.tags.all()
        assert len(tags) == 2
        assert tags[0] in tags
        # Anything else than the results queries, by the relation's filter.
        assert await book.tags.filter(label="new").get() == new
        assert await tags.filter(label="unused").exists() is False
        assert await book.tags.all().order_by("-label").count() == 2
        # Writing forgets what was prefetched.
        await book.tags.add(unused)
        assert await book.tags.count() == 3
        await book.tags.remove(unused)
        assert {tag.label for tag in await book.tags.all()} == {"new", "old"}


async def test_what_was_prefetched_can_be_pickled_and_copied():
    await library()
    for _ in range(2):
        (author, *_) = await Author.vinyl.prefetch_related("books__tags")
        for copied in (pickle.loads(pickle.dumps(author)), copy.deepcopy(author), copy.copy(author)):
            assert [[tag.label for tag in book.tags.all()] for book in copied.books.all()] == [["new", "old"], []]


async def test_the_garbage_collector_does_not_come_while_related_objects_are_loaded_and_given_out():
    await library()
    await Author.vinyl.prefetch_related("books__tags")
    during = []

    def note(phase, info):
        frame = sys._getframe(1)
        while frame is not None:
            during.append(frame.f_code)
            frame = frame.f_back

    thresholds = gc.get_threshold()
    gc.callbacks.append(note)
    # After a few objects, wherever it may.
    gc.set_threshold(1)
    try:
        await Author.vinyl.prefetch_related("books__tags")
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(note)
    assert prefetching.prefetch.__code__ in during
    assert plain_relations.Relation._given.__code__ not in during


async def test_instances_that_have_it_keep_it():
    await library()
    books = await Book.vinyl.order_by("pk").select_related("author")
    (author,) = {book.author for book in books[:2]}
    await Author.vinyl.filter(pk=author.pk).update(name="Changed")
    await vinyl.prefetch_related_objects(books, "author", "tags")
    assert books[0].author.name == "Ann"
    await books[0].tags.clear()
    await vinyl.prefetch_related_objects([books[1], books[0]], "tags")
    assert [len(book.tags.all()) for book in books] == [0, 0, 1]


async def test_load_is_prefetching_for_one():
    await library()
    for _ in range(2):
        book = await Book.vinyl.order_by("pk").first()
        await book.load("author", "tags")
        assert book.author.name == "Ann"
        assert [tag.label for tag in book.tags.all()] == ["new", "old"]


async def test_more_keys_than_one_statement_takes(monkeypatch):
    await library()
    monkeypatch.setattr(plain_relations, "MOST_KEYS", 2)
    for _ in range(2):
        authors = await Author.vinyl.prefetch_related("books")
        assert [len(author.books.all()) for author in authors] == [2, 1, 0]


async def test_each_database_has_its_own():
    await library()
    other = await Author.vinyl.using("other").create(name="Other")
    await Book.vinyl.using("other").create(author=other, title="There")
    for _ in range(2):
        (author,) = await Author.vinyl.using("other").prefetch_related("books")
        (book,) = author.books.all()
        assert (book.title, book._state.db, book.author) == ("There", "other", author)
        assert [len(author.books.all()) for author in await Author.vinyl.prefetch_related("books")] == [2, 1, 0]


async def test_a_wrong_name_is_djangos_error():
    await library()
    for lookup in ("nope", "books__nope", "books__title"):
        with pytest.raises((AttributeError, ValueError)) as djangos:
            await vinyl.run(lambda lookup=lookup: list(Author._default_manager.prefetch_related(lookup)))
        with pytest.raises(type(djangos.value)) as vinyls:
            await Author.vinyl.prefetch_related(lookup)
        assert str(vinyls.value).replace("VinylQuerySet", "QuerySet") == str(djangos.value)


async def test_none_is_prefetched_for_none():
    assert await Author.vinyl.prefetch_related("books") == []
    await Author.vinyl.create(name="Alone")
    (alone,) = await Author.vinyl.prefetch_related("books__tags")
    assert list(alone.books.all()) == []
    assert isinstance(alone.books.all(), models.QuerySet)


@pytest.mark.parametrize("key", [2**63, -(2**63) - 1, 2**70])
async def test_a_key_that_no_row_can_have_is_djangos_affair(key):
    await library()

    async def outcome():
        books = [await Book.vinyl.first(), Book.vinyl(author_id=key)]
        try:
            await vinyl.prefetch_related_objects(books, "author")
            return [book.author for book in books]
        except Exception as error:
            return type(error), str(error)

    with override_settings(VINYL={"PLANS": False}):
        expected = await outcome()
    for _ in range(2):
        await Book.vinyl.prefetch_related("author")
        assert await outcome() == expected


async def test_what_is_remembered_of_relations_has_a_bound(monkeypatch):
    monkeypatch.setattr(shapes, "MOST_SHAPES", 5)
    await library()
    for model, lookups in [*LOOKUPS.values()] * 2:
        await vinyl.manager(model).prefetch_related(*lookups)
        assert len(plain_relations._relations) <= 5 + 1


async def test_names_of_no_relation_are_not_remembered():
    await library()
    for number in range(3):
        with pytest.raises(AttributeError):
            await Author.vinyl.prefetch_related(f"nothing{number}")
    assert plain_relations._relations == {}


async def test_a_statement_is_made_once_for_each_number_of_keys(monkeypatch):
    await library()
    made = []
    original = plain_relations.Plan

    def noted(*args):
        made.append(args[2])
        return original(*args)

    monkeypatch.setattr(plain_relations, "Plan", noted)
    for _ in range(3):
        for number in (1, 2, 3):
            await Author.vinyl.prefetch_related("books").order_by("pk")[:number]
    assert len(made) == len(set(made)) <= 3


# Relations of one level, on drivers that cannot send several statements in one round trip.


def side_by_side(test):
    return pytest.mark.engine("sqlite", "mariadb", "mysql")(pytest.mark.asynchronous(pytest.mark.direct(test)))


class Meeting:
    """Where statements wait for each other, if there are to be several at a time; `most` is how many there were."""

    def __init__(self, monkeypatch, parties):
        self._barrier = asyncio.Barrier(parties)
        self._execute = natively.execute_here
        self._here = self.most = 0
        monkeypatch.setattr(natively, "execute_here", self._met)

    def _met(self, plan, params):
        self._here += 1
        self.most = max(self.most, self._here)
        try:
            bridge.await_(self._barrier.wait())
            return self._execute(plan, params)
        finally:
            self._here -= 1


@side_by_side
async def test_relations_of_one_level_are_loaded_side_by_side(monkeypatch):
    await library()
    with database(pool={"max_size": 3}) as alias:
        books = await Book.vinyl.using(alias).order_by("pk")
        meeting = Meeting(monkeypatch, 2)
        async with asyncio.timeout(20):
            await vinyl.prefetch_related_objects(books, "author", "tags")
        assert meeting.most == 2
        assert counts(alias, "pool_in_use", "requests_waiting") == (0, 0)
    found = [(book.author.name, sorted(tag.label for tag in book.tags.all())) for book in books]
    assert found == [("Ann", ["new", "old"]), ("Ann", []), ("Bob", ["old"])]


@side_by_side
@pytest.mark.parametrize("size", [1, 2])
async def test_that_is_as_far_as_there_are_free_connections(monkeypatch, size):
    await library()
    with database(pool={"max_size": size}) as alias:
        books = await Book.vinyl.using(alias)
        meeting = Meeting(monkeypatch, size)
        async with asyncio.timeout(20):
            await vinyl.prefetch_related_objects(books, "author", "editor", "tags", "cover")
        assert meeting.most == size
        assert all(len(book._state.fields_cache) >= 2 for book in books)


@side_by_side
async def test_in_a_transaction_they_are_loaded_one_after_the_other(monkeypatch):
    await library()
    meeting = Meeting(monkeypatch, 1)
    async with vinyl.transaction.atomic():
        ann = await Author.vinyl.get(name="Ann")
        await ann.update(name="Eve")
        [book, *_] = await Book.vinyl.order_by("pk").prefetch_related("author", "editor", "tags")
    assert (book.author.name, meeting.most) == ("Eve", 1)


@side_by_side
async def test_if_one_of_them_fails_the_others_are_cancelled_and_its_error_is_raised(monkeypatch):
    await library()
    books = await Book.vinyl.order_by("pk")
    execute, ended = natively.execute_here, []

    def fail_or_wait(plan, params):
        if plan.model._meta.model is Author:
            raise OperationalError("It is gone.")
        try:
            bridge.await_(asyncio.Event().wait())
        finally:
            ended.append(plan)
        return execute(plan, params)

    monkeypatch.setattr(natively, "execute_here", fail_or_wait)
    with pytest.raises(OperationalError, match=r"It is gone\."):
        await vinyl.prefetch_related_objects(books, "tags", "author")
    assert len(ended) == 1
    assert counts("default", "pool_in_use", "requests_waiting") == (0, 0)
