"""vinyl in the sync mode, on Django's own connections: a thread for each of those who work at the same time."""

from typing import Any

import vinyl
from benchmarks import rows
from benchmarks.adapters.with_django import Django
from benchmarks.target import Target


class VinylSync(Django):
    def __init__(self, target: Target) -> None:
        super().__init__(target)
        from benchmarks import models

        vinyl.set_async(False)
        self.authors = vinyl.manager(models.Author)
        self.books = self.new = vinyl.manager(models.Book)

    def insert(self) -> Any:
        return self.books(**rows.new_book()).insert()

    def transaction(self) -> Any:
        with vinyl.transaction.atomic():
            book = self.books.get(pk=rows.book_id())
            return self.books.filter(pk=book.pk).update(rating=book.rating + 0.1)
