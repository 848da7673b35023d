"""A small shop to misuse, and all that is in its tables, to see that a misuse leaves nothing behind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection

import vinyl
from tests.conftest import run_on_loop
from tests.library.models import Author, Book, Cover, Member, Place, Tag

Tags: Any = vinyl.manager(Tag)


@dataclass
class Shop:
    """Ann's book One with a tag and a cover, and what else a misuse takes. Instances of vinyl, but for `plain`."""

    ann: Any
    bo: Any
    book: Any
    tag: Any
    cover: Any
    place: Any
    member: Any
    new: Any
    plain: Author


def open_shop() -> Shop:
    """Fill the tables, in the sync mode. The keys are the same each time."""
    with vinyl.sync_mode():
        ann, bo = (Author.vinyl.create(pk=key, name=name) for key, name in ((1, "Ann"), (2, "Bo")))
        book = Book.vinyl.create(pk=11, author=ann, title="One", stock=5)
        tag = Tags.create(pk=21, label="old")
        book.tags.add(tag)
        Cover.vinyl.create(pk=31, book=book, colour="red")
        place = Place.vinyl.create(pk=41, name="Paris")
        member = Member.vinyl.create(pk=51, name="Cy")
        # Without what was loaded on the way.
        loaded = [manager.get() for manager in (Book.vinyl, Tags, Cover.vinyl)]
        return Shop(ann, bo, *loaded, place, member, Author.vinyl(name="New"), Author.objects.get(pk=1))


def all_rows(label: str = "library") -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables of an application, by Django's connection of the thread.

    The tables of many-to-many relations without their own keys, which mean nothing.
    """
    quote = connection.ops.quote_name
    rows = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config(label).get_models(include_auto_created=True):
            is_of_relation = model._meta.auto_created
            columns = [
                quote(field.column)
                for field in model._meta.local_concrete_fields
                if not (is_of_relation and field.primary_key)
            ]
            if columns:
                cursor.execute(f"SELECT {', '.join(columns)} FROM {quote(model._meta.db_table)}")
                rows[model._meta.db_table] = sorted(cursor.fetchall(), key=repr)
    return rows


def carried_out(how: str, operation: Callable[[], Awaitable[Any]]) -> Any:
    """Await an operation in the async or in the sync mode, as the tests do, and return its result."""
    given = []

    async def main() -> None:
        given.append(await operation())

    if how == "sync":
        with vinyl.sync_mode():
            vinyl.portable(main)()
    else:
        run_on_loop(how, main)
    return given[0]
