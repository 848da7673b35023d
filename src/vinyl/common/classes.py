"""Which vinyl class stands for a Django model.

A *vinyl class* of a model M is a Python subclass of M that no registry of Django's knows: isinstance(ob, M) holds, and
`_meta`, methods, properties and exceptions are M's. It is made when it is first needed, and once.

This module only keeps them. It must not know how one is made, since that takes all of vinyl: the managers, who know the
parts, set `make` and `manager_class`. So loading and relations can ask for the class of a model without knowing
managers.
"""

from collections.abc import Callable
from typing import Any

ModelClass = type[Any]

_classes: dict[ModelClass, ModelClass] = {}


def _make_too_early(model: ModelClass) -> ModelClass:
    raise RuntimeError("A vinyl class was needed before the package vinyl was imported.")


make: Callable[[ModelClass], ModelClass] = _make_too_early
# The class VinylManager, for as_manager().
manager_class: Any = None


def class_of(model: ModelClass) -> ModelClass:
    """Return the class of which vinyl makes the instances of `model`; a vinyl class is its own."""
    found = _classes.get(model)
    if found is None:
        found = _classes[model] = model if getattr(model, "is_vinyl_class", False) else make(model)
    return found
