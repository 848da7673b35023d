"""raw(): instances by SQL, as Django gives them, awaited."""

import pytest
from django.db.models import Prefetch, prefetch_related_objects
from django.db.models.query import RawQuerySet

import vinyl
from tests.library.models import Author, Book, Note
from vinyl import ImplicitQuery, UnloadedAttribute, VinylModel

pytestmark = pytest.mark.usefixtures("db")

BY_NAME = "SELECT id, name, born FROM library_author ORDER BY name"


@pytest.fixture(autouse=True)
def authors(db):
    """Ann with two books, and Bo with none."""
    ann, _ = Author.objects.create(name="Ann"), Author.objects.create(name="Bo")
    for title in ("One", "Two"):
        ann.books.create(title=title)


def in_use():
    return vinyl.connection.statistics().get("pool_in_use", 0)


async def test_a_raw_query_gives_instances_of_vinyl():
    authors = await Author.vinyl.raw(BY_NAME)
    assert [author.name for author in authors] == ["Ann", "Bo"]
    assert all(isinstance(author, VinylModel) for author in authors)
    assert [vars(author) | {"_state": None} for author in authors] == await vinyl.run(
        lambda: [vars(author) | {"_state": None} for author in Author.objects.raw(BY_NAME)]
    )
    await authors[0].update(name="Al")
    assert await Author.vinyl.filter(name="Al").exists()
    assert in_use() == 0


async def test_parameters_translations_and_annotations_are_as_in_django():
    queryset = Author.vinyl.raw(
        "SELECT id AS number, name AS title, length(name) AS size FROM library_author WHERE name = %s",
        ["Ann"],
        translations={"number": "id", "title": "name"},
    )
    (ann,) = await queryset
    assert (ann.name, ann.size) == ("Ann", 3)
    assert queryset.columns == ["id", "name", "size"]
    (bo,) = await Author.vinyl.raw("SELECT * FROM library_author WHERE name = %(name)s", {"name": "Bo"})
    assert bo.name == "Bo"


async def test_columns_left_out_are_deferred_and_raise():
    (ann, _) = await Author.vinyl.raw("SELECT id FROM library_author ORDER BY name")
    with pytest.raises(UnloadedAttribute, match=r"Author\.name"):
        _ = ann.name
    assert (await ann.load("name")).name == "Ann"


async def test_without_the_primary_key_it_is_refused_as_in_django():
    with pytest.raises(Exception, match="Raw query must include the primary key"):
        await Author.vinyl.raw("SELECT name FROM library_author")
    assert in_use() == 0


async def test_an_error_of_the_database_is_djangos():
    with pytest.raises(vinyl.transaction.transaction.DatabaseError):
        await Author.vinyl.raw("SELECT nothing FROM nowhere")
    assert in_use() == 0


async def test_relations_are_prefetched():
    books = Book.objects.filter(title="Two")
    authors = await Author.vinyl.raw(BY_NAME).prefetch_related(Prefetch("books", books, to_attr="found"), "edited")
    assert [[book.title for book in author.found] for author in authors] == [["Two"], []]
    assert isinstance(authors[0].found[0], VinylModel)
    assert list(authors[0].edited.all()) == []


async def test_generic_relations_of_what_it_gives_can_be_used():
    (book, *_) = await Book.vinyl.raw("SELECT * FROM library_book ORDER BY title")
    await book.notes.create(text="good")
    assert await Note.vinyl.filter(object_id=book.pk).count() == 1


async def test_the_database_can_be_named():
    assert await Author.vinyl.using("other").raw(BY_NAME) == []
    assert await Author.vinyl.raw(BY_NAME, using="other") == []
    queryset = Author.vinyl.raw(BY_NAME).using("other")
    assert queryset.db == "other"
    assert await queryset == []


async def test_results_by_index_and_slice_are_awaited():
    queryset = Author.vinyl.raw(BY_NAME)
    assert (await queryset[1]).name == "Bo"
    assert [author.name for author in await Author.vinyl.raw(BY_NAME)[:1]] == ["Ann"]


async def test_it_is_iterated_by_async_for_and_streamed():
    assert [author.name async for author in Author.vinyl.raw(BY_NAME)] == ["Ann", "Bo"]
    async for author in Author.vinyl.raw(BY_NAME).iterator():
        assert author.name == "Ann"
        break
    assert in_use() == 0


@pytest.mark.asynchronous
async def test_what_would_query_implicitly_is_refused_until_it_was_awaited():
    queryset = Author.vinyl.raw(BY_NAME)
    for implicit in (list, len, bool):
        with pytest.raises(ImplicitQuery, match="Author"):
            implicit(queryset)
    await queryset
    assert (len(queryset), bool(queryset), queryset[0].name) == (2, True, "Ann")
    assert "SELECT" in repr(queryset)


def test_in_the_sync_mode_it_is_djangos():
    with vinyl.sync_mode():
        queryset = Author.vinyl.raw(BY_NAME)
        assert isinstance(queryset, RawQuerySet)
        assert [author.name for author in queryset] == ["Ann", "Bo"]
        assert [author.name for author in queryset.iterator()] == ["Ann", "Bo"]
        assert queryset[1].name == "Bo"
        assert len(queryset) == 2
        prefetch_related_objects(list(queryset), "books")
