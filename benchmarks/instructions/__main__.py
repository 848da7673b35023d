"""Count the instructions of the hot paths and compare them: `python -m benchmarks.instructions [--update]`."""

import argparse
import sys

from benchmarks.instructions import baseline, counting, paths
from benchmarks.instructions.baseline import Change
from benchmarks.instructions.markers import CannotCount
from tests.__main__ import run_as_program


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write what is counted as the baseline")
    options = parser.parse_args(arguments)
    where = baseline.surroundings()
    try:
        ratios = counting.ratios()
    except CannotCount as error:
        sys.exit(f"Nothing can be counted. {error}")
    before = baseline.stored().get(where, {})
    changes = baseline.compare(ratios, before)
    print("\n".join(table(changes, where)))
    if options.update:
        baseline.store(ratios, where)
        print(f"This is the baseline for {where} now.")
        return 0
    if not before:
        print(f"There is no baseline for {where} to compare with. `make instructions ARGS=--update` writes one.")
        return 1
    dearer = [change for change in changes if change.is_dearer]
    for change in dearer:
        print(baseline.complaint(change), file=sys.stderr)
    return 1 if dearer else 0


def table(changes: list[Change], where: str) -> list[str]:
    """Write a line for each path."""
    lines = [f"Instructions of one operation, as a ratio to a synchronous get() of Django's ({where})", ""]
    lines.append(f"{'':<24}{'now':>9}{'before':>9}{'change':>9}")
    for change in changes:
        before = "–" if change.before is None else f"{change.before:.3f}"
        share = "–" if change.share is None else f"{change.share:+.1%}"
        lines.append(f"{change.name:<24}{change.now:>9.3f}{before:>9}{share:>9}   {paths.PATHS[change.name].title}")
    return [*lines, ""]


if __name__ == "__main__":
    run_as_program(main)
