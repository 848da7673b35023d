"""Measure memory, imports and pauses, and compare them with the bounds: `python -m benchmarks.memory`."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

from benchmarks import django_project, servers
from benchmarks.memory import bounds, probes
from benchmarks.memory.bounds import CONNECTIONS
from benchmarks.target import Target
from tests.__main__ import run_as_program
from tests.daemons import CannotStart

# The least of so many is nearest to what an import takes when nobody disturbs it.
IMPORTS = 15
IMPORTING = """
import time
began = time.process_time()
import django.db.models
between = time.process_time()
import vinyl
print(between - began, time.process_time() - between)
"""
KILOBYTES = 1024
SECONDS = 1_000


def main(arguments: list[str]) -> int:
    try:
        with servers.started("postgresql") as server:
            target = Target.at("postgresql", server.url, pool=CONNECTIONS, loop="asyncio")
            django_project.set_up(target)
            from benchmarks import seeding  # it has the models, which need Django to be set up

            seeding.seed(target)
            measured = measure(target)
    except CannotStart as error:
        sys.exit(f"There is no PostgreSQL to measure with: {error}")
    print("\n".join(bounds.table(measured)))
    exceeded = bounds.exceeded(measured)
    for bound in exceeded:
        value = bound.shown.format(measured[bound.name])
        print(f"A bound is exceeded: {bound.title}: {value}, not {bound.shown.format(bound.most)}.", file=sys.stderr)
    return 1 if exceeded else 0


def measure(target: Target) -> dict[str, float]:
    """Measure all that has a bound, by its name."""
    django_alone, vinyl_then = map(min, zip(*(importing() for _ in range(IMPORTS)), strict=True))
    connections = probe("connections", target)
    fetches = {name: probe(f"fetch_by_{name}", target)["resident"] for name in ("vinyl", "django")}
    return {
        "import_time": vinyl_then * SECONDS,
        "import_ratio": vinyl_then / django_alone,
        "connection_resident": connections["resident"],
        "connection_python": connections["python"],
        "tasks": probe("tasks", replace(target, pool=1))["resident"] / KILOBYTES,
        "pause_postgresql": probe("pause_postgresql", target)["longest"] * SECONDS,
        "pause_sqlite": probe("pause_sqlite", target)["longest"] * SECONDS,
        "fetch_ratio": fetches["vinyl"] / fetches["django"],
    }


def importing() -> tuple[float, float]:
    """Return the CPU that a process takes to import Django's models, and then vinyl."""
    # What is imported was compiled before, as it is wherever vinyl is installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", IMPORTING]
    django, vinyl = subprocess.check_output(command, env=environment, text=True).split()
    return float(django), float(vinyl)


def probe(name: str, target: Target) -> dict[str, Any]:
    """Run a probe in a process of its own, and return what it has measured."""
    command = [sys.executable, "-W", "ignore", "-m", probes.__name__, name]
    environment = {**os.environ, **target.environment()}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


if __name__ == "__main__":
    run_as_program(main)
