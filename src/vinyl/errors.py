"""Every exception of vinyl, and nothing else.

Each also subclasses what a Django user already catches, so that existing handlers go on working:

    VinylError
    ├── BridgeError (RuntimeError)                          await_() where there is no bridge to wait through
    ├── ModeError (SynchronousOnlyOperation)                the call does not fit the mode: it names the one that does
    │   └── ImplicitQuery                                   for, len(), bool(), … of a queryset that was not awaited
    ├── OwnershipError (TransactionManagementError)         another task's transaction or held connection
    ├── PoolError (OperationalError)
    │   ├── PoolTimeout                                     no connection within the pool's timeout
    │   ├── TooManyRequests                                 max_waiting callers wait already
    │   └── PoolClosed                                      vinyl.close() was called meanwhile
    ├── DeadlineExceeded (OperationalError)                 vinyl.deadline(), or an alias's default, has passed
    ├── TooManyQueries (AssertionError)                     more than count_queries(at_most=…) allows
    ├── PlanMismatch (RuntimeError)                         VINYL["VERIFY_PLANS"]: a plan differs from Django's query
    ├── NotUpdated (ObjectNotUpdated, DatabaseError)        update() matched no row
    ├── UnloadedAttribute (FieldFetchBlocked, FieldError)   a relation or deferred field that was not loaded
    └── UnsupportedOperation (TypeError)                    save() and what else vinyl leaves out on purpose

The pool's names are those of psycopg_pool. UnloadedAttribute is deliberately no AttributeError: hasattr(), getattr()
with a default and templates would swallow it and go on with a wrong answer.
"""

from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, OperationalError
from django.db.transaction import TransactionManagementError

from vinyl._compat import FieldFetchBlocked, ObjectNotUpdated


class VinylError(Exception):
    """The base of all errors that vinyl raises itself."""


class BridgeError(VinylError, RuntimeError):
    """await_() was called from code that does not run in the bridge."""


class ModeError(VinylError, SynchronousOnlyOperation):
    """A synchronous form was used in the async mode, or an asynchronous one in the sync mode."""


class ImplicitQuery(ModeError):
    """Python syntax that cannot wait (for, len(), bool(), …) was applied to a queryset that is not loaded yet."""


class OwnershipError(VinylError, TransactionManagementError):
    """A task used the transaction or the held connection of another task."""


class PoolError(VinylError, OperationalError):
    """The pool could not give a connection."""


class PoolTimeout(PoolError):
    """No connection became free within the pool's `timeout`."""


class TooManyRequests(PoolError):
    """The pool's `max_waiting` callers wait for a connection already."""


class PoolClosed(PoolError):
    """The pool was closed while the caller waited for a connection."""


class DeadlineExceeded(VinylError, OperationalError):
    """The time for database work in the block of vinyl.deadline(), or by the alias's default, is over."""


class TooManyQueries(VinylError, AssertionError):
    """A block of vinyl.count_queries() has executed more queries than its `at_most`; the message lists them."""


class PlanMismatch(VinylError, RuntimeError):
    """A planned query is not what Django has sent; only looked for with VINYL["VERIFY_PLANS"]."""


class NotUpdated(VinylError, ObjectNotUpdated, DatabaseError):
    """No row matched the instance that update() was to write."""


class UnloadedAttribute(VinylError, FieldFetchBlocked):
    """An attribute was read that no query has loaded. Vinyl never loads one behind the caller's back."""


class UnsupportedOperation(VinylError, TypeError):
    """Something of Django's that instances of vinyl leave out on purpose; the message names what to call instead."""
