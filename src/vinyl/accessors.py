"""Methods that Django adds to a model for its fields, and that query: neighbours by a date or in an order, and orders.

    get_next_by_<date field>()      get_next_in_order()         get_<child>_order()     set_<child>_order(keys)
    get_previous_by_<date field>()  get_previous_in_order()

Django binds them to the model when it is made, so the vinyl class gets its own in front of them: operations in the
caller's mode, which give instances of vinyl classes.
"""

from collections.abc import Callable
from typing import Any

from vinyl import operations
from vinyl._install import muted
from vinyl.dispatch import dispatch
from vinyl.queryset import as_vinyl


def accessors(model: type[Any]) -> dict[str, Any]:
    """Return the methods for a model's vinyl class, by name."""
    neighbours = [f"get_{way}_by_{field.name}" for field in model._meta.fields for way in ("next", "previous")]
    found = {
        name: _neighbour(getattr(model, name))
        for name in [*neighbours, "get_next_in_order", "get_previous_in_order"]
        if hasattr(model, name)
    }
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
        return dispatch(_in_silence, write, self, id_list, using)

    return set_order


def _in_silence(method: Callable[..., Any], *args: Any) -> Any:
    with muted():
        return method(*args)
