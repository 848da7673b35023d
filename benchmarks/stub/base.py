"""The backend: Django's for PostgreSQL, with connections that invent their answers. It knows nothing of vinyl.

A SELECT gives `rows` rows of its table, as a driver would have read them. An INSERT gives a primary key for each row,
and all else one affected row. No statement is looked at any further.
"""

import datetime
import decimal
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db.backends.postgresql import base

PRICE = decimal.Decimal("12.50")
DAY = datetime.date(2010, 5, 17)
AUTHOR = (1, "Author 1", "author1@example.com", 21, datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC))

# How many rows a SELECT finds, and what is called before an answer is there.
rows = 1
wait: Callable[[], None] = lambda: None  # noqa: E731


def book(number: int) -> tuple[Any, ...]:
    """Return a row of the book's table."""
    return (number, f"Book number {number}", f"978-{number:09}", PRICE, 321, DAY, 3.5, True, number % 100, 7)


BOOKS = [book(number) for number in range(1, 1_001)]
BOOKS_WITH_AUTHORS = [(*row, *AUTHOR) for row in BOOKS]
# The first rows of other tables, and of books by their author: their number, and the mean of their prices.
TABLES: dict[str, list[tuple[Any, ...]]] = {
    "benchmarks_author": [(number, *AUTHOR[1:]) for number in range(100)],
    "benchmarks_publisher": [(number, f"Publisher {number}", "London") for number in range(100)],
}
GROUPS = [(number, 10, PRICE) for number in range(100)]
TABLE = re.compile(r' FROM "(\w+)"')


def answer(statement: str) -> tuple[int, Sequence[tuple[Any, ...]]]:
    """Return how many rows a statement finds or changes, and those that it gives."""
    if statement.startswith("SELECT"):
        found = _selected(statement)[:rows]
        return len(found), found
    if statement.startswith("INSERT"):
        return rows, [(number,) for number in range(1, rows + 1)]
    return 1, ()


def _selected(statement: str) -> list[tuple[Any, ...]]:
    if " GROUP BY " in statement:
        return GROUPS
    if " JOIN " in statement:
        return BOOKS_WITH_AUTHORS
    table = TABLE.search(statement)
    return BOOKS if table is None else TABLES.get(table[1], BOOKS)


class Cursor:
    """A cursor of psycopg's shape."""

    description = None
    itersize = 2_000

    def __init__(self) -> None:
        self.rowcount = -1
        self._answer: Iterator[Any] = iter(())

    def execute(self, sql: Any, params: Sequence[Any] | None = None) -> None:
        wait()
        self.rowcount, found = answer(str(sql))
        self._answer = iter(found)

    def fetchone(self) -> Any:
        return next(self._answer, None)

    def fetchmany(self, size: int = 1) -> list[Any]:
        return [row for row, _ in zip(self._answer, range(size), strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self._answer)

    def __iter__(self) -> Iterator[Any]:
        return self._answer

    def close(self) -> None:
        pass


class Connection:
    """A connection of psycopg's shape."""

    closed = False

    def __init__(self) -> None:
        self.autocommit = True

    def cursor(self, *args: Any, **options: Any) -> Cursor:
        return Cursor()

    def commit(self) -> None:
        wait()

    def rollback(self) -> None:
        wait()

    def close(self) -> None:
        self.closed = True


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, without what it asks a server as it connects."""

    pg_version = 170000

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        return Connection()

    def init_connection_state(self) -> None:
        pass

    def ensure_timezone(self) -> bool:
        return False

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor()

    def is_usable(self) -> bool:
        return True
