"""count_queries(): what a block has executed, by which line, and what of it could have been one query."""

import asyncio
import inspect

import pytest
from django.db import DatabaseError
from django.db import connections as django_connections
from django.db import transaction as django_transaction

import vinyl
from tests.library.models import Author, Book, Cover, Tag
from vinyl import TooManyQueries, count_queries, transaction

pytestmark = pytest.mark.usefixtures("db")

Tags = vinyl.manager(Tag)


def line_of(function, text):
    """The number of the line of a function that has this text."""
    lines, first = inspect.getsourcelines(inspect.unwrap(function))
    return first + next(number for number, line in enumerate(lines) if text in line)


async def write_books(*names):
    """Write authors of these names, each with a book, a cover and a tag."""
    for name in names:
        author = await Author.vinyl(name=name).insert()
        book = await Book.vinyl(author=author, title=f"Of {name}").insert()
        await Cover.vinyl(book=book, colour="red").insert()
        await book.tags.add(await Tags.create(label=f"Tag of {name}"))


async def test_queries_are_counted_with_their_sql_time_database_and_line():
    async with count_queries() as queries:
        assert not await Author.vinyl.filter(name="Ann").exists()
        await Tags.using("other").create(label="x")
    first, second = queries
    assert first.sql.startswith("SELECT 1 AS") or first.sql.startswith("SELECT %s AS")
    assert (first.alias, second.alias) == ("default", "other")
    assert second.sql.startswith("INSERT INTO")
    assert "Ann" not in first.sql
    assert 0 < first.duration < 5
    here = test_queries_are_counted_with_their_sql_time_database_and_line
    assert first.place == (__file__, line_of(here, "exists()"), here.__name__)
    assert second.place.line == line_of(here, 'using("other")')


async def test_planned_queries_and_prefetches_are_counted_and_stay_planned():
    await write_books("Ann", "Bob")
    for _ in range(3):
        async with count_queries() as queries:
            authors = await Author.vinyl.filter(name__startswith="A").prefetch_related("books__tags")
            await Author.vinyl.get(pk=authors[0].pk)
        assert len(queries) == 4
        assert [query.sql.split()[0] for query in queries] == ["SELECT"] * 4


async def test_what_begins_and_ends_transactions_is_not_counted():
    async with count_queries() as queries, transaction.atomic():
        await Tags.count()
        async with transaction.atomic():
            await Tags.count()
        sid = await transaction.savepoint()
        await transaction.savepoint_rollback(sid)
    assert len(queries) == 2


async def test_more_queries_than_allowed_raise_an_error_that_lists_them():
    with pytest.raises(TooManyQueries) as caught:
        async with count_queries(at_most=1):
            await Tags.count()
            await Tags.filter(label="secret").count()
    message = str(caught.value)
    assert "has executed 2 queries, and at most 1 was allowed" in message
    here = test_more_queries_than_allowed_raise_an_error_that_lists_them
    for text in ("Tags.count()", 'label="secret"'):
        assert f'"{__file__}", line {line_of(here, text)}, in {here.__name__}' in message
    assert "secret" not in message.replace(here.__name__, "")
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, vinyl.VinylError)


async def test_as_many_queries_as_allowed_are_no_error():
    async with count_queries(at_most=1) as queries:
        await Tags.count()
    async with count_queries(at_most=0):
        pass
    assert len(queries) == 1


async def test_the_error_of_the_block_is_not_hidden():
    with pytest.raises(KeyError):
        async with count_queries(at_most=0):
            await Tags.count()
            raise KeyError


async def test_a_query_that_fails_is_counted():
    async with count_queries() as queries:
        with pytest.raises(DatabaseError):
            await vinyl.connection.execute("SELECT x FROM nowhere")
    assert [query.sql for query in queries] == ["SELECT x FROM nowhere"]


async def test_only_the_named_database_is_counted():
    async with count_queries(using="other") as queries:
        await Tags.count()
        await Tags.using("other").count()
    assert [query.alias for query in queries] == ["other"]


async def test_blocks_nest():
    async with count_queries() as outer:
        await Tags.count()
        async with count_queries() as inner:
            await Tags.count()
    await Tags.count()
    assert (len(outer), len(inner)) == (2, 1)


