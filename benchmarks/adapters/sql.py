"""The statements of the drivers without an ORM, and how the rows of three of them are put together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.rows import BOOK_COLUMNS, GROUPS, MANY, SOME

AUTHOR_ID = 1 + BOOK_COLUMNS.index("author_id")
RATING = 1 + BOOK_COLUMNS.index("rating")
NAMES = ", ".join(BOOK_COLUMNS)
COLUMNS = f"b.id, {', '.join(f'b.{name}' for name in BOOK_COLUMNS)}"
OF_AUTHOR = "a.name AS author_name, a.email, a.age, a.created"
OF_PUBLISHER = "p.name AS publisher_name, p.city"
# The types of BOOK_COLUMNS in PostgreSQL.
TYPES = ("text", "text", "numeric", "int", "date", "float8", "bool", "bigint", "bigint")

FROM_BOOKS = f"SELECT {COLUMNS} FROM benchmarks_book b"
FETCH = f"{FROM_BOOKS} WHERE b.id <= {MANY}"
JOINED = (
    f"SELECT {COLUMNS}, {OF_AUTHOR}, {OF_PUBLISHER} FROM benchmarks_book b "
    "JOIN benchmarks_author a ON a.id = b.author_id JOIN benchmarks_publisher p ON p.id = b.publisher_id"
)
FROM_AUTHORS = f"SELECT a.id, {OF_AUTHOR} FROM benchmarks_author a"
FROM_TAGS = "SELECT l.book_id, t.id, t.name FROM benchmarks_tag t JOIN benchmarks_book_tags l ON l.tag_id = t.id"
AGGREGATE = (
    "SELECT author_id, count(id) AS books, avg(price) AS price FROM benchmarks_book "
    f"GROUP BY author_id ORDER BY books DESC, author_id LIMIT {GROUPS}"
)
ORDERED_AUTHORS = f"ORDER BY a.id LIMIT {SOME}"

Tree = list[tuple[Any, list[tuple[Any, list[Any]]]]]


def insert(placeholders: Iterable[str]) -> str:
    return f"INSERT INTO benchmarks_book ({NAMES}) VALUES ({', '.join(placeholders)})"


def insert_arrays(placeholders: Iterable[str]) -> str:
    """Insert many books by an array for each column, which is PostgreSQL's own way."""
    arrays = [f"{place}::{kind}[]" for place, kind in zip(placeholders, TYPES, strict=True)]
    return f"INSERT INTO benchmarks_book ({NAMES}) SELECT * FROM unnest({', '.join(arrays)}) RETURNING id"


def by_column(books: Sequence[dict[str, Any]]) -> list[list[Any]]:
    return [[book[name] for book in books] for name in BOOK_COLUMNS]


def tree(authors: Sequence[Any], books: Sequence[Any], tags: Sequence[Any]) -> Tree:
    """Give each author the books, and each of these its tags."""
    tags_of, books_of = defaultdict(list), defaultdict(list)
    for tag in tags:
        tags_of[tag[0]].append(tag)
    for book in books:
        books_of[book[AUTHOR_ID]].append((book, tags_of[book[0]]))
    return [(author, books_of[author[0]]) for author in authors]


def count(authors: Tree) -> tuple[int, int, int]:
    books = [book for _, its_books in authors for book in its_books]
    return len(authors), len(books), sum(len(tags) for _, tags in books)
