from collections.abc import Coroutine
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T", covariant=True)

# A coroutine by name, so that type checkers notice where `await` was forgotten.
Operation: TypeAlias = Coroutine[Any, Any, T]
