"""Natively asynchronous Django ORM, as a plug-in for existing projects.

    class Artifact(models.Model):
        ...
        vinyl = VinylManager()

    if not await Artifact.vinyl.filter(x=12).exists():
        ob = Artifact.vinyl(x=12)
        await ob.insert()

    set_async(False)        # the very same API, now synchronous: Artifact.vinyl.filter(x=12).exists()

These are the public names. Importing them loads no database driver and no model.
"""

from vinyl import checks, transaction
from vinyl._install import install
from vinyl.dispatch import always_awaited as run
from vinyl.errors import (
    BridgeError,
    ImplicitQuery,
    ModeError,
    NotUpdated,
    OwnershipError,
    PoolClosed,
    PoolError,
    PoolTimeout,
    TooManyRequests,
    UnloadedAttribute,
    UnsupportedOperation,
    VinylError,
)
from vinyl.managers import VinylManager, manager
from vinyl.mode import async_mode, is_async, portable, set_async, sync_mode
from vinyl.models import VinylModel, delete, insert, load, refresh, update
from vinyl.queryset import VinylQuerySet, prefetch_related_objects
from vinyl.sql import close, connection, connections

__all__ = [
    "BridgeError",
    "ImplicitQuery",
    "ModeError",
    "NotUpdated",
    "OwnershipError",
    "PoolClosed",
    "PoolError",
    "PoolTimeout",
    "TooManyRequests",
    "UnloadedAttribute",
    "UnsupportedOperation",
    "VinylError",
    "VinylManager",
    "VinylModel",
    "VinylQuerySet",
    "async_mode",
    "close",
    "connection",
    "connections",
    "delete",
    "insert",
    "is_async",
    "load",
    "manager",
    "portable",
    "prefetch_related_objects",
    "refresh",
    "run",
    "set_async",
    "sync_mode",
    "transaction",
    "update",
]

install()
checks.register()
