"""Proof that the tests ran where they were meant to run: what is counted in the child process.

waits       times that the bridge handed over to the event loop
statements  on vinyl's connections; on Django's own in the main thread; on Django's own in threads that tests start
"""

import threading
from collections import Counter
from typing import Any

from django.db.backends.utils import CursorWrapper

from tests.django_suite.records import write

counts: Counter[str] = Counter({"waits": 0, "vinyl": 0, "django": 0, "threads": 0})


def count_waits() -> None:
    """Count what the drivers wait for; to be called before they are imported, since they import `await_` by name."""
    from vinyl import bridge

    await_ = bridge.await_

    def counted(awaitable: Any) -> Any:
        counts["waits"] += 1
        return await_(awaitable)

    bridge.await_ = counted


def count_statements() -> None:
    """Count the statements that Django's cursors execute, by whose connection it is."""
    for name in ("_execute", "_executemany"):
        setattr(CursorWrapper, name, _counted(getattr(CursorWrapper, name)))


def _counted(method: Any) -> Any:
    def counted(self: Any, *args: Any) -> Any:
        if hasattr(self.db, "is_busy"):
            counts["vinyl"] += 1
        else:
            counts["django" if threading.current_thread() is threading.main_thread() else "threads"] += 1
        return method(self, *args)

    return counted


def report() -> None:
    for name, value in counts.items():
        write("count", name, value)
