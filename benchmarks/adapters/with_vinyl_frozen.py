"""vinyl, whose queries by a value are frozen where the program begins; all else is as in with_vinyl."""

from typing import Any

from benchmarks import rows
from benchmarks.adapters.with_vinyl import Vinyl
from benchmarks.target import Target
from vinyl import Param


class VinylFrozen(Vinyl):
    note = "get, filter and gather are frozen queries; the others are those of vinyl"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.by_key: Any = self.books.filter(pk=Param("pk")).freeze()
        self.since: Any = self.books.filter(published__gte=Param("day")).order_by("published")[: rows.SOME].freeze()

    async def get(self) -> Any:
        return await self.by_key.get(pk=rows.book_id())

    async def filter(self) -> Any:
        return await self.since(day=rows.day())
