"""A model class of the application's own for instances of vinyl."""

from typing import Any

from vinyl import VinylModel


class Member(VinylModel):
    """Adds a method, a property, and work before and after insert()."""

    async def insert(self, **options: Any) -> Any:
        self.name = self.name.strip()
        await super().insert(**options)
        self.was_inserted = True
        return self

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.name.split())
