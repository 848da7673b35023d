"""Soak vinyl in the load and the faults of a bank: `python -m tests.stress [--engine NAME] [--seconds N] [--seed N]`.

200 tasks transfer money between 1,000 accounts, by vinyl. Meanwhile tasks are cancelled, connections are killed, and
the server is stopped, killed and started again; for SQLite another process takes the lock, and is killed with it. The
claims that must hold then are in `claims.py`; each is a test.

Each engine has a private server, and a process of its own, since Django's settings are per process. What is drawn by
lot is drawn by the seed that is printed, though not when which task gets to run. What CI=true means is as for `python
-m tests`.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.__main__ import IN_CI, Outcome, read, run_as_program, run_child, summarize
from tests.daemons import CannotStart
from tests.servers import Unavailable
from tests.stress.servers import SERVERS, require_programs

SECONDS = 60.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description="Soak vinyl in a bank under fire.")
    parser.add_argument("--engine", action="append", choices=SERVERS, help="this engine only; may be repeated")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of fire for each engine (%(default)g)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of what is drawn by lot")
    options = parser.parse_args(arguments)

    outcomes: dict[str, Outcome] = {}
    missing: dict[str, Unavailable] = {}
    for engine in options.engine or SERVERS:
        try:
            require_programs(engine)
        except (CannotStart, Unavailable) as error:
            missing[engine] = Unavailable(str(error))
        else:
            outcomes[engine] = run(engine, options.seconds, options.seed)
    summarize(outcomes, missing)
    is_missed = missing and (IN_CI or options.engine)
    return 1 if is_missed or any(outcome.failed or outcome.problems for outcome in outcomes.values()) else 0


def run(engine: str, seconds: float, seed: int) -> Outcome:
    """Soak one engine, in a process of its own."""
    print()
    with tempfile.TemporaryDirectory(prefix="vinyl-report-") as folder:
        report = Path(folder, "report.json")
        started = time.monotonic()
        command = [sys.executable, "-W", "error", "-m", "tests.stress.child", engine, str(seconds), str(seed)]
        code = run_child(command, {"VINYL_TEST_REPORT": str(report)})
        outcome = read(report)
    outcome.seconds = time.monotonic() - started
    if code not in (0, 1):
        outcome.problems.append(f"the process ended with status {code}")
    return outcome


if __name__ == "__main__":
    run_as_program(main)
