"""What values_list() gives: tuples of anything. The plug-in of django-stubs knows more, see values_by_plug_in.py."""

from typing import Any, assert_type

from tests.typing.models import Book
from tests.typing.synchronous_models import Sale


async def values() -> None:
    assert_type(await Book.vinyl.filter(stock=1).values_list("id", "title"), list[tuple[Any, ...]])
    assert_type(await Book.vinyl.values_list("id", "title").first(), tuple[Any, ...] | None)
    assert_type(list(Sale.vinyl.values_list("id")), list[tuple[Any, ...]])
