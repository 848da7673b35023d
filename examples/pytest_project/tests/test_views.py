"""Tests of the views, by pytest-django's clients, and of how many queries they need."""

import pytest

import vinyl
from lending.models import Book
from tests.factories import make_book, make_loan
from vinyl.errors import TooManyQueries


async def test_both_kinds_of_views_see_what_fixtures_have_written(book, loan, async_client):
    assert (await async_client.get("/books/")).json() == {"Kindred": ["Ann"]}
    assert (await async_client.get("/titles/")).json() == {"titles": ["Kindred"]}


def test_the_synchronous_client_does_too(book, client):
    assert client.get("/books/").json() == {"Kindred": []}


@pytest.mark.parametrize("number", [1, 10])
async def test_it_needs_two_queries_for_any_number_of_books(db, async_client, number):
    for _ in range(number):
        await vinyl.run(make_loan)
    async with vinyl.count_queries(at_most=2):
        await async_client.get("/books/")


async def test_a_query_for_each_book_would_be_too_many(db):
    for _ in range(3):
        await vinyl.run(make_book)
    with pytest.raises(TooManyQueries, match="4 queries"):
        async with vinyl.count_queries(at_most=2):
            async for book in Book.vinyl.all():
                await book.loans.count()