@pytest.mark.asynchronous
async def test_tasks_that_are_started_inside_are_counted_by_the_lines_that_started_them_and_others_are_not():
    async def elsewhere():
        await begun.wait()
        await Tags.count()

    begun = asyncio.Event()
    other = asyncio.create_task(elsewhere())
    async with count_queries() as queries:
        begun.set()
        await asyncio.gather(Tags.count(), Tags.filter(label="x").count())
        await vinyl.gather(Tags.filter(label="a"), Tags.filter(label="b"))
        started = Tags.filter(label="c").start()
        await other
        await started
    here = test_tasks_that_are_started_inside_are_counted_by_the_lines_that_started_them_and_others_are_not
    lines = [line_of(here, text) for text in ("asyncio.gather", "vinyl.gather", ".start()")]
    assert [query.place.line for query in queries] == [lines[0], lines[0], lines[1], lines[1], lines[2]]


@pytest.mark.asynchronous
async def test_a_task_that_outlives_the_block_is_not_counted_afterwards():
    async def later():
        await over.wait()
        await Tags.count()

    over = asyncio.Event()
    async with count_queries(at_most=0) as queries:
        task = asyncio.create_task(later())
    over.set()
    await task
    assert len(queries) == 0


@pytest.mark.asynchronous
async def test_synchronous_code_in_the_bridge_is_counted_by_its_own_line():
    def work():
        with django_transaction.atomic():
            return Author.objects.count()

    async with count_queries() as queries:
        await vinyl.run(work)
    assert [query.place.line for query in queries] == [line_of(work, "count()")]


def test_django_queries_of_the_sync_mode_are_counted():
    with vinyl.sync_mode(), count_queries() as queries:
        Author.objects.count()
        assert len(queries) == 1
    assert queries[0].place.function == "test_django_queries_of_the_sync_mode_are_counted"
    assert django_connections["default"].execute_wrappers == []


async def test_what_is_executed_is_the_same():
    seen = []

    def note(execute, sql, params, many, context):
        seen.append((sql, params))
        return execute(sql, params, many, context)

    for block in (count_queries(), count_queries()):
        with vinyl.connection.execute_wrapper(note):
            async with block:
                await Author.vinyl.filter(name="Ann")
        with vinyl.connection.execute_wrapper(note):
            await Author.vinyl.filter(name="Ann")
    assert len({(sql, tuple(params)) for sql, params in seen}) == 1


@pytest.mark.asynchronous
async def test_the_forms_of_the_other_mode_are_refused():
    with pytest.raises(vinyl.ModeError, match=r"async with count_queries\(\)"), count_queries():
        pass
    with vinyl.sync_mode(), pytest.raises(vinyl.ModeError, match=r"`with count_queries\(\)`"):
        async with count_queries():
            pass


@pytest.mark.parametrize("at_most", [-1, 1.5, True, "3"])
def test_nonsense_is_refused(at_most):
    with pytest.raises(ValueError, match="0 or more"):
        count_queries(at_most=at_most)


def test_an_unknown_database_is_refused():
    with pytest.raises(django_connections.exception_class, match="unknown"):
        count_queries(using="unknown")


async def test_a_block_is_for_one_use():
    block = count_queries()
    async with block:
        pass
    with pytest.raises(TypeError, match="twice"):
        async with block:
            pass


# What could have been one query.


async def test_load_in_a_loop_is_a_missing_select_related():
    await write_books("Ann", "Bob", "Cid")
    async with count_queries() as queries:
        books = await Book.vinyl.all()
        for book in books:
            await book.load("author")
    here = test_load_in_a_loop_is_a_missing_select_related
    assert_cure(queries, 3, "Book.author", 'Add select_related("author") to the query that gets the Book objects')
    (repetition,) = queries.repetitions
    assert repetition.queries[0].place.line == line_of(here, 'load("author")')
    assert repetition.loaded_at.line == line_of(here, "Book.vinyl.all()")
    assert f'"{__file__}", line {repetition.loaded_at.line}, in {here.__name__}' in queries.report()


