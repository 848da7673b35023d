"""What the child processes tell this one: a JSON list a line, in a file, as it happens.

    ["passed", test]    ["failed", test, traceback]    ["skipped", test, reason]
    ["differs", test, details]      a comparison that found a difference; see `comparing.py`
    ["undetermined", test]          one that found that Django itself gives different results
    ["count", name, number]         what was counted besides; ["count", "finished", 1] is the last entry

A test may be there more than once (subtests, clean-up) and counts by the worst. One expected to fail counts as skipped.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def write(*entry: Any) -> None:
    """In the child: append an entry, at once, so that the record tells how far a process came that has died."""
    with open(os.environ["VINYL_DJANGO_RECORD"], "a", encoding="utf-8") as record:
        print(json.dumps(entry, default=str), file=record)


@dataclass
class Record:
    """What the children of one engine and way have written down."""

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    undetermined: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    # What went wrong besides the tests.
    problems: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, *rest: Any) -> None:
        if kind == "passed":
            self.passed.add(name)
        elif kind == "failed":
            self.failed.setdefault(name, rest[0])
        elif kind == "skipped":
            self.skipped[name] = rest[0]
        elif kind == "differs":
            self.differences.append({"test": name, **rest[0]})
        elif kind == "undetermined":
            self.undetermined.add(name)
        else:
            self.counts[name] += rest[0]

    def close(self) -> None:
        """Let each test count once, by its worst outcome."""
        self.skipped = {test: reason for test, reason in self.skipped.items() if test not in self.failed}
        self.passed -= self.failed.keys() | self.skipped.keys()

    def __len__(self) -> int:
        return len(self.passed) + len(self.failed) + len(self.skipped)


class Reader:
    """Reads a file that is being written."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open(encoding="utf-8")
        self._unfinished = ""

    def entries(self) -> list[list[Any]]:
        """Return the entries that were written since the last call."""
        *lines, self._unfinished = (self._unfinished + self._file.read()).split("\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self._file.close()
