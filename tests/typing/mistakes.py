# ruff: noqa: B018
"""What type checkers shall find: each line with a comment at its end is an error to both, and no other is."""

from tests.typing.models import Author, Book
from vinyl import transaction


async def mistakes() -> None:
    book = await Book.vinyl.get(pk=1)
    Book.vinyl.get(pk=1)  # error
    book.update(stock=2)  # error
    Book.vinyl.get(pk=1).title  # error
    book.titel  # error
    book.vinyl  # error
    Book.vinyl.filtr(pk=1)  # error
    await Book.vinyl.all().first().title  # error
    author: Author = await Book.vinyl.get(pk=1)  # error
    for name in await Book.vinyl.count():  # error
        print(author, name)
    await move("1")  # error
    with transaction.atomic() as tx:
        tx.nonsense()  # error


@transaction.atomic
async def move(source: int) -> None:
    await Book.vinyl.filter(pk=source).delete()
