"""The workloads: what one operation of each is, whether it writes, and how to tell that it has done its work.

An adapter has a method of the name of each workload that it supports. Its result is checked once for each cell, before
the timing. This module knows no adapter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.rows import BOOK_COLUMNS, BULK, GROUPS, MANY, SOME, TAGS_OF_BOOK, TASKS

# Counts the authors, their books and the tags of these in the result of `prefetch`.
Count = Callable[[Any], tuple[int, int, int]]
BOOKS_OF_AUTHOR = 10


class WrongResult(Exception):
    """An operation did not do what its workload asks for."""


@dataclass(frozen=True)
class Workload:
    """A workload. One that is `short` is measured under concurrency as well; a long one only alone."""

    name: str
    title: str
    is_right: Callable[[Any, Count], bool]
    short: bool = False
    writes: bool = False

    def check(self, result: Any, count: Count) -> None:
        """Raise an error unless this is the result of an operation that has done its work."""
        if not self.is_right(result, count):
            raise WrongResult(f"{self.title}: the result is not what was asked for: {result!r:.200}")


def exists(result: Any, _: Count) -> bool:
    return result is not None


def of_length(length: int) -> Callable[[Any, Count], bool]:
    return lambda result, _: len(result) == length


def are_values(result: Any, _: Count) -> bool:
    return len(result) == MANY and isinstance(result[0], dict) and len(result[0]) == len(BOOK_COLUMNS) + 1


def have_relations(result: Any, _: Count) -> bool:
    """Look into model instances; a row of a driver has all columns by its statement."""
    if len(result) != SOME or not hasattr(result[0], "author"):
        return len(result) == SOME
    return all(book.author.name.startswith("Author ") and book.publisher.city for book in result)


def have_books(result: Any, count: Count) -> bool:
    books = SOME * BOOKS_OF_AUTHOR
    return count(result) == (SOME, books, books * TAGS_OF_BOOK)


ALL = [
    Workload("get", "a book by its primary key", exists, short=True),
    Workload("filter", "100 books by an indexed column, in order", of_length(SOME), short=True),
    Workload("fetch", "10,000 books as instances", of_length(MANY)),
    Workload("values", "10,000 books as dictionaries", are_values),
    Workload("insert", "one book inserted", exists, short=True, writes=True),
    Workload("bulk_insert", "1,000 books inserted at once", of_length(BULK), writes=True),
    Workload("update", "one column of a book set by its primary key", exists, short=True, writes=True),
    Workload("select_related", "100 books joined with author and publisher", have_relations),
    Workload("prefetch", "100 authors, their books and the tags of these", have_books),
    Workload("aggregate", "count and average price by author, the first 50", of_length(GROUPS)),
    Workload("transaction", "a book read and updated in a transaction", exists, short=True, writes=True),
    Workload("gather", "20 tasks that each get a book by its primary key", of_length(TASKS)),
]
WORKLOADS = {workload.name: workload for workload in ALL}
