"""Content types at hand, for generic relations, which look them up where nothing can wait.

Reading `book.notes` makes a related manager, and Django's asks for the content type of the book in its constructor. The
lookup is cached per process and database, so it is enough that who loads or inserts such an instance has asked before.
Assigning to a generic foreign key asks for the content type of the object: what is not known yet is asked for when the
instance is written.
"""

from typing import Any

from django.apps import apps


def have_at_hand(model: Any, using: str) -> None:
    """Inside an operation: fill the cache for the generic relations of a model, which queries at most once."""
    for field in model._meta.private_fields:
        if hasattr(field, "content_type_field_name"):
            content_types: Any = apps.get_model("contenttypes", "ContentType").objects
            content_types.db_manager(using).get_for_model(model, for_concrete_model=field.for_concrete_model)


def set_later(instance: Any, field: Any, related: Any) -> None:
    """Assign to a generic foreign key where nothing can wait: its content type is set when the instance is written."""
    vars(instance._state).setdefault("incomplete_generic_keys", set()).add(field.name)
    setattr(instance, field.ct_field, None)
    setattr(instance, field.fk_field, related.pk)
    field.set_cached_value(instance, related)


def is_incomplete(instance: Any, field: Any) -> bool:
    """Whether set_later() was called for this key, and nothing was assigned to it or its parts since."""
    related = field.get_cached_value(instance, default=None)
    content_type = instance._meta.get_field(field.ct_field).attname
    return (
        field.name in vars(instance._state).get("incomplete_generic_keys", ())
        and related is not None
        and getattr(instance, content_type) is None
        and getattr(instance, field.fk_field) == related.pk
    )


def complete_generic_keys(instance: Any) -> None:
    """Inside an operation: set the content types that set_later() has left out."""
    for field in instance._meta.private_fields:
        if hasattr(field, "ct_field") and is_incomplete(instance, field):
            setattr(instance, field.name, field.get_cached_value(instance))
