"""The rows: how many there are, and what each operation asks for or writes, by lot.

All adapters draw here, so that they do the same work. Each author has ten books, and each book has three tags.
"""

import datetime
import decimal
import random
from typing import Any

AUTHORS = 2_000
PUBLISHERS = 100
BOOKS = 20_000
TAGS = 200
TAGS_OF_BOOK = 3

FIRST_DAY = datetime.date(2000, 1, 1)
DAYS = 8_000
# When what the benchmark inserts was published: no filter finds it.
LONG_AGO = datetime.date(1900, 1, 1)
PRICE = decimal.Decimal("12.50")

BOOK_COLUMNS = (
    "title",
    "isbn",
    "price",
    "pages",
    "published",
    "rating",
    "in_print",
    "author_id",
    "publisher_id",
)

MANY = 10_000
SOME = 100
BULK = 1_000
GROUPS = 50
TASKS = 20

chance = random.Random()


def book_id() -> int:
    return chance.randint(1, BOOKS)


def rating() -> float:
    return chance.random() * 5


def day() -> datetime.date:
    """Draw a day after which at least SOME books were published."""
    return FIRST_DAY + datetime.timedelta(days=chance.randint(0, DAYS - 400))


def book_range() -> tuple[int, int]:
    """Draw the first and the last of SOME books in a row."""
    first = chance.randint(1, BOOKS - SOME)
    return first, first + SOME - 1


def first_author() -> int:
    """Draw the first of SOME authors in a row."""
    return chance.randint(1, AUTHORS - SOME)


def new_book(number: int = 0) -> dict[str, Any]:
    """Give the values of a book to insert, by BOOK_COLUMNS."""
    return {
        "title": f"inserted {number}",
        "isbn": f"978-{number:09}",
        "price": PRICE,
        "pages": 321,
        "published": LONG_AGO,
        "rating": 3.5,
        "in_print": True,
        "author_id": chance.randint(1, AUTHORS),
        "publisher_id": chance.randint(1, PUBLISHERS),
    }


def new_books() -> list[dict[str, Any]]:
    return [new_book(number) for number in range(BULK)]
