"""Functions that make rows. They use Django's manager, so every test and every synchronous fixture may call them."""

from itertools import count

from lending.models import Book, Loan

numbers = count(1)


def make_book(**fields):
    """Insert a book."""
    return Book.objects.create(**{"title": f"Book {next(numbers)}", **fields})


def make_loan(**fields):
    """Insert a loan, of a book of its own if none is given."""
    if "book" not in fields:
        fields["book"] = make_book()
    return Loan.objects.create(**{"reader": f"Reader {next(numbers)}", **fields})
