"""What type checkers know by django-stubs: Django's functions, and the values of fields."""

from typing import assert_type

from django.shortcuts import aget_object_or_404

from tests.typing.models import Book


async def with_stubs() -> None:
    book = await aget_object_or_404(Book.vinyl.all(), pk=1)
    assert_type(book, Book)
    assert_type(book.title, str)
    assert_type(book.author.name, str)
    assert_type([book.price for book in await Book.vinyl.all()], list[int])
