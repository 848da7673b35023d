# mypy: disable-error-code="override, misc"
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
from collections.abc import Generator, Iterable
from typing import Any, ClassVar, Self, TypeAlias

from django.db.models import Model
from typing_extensions import TypeVar

from vinyl._typed.operations import Operation

O = TypeVar("O", bound=Model)

class Counts(tuple[int, dict[str, int]]):
    """What delete() gives, awaited or not: the pair is that of Django's delete(), which instances of `objects` have."""

    def __await__(self) -> Generator[Any, Any, tuple[int, dict[str, int]]]: ...

class VinylModel(Model):
    """The base of all vinyl classes; subclass it to give a model's instances your own methods."""

    is_vinyl_class: ClassVar[bool]
    def insert(self, *, using: str | None = None) -> Operation[Self]:
        """Insert this instance as a new row, and those of its parent models; give the instance."""
    def update(self, *, using: str | None = None, **values: Any) -> Operation[Self]:
        """Write the row of this instance: all loaded fields, or just `values`, which are set first."""
    def delete(self, using: str | None = None, keep_parents: bool = False) -> Counts:
        """Delete the row and what depends on it, by the `on_delete` rules; give Django's pair of counts."""
    def refresh(self, *fields: str, using: str | None = None) -> Operation[Self]:
        """Read the fields anew, all that are loaded if none is named; give the instance. Raises DoesNotExist."""
    def load(self, *lookups: str) -> Operation[Self]:
        """Load deferred fields and relations, by the names that prefetch_related() takes; give the instance."""

VinylTyped: TypeAlias = VinylModel

def insert(instance: O, /, *, using: str | None = None) -> Operation[O]:
    """Insert an instance: `instance.insert()`, for models that have an `insert` of their own."""

def update(instance: O, /, *, using: str | None = None, **values: Any) -> Operation[O]:
    """Write an instance: `instance.update(…)`, for models that have an `update` of their own."""

def delete(
    instance: Model, /, *, using: str | None = None, keep_parents: bool = False
) -> Operation[tuple[int, dict[str, int]]]:
    """Delete an instance: `instance.delete()`, for models that have a field `delete`."""

def refresh(instance: O, /, *fields: str, using: str | None = None) -> Operation[O]:
    """Read an instance anew: `instance.refresh(…)`, for models that have a `refresh` of their own."""

def load(instance: O, /, *lookups: str) -> Operation[O]:
    """Load what an instance lacks: `instance.load(…)`, for models that have a `load` of their own."""

def prefetch_related_objects(objects: Iterable[Any], *lookups: Any) -> Operation[None]:
    """Load relations of instances that are there already, as Django's function of that name; awaited in async mode."""
