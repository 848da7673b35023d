"""What is done at the desk."""

from lending.models import Book, Loan
from vinyl import transaction


class NoneLeftError(Exception):
    """All copies of the book are with readers."""


# Whom the library has written to, in place of mail.
letters = []


async def lend(book_pk, reader):
    """Give the reader a copy, and write a letter when that is committed."""
    async with transaction.atomic():
        book = await Book.vinyl.select_for_update().get(pk=book_pk)
        if await Loan.vinyl.filter(book=book).count() >= book.copies:
            raise NoneLeftError(book.title)
        loan = await Loan.vinyl.create(book=book, reader=reader)

        async def write():
            letters.append(f"{reader} has {await Book.vinyl.values_list('title', flat=True).get(pk=book_pk)}")

        await transaction.on_commit(write)
    return loan
