"""Where an adapter stands among its peers: in each cell beside the best of them, and in how many it is the first.

Drivers without an ORM are not among the peers, since they make no instances; nor is the same library in another mode.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Cell, Figures

SUBJECT = "vinyl"
NO_PEERS = ("raw_", SUBJECT)


@dataclass(frozen=True)
class Standing:
    """The subject in a cell, with the best of its peers: `ratio` is how many operations it does while that does one."""

    cell: Cell
    peer: str
    ratio: float

    @property
    def is_first(self) -> bool:
        return self.ratio >= 1


def standings(figures: Figures, cells: Sequence[Cell], adapters: Sequence[str]) -> list[Standing]:
    """Return the standing of the subject in each cell in which it has a peer."""
    found = []
    for cell in cells:
        ratios = {name: figures.ratio(cell, SUBJECT, name) for name in adapters if not name.startswith(NO_PEERS)}
        known = [Standing(cell, name, ratio) for name, ratio in ratios.items() if ratio is not None]
        if known:
            found.append(min(known, key=lambda standing: standing.ratio))
    return found


def table(found: Sequence[Standing]) -> list[str]:
    """Write them in Markdown, and in how many rows the subject is the first; nothing if it has no peers."""
    if not found:
        return []
    head = [
        "",
        f"## {SUBJECT} beside the best of its peers",
        "",
        "| workload | best peer | ratio | |",
        "| --- | --- | ---: | --- |",
    ]
    rows = [f"| {each.cell} | {each.peer} | {each.ratio:.2f} | {'first' if each.is_first else ''} |" for each in found]
    first = sum(each.is_first for each in found)
    return [*head, *rows, "", f"{SUBJECT} is first in {first} of {len(found)} rows."]
