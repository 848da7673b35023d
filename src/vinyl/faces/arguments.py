"""Arguments of querysets that Django takes without a word and makes nonsense of: refused here, in each mode alike.

    Place.vinyl.bulk_create([author])       would write a place, since an author has a name too
    Book.vinyl.update(author=tag)           would write the tag's primary key
    prefetch_related_objects([ann, None])   would load nothing at all

Whatever Django refuses by itself is left to it. This module knows nothing of vinyl.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model, QuerySet


class CheckedArguments(QuerySet[Any, Any]):
    """Mixin before a queryset class: its methods, whose arguments are looked at before."""

    def update(self, **kwargs: Any) -> Any:
        """Refuse instances of other models than a relation's by Django's error for assigning one."""
        for name, value in kwargs.items():
            # Most are none, and an update need not go through the model's fields for them.
            if not isinstance(value, Model):
                continue
            fields = (field for field in self.model._meta.concrete_fields if field.is_relation and field.name == name)
            related: Any = next((field.related_model for field in fields), None)
            if related and not isinstance(value, related._meta.concrete_model):
                raise ValueError(
                    f'Cannot assign "{value!r}": "{self.model._meta.object_name}.{name}" must be a '
                    f'"{related._meta.object_name}" instance.'
                )
        return super().update(**kwargs)

    def bulk_update(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Refuse what is no instance of the model."""
        if not isinstance(objs, Iterable):
            raise TypeError(f"bulk_update() of {self.model._meta.object_name} takes a list of instances, not {objs!r}.")
        objs = tuple(objs)
        self._require_instances("bulk_update", objs)
        return super().bulk_update(objs, *args, **kwargs)

    def _prepare_for_bulk_create(self, objs: list[Any]) -> Any:
        self._require_instances("bulk_create", objs)
        return super()._prepare_for_bulk_create(objs)  # type: ignore[misc]

    def _require_instances(self, method: str, objects: Iterable[Any]) -> None:
        meta = self.model._meta
        for each in objects:
            if not isinstance(each, meta.concrete_model):
                raise TypeError(f"{method}() of {meta.object_name} takes instances of it, not {each!r}.")

    def iterator(self, chunk_size: int | None = None) -> Any:
        """Refuse a chunk_size that is no whole number before the first chunk is asked for."""
        if chunk_size is not None and not isinstance(chunk_size, int):
            raise TypeError(f"The chunk_size of iterator() is a whole number, not {chunk_size!r}.")
        return super().iterator(chunk_size)


def require_instances(objects: Iterable[Any]) -> None:
    """Refuse what is no instance of a model, for prefetch_related_objects()."""
    for each in objects:
        if not isinstance(each, Model):
            raise TypeError(f"prefetch_related_objects() takes instances of a model, not {each!r}.")
