"""What type checkers are told of the package: where its public names are declared. See docs/adr/0020."""

from vinyl import transaction
from vinyl._typed.connections import close, connection, connections
from vinyl._typed.instances import (
    VinylModel,
    VinylTyped,
    delete,
    insert,
    load,
    prefetch_related_objects,
    refresh,
    update,
)
from vinyl._typed.managers import VinylManager, VinylRelatedManager, manager
from vinyl._typed.operations import Operation
from vinyl._typed.querysets import FrozenQuery, VinylQuerySet
from vinyl._typed.together import gather
from vinyl.calls import native_calls
from vinyl.dispatch import native, now
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
from vinyl.mode import async_mode, is_async, portable, set_async, sync_mode
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
