"""What values_list() gives by the plug-in of django-stubs, which asks the models."""

from typing import assert_type

from tests.typing.models import Book


async def values() -> None:
    assert_type(await Book.vinyl.filter(stock=1).values_list("id", "title"), list[tuple[int, str]])
    assert_type(await Book.vinyl.all().values_list("title", flat=True), list[str])
