"""The bounds, and how what was measured is compared with them. This module measures nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

CONNECTIONS = 100
TASKS = 10_000
BOOKS = 10_000
MANY_BOOKS = 200_000


@dataclass(frozen=True)
class Bound:
    """A figure that may be so large at most; `shown` is how it is written."""

    name: str
    title: str
    most: float
    shown: str

    def is_kept_by(self, value: float) -> bool:
        return value <= self.most


ALL = [
    # Milliseconds are the machine's, so the ratio is what is bounded: 30 ms, where Django's models take 120.
    Bound("import_time", "CPU of `import vinyl`, after Django's models", inf, "{:.1f} ms"),
    Bound("import_ratio", "the same, as a part of that of Django's models", 0.25, "{:.2f}"),
    Bound("connection_resident", f"each of {CONNECTIONS} idle connections, resident", 100, "{:.1f} KB"),
    Bound("connection_python", "the same, Python's objects only", 30, "{:.1f} KB"),
    # Each is a planned query, which waits as a coroutine: one in the middle of Django's ORM takes ten times as much.
    Bound("tasks", f"{TASKS:,} tasks that wait for one connection, resident", 100, "{:.1f} MB"),
    # Of CPU, since on a machine that is busy anybody waits. A turn takes 3 ms; then the collector looks at what is new.
    *(
        Bound(
            f"pause_{engine}",
            f"the longest that others wait while {MANY_BOOKS:,} books are loaded, {name}",
            20,
            "{:.1f} ms",
        )
        for engine, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite"))
    ),
    Bound("fetch_ratio", f"{BOOKS:,} books at the peak, as a ratio to Django's", 1.05, "{:.2f}"),
]


def table(measured: Mapping[str, float]) -> list[str]:
    """Write a line for each bound."""
    width = max(len(bound.title) for bound in ALL)
    lines = [f"{'':<{width}}{'measured':>12}{'bound':>12}"]
    for bound in ALL:
        value = measured[bound.name]
        most = "–" if bound.most == inf else bound.shown.format(bound.most)
        remark = "" if bound.is_kept_by(value) else "   exceeded"
        lines.append(f"{bound.title:<{width}}{bound.shown.format(value):>12}{most:>12}{remark}")
    return lines


def exceeded(measured: Mapping[str, float]) -> Sequence[Bound]:
    """Return the bounds that are exceeded."""
    return [bound for bound in ALL if not bound.is_kept_by(measured[bound.name])]
