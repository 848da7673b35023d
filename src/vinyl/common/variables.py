"""Context variables that have a value within a block. This module knows nothing of what they are for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def temporarily(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Set the variable within this block, in this context only."""
    previous = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        # Not reset(token): the block may end in another context than it began in, as in asynchronous generators.
        variable.set(previous)
