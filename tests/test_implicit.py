"""What would query a queryset without being awaited: refused in the async mode, ordinary in the sync mode."""

import asyncio
import contextlib
import copy
import inspect
import pickle

import pytest
from django.core.exceptions import SynchronousOnlyOperation

import vinyl
from tests.library.models import Author, Book
from vinyl import ImplicitQuery, ModeError

pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def shop(db):
    """Three authors, the first with two books."""
    ann, *_ = [Author.objects.create(name=name) for name in ("Ann", "Bo", "Cy")]
    for title in ("One", "Two"):
        Book.objects.create(author=ann, title=title)


def loop(queryset):
    names = []
    for author in queryset:
        names.append(author.name)
    return names


# What is done to the queryset; what it gives; the awaitable form that the error names.
IMPLICIT = {
    "for": (loop, ["Ann", "Bo", "Cy"], "async for … in queryset"),
    "list()": (lambda q: [author.name for author in list(q)], ["Ann", "Bo", "Cy"], "await queryset"),
    "a comprehension": (lambda q: {author.name for author in q}, {"Ann", "Bo", "Cy"}, "await queryset"),
    "unpacking": (
        lambda q: [author.name for author in (lambda *args: args)(*q)],
        ["Ann", "Bo", "Cy"],
        "await queryset",
    ),
    "in": (lambda q: Author(pk=-1) in q, False, "await queryset"),
    "max()": (lambda q: max(q, key=lambda author: author.pk).name, "Cy", "await queryset"),
    "len()": (len, 3, "await queryset.count()"),
    "bool()": (bool, True, "await queryset.exists()"),
    "if": (lambda q: 1 if q else 2, 1, "await queryset.exists()"),
    "not": (lambda q: not q, False, "await queryset.exists()"),
    "reversed()": (lambda q: [author.name for author in reversed(q)], ["Cy", "Bo", "Ann"], "await queryset"),
}


@pytest.mark.parametrize(("use", "expected", "form"), IMPLICIT.values(), ids=IMPLICIT)
class TestSyntaxThatCannotWait:
    @pytest.mark.asynchronous
    async def test_is_refused_in_the_async_mode_by_an_error_that_names_the_form_that_can(self, use, expected, form):
        with pytest.raises(ImplicitQuery) as raised:
            use(Author.vinyl.all())
        assert "Author" in str(raised.value)
        assert form in str(raised.value)
        assert isinstance(raised.value, ModeError)
        assert isinstance(raised.value, SynchronousOnlyOperation)

    async def test_is_refused_in_portable_functions_in_both_modes(self, use, expected, form):
        with pytest.raises(ImplicitQuery):
            use(Author.vinyl.all())

    async def test_works_after_the_queryset_was_awaited(self, use, expected, form):
        authors = Author.vinyl.all()
        await authors
        assert use(authors) == expected

    async def test_works_after_the_queryset_was_iterated_by_async_for(self, use, expected, form):
        authors = Author.vinyl.all()
        async for _ in authors:
            pass
        assert use(authors) == expected

    def test_works_in_the_sync_mode(self, use, expected, form):
        with vinyl.sync_mode():
            assert use(Author.vinyl.all()) == expected

    async def test_works_in_synchronous_code_that_run_carries_out(self, use, expected, form):
        assert await vinyl.run(lambda: use(Author.vinyl.all())) == expected


@pytest.mark.asynchronous
async def test_what_is_refused_has_queried_nothing():
    executed = []

    def note(execute, *args):
        executed.append(args)
        return execute(*args)

    with vinyl.connection.execute_wrapper(note):
        for use, _, _ in IMPLICIT.values():
            with pytest.raises(ImplicitQuery):
                use(Author.vinyl.all())
    assert executed == []


async def test_a_queryset_made_from_a_loaded_one_is_not_loaded():
    authors = Author.vinyl.all()
    await authors
    with pytest.raises(ImplicitQuery):
        len(authors.filter(name="Ann"))


async def test_a_loaded_queryset_whose_relations_were_prefetched_needs_no_further_query():
    authors = Author.vinyl.prefetch_related("books")
    await authors
    assert [[book.title for book in author.books.all()] for author in authors] == [["One", "Two"], [], []]
    assert authors[0].books.all()[1].title == "Two"
    assert len(authors[0].books.all()) == 2
    assert not authors[1].books.all()


async def test_the_queryset_of_a_related_manager_is_refused_too():
    ann = await Author.vinyl.get(name="Ann")
    with pytest.raises(ImplicitQuery, match="Book"):
        list(ann.books.all())


async def test_an_index_is_awaited():
    assert (await Author.vinyl.all()[1]).name == "Bo"
    assert (await Author.vinyl.order_by("-id")[0]).name == "Cy"
    assert await Author.vinyl.values_list("name", flat=True)[0] == "Ann"


async def test_a_slice_with_a_step_is_awaited():
    assert [author.name for author in await Author.vinyl.all()[0:3:2]] == ["Ann", "Cy"]


