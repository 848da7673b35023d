"""Run Django's own tests on vinyl: `python -m tests.django_suite [--engine NAME] [--compare|--plans|--site] [LABELS]`.

With `--pgbouncer MODE` in place of engines they run on PostgreSQL behind a PgBouncer, in session or transaction mode.

The tests are those of the Django that is installed, unmodified: of the packages in `packages.py`, or of the labels that
are given, such as `queries` or `basic.tests.ModelTest`.

    as it is     each test runs in vinyl's bridge, with all its database work on vinyl's asynchronous connections. What
                 fails is run again without vinyl, and is a failure if it passes there; see `judging.py`.
    --plans      as --compare, asynchronously, of querysets that are built anew by the same calls, again and again, so
                 that their plans are learned, verified (VERIFY_PLANS) and used; see `replaying.py`.
    --site       as it is, of the packages that make requests, which vinyl's ASGI handler answers; see `sites.py`.
    --compare    each queryset that a test evaluates is evaluated by vinyl as well, in the bridge asynchronously and
                 without it synchronously, and the results are compared; see `comparing.py`.

Servers, and what --engine and CI=true mean, are as for `python -m tests`; Django's skips are its own, in CI too. The
last line is the totals, which are appended to the file that VINYL_TEST_TOTALS names as well.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from importlib import metadata

import psycopg

from tests.__main__ import IN_CI, Outcome, run_as_program, summarize
from tests.daemons import CannotStart
from tests.django_suite import sources
from tests.django_suite.children import Job, Records, run
from tests.django_suite.differences import DIFFERENCES, PLANS, SITES
from tests.django_suite.judging import judge, judge_comparisons, labels_of
from tests.django_suite.packages import OF_SITES, PACKAGES, WITHOUT_QUERYSETS
from tests.django_suite.records import Record
from tests.pgbouncer import pooled
from tests.private_pgbouncer import MODES
from tests.servers import ENGINES, Server, Unavailable

# Creating the tables of all packages in one transaction takes more locks than a PostgreSQL server has.
PORTIONS = 4
# What the migrations of postgres_tests install.
EXTENSIONS = {"bloom", "btree_gin", "btree_gist", "citext", "hstore", "pg_trgm", "pgcrypto", "unaccent"}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.django_suite", description="Run Django's own tests on vinyl."
    )
    parser.add_argument("--engine", action="append", choices=ENGINES, help="test this engine only; may be repeated")
    parser.add_argument("--pgbouncer", choices=MODES, help="test PostgreSQL behind PgBouncer, in this pool mode")
    parser.add_argument("--compare", action="store_true", help="compare the results of querysets")
    parser.add_argument("--plans", action="store_true", help="compare the results of planned queries")
    parser.add_argument("--site", action="store_true", help="answer requests by vinyl's ASGI handler")
    parser.add_argument("labels", nargs="*", help="packages or tests; if none is given, the packages of packages.py")
    options = parser.parse_args(arguments)
    try:
        sources.folder()
    except sources.NotFetched as error:
        sys.exit(str(error))
    servers: dict[str, Server] = {}
    missing: dict[str, Unavailable] = {}
    started = time.monotonic()
    with ExitStack() as stack:
        for engine, found in engines(options).items():
            try:
                servers[engine] = server = stack.enter_context(found())
                print(f"{engine} {server.version} ({server.origin})")
            except Unavailable as error:
                missing[engine] = error
            except CannotStart as error:
                missing[engine] = Unavailable(str(error))
        print(f"Python {platform.python_version()}, Django {metadata.version('Django')} and its own tests", flush=True)
        carry_out = served if options.site else planned if options.plans else compared if options.compare else bridged
        outcomes = carry_out(servers, options.labels)
    for outcome in outcomes.values():
        outcome.seconds = time.monotonic() - started
    summarize(outcomes, missing)
    is_missed = missing and (IN_CI or options.engine or options.pgbouncer)
    return 1 if is_missed or any(outcome.failed or outcome.problems for outcome in outcomes.values()) else 0


def engines(options: argparse.Namespace) -> dict[str, Callable[[], AbstractContextManager[Server]]]:
    """Return, by name, what finds the servers of the engines that are asked for."""
    if options.pgbouncer:
        # For the settings, which are read in each child.
        os.environ["VINYL_TEST_POOL_MODE"] = options.pgbouncer
        return {"postgresql": partial(pooled, options.pgbouncer)}
    return {name: ENGINES[name] for name in options.engine or ENGINES}


def served(servers: dict[str, Server], labels: list[str]) -> dict[str, Outcome]:
    """Run the tests of sites with vinyl's handler, those that fail without vinyl as well, and judge them."""
    return bridged(servers, labels or OF_SITES, "site", SITES)


def bridged(
    servers: dict[str, Server], labels: list[str], way: str = "bridge", differences: dict[str, str] = DIFFERENCES
) -> dict[str, Outcome]:
    """Run the tests through the bridge, those that fail without vinyl as well, and judge them."""
    records = run(jobs(servers, way, labels))
    again = [
        Job(engine, servers[engine], "plain", labels_of(record.failed))
        for (engine, _), record in records.items()
        if record.failed
    ]
    plain: Records = run(again)
    outcomes = {}
    for engine, server in servers.items():
        record = records[engine, way]
        print(f"\n{engine} {server.version}: {proof(record)}")
        outcomes[engine] = judge(record, plain.get((engine, "plain"), Record()), differences)
    return outcomes


def compared(servers: dict[str, Server], labels: list[str]) -> dict[str, Outcome]:
    """Have querysets compared in both modes, and judge the differences."""
    records = run([job for way in ("async", "sync") for job in jobs(servers, way, labels)])
    outcomes = {}
    for engine, server in servers.items():
        print(f"\n{engine} {server.version}:")
        outcomes[engine] = judge_comparisons({way: records[engine, way] for way in ("async", "sync")})
    return outcomes


def planned(servers: dict[str, Server], labels: list[str]) -> dict[str, Outcome]:
    """Have planned queries compared, and judge the differences."""
    records = run(jobs(servers, "plans", labels))
    outcomes = {}
    for engine, server in servers.items():
        record = records[engine, "plans"]
        counts = f"{record.counts['replayed']:,} querysets repeated, {record.counts['planned']:,} by plans"
        print(f"\n{engine} {server.version}: {counts}")
        outcomes[engine] = judge_comparisons({"plans": record}, PLANS)
    return outcomes


def jobs(servers: dict[str, Server], way: str, labels: list[str]) -> list[Job]:
    """Deal the labels out to jobs, those of the engines by turns."""
    portions: list[Job] = []
    for number in range(PORTIONS):
        for engine, server in servers.items():
            if dealt := (labels or packages(server, way))[number::PORTIONS]:
                portions.append(Job(engine, server, way, dealt, number))
    return portions


def packages(server: Server, way: str) -> list[str]:
    """Return the packages to run in a way on a server, as far as it has what they need."""
    left_out = set(WITHOUT_QUERYSETS) if way in ("async", "sync", "plans") else set()
    if server.url.startswith("postgresql"):
        with psycopg.connect(server.url) as connection:
            offered = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions")}
        if EXTENSIONS - offered:
            left_out.add("postgres_tests")
    return [package for package in PACKAGES if package not in left_out]


def proof(record: Record) -> str:
    """Say what went through the bridge."""
    counts = record.counts
    return (
        f"{counts['waits']:,} waits through the event loop, {counts['vinyl']:,} statements on vinyl's connections; on "
        f"Django's own {counts['django']:,} in the main thread, {counts['threads']:,} in threads that tests start"
    )


if __name__ == "__main__":
    run_as_program(main)
