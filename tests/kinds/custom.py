"""Instance classes of the application's own."""

from typing import Any

from django.contrib.auth import password_validation

from vinyl import VinylModel


class SchoolBus(VinylModel):
    async def insert(self, **options: Any) -> Any:
        self.colour = "yellow"
        return await super().insert(**options)


class User(VinylModel):
    """Does what auth does in its save()."""

    async def insert(self, **options: Any) -> Any:
        await super().insert(**options)
        return self.password_is_written()

    async def update(self, **values: Any) -> Any:
        await super().update(**values)
        return self.password_is_written()

    def password_is_written(self: Any) -> Any:
        if self._password is not None:
            password_validation.password_changed(self._password, self)
            self._password = None
        return self
