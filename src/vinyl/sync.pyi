"""What type checkers are told of vinyl.sync. See docs/adr/0020."""

from vinyl._typed_sync import transaction
from vinyl._typed_sync.connections import close, connection, connections
from vinyl._typed_sync.instances import (
    VinylModel,
    VinylTyped,
    delete,
    insert,
    load,
    prefetch_related_objects,
    refresh,
    update,
)
from vinyl._typed_sync.managers import VinylManager, VinylRelatedManager, manager
from vinyl._typed_sync.querysets import FrozenQuery, VinylQuerySet
from vinyl._typed_sync.together import gather

__all__ = [
    "FrozenQuery",
    "VinylManager",
    "VinylModel",
    "VinylQuerySet",
    "VinylRelatedManager",
    "VinylTyped",
    "close",
    "connection",
    "connections",
    "delete",
    "gather",
    "insert",
    "load",
    "manager",
    "prefetch_related_objects",
    "refresh",
    "transaction",
    "update",
]
