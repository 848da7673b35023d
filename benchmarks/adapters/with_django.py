"""Synchronous Django: a thread for each of those who work at the same time, with a connection of its own."""

from typing import Any

from django.db import connection, transaction
from django.db.models import Avg, Count

from benchmarks import django_project, rows
from benchmarks.adapters.base import Adapter
from benchmarks.target import Target


def count(authors: Any) -> tuple[int, int, int]:
    books = [book for author in authors for book in author.books.all()]
    return len(authors), len(books), sum(len(book.tags.all()) for book in books)


class Django(Adapter):
    synchronous = True
    connection_per_task = True
    unsupported = {"gather": "synchronous code has no tasks"}
    note = "threads, each with a connection of its own"
    count = staticmethod(count)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        django_project.set_up(target)
        from benchmarks import models

        self.authors: Any = models.Author.objects
        self.books: Any = models.Book.objects
        self.new: Any = models.Book

    def close_thread(self) -> None:
        connection.close()

    def get(self) -> Any:
        return self.books.get(pk=rows.book_id())

    def filter(self) -> Any:
        return list(self.books.filter(published__gte=rows.day()).order_by("published")[: rows.SOME])

    def fetch(self) -> Any:
        return list(self.books.filter(id__lte=rows.MANY))

    def values(self) -> Any:
        return list(self.books.filter(id__lte=rows.MANY).values())

    def insert(self) -> Any:
        return self.books.create(**rows.new_book())

    def bulk_insert(self) -> Any:
        return self.books.bulk_create([self.new(**book) for book in rows.new_books()])

    def update(self) -> Any:
        return self.books.filter(pk=rows.book_id()).update(rating=rows.rating())

    def select_related(self) -> Any:
        books = self.books.select_related("author", "publisher")
        return list(books.filter(id__range=rows.book_range()).order_by("id"))

    def prefetch(self) -> Any:
        authors = self.authors.filter(id__gte=rows.first_author()).order_by("id")
        return list(authors.prefetch_related("books__tags")[: rows.SOME])

    def aggregate(self) -> Any:
        groups = self.books.values("author_id").annotate(count=Count("id"), mean=Avg("price"))
        return list(groups.order_by("-count", "author_id")[: rows.GROUPS])

    def transaction(self) -> Any:
        with transaction.atomic():
            book = self.books.get(pk=rows.book_id())
            return self.books.filter(pk=book.pk).update(rating=book.rating + 0.1)
