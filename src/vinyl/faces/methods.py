"""Methods that a project adds to querysets and managers, called in each mode.

They are synchronous code, or coroutine functions, written without a thought of modes. In the async mode, a method that
builds a query gives it at once, so that calls can be chained; any other is awaited:

    Book.vinyl.in_print().order_by("title")             return self.filter(stock__gt=0)
    await Book.vinyl.in_print().total()                 return self.aggregate(total=Sum("price"))["total"]

Which of the two a method is shows when it is called: it runs in the bridge at once, up to where it would first query.
If it gives a query by then, that is the result; else the rest runs when it is awaited. Nothing is sent to the database
before that.

This module must not know querysets; what is a query, or a part of one, says so itself.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import django.db
from django.db.models import Prefetch
from django.db.models.query import RawQuerySet

from vinyl.dispatch import Operation
from vinyl.faces.results import Stream
from vinyl.lending import scopes
from vinyl.mode import Mode, current, portable, using

# How many results of a generator are made in one go.
CHUNK_SIZE = 100


def own_methods(cls: type, below: type) -> dict[str, Any]:
    """Return the public methods that a class and its bases add to those of `below`, as called in each mode."""
    return {
        name: in_each_mode(value)
        for name, value in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") and not hasattr(below, name)
    }


def in_each_mode(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method that calls `function` in the caller's mode; see the module's docstring."""
    if getattr(function, "is_in_each_mode", False) or inspect.isasyncgenfunction(function):
        return function
    # A function in any case, since managers take only functions over from querysets.
    in_portable = portable(function) if inspect.iscoroutinefunction(function) else None
    is_generator = inspect.isgeneratorfunction(function)

    @functools.wraps(function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if in_portable is not None:
            return in_portable(self, *args, **kwargs)
        mode = current()
        if mode is Mode.SYNC:
            return function(self, *args, **kwargs)
        if is_generator:
            return Stream(function(self, *args, **kwargs), CHUNK_SIZE)
        call = functools.partial(function, self, *args, **kwargs)
        return _begun(call) if mode is Mode.ASYNC else _called(call)

    method.is_in_each_mode = True  # type: ignore[attr-defined]
    return method


def _is_query(result: Any) -> bool:
    # Querysets and expressions have resolve_expression().
    return hasattr(result, "resolve_expression") or isinstance(result, RawQuerySet | Prefetch)


def _begun(call: Callable[[], Any]) -> Any:
    has_ended, result = scopes.begin(call)
    if not has_ended:
        return Operation(result)
    return result if _is_query(result) else Operation(_given(result))


def _called(call: Callable[[], Any]) -> Any:
    """In the portable mode: call to the end, and give what the async mode would give."""
    queries = []

    def note(execute: Any, *args: Any) -> Any:
        queries.append(args)
        return execute(*args)

    with ExitStack() as stack:
        stack.enter_context(using(Mode.SYNC))
        for connection in django.db.connections.all():
            stack.enter_context(connection.execute_wrapper(note))
        result = call()
    return result if _is_query(result) and not queries else Operation(_given(result))


async def _given(result: Any) -> Any:
    return result
