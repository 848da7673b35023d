"""Draws horizontal bars as SVG, to be read on a light and on a dark page. This module knows nothing of benchmarks.

All text has the colour of the page's text. The colours follow the reader's choice, by prefers-color-scheme; who shows
the picture without knowing of that gets the light ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
LABELS = 250
VALUES = 90
MARGIN = 16
TOP = 68
LINE = 26
BAR = 16
# The one whose bar stands out.
OURS = "vinyl"

STYLE = """
.chart { color: #1f2328; font-family: system-ui, sans-serif; font-size: 13px; }
.chart text { fill: currentColor; }
.chart .title { font-size: 16px; font-weight: 600; }
.chart .unit, .chart .none { opacity: 0.7; }
.chart .label { text-anchor: end; }
.chart .axis { stroke: currentColor; stroke-opacity: 0.3; }
.chart .bar { fill: #8c959f; }
.chart .bar.ours { fill: #0969da; }
.chart .ours { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .chart { color: #e6edf3; }
  .chart .bar { fill: #6e7681; }
  .chart .bar.ours { fill: #4493f8; }
}
""".strip()


@dataclass(frozen=True)
class Bar:
    """A bar and its label; without a value there is nothing to draw."""

    label: str
    value: float | None


def draw(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Draw the bars, the longest first."""
    ordered = sorted(bars, key=lambda bar: -(bar.value or 0))
    most = max((bar.value or 0 for bar in bars), default=0) or 1
    height = TOP + LINE * len(ordered) + MARGIN
    lines = [
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{MARGIN}" y="28">{escape(title)}</text>',
        f'<text class="unit" x="{MARGIN}" y="48">{escape(unit)}</text>',
        f'<line class="axis" x1="{LABELS}" y1="{TOP - 6}" x2="{LABELS}" y2="{height - MARGIN + 2}"/>',
    ]
    for place, bar in enumerate(ordered):
        lines += draw_bar(bar, TOP + LINE * place, most)
    return "\n".join([*lines, "</svg>", ""])


def draw_bar(bar: Bar, top: int, most: float) -> list[str]:
    ours = " ours" if bar.label == OURS else ""
    baseline = top + BAR - 4
    lines = [f'<text class="label{ours}" x="{LABELS - 8}" y="{baseline}">{escape(bar.label)}</text>']
    if bar.value is None:
        return [*lines, f'<text class="value none" x="{LABELS + 8}" y="{baseline}">not measured</text>']
    length = (WIDTH - LABELS - VALUES) * bar.value / most
    return [
        *lines,
        f'<rect class="bar{ours}" x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}"/>',
        f'<text class="value{ours}" x="{LABELS + length + 8:.1f}" y="{baseline}">{shown(bar.value)}</text>',
    ]


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
