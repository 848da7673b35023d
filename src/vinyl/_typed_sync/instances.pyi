# Made by tools/synchronous_stubs.py from vinyl/_typed/instances.pyi.
# mypy: disable-error-code="override, misc"
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
from collections.abc import Iterable
from typing import Any, ClassVar, Self, TypeAlias

from django.db.models import Model
from typing_extensions import TypeVar

O = TypeVar("O", bound=Model)

class VinylModel(Model):
    """The base of all vinyl classes; subclass it to give a model's instances your own methods."""

    is_vinyl_class: ClassVar[bool]

    def insert(self, *, using: str | None = None) -> Self:
        """Insert this instance as a new row, and those of its parent models; give the instance."""

    def update(self, *, using: str | None = None, **values: Any) -> Self:
        """Write the row of this instance: all loaded fields, or just `values`, which are set first."""

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the row and what depends on it, by the `on_delete` rules; give Django's pair of counts."""

    def refresh(self, *fields: str, using: str | None = None) -> Self:
        """Read the fields anew, all that are loaded if none is named; give the instance. Raises DoesNotExist."""

    def load(self, *lookups: str) -> Self:
        """Load deferred fields and relations, by the names that prefetch_related() takes; give the instance."""

VinylTyped: TypeAlias = VinylModel

def insert(instance: O, /, *, using: str | None = None) -> O:
    """Insert an instance: `instance.insert()`, for models that have an `insert` of their own."""

def update(instance: O, /, *, using: str | None = None, **values: Any) -> O:
    """Write an instance: `instance.update(…)`, for models that have an `update` of their own."""

def delete(instance: Model, /, *, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
    """Delete an instance: `instance.delete()`, for models that have a field `delete`."""

def refresh(instance: O, /, *fields: str, using: str | None = None) -> O:
    """Read an instance anew: `instance.refresh(…)`, for models that have a `refresh` of their own."""

def load(instance: O, /, *lookups: str) -> O:
    """Load what an instance lacks: `instance.load(…)`, for models that have a `load` of their own."""

def prefetch_related_objects(objects: Iterable[Any], *lookups: Any) -> None:
    """Load relations of instances that are there already, as Django's function of that name; awaited in async mode."""
