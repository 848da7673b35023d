"""The results of a run as files: results.json with everything, results.md with tables, and a chart for each result."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import charts, standing, tables
from benchmarks.adapters import BASES
from benchmarks.figures import Cell, Figures
from benchmarks.rounds import Outcome, Plan
from benchmarks.workloads import WORKLOADS


@dataclass(frozen=True)
class Results:
    """A run: what was planned, where it took place, and what came of it."""

    plan: Plan
    surroundings: dict[str, Any]
    outcome: Outcome

    @property
    def adapters(self) -> list[str]:
        """Those that were measured."""
        return [name for name in self.plan.adapters if name in self.outcome.notes]

    @property
    def base(self) -> str:
        """What the others are compared with: the driver without an ORM, or else the first adapter."""
        driver = BASES[self.surroundings["engine"]]
        return driver if driver in self.adapters else self.adapters[0]

    def write(self, folder: Path) -> None:
        """Write all the files."""
        (folder / "results.json").write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")
        (folder / "results.md").write_text(self.as_markdown(), encoding="utf-8")
        for name, chart in self.as_charts().items():
            (folder / f"{name}.svg").write_text(chart, encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        return {
            **self.surroundings,
            "base": self.base,
            "rounds": self.plan.rounds,
            "seconds": self.plan.seconds,
            "notes": self.outcome.notes,
            "absent": self.outcome.absent,
            "records": [asdict(record) for record in self.outcome.records],
        }

    def as_markdown(self) -> str:
        return tables.document(
            Figures(self.outcome.records), self.plan, self.surroundings, self.outcome, self.adapters, self.base
        )

    def standing(self) -> list[str]:
        """Tell how vinyl stands among its peers."""
        return standing.table(standing.standings(Figures(self.outcome.records), self.plan.cells, self.adapters))

    def as_charts(self) -> dict[str, str]:
        """Draw each cell, and for each concurrency the mean over all workloads."""
        figures = Figures(self.outcome.records)
        drawn = {}
        for cell in self.plan.cells:
            bars = [charts.Bar(name, figures.median(cell, name, "per_second")) for name in self.adapters]
            title = f"{cell.workload}: {WORKLOADS[cell.workload].title}"
            drawn[f"{cell.workload}-{cell.concurrency}"] = charts.draw(title, self.units(cell), bars)
        for concurrency in sorted({cell.concurrency for cell in self.plan.cells}):
            cells = of_concurrency(self.plan.cells, concurrency)
            common = figures.common(cells, self.adapters)
            bars = [charts.Bar(name, figures.mean_ratio(common, name, self.base)) for name in self.adapters]
            unit = f"ratio to {self.base}, geometric mean over {len(common)} of {len(cells)} workloads"
            title = f"All workloads, {concurrency} at a time, on {self.surroundings['engine']}"
            drawn[f"all-{concurrency}"] = charts.draw(title, unit, bars)
        return drawn

    def units(self, cell: Cell) -> str:
        return f"operations per second, {cell.concurrency} at a time, on {self.surroundings['engine']}; more is better"


def of_concurrency(cells: Sequence[Cell], concurrency: int) -> list[Cell]:
    return [cell for cell in cells if cell.concurrency == concurrency]
