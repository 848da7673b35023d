"""What each path cost when the baseline was written, and whether it costs more now.

The file has a baseline for each pair of versions of Python and Django. A path that became cheaper never fails; one that
became dearer by more than the tolerance does. This module counts nothing.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import django

FILE = Path(__file__).parent / "baselines.json"
# Above what differs between two builds of the same Python, below what anybody should not have noticed.
TOLERANCE = 0.10
Ratios = Mapping[str, float]


def surroundings() -> str:
    """Name what a baseline holds for."""
    python = ".".join(platform.python_version_tuple()[:2])
    return f"Python {python}, Django {'.'.join(map(str, django.VERSION[:2]))}"


def stored(file: Path = FILE) -> dict[str, dict[str, float]]:
    """Return all baselines."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def store(ratios: Ratios, where: str, file: Path = FILE) -> None:
    """Write the baseline of these surroundings; those of others stay."""
    baselines = stored(file) | {where: {name: round(ratio, 3) for name, ratio in sorted(ratios.items())}}
    file.write_text(json.dumps(dict(sorted(baselines.items())), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Change:
    """A path, now and in the baseline. One that is not in the baseline has nothing to be compared with."""

    name: str
    now: float
    before: float | None

    @property
    def share(self) -> float | None:
        """How much dearer it is; cheaper below 0."""
        return None if self.before is None else self.now / self.before - 1

    @property
    def is_dearer(self) -> bool:
        return self.share is not None and self.share > TOLERANCE


def compare(ratios: Ratios, before: Ratios) -> list[Change]:
    """Return the change of each path that was counted."""
    return [Change(name, ratio, before.get(name)) for name, ratio in ratios.items()]


def complaint(change: Change) -> str:
    """Say what has become dearer, and what is to be done."""
    return (
        f"{change.name} takes {change.share:.0%} more instructions than its baseline, and {TOLERANCE:.0%} are allowed. "
        "Find what it does more than before; if it is worth that, accept it with `make instructions ARGS=--update` and "
        "commit benchmarks/instructions/baselines.json."
    )