async def test_a_slice_without_a_step_is_a_queryset():
    assert [author.name for author in await Author.vinyl.all()[1:][:1]] == ["Bo"]
    assert await Author.vinyl.all()[1:].count() == 2


async def test_an_index_of_a_loaded_queryset_gives_its_result():
    authors = Author.vinyl.all()
    await authors
    assert authors[1].name == "Bo"
    assert [author.name for author in authors[1:]] == ["Bo", "Cy"]


def test_an_index_gives_its_result_in_the_sync_mode():
    with vinyl.sync_mode():
        assert Author.vinyl.all()[1].name == "Bo"
        assert [author.name for author in Author.vinyl.all()[0:3:2]] == ["Ann", "Cy"]


# repr


@pytest.mark.parametrize("mode", [vinyl.sync_mode, vinyl.async_mode])
def test_repr_never_queries(mode, monkeypatch):
    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", None)
    with mode():
        assert repr(Author.vinyl.all()) == "<VinylQuerySet of library.Author, not loaded>"
        assert repr(Book.vinyl.filter(title="One")) == "<VinylBookQuerySet of library.Book, not loaded>"


async def test_repr_of_a_loaded_queryset_shows_its_results():
    authors = Author.vinyl.filter(name="Ann")
    await authors
    assert repr(authors) == "<VinylQuerySet [<Author: Ann>]>"


# The other way round


@pytest.mark.asynchronous
async def test_awaiting_a_queryset_is_refused_in_the_sync_mode_by_an_error_that_names_list():
    with vinyl.sync_mode(), pytest.raises(ModeError, match=r"Use `list\(queryset\)`"):
        await Author.vinyl.all()


@pytest.mark.asynchronous
async def test_async_for_is_refused_in_the_sync_mode_by_an_error_that_names_for():
    with vinyl.sync_mode(), pytest.raises(ModeError, match="Use `for … in queryset`"):
        async for _ in Author.vinyl.all():
            pass


# Pickling


@pytest.mark.asynchronous
async def test_pickling_a_queryset_that_is_not_loaded_is_refused_and_its_query_named():
    with pytest.raises(ImplicitQuery, match=r"pickle\.dumps\(queryset\.query\)"):
        pickle.dumps(Author.vinyl.all())


@pytest.mark.parametrize("model", [Author, Book])
async def test_a_pickled_query_gives_the_queryset_again(model):
    queryset = model.vinyl.none()
    queryset.query = pickle.loads(pickle.dumps(model.vinyl.order_by("-id")[:1].query))
    assert await queryset == [await model.vinyl.last()]


@pytest.mark.parametrize("model", [Author, Book])
async def test_a_loaded_queryset_can_be_pickled(model):
    queryset = model.vinyl.all()
    loaded = await queryset
    twin = pickle.loads(pickle.dumps(queryset))
    assert type(twin) is type(queryset)
    assert list(twin) == loaded
    assert [type(each) for each in twin] == [type(each) for each in loaded]
    assert await twin.filter(pk=loaded[0].pk) == loaded[:1]


@pytest.mark.parametrize("model", [Author, Book])
def test_a_queryset_can_be_pickled_in_the_sync_mode(model):
    with vinyl.sync_mode():
        assert list(pickle.loads(pickle.dumps(model.vinyl.all()))) == list(model.vinyl.all())


async def test_a_deep_copy_of_a_queryset_does_not_query():
    assert await copy.deepcopy(Author.vinyl.filter(name="Ann")).count() == 1


# A forgotten await


NOT_AWAITED = {
    "its truth": bool,
    "its text": str,
    "its length": len,
    "a number": int,
    "comparing": lambda pending: pending == 1,
    "ordering": lambda pending: pending > 1,
    "adding": lambda pending: pending + 1,
    "an index": lambda pending: pending[0],
    "an item": lambda pending: 1 in pending,
    "iterating": list,
}


@pytest.mark.asynchronous
@pytest.mark.parametrize("use", NOT_AWAITED.values(), ids=NOT_AWAITED)
async def test_a_result_that_was_not_awaited_is_refused_where_it_is_used(use):
    with pytest.raises(ImplicitQuery, match="Use `await`"):
        use(Author.vinyl.count())


@pytest.mark.asynchronous
async def test_an_attribute_of_a_result_that_was_not_awaited_is_refused():
    with (
        pytest.raises(AttributeError, match="Use `await`"),
        contextlib.closing(Author.vinyl.get(name="Ann")) as pending,
    ):
        _ = pending.name


@pytest.mark.asynchronous
async def test_what_is_awaited_is_a_coroutine_to_asyncio():
    assert asyncio.iscoroutine(pending := Author.vinyl.count())
    assert inspect.isawaitable(pending)
    assert await asyncio.wait_for(asyncio.create_task(pending), 10) == await asyncio.shield(Author.vinyl.count())


@pytest.mark.asynchronous
async def test_a_task_of_a_query_can_be_shown():
    task = asyncio.create_task(Author.vinyl.count())
    assert "<Task pending" in repr(task)
    await task
    assert "<Task finished" in repr(task)
