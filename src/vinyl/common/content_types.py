"""Content types at hand, for generic relations, which look them up where nothing can wait.

Reading `book.notes` makes a related manager, and Django's asks for the content type of the book in its constructor. The
lookup is cached per process and database, so it is enough that who loads or inserts such an instance has asked before.
Assigning to a generic foreign key asks for the content type of the object: what is not known yet is asked for when the
instance is written.
"""

from typing import Any

from django.apps import apps
from django.db import router


def have_at_hand(model: Any, using: str) -> None:
    """Inside an operation: fill the cache for the generic relations of a model, which queries at most once.

    Nothing is asked of a database that the project's routers have no content types in.
    """
    for field in model._meta.private_fields:
        if hasattr(field, "content_type_field_name") and apps.is_installed("django.contrib.contenttypes"):
            content_type: Any = apps.get_model("contenttypes", "ContentType")
            if router.allow_migrate_model(using, content_type):
                manager = content_type.objects.db_manager(using)
                manager.get_for_model(model, for_concrete_model=field.for_concrete_model)


def set_later(instance: Any, field: Any, related: Any) -> None:
    """Assign to a generic foreign key where nothing can wait: its content type is set when the instance is written."""
    setattr(instance, field.ct_field, None)
    setattr(instance, field.fk_field, related.pk)
    field.set_cached_value(instance, related)
    vars(instance._state).setdefault("incomplete_generic_keys", {})[field.name] = related


def awaited_object(instance: Any, field: Any) -> Any:
    """Return the object for whose content type set_later() waits, or None."""
    related = vars(instance._state).get("incomplete_generic_keys", {}).get(field.name)
    has_type = getattr(instance, instance._meta.get_field(field.ct_field).attname) is not None
    return None if has_type or not field.is_cached(instance) else related


def complete_generic_keys(instance: Any) -> None:
    """Inside an operation: set the content types that set_later() has left out."""
    if "incomplete_generic_keys" in vars(instance._state):
        for field in instance._meta.private_fields:
            related = awaited_object(instance, field) if hasattr(field, "ct_field") else None
            if related is not None:
                setattr(instance, field.ct_field, field.get_content_type(obj=related))
        del instance._state.incomplete_generic_keys
