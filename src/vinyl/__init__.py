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

from vinyl import checks, sql_comments, transaction
from vinyl._install import install
from vinyl.calls import native_calls
from vinyl.dispatch import Operation, native, now
from vinyl.dispatch import run_synchronous as run
from vinyl.errors import (
    BridgeError,
    DeadlineExceeded,
    ImplicitQuery,
    ModeError,
    NotUpdated,
    OwnershipError,
    PlanMismatch,
    PoolClosed,
    PoolError,
    PoolTimeout,
    TooManyQueries,
    TooManyRequests,
    UnloadedAttribute,
    UnsupportedOperation,
    VinylError,
)
from vinyl.faces.deadline_blocks import deadline
from vinyl.faces.frozen import FrozenQuery
from vinyl.faces.managers import VinylManager, manager
from vinyl.faces.models import VinylModel, VinylTyped, delete, insert, load, refresh, update
from vinyl.faces.queryset import VinylQuerySet, prefetch_related_objects
from vinyl.faces.relations import RelatedManager as VinylRelatedManager
from vinyl.faces.side_by_side import gather
from vinyl.faces.sql import close, connection, connections
from vinyl.mode import async_mode, is_async, portable, set_async, sync_mode
from vinyl.observing import live
from vinyl.observing.counting import count_queries
from vinyl.observing.live import activity
from vinyl.plans.shapes import Param

__all__ = [
    "BridgeError",
    "DeadlineExceeded",
    "FrozenQuery",
    "ImplicitQuery",
    "ModeError",
    "NotUpdated",
    "Operation",
    "OwnershipError",
    "Param",
    "PlanMismatch",
    "PoolClosed",
    "PoolError",
    "PoolTimeout",
    "TooManyQueries",
    "TooManyRequests",
    "UnloadedAttribute",
    "UnsupportedOperation",
    "VinylError",
    "VinylManager",
    "VinylModel",
    "VinylQuerySet",
    "VinylRelatedManager",
    "VinylTyped",
    "activity",
    "async_mode",
    "close",
    "connection",
    "connections",
    "count_queries",
    "deadline",
    "delete",
    "gather",
    "insert",
    "is_async",
    "load",
    "manager",
    "native",
    "native_calls",
    "now",
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
sql_comments.register()
live.register()
