"""The names of vinyl that a project imports from here if it is written for the sync mode.

    from vinyl.sync import VinylManager, transaction

They are the very objects of the package. The difference is for type checkers, which can know only one mode of an
object: those of `vinyl` are declared for the async mode, `await Book.vinyl.get(pk=1)`, and these for the sync mode,
`Book.vinyl.get(pk=1)`. The mode itself is set by vinyl.set_async(False).
"""

from vinyl import (
    FrozenQuery,
    VinylManager,
    VinylModel,
    VinylQuerySet,
    VinylRelatedManager,
    VinylTyped,
    close,
    connection,
    connections,
    delete,
    gather,
    insert,
    load,
    manager,
    prefetch_related_objects,
    refresh,
    transaction,
    update,
)

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
