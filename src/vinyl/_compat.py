"""The only module that asks which Python or which Django this is.

It must not know anything of vinyl: each name here is what the newest Django has, or its equivalent in an older one.
"""

from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import markcoroutinefunction
from django.core import exceptions
from django.db import DatabaseError, models
from django.utils.inspect import func_accepts_kwargs, func_supports_parameter


class _ObjectNotUpdated(Exception):
    """Django 6.0 brought it."""


if TYPE_CHECKING:
    from django.core.exceptions import FieldFetchBlocked as FieldFetchBlocked
    from django.core.exceptions import ObjectNotUpdated as ObjectNotUpdated
else:
    ObjectNotUpdated = getattr(exceptions, "ObjectNotUpdated", _ObjectNotUpdated)
    # Django 6.1 brought it, below what it was before.
    FieldFetchBlocked = getattr(exceptions, "FieldFetchBlocked", exceptions.FieldError)

# Django 6.1 brought them: the fetch mode that is the default, and the one that queries for all instances of a result.
FETCH_ONE: Any = getattr(models, "FETCH_ONE", None)
FETCH_PEERS: Any = getattr(models, "FETCH_PEERS", None)

_NOT_UPDATED = ("Forced update did not affect any rows.", "Save with update_fields did not affect any rows.")


def is_not_updated(error: Exception) -> bool:
    """Tell whether Django raised this because an UPDATE matched no row. Django 5.2 says so in the message only."""
    return isinstance(error, ObjectNotUpdated) or (type(error) is DatabaseError and str(error) in _NOT_UPDATED)


def from_db(model: Any) -> Callable[[str | None, Any, Any], Any]:
    """Return the model's from_db(), which is given the default fetch mode from Django 6.1 on, if it takes one."""
    method: Any = model.from_db
    if FETCH_ONE is None:
        return method  # type: ignore[no-any-return]
    takes_it = func_supports_parameter(method, "fetch_mode") or func_accepts_kwargs(method)
    return partial(method, fetch_mode=FETCH_ONE) if takes_it else method


def referenced_fields(generated: Any) -> frozenset[Any]:
    """Return the fields from which the database computes a generated field. Django 6.1 has it on the field."""
    if hasattr(generated, "referenced_fields"):
        return frozenset(generated.referenced_fields)
    expression = generated.expression.resolve_expression(generated._query, allow_joins=False)
    return frozenset(column.target for column in generated._query._gen_cols([expression]))


def context_of(call: Any) -> Context | None:
    """Return the context that a SyncToAsync was given to run in, for which asgiref 3.9 brought a parameter."""
    return getattr(call, "context", None)


def _coroutine_mark() -> tuple[str, Any]:
    """Return the attribute, and its value, by which iscoroutinefunction() knows a function that was marked."""

    def function() -> None: ...

    markcoroutinefunction(function)
    ((name, value),) = vars(function).items()
    return name, value


COROUTINE_MARK, COROUTINE_MARK_VALUE = _coroutine_mark()
