"""Makes the tables and fills them, by Django, and brings them back to that state after each workload that writes."""

import datetime
import random

from django.db import connection

from benchmarks.models import Author, Book, Publisher, Tag
from benchmarks.rows import AUTHORS, BOOKS, DAYS, FIRST_DAY, PUBLISHERS, TAGS, TAGS_OF_BOOK
from benchmarks.target import Target

# The same rows in each run.
SEED = 7
NOW = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
BATCH = 2_000


def seed(target: Target) -> None:
    """Make the tables and fill them."""
    fill()
    settle(target)


def fill() -> None:
    chance = random.Random(SEED)
    with connection.schema_editor() as editor:
        for model in (Author, Publisher, Tag, Book):
            editor.create_model(model)
    fill_small()
    Book.objects.bulk_create([book(number, chance) for number in range(1, BOOKS + 1)], batch_size=BATCH)
    through = Book.tags.through
    links = [
        through(book_id=number, tag_id=tag)
        for number in range(1, BOOKS + 1)
        for tag in chance.sample(range(1, TAGS + 1), TAGS_OF_BOOK)
    ]
    through.objects.bulk_create(links, batch_size=BATCH)


def multiply(times: int) -> None:
    """Have each book so many times, by one statement a time."""
    table = Book._meta.db_table
    columns = ", ".join(str(field.column) for field in Book._meta.concrete_fields if not field.primary_key)
    with connection.cursor() as cursor:
        for number in range(1, times):
            cursor.execute(
                f"INSERT INTO {table} (id, {columns}) SELECT id + %s, {columns} FROM {table} WHERE id <= %s",
                [number * BOOKS, BOOKS],
            )


def fill_small() -> None:
    """Fill the tables that books refer to."""
    Author.objects.bulk_create(
        Author(
            id=number,
            name=f"Author {number}",
            email=f"author{number}@example.com",
            age=20 + number % 60,
            created=NOW + datetime.timedelta(minutes=number),
        )
        for number in range(1, AUTHORS + 1)
    )
    Publisher.objects.bulk_create(
        Publisher(id=number, name=f"Publisher {number}", city=f"City {number % 17}")
        for number in range(1, PUBLISHERS + 1)
    )
    Tag.objects.bulk_create(Tag(id=number, name=f"tag-{number}") for number in range(1, TAGS + 1))


def book(number: int, chance: random.Random) -> Book:
    return Book(
        id=number,
        title=f"Book number {number} of the shelf",
        isbn=f"978-{number:09}",
        price=f"{5 + chance.randint(0, 9_000) / 100:.2f}",
        pages=chance.randint(80, 900),
        published=FIRST_DAY + datetime.timedelta(days=chance.randint(0, DAYS)),
        rating=chance.random() * 5,
        in_print=chance.random() < 0.8,
        author_id=1 + number % AUTHORS,
        publisher_id=1 + number % PUBLISHERS,
    )


def settle(target: Target) -> None:
    """Have the server count the rows, and give out primary keys above those that are taken."""
    tables = [model._meta.db_table for model in (Author, Publisher, Tag, Book, Book.tags.through)]
    with connection.cursor() as cursor:
        if target.is_postgresql:
            for table in tables:
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
            cursor.execute("VACUUM ANALYZE")
            return
        cursor.execute(f"ANALYZE TABLE {', '.join(tables)}")
        cursor.fetchall()


def clean(target: Target) -> None:
    """Remove what was inserted, and on PostgreSQL the old versions of what was updated: nobody shall inherit them."""
    table = Book._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE id > %s", [BOOKS])
        if target.is_postgresql:
            cursor.execute(f"VACUUM ANALYZE {table}")
            cursor.execute("CHECKPOINT")
