"""Methods that Django adds to a model for its fields, and that query: neighbours by a date or in an order, and orders.

    get_next_by_<date field>()      get_next_in_order()         get_<child>_order()     set_<child>_order(keys)
    get_previous_by_<date field>()  get_previous_in_order()

Django binds them to the model when it is made, so the vinyl class gets its own in front of them: operations in the
caller's mode, which give instances of vinyl classes. And the files of an instance, whose methods would call its save().
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from django.db.models.fields.files import FieldFile, FileDescriptor

from vinyl import operations
from vinyl._install import muted
from vinyl.dispatch import dispatch, in_block
from vinyl.errors import UnsupportedOperation
from vinyl.faces.queryset import as_vinyl
from vinyl.faces.relations import Guard


def accessors(model: type[Any]) -> dict[str, Any]:
    """Return the methods and files for a model's vinyl class, by name."""
    neighbours = [f"get_{way}_by_{field.name}" for field in model._meta.fields for way in ("next", "previous")]
    found: dict[str, Any] = {
        name: _neighbour(getattr(model, name))
        for name in [*neighbours, "get_next_in_order", "get_previous_in_order"]
        if hasattr(model, name)
    }
    for field in model._meta.concrete_fields:
        descriptor = inspect.getattr_static(model, field.attname, None)
        if isinstance(descriptor, FileDescriptor):
            found[field.attname] = FileGuard(field.attname, descriptor)
    for relation in model._meta.related_objects:
        if relation.field == relation.related_model._meta.order_with_respect_to:
            child = relation.related_model.__name__.lower()
            found[f"get_{child}_order"] = _get_order(getattr(model, f"get_{child}_order"))
            found[f"set_{child}_order"] = _set_order(getattr(model, f"set_{child}_order"))
    return found


def _neighbour(find: Callable[..., Any]) -> Callable[..., Any]:
    def neighbour(self: Any, **kwargs: Any) -> Any:
        """Give the next or previous instance. Raises DoesNotExist as Django does."""
        return dispatch(operations.neighbour, find, self, **kwargs)

    return neighbour


def _get_order(get: Callable[..., Any]) -> Callable[..., Any]:
    def get_order(self: Any) -> Any:
        """Return a queryset of the primary keys, in order."""
        return as_vinyl(get(self))

    return get_order


def _set_order(write: Callable[..., Any]) -> Callable[..., Any]:
    def set_order(self: Any, id_list: Any, using: str | None = None) -> Any:
        """Write the order of the primary keys."""
        return dispatch(in_block, muted, write, self, id_list, using)

    return set_order


class FileGuard(Guard):
    """A file: its save() and delete() do nothing at all where they would save the instance in the end."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        file = self.descriptor.__get__(instance, owner)
        if isinstance(file, FieldFile):
            for name, function in (("save", _save_file), ("delete", _delete_file)):
                vars(file)[name] = functools.partial(function, file)
                # Templates must not call them.
                vars(file)[name].alters_data = True
        return file


def _save_file(file: Any, name: str, content: Any, save: bool = True) -> None:
    _refuse_to_save(file, "save", save)
    type(file).save(file, name, content, save=False)


def _delete_file(file: Any, save: bool = True) -> None:
    _refuse_to_save(file, "delete", save)
    type(file).delete(file, save=False)


def _refuse_to_save(file: Any, method: str, save: bool) -> None:
    if save:
        name = f"{file.field.name}.{method}"
        raise UnsupportedOperation(
            f"{name}(…) would call the instance's save(), and vinyl has no save(). Use {name}(…, save=False), then "
            "write the instance with insert() or update(), awaited in the async mode."
        )
