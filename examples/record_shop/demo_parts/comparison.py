"""Calling both servers alike, and telling whether they answer alike."""

import difflib
import pprint
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.table import Table

from demo_parts.calls import Answer, Call, Visitor
from demo_parts.servers import Server

# The first round warms up: connections are opened, templates compiled. It is compared, but not measured.
ROUNDS = 8
MODES = ("async", "sync")


@dataclass
class Row:
    """All answers to one call, by mode."""

    call: Call
    answers: dict[str, list[Answer]] = field(default_factory=lambda: {mode: [] for mode in MODES})

    def milliseconds(self, mode: str) -> float:
        """The median time."""
        return median(answer.milliseconds for answer in self.answers[mode][1:])

    def queries(self, mode: str) -> int:
        """How many queries it took, at the least: Django asks MySQL about itself first, once in each thread."""
        return min(answer.queries for answer in self.answers[mode])

    @property
    def is_equal(self) -> bool:
        """Whether all answers of both servers say the same, at the price of as many queries."""
        return self.odd_one() is None and self.queries("async") == self.queries("sync")

    def differences(self) -> Iterator[str]:
        """Yield what differs, as lines to read."""
        if self.queries("async") != self.queries("sync"):
            yield f"queries: async {self.queries('async')}, sync {self.queries('sync')}"
        odd = self.odd_one()
        if odd is not None:
            mode, number = odd
            first, other = self.answers["async"][0].content, self.answers[mode][number].content
            names = ("async, first call", f"{mode}, call {number + 1}")
            yield from difflib.unified_diff(readable(first), readable(other), *names, n=1, lineterm="")

    def odd_one(self) -> tuple[str, int] | None:
        """Return which answer is the first that differs from the first of all: its mode and number."""
        first = self.answers["async"][0].content
        for mode in MODES:
            for number, answer in enumerate(self.answers[mode]):
                if answer.content != first:
                    return mode, number
        return None


@dataclass
class Comparison:
    """The outcome: a row for each call, and whether the servers left equal data behind."""

    rows: list[Row]
    states: dict[str, list[Any]] = field(default_factory=lambda: {mode: [] for mode in MODES})

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs at all."""
        return all(row.is_equal for row in self.rows) and self.leaves_equal_data

    @property
    def leaves_equal_data(self) -> bool:
        """Whether the database was the same after each round of either server."""
        first, *others = self.states["async"] + self.states["sync"]
        return all(other == first for other in others)

    def table(self) -> Table:
        """Return the table that the demo prints."""
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("endpoint", no_wrap=True)
        for title in ("status", "async ms", "sync ms", "queries"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("equal", justify="center", no_wrap=True)
        for row in self.rows:
            counts = dict.fromkeys(str(row.queries(mode)) for mode in MODES)
            times = [f"{row.milliseconds(mode):.1f}" for mode in MODES]
            mark = "[green]✓[/]" if row.is_equal else "[bold red]✗[/]"
            table.add_row(str(row.call).replace("[", r"\["), str(row.call.status), *times, " / ".join(counts), mark)
        return table


def compare(
    servers: dict[str, Server],
    calls: list[Call],
    take_state: Callable[[], Any],
    advance: Callable[[], None],
) -> Comparison:
    """Make all calls, round by round, at the one server, then at the other; `take_state` is called after each."""
    comparison = Comparison([Row(call) for call in calls])
    with closing(Visitor(servers["async"])) as asynchronous, closing(Visitor(servers["sync"])) as synchronous:
        visitors = {"async": asynchronous, "sync": synchronous}
        for _ in range(ROUNDS):
            for mode, visitor in visitors.items():
                for row in comparison.rows:
                    row.answers[mode].append(visitor.make(row.call))
                    advance()
                comparison.states[mode].append(take_state())
    return comparison


def readable(content: tuple[Any, ...]) -> list[str]:
    """Return what an answer says as lines."""
    *head, body = content
    return [*map(str, head), *(body if isinstance(body, str) else pprint.pformat(body, width=100)).splitlines()]
