"""Put the results of runs into the documentation: `python -m benchmarks.publish FOLDER …`.

Each folder is one that `make bench` has written. Its tables become docs/benchmarks/<engine>.md, between the charts of
all workloads, at the top, and those of each workload, at the end.
"""

import json
import shutil
import sys
from pathlib import Path

PAGES = Path(__file__).parent.parent / "docs" / "benchmarks"


def main(folders: list[str]) -> int:
    if not folders:
        sys.exit("Name the folders that make bench has written.")
    for folder in map(Path, folders):
        print(publish(folder))
    return 0


def publish(folder: Path) -> Path:
    """Write the page of a run, and return where it is."""
    engine = json.loads((folder / "results.json").read_text(encoding="utf-8"))["engine"]
    pictures = PAGES / engine
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    charts = sorted(folder.glob("*.svg"))
    for chart in charts:
        shutil.copy(chart, pictures)
    head, tables = (folder / "results.md").read_text(encoding="utf-8").split("\n## ", 1)
    of_all = [chart for chart in charts if chart.stem.startswith("all-")]
    others = [chart for chart in charts if chart not in of_all]
    parts = [head.rstrip(), *shown(engine, of_all), f"## {tables.rstrip()}", "## Charts", *shown(engine, others)]
    page = PAGES / f"{engine}.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page


def shown(engine: str, charts: list[Path]) -> list[str]:
    return [f"![{chart.stem.replace('-', ', at a time: ')}]({engine}/{chart.name})" for chart in charts]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
