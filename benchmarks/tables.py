"""The results in Markdown: a table for each question, with a row for each cell and a column for each adapter."""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import standing
from benchmarks.figures import Cell, Figures
from benchmarks.rounds import Outcome, Plan

# Returns what stands in the table for an adapter in a cell where it was measured.
Show = Callable[[Cell, str], str]


class Tables:
    """Writes the tables of the figures of a run."""

    def __init__(self, figures: Figures, plan: Plan, adapters: Sequence[str], base: str) -> None:
        self.figures = figures
        self.plan = plan
        self.adapters = adapters
        self.base = base

    def all(self) -> list[str]:
        return [
            *self.table("Operations per second", self.cells(), self.figure("per_second", "{:,.0f}", "{:.1f}")),
            *self.table(f"Ratio to {self.base}", self.cells(), self.ratio, self.means()),
            *standing.table(standing.standings(self.figures, self.cells(), self.adapters)),
            *self.table("CPU of the client, ms per operation", self.cells(), self.figure("cpu", "{:.3f}")),
            *self.table("Latency, ms: p50 / p99", self.cells(), self.latencies),
            *self.table("Longest wait, ms / tasks that finished nothing", self.cells(several=True), self.waits),
            *self.table("Peak memory of the client, MB", self.cells(), self.figure("memory", "{:.0f}")),
        ]

    def cells(self, *, several: bool = False) -> list[Cell]:
        """Return all cells, or those of several tasks."""
        return [cell for cell in self.plan.cells if cell.concurrency > 1 or not several]

    def table(self, title: str, cells: Sequence[Cell], show: Show, further: Sequence[str] = ()) -> list[str]:
        """Write a table; nothing if it would have no rows."""
        if not cells:
            return []
        head = ["", f"## {title}", "", row(["workload", *self.adapters]), f"| --- |{' ---: |' * len(self.adapters)}"]
        shown = [row([str(cell), *(self.show(cell, name, show) for name in self.adapters)]) for cell in cells]
        return [*head, *shown, *further]

    def show(self, cell: Cell, adapter: str, show: Show) -> str:
        if self.figures.measurements(cell, adapter):
            return show(cell, adapter)
        records = self.figures.records(cell, adapter)
        return "error" if any(record.error for record in records) else "–"

    def figure(self, name: str, form: str, small: str | None = None) -> Show:
        """Show the median of a figure; one below 100 in its own form, if there is one."""

        def show(cell: Cell, adapter: str) -> str:
            value = self.figures.median(cell, adapter, name) or 0.0
            return (small if small and value < 100 else form).format(value)

        return show

    def ratio(self, cell: Cell, adapter: str) -> str:
        return number(self.figures.ratio(cell, adapter, self.base))

    def latencies(self, cell: Cell, adapter: str) -> str:
        names = ("median", "percentile_99")
        return " / ".join(number(self.figures.median(cell, adapter, name)) for name in names)

    def waits(self, cell: Cell, adapter: str) -> str:
        starved = self.figures.median(cell, adapter, "starved") or 0
        return f"{number(self.figures.median(cell, adapter, 'longest'))} / {starved:g}"

    def means(self) -> list[str]:
        """Write the geometric means: for each concurrency over the cells that every adapter has done, then over all."""
        rows = []
        for concurrency in sorted({cell.concurrency for cell in self.plan.cells}):
            cells = [cell for cell in self.plan.cells if cell.concurrency == concurrency]
            common = self.figures.common(cells, self.adapters)
            values = [number(self.figures.mean_ratio(common, name, self.base)) for name in self.adapters]
            rows.append(row([f"**geometric mean at {concurrency}**, {len(common)} of {len(cells)}", *values]))
        every = [number(self.figures.mean_ratio(self.plan.cells, name, self.base)) for name in self.adapters]
        return [*rows, row(["**geometric mean of all rows** that it has", *every])]


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def row(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def document(
    figures: Figures,
    plan: Plan,
    surroundings: dict[str, Any],
    outcome: Outcome,
    adapters: Sequence[str],
    base: str,
) -> str:
    """Write the whole document."""
    packages = ", ".join(f"{name} {version}" for name, version in surroundings["packages"].items())
    head = [
        f"# vinyl and its peers on {surroundings['engine']}",
        "",
        f"Median of {plan.rounds} rounds of {plan.seconds:g} s. Pools of {surroundings['pool']} connections,"
        f" {surroundings['loop']}, Python {surroundings['python']}, {surroundings['processors']} processors"
        f" ({surroundings['processor']}). Server: {surroundings['server']}. {packages}.",
    ]
    return "\n".join([*head, *Tables(figures, plan, adapters, base).all(), *remarks(outcome)]) + "\n"


def remarks(outcome: Outcome) -> list[str]:
    """Write down what adapters say of themselves, what they do not support, what failed, and who is absent."""
    lines = [f"* {name}: {note}." for name, note in outcome.notes.items() if note]
    reasons: dict[tuple[str, str], list[str]] = {}
    for record in outcome.records:
        if record.unsupported:
            cells = reasons.setdefault((record.adapter, record.unsupported), [])
            if str(record.cell) not in cells:
                cells.append(str(record.cell))
    unsupported = [f"* {name} was left out of {', '.join(cells)}: {why}." for (name, why), cells in reasons.items()]
    failed = dict.fromkeys(
        f"* {record.adapter} failed in {record.cell}: {record.error}" for record in outcome.records if record.error
    )
    absent = [f"* {name} was not measured: {why}" for name, why in outcome.absent.items()]
    found = [*lines, *unsupported, *failed, *absent]
    return ["", "## Remarks", "", *found] if found else []
