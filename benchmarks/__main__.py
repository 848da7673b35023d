"""Measure vinyl and its peers on a private server: `python -m benchmarks [--engine NAME] [--adapters A,B] …`."""

import argparse
import sys
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from benchmarks import adapters, django_project, servers, surroundings
from benchmarks.figures import Cell
from benchmarks.progress import Progress
from benchmarks.results import Results
from benchmarks.rounds import Plan, Run
from benchmarks.target import ENGINES, Target
from benchmarks.workloads import WORKLOADS
from tests.__main__ import run_as_program
from tests.daemons import CannotStart

RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    plan = Plan(options.adapters, cells(options.workloads, options.concurrency), options.rounds, options.seconds)
    folder = options.out or RESULTS / f"{options.engine}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with servers.started(options.engine) as server:
            target = Target.at(options.engine, server.url, pool=options.pool, loop=options.loop)
            results = measure(plan, target, server.programs, folder)
    except CannotStart as error:
        sys.exit(f"There is no {options.engine} to measure: {error}")
    if not results.adapters:
        sys.exit(f"None of the adapters can be measured; {folder / 'workers.log'} may say more.")
    results.write(folder)
    print("\n".join(results.standing()) if options.brief else results.as_markdown())
    print(f"Tables, charts and all figures are in {folder}.", file=sys.stderr)
    return 1 if any(record.error for record in results.outcome.records) else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure vinyl and its peers.")
    parser.add_argument("--engine", choices=ENGINES, default="postgresql")
    parser.add_argument("--adapters", help="names with commas between them (all of the engine)")
    parser.add_argument("--workloads", type=one_of(WORKLOADS), default=list(WORKLOADS), help="the same (all)")
    parser.add_argument("--concurrency", type=numbers, default=[1, 50], help="tasks at a time (1,50)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each cell of a round (%(default)g)")
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop", help="(%(default)s)")
    parser.add_argument("--pool", type=int, default=10, help="connections in each pool (%(default)s)")
    parser.add_argument("--brief", action="store_true", help="print only how vinyl stands among its peers")
    parser.add_argument("--out", type=Path, help="a folder for the results (benchmarks/results/…)")
    options = parser.parse_args(arguments)
    known = adapters.names(options.engine)
    try:
        options.adapters = one_of(known)(options.adapters) if options.adapters else known
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --adapters: {error}")
    return options


def one_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return what reads names with commas between them, which must be among these."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return read


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def cells(workloads: Sequence[str], concurrencies: Sequence[int]) -> list[Cell]:
    """Return the cells; long workloads are measured alone only."""
    return [
        Cell(workload, concurrency)
        for workload in workloads
        for concurrency in concurrencies
        if concurrency == 1 or WORKLOADS[workload].short
    ]


def measure(plan: Plan, target: Target, programs: str, folder: Path) -> Results:
    """Fill the database and run the rounds; what the workers print is in the folder."""
    django_project.set_up(target)
    from benchmarks import seeding  # it has the models, which need Django to be set up

    print(f"{target.engine} runs, from {programs}; its tables are being filled.", file=sys.stderr, flush=True)
    seeding.seed(target)
    where = surroundings.describe(target, programs)
    with (
        (folder / "workers.log").open("w", encoding="utf-8") as log,
        Progress(plan.turns, plan.rounds) as progress,
    ):
        outcome = Run(plan, target, partial(seeding.clean, target), log, progress).all()
    return Results(plan, where, outcome)


if __name__ == "__main__":
    run_as_program(main)
