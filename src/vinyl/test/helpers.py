"""What VinylTestCase and the pytest plug-in have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.test import TestCase

from vinyl import mode, run


@contextmanager
def process_mode(*, is_async: bool) -> Iterator[None]:
    """Set the mode of the whole process within this block, as vinyl.set_async() does, and put it back afterwards."""
    previous = mode.of_process()
    mode.set_async(is_async)
    try:
        yield
    finally:
        mode.set_async(previous is mode.Mode.ASYNC)


class capture_on_commit_callbacks:  # noqa: N801 (called like a function)
    """Capture what on_commit() has registered in the block, as TestCase.captureOnCommitCallbacks() does.

    Entered with `async with`, for which it is there, it runs the callbacks in the bridge as the block ends, if
    `execute` is True: coroutine functions are awaited, and synchronous ones may query. With `with` it is Django's own.
    """

    def __init__(self, *, using: str = DEFAULT_DB_ALIAS, execute: bool = False) -> None:
        self._django = TestCase.captureOnCommitCallbacks(using=using, execute=execute)

    def __enter__(self) -> list[Callable[[], Any]]:
        return self._django.__enter__()

    def __exit__(self, *exc_info: Any) -> Any:
        return self._django.__exit__(*exc_info)

    async def __aenter__(self) -> list[Callable[[], Any]]:
        callbacks: list[Callable[[], Any]] = await run(self.__enter__)
        return callbacks

    async def __aexit__(self, *exc_info: object) -> Any:
        return await run(self.__exit__, *exc_info)
