"""VinylTestCase: Django's TestCase with fixtures that are awaited. Their names are those of unittest."""

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.db import DEFAULT_DB_ALIAS
from django.test import TestCase

from vinyl.test.helpers import capture_on_commit_callbacks, process_mode

T = TypeVar("T")


class VinylTestCase(TestCase):
    """Django's TestCase, for tests whose fixtures write by vinyl: asyncSetUpTestData(), asyncSetUp(), asyncTearDown().

    asyncSetUp() and asyncTearDown() run in the event loop of the test method, after setUp() and before tearDown(). For
    a method that is no coroutine function each runs in a loop of its own. All of it is in the test's transaction.
    """

    # The mode of the process in the tests of the class: True for async, False for sync, None for what it is.
    vinyl_async: bool | None = None

    _async_cleanups: AsyncExitStack

    @classmethod
    def setUpClass(cls) -> None:
        if cls.vinyl_async is not None:
            cls.enterClassContext(process_mode(is_async=cls.vinyl_async))
        super().setUpClass()

    @classmethod
    def setUpTestData(cls) -> None:
        """Await asyncSetUpTestData(). Call it where you override this."""
        async_to_sync(cls.asyncSetUpTestData)()

    @classmethod
    async def asyncSetUpTestData(cls) -> None:
        """Make what all tests of the class begin with. Attributes that it sets are copied for each, as Django's are."""

    async def asyncSetUp(self) -> None:
        """Prepare a test. If it raises, the test does not run, and neither does asyncTearDown()."""

    async def asyncTearDown(self) -> None:
        """Clean up after a test, also after one that has failed."""

    def addAsyncCleanup(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Have a coroutine function called and awaited after asyncTearDown(), the last one first."""
        self._async_cleanups.push_async_callback(function, *args, **kwargs)

    async def enterAsyncContext(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a block that is left after asyncTearDown(), and return what it gives."""
        return await self._async_cleanups.enter_async_context(context)

    @classmethod
    def captureOnCommitCallbacks(
        cls, *, using: str = DEFAULT_DB_ALIAS, execute: bool = False
    ) -> capture_on_commit_callbacks:
        """As Django's, and for `async with` too, which awaits callbacks that are coroutine functions."""
        return capture_on_commit_callbacks(using=using, execute=execute)

    def _setup_and_call(self, result: Any, debug: bool = False) -> None:
        method = getattr(self, self._testMethodName)
        if inspect.iscoroutinefunction(method):
            self._wrap(method, self._awaiting)
        elif (type(self).asyncSetUp, type(self).asyncTearDown) != (
            VinylTestCase.asyncSetUp,
            VinylTestCase.asyncTearDown,
        ):
            self._wrap(method, self._calling)
        super()._setup_and_call(result, debug)  # type: ignore[misc]

    def _wrap(self, method: Callable[..., Any], wrapper: Callable[..., Any]) -> None:
        setattr(self, self._testMethodName, functools.wraps(method)(wrapper(method)))

    def _awaiting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def awaited() -> None:
            async with AsyncExitStack() as self._async_cleanups:
                await self.asyncSetUp()
                try:
                    await method()
                finally:
                    await self.asyncTearDown()

        return awaited

    def _calling(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def set_up() -> None:
            async with AsyncExitStack() as self._async_cleanups:
                await self.asyncSetUp()
                self._async_cleanups = self._async_cleanups.pop_all()

        async def tear_down() -> None:
            async with self._async_cleanups:
                await self.asyncTearDown()

        def called() -> None:
            async_to_sync(set_up)()
            try:
                method()
            finally:
                async_to_sync(tear_down)()

        return called
