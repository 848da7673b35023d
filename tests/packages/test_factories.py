"""factory_boy: Django's factories beside vinyl, and factories whose instances are vinyl's."""

import pytest

import vinyl
from tests.library.models import Author, Book
from tests.packages.factories import AuthorFactory, BookFactory
from vinyl import VinylModel, transaction

pytestmark = pytest.mark.usefixtures("db")


async def test_a_factory_creates_instances_and_what_they_refer_to():
    book = await BookFactory.acreate(title="Emma", tagged="novel")
    assert isinstance(book, Book)
    assert isinstance(book, VinylModel)
    assert (await Book.vinyl.select_related("author").get(title="Emma")).author == book.author
    assert [tag.label for tag in await book.tags.all()] == ["novel"]
    await book.update(stock=3)


async def test_a_factory_creates_in_the_callers_transaction():
    with pytest.raises(LookupError):
        async with transaction.atomic():
            assert len(await AuthorFactory.acreate_batch(3)) == 3
            raise LookupError
    assert await Author.vinyl.count() == 0


async def test_what_is_built_is_not_written(no_queries):
    with no_queries():
        author = AuthorFactory.build(name="Jane")
    await author.insert()
    assert await Author.vinyl.get(name="Jane") == author


def test_in_the_sync_mode_a_factory_creates_at_once():
    with vinyl.sync_mode():
        assert Book.vinyl.get(pk=BookFactory().pk).title.startswith("book ")
