"""vinyl's plug-in for pytest: fixtures, and nothing else.

It is loaded in every project that has vinyl installed, with or without Django. So it imports neither before a fixture
of it is used. What tests need of vinyl in general, that it takes part in their transaction, needs no plug-in: vinyl
follows Django's TestCase, on which pytest-django's fixtures are built.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def vinyl_async_mode() -> Iterator[None]:
    """The async mode, for the whole process, as long as the test lasts."""
    from vinyl.test import process_mode

    with process_mode(is_async=True):
        yield


@pytest.fixture
def vinyl_sync_mode() -> Iterator[None]:
    """The sync mode, for the whole process, as long as the test lasts."""
    from vinyl.test import process_mode

    with process_mode(is_async=False):
        yield


@pytest.fixture
def vinyl_capture_on_commit_callbacks() -> Callable[..., Any]:
    """A function that returns a block, for `with` or `async with`, which captures what on_commit() registers in it.

    With `execute=True` they are run as the block ends; `async with` awaits those that are coroutine functions.
    """
    from vinyl.test import capture_on_commit_callbacks

    return capture_on_commit_callbacks
