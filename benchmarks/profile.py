"""Shows which functions an adapter spends its time in: `python -m benchmarks.profile WORKLOAD [--adapter NAME] …`.

Python's profiler makes small functions dearer than they are: it is for finding what is called too often, not for
comparing. Like all workers, the adapter has a process of its own, which is this module with `VINYL_BENCHMARK` set.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import subprocess
import sys

from benchmarks import adapters, django_project, servers
from benchmarks.adapters.base import Adapter
from benchmarks.target import ENGINES, VARIABLE, Target
from benchmarks.workloads import WORKLOADS, Workload
from tests.__main__ import run_as_program
from tests.daemons import CannotStart

WARM_UP = 20


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if VARIABLE in os.environ:
        profile(options)
        return 0
    try:
        with servers.started(options.engine) as server:
            target = Target.at(options.engine, server.url, pool=10, loop="asyncio")
            django_project.set_up(target)
            from benchmarks import seeding  # it has the models, which need Django to be set up

            seeding.seed(target)
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.profile", *arguments]
            return subprocess.run(command, env={**os.environ, **target.environment()}, check=False).returncode
    except CannotStart as error:
        sys.exit(f"There is no {options.engine} to measure: {error}")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Profile an adapter.")
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--adapter", choices=adapters.ADAPTERS, default="vinyl", help="(%(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default="postgresql", help="(%(default)s)")
    parser.add_argument("--operations", type=int, default=500, help="(%(default)s)")
    parser.add_argument("--sort", choices=["tottime", "cumulative", "ncalls"], default="tottime", help="(%(default)s)")
    parser.add_argument("--functions", type=int, default=40, help="how many are shown (%(default)s)")
    return parser.parse_args(arguments)


def profile(options: argparse.Namespace) -> None:
    """In the adapter's process: run the operations one after the other and print the functions."""
    adapter, workload = adapters.make(options.adapter, Target.of_environment()), WORKLOADS[options.workload]
    profiler = cProfile.Profile()
    if adapter.synchronous:
        by_thread(adapter, workload, options.operations, profiler)
    else:
        asyncio.run(by_task(adapter, workload, options.operations, profiler))
    pstats.Stats(profiler).sort_stats(options.sort).print_stats(options.functions)


def by_thread(adapter: Adapter, workload: Workload, operations: int, profiler: cProfile.Profile) -> None:
    operation = getattr(adapter, workload.name)
    for _ in range(WARM_UP):
        operation()
    with profiler:
        for _ in range(operations):
            operation()


async def by_task(adapter: Adapter, workload: Workload, operations: int, profiler: cProfile.Profile) -> None:
    operation = getattr(adapter, workload.name)
    await adapter.open()
    async with adapter.scope():
        for _ in range(WARM_UP):
            await operation()
        with profiler:
            for _ in range(operations):
                await operation()
    await adapter.close()


if __name__ == "__main__":
    run_as_program(main)