def assert_cure(queries, number, relation, cure):
    """There is one repetition, of so many queries, with this relation and this cure."""
    (repetition,) = queries.repetitions
    assert len(repetition.queries) == number
    assert str(repetition.relation) == relation
    assert repetition.cure.startswith(cure)
    assert cure in queries.report()


async def test_get_by_a_foreign_key_in_a_loop_is_a_missing_select_related():
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        for book in await Book.vinyl.all():
            await Author.vinyl.get(pk=book.author_id)
    assert_cure(queries, 2, "Book.author", 'Add select_related("author") to the query that gets the Book objects')


async def test_the_foreign_key_is_told_from_another_one_to_the_same_model():
    await write_books("Ann", "Bob")
    editors = [await Author.vinyl(name=f"Editor {number}").insert() for number in range(2)]
    books = await Book.vinyl.all()
    for book, editor in zip(books, editors, strict=True):
        await book.update(editor=editor)
    async with count_queries() as queries:
        for book in await Book.vinyl.all():
            await find_author(book.editor_id)
    assert_cure(queries, 2, "Book.editor", 'Add select_related("editor")')


async def find_author(key):
    return await Author.vinyl.filter(pk=key).first()


async def test_filters_of_a_related_manager_in_a_loop_are_a_missing_prefetch_related():
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        for author in await Author.vinyl.all():
            await author.books.filter(stock=0)
    cure = 'Add prefetch_related(Prefetch("books", queryset=…)) to the query that gets the Author objects, at "'
    assert_cure(queries, 2, "Author.books", cure)


@pytest.mark.parametrize("name", ["books", "edited"])
async def test_all_of_a_related_manager_in_a_loop_is_a_missing_prefetch_related(name):
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        for author in await Author.vinyl.all():
            await getattr(author, name).all()
    assert_cure(queries, 2, f"Author.{name}", f'Add prefetch_related("{name}")')


async def test_many_to_many_relations_are_told_from_both_sides():
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        for book in await Book.vinyl.all():
            await book.tags.all()
    assert_cure(queries, 2, "Book.tags", 'Add prefetch_related("tags")')
    async with count_queries() as queries:
        for tag in await Tags.all():
            await tag.load("books")
    assert_cure(queries, 2, "Tag.books", 'Add prefetch_related("books")')


async def test_the_other_side_of_a_one_to_one_field_is_a_missing_select_related():
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        for book in await Book.vinyl.all():
            await book.load("cover")
    assert_cure(queries, 2, "Book.cover", 'Add select_related("cover")')


async def test_counting_in_a_loop_is_a_missing_annotation():
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        for author in await Author.vinyl.all():
            await author.books.count()
    assert_cure(queries, 2, "Author.books", 'Add annotate(Count("books"))')


@pytest.mark.asynchronous
async def test_many_tasks_are_a_loop_too():
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        await asyncio.gather(*[book.load("author") for book in await Book.vinyl.all()])
    assert_cure(queries, 2, "Book.author", 'Add select_related("author")')


async def test_writing_in_a_loop_is_a_missing_bulk_create():
    async with count_queries() as queries:
        for name in ("Ann", "Bob"):
            await Author.vinyl(name=name).insert()
    (repetition,) = queries.repetitions
    assert "bulk_create()" in repetition.cure


async def test_what_is_repeated_for_another_reason_is_told_as_well():
    async with count_queries() as queries:
        for name in ("Ann", "Bob"):
            await Author.vinyl.filter(name=name).exists()
    (repetition,) = queries.repetitions
    assert repetition.relation is None
    assert "__in" in repetition.cure


async def test_nothing_is_told_where_nothing_is_repeated():
    await write_books("Ann", "Bob")
    async with count_queries() as queries:
        for book in await Book.vinyl.select_related("author").prefetch_related("tags"):
            assert book.author.name
    assert queries.repetitions == []
    assert queries.report() == "No line has sent a query more than once."


async def test_the_error_of_too_many_queries_has_the_cure():
    await write_books("Ann", "Bob")
    with pytest.raises(TooManyQueries, match=r'Add select_related\("author"\)'):
        async with count_queries(at_most=2):
            for book in await Book.vinyl.all():
                await book.load("author")
