"""Content types at hand, for generic relations, which look them up where nothing can wait.

Reading `book.notes` makes a related manager, and Django's asks for the content type of the book in its constructor. The
lookup is cached per process and database, so it is enough that who loads or inserts such an instance has asked before.
"""

from typing import Any

from django.apps import apps


def have_at_hand(model: Any, using: str) -> None:
    """Inside an operation: fill the cache for the generic relations of a model, which queries at most once."""
    for field in model._meta.private_fields:
        if hasattr(field, "content_type_field_name"):
            content_types: Any = apps.get_model("contenttypes", "ContentType").objects
            content_types.db_manager(using).get_for_model(model, for_concrete_model=field.for_concrete_model)
