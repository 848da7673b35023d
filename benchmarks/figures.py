"""What was measured, and what is computed of it: percentiles, ratios and means.

A ratio is that of two adapters in the same round, since they took turns then and had the same machine; of the rounds'
ratios the median is taken. Tables and charts show nothing that is not computed here. This module knows no adapter.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A workload, done by so many tasks, or threads, at the same time."""

    workload: str
    concurrency: int

    def __str__(self) -> str:
        return f"{self.workload} at {self.concurrency}"


@dataclass(frozen=True)
class Measurement:
    """What an adapter did in a cell of a round. Times are milliseconds, memory is megabytes.

    `starved` counts the tasks that finished no operation in the time.
    """

    operations: int
    per_second: float
    median: float
    percentile_99: float
    longest: float
    starved: int
    cpu: float
    memory: float


@dataclass(frozen=True)
class Record:
    """A measurement, or why there is none."""

    round: int
    cell: Cell
    adapter: str
    measurement: Measurement | None = None
    unsupported: str | None = None
    error: str | None = None

    @classmethod
    def of_answer(cls, number: int, cell: Cell, adapter: str, answer: Mapping[str, Any]) -> "Record":
        """Read the answer of a worker."""
        measured = answer.get("measurement")
        measurement = Measurement(**measured) if measured else None
        return cls(number, cell, adapter, measurement, answer.get("unsupported"), answer.get("error"))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of the ordered values is."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def geometric_mean(values: Iterable[float]) -> float:
    return statistics.geometric_mean(values)


class Figures:
    """Answers questions about the records of a run."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records: dict[tuple[Cell, str], list[Record]] = {}
        for record in records:
            self._records.setdefault((record.cell, record.adapter), []).append(record)

    def records(self, cell: Cell, adapter: str) -> list[Record]:
        return self._records.get((cell, adapter), [])

    def measurements(self, cell: Cell, adapter: str) -> dict[int, Measurement]:
        """Return what was measured, by round."""
        return {record.round: record.measurement for record in self.records(cell, adapter) if record.measurement}

    def median(self, cell: Cell, adapter: str, name: str) -> float | None:
        """Return the median over the rounds of a figure of this name."""
        values = [getattr(measurement, name) for measurement in self.measurements(cell, adapter).values()]
        return statistics.median(values) if values else None

    def ratio(self, cell: Cell, adapter: str, base: str) -> float | None:
        """Return how many operations an adapter does while the base does one."""
        own, others = self.measurements(cell, adapter), self.measurements(cell, base)
        ratios = [own[number].per_second / others[number].per_second for number in own if number in others]
        return statistics.median(ratios) if ratios else None

    def common(self, cells: Iterable[Cell], adapters: Sequence[str]) -> list[Cell]:
        """Return the cells that all of these adapters have done: means over others could not be compared.

        An adapter that has done none of the cells has no mean, and takes no part.
        """
        cells = list(cells)
        taking_part = [name for name in adapters if any(self.measurements(cell, name) for cell in cells)]
        return [cell for cell in cells if all(self.measurements(cell, name) for name in taking_part)]

    def mean_ratio(self, cells: Iterable[Cell], adapter: str, base: str) -> float | None:
        """Return the geometric mean of the ratios in these cells."""
        ratios = [ratio for cell in cells if (ratio := self.ratio(cell, adapter, base)) is not None]
        return geometric_mean(ratios) if ratios else None
