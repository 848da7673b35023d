"""One page of a queryset. Django's Paginator queries where a template asks it something; this asks once, awaited."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """The objects of one page, and where it stands among the others, which count from 1."""

    objects: list[Any]
    number: int
    pages: int
    total: int

    @property
    def previous(self) -> int | None:
        """The number of the page before this one."""
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        """The number of the page after this one."""
        return self.number + 1 if self.number < self.pages else None


async def page_of(queryset: Any, number: int, size: int) -> Page:
    """Await page `number` of an ordered queryset, or the last page if there are not so many."""
    total = await queryset.count()
    pages = max(1, -(-total // size))
    number = min(number, pages)
    objects = await queryset[(number - 1) * size : number * size]
    return Page(objects, number, pages, total)
