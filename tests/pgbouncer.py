"""Run the tests on PostgreSQL behind PgBouncer: `python -m tests.pgbouncer [--mode MODE] [arguments of pytest]`.

Once in session mode and once in transaction mode, with the settings that Django documents for either. In transaction
mode two statements outside of a transaction may be two sessions of the server's; tests that need one are marked
`session` and skipped there. Each run has a PgBouncer of its own, in front of the server that `tests.servers` finds.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from tests.__main__ import Outcome, run, run_as_program, summarize
from tests.daemons import CannotStart
from tests.private_pgbouncer import MODES, serve
from tests.servers import Server, Unavailable, postgresql


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.pgbouncer",
        usage="%(prog)s [--mode MODE] [arguments of pytest]",
        description="Run the tests on PostgreSQL behind PgBouncer.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", action="append", choices=MODES, help="in this pool mode only")
    options, pytest_arguments = parser.parse_known_args(arguments)

    outcomes: dict[str, Outcome] = {}
    missing: dict[str, Unavailable] = {}
    for mode in options.mode or MODES:
        try:
            with pooled(mode) as server:
                outcomes[mode] = run("postgresql", server, pytest_arguments, {"VINYL_TEST_POOL_MODE": mode})
        except (CannotStart, Unavailable) as error:
            missing[mode] = Unavailable(str(error))
    summarize(outcomes, missing)
    return 1 if missing or any(outcome.failed or outcome.problems for outcome in outcomes.values()) else 0


@contextmanager
def pooled(mode: str) -> Iterator[Server]:
    """Give the PostgreSQL server behind a PgBouncer."""
    with postgresql() as server, serve(server.url, mode) as (url, program):
        yield Server(url, server.version, f"{server.origin}, behind {program} in {mode} mode")


if __name__ == "__main__":
    run_as_program(main)
