"""Run the tests on every engine: `python -m tests [--engine NAME] [arguments of pytest]`.

Django's settings are per process, so each engine gets a pytest process of its own, which finds the engine in
VINYL_TEST_ENGINE and its server in VINYL_TEST_URL. `tests.servers` says where the servers come from.

With CI=true every engine must be there and no test may be skipped, except for reasons that begin with "not on ": a
test of one engine, "not on sqlite". A test that fails is tried once more there, since a machine that others use as
well may stand still for a while, and one that passes only then is named in the summary. Otherwise an engine that is
missing is only named, unless `--engine` asked for it.

The last line is the totals over all engines. They are appended, as JSON, to the file that VINYL_TEST_TOTALS names.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from tests.servers import ENGINES, Server, Unavailable

IN_CI = os.environ.get("CI") == "true"
ROOT = Path(__file__).parent.parent


@dataclass
class Outcome:
    """What a run of pytest came to: the counts of its tests, and what else was wrong with it."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests",
        usage="%(prog)s [--engine NAME] [arguments of pytest]",
        description="Run the tests on every engine.",
        allow_abbrev=False,
    )
    parser.add_argument("--engine", action="append", choices=ENGINES, help="test this engine only; may be repeated")
    options, pytest_arguments = parser.parse_known_args(arguments)

    outcomes: dict[str, Outcome] = {}
    missing: dict[str, Unavailable] = {}
    for engine in options.engine or ENGINES:
        try:
            with ENGINES[engine]() as server:
                outcomes[engine] = run(engine, server, pytest_arguments)
        except Unavailable as error:
            missing[engine] = error

    summarize(outcomes, missing)
    is_missed = missing and (IN_CI or options.engine)
    return 1 if is_missed or any(outcome.failed or outcome.problems for outcome in outcomes.values()) else 0


def run(
    engine: str, server: Server, arguments: list[str], environment: Mapping[str, str] = MappingProxyType({})
) -> Outcome:
    """Run pytest on one engine, to its end; what else its processes should know is in the environment."""
    versions = f"Python {platform.python_version()}, Django {metadata.version('Django')}"
    print(f"\n{engine} {server.version} ({server.origin}), {versions}", flush=True)
    with tempfile.TemporaryDirectory(prefix="vinyl-report-") as folder:
        report = Path(folder, "report.json")
        started = time.monotonic()
        code = run_child(
            [sys.executable, "-m", "pytest", "-p", "tests.report", *(["--reruns", "1"] if IN_CI else []), *arguments],
            {
                "VINYL_TEST_ENGINE": engine,
                "VINYL_TEST_URL": server.url,
                "VINYL_TEST_REPORT": str(report),
                **environment,
            },
        )
        outcome = read(report)
    outcome.seconds = time.monotonic() - started
    if code == 5 and not arguments:
        outcome.problems.append("there were no tests")
    elif code not in (0, 1, 5):
        outcome.problems.append(f"pytest ended with status {code}")
    elif code == 1 and not outcome.failed:
        outcome.problems.append("pytest failed, though no test did")
    return outcome


def run_child(command: list[str], environment: dict[str, str]) -> int:
    """Run a program of the tests, and let no exception, Ctrl-C and SIGTERM included, leave it behind."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    try:
        return process.wait()
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)  # Ctrl-C has reached it as well, and it wants to say where
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def read(report: Path) -> Outcome:
    """Read the counts that `tests.report` wrote. In CI, a skip that is not in the nature of the engine is a failure."""
    if not report.exists():
        return Outcome(problems=["the tests ended without a report"])
    counts = json.loads(report.read_text(encoding="utf-8"))
    outcome = Outcome(counts["passed"], counts["failed"], len(counts["skipped"]))
    for test, reason in counts["skipped"].items():
        if IN_CI and not reason.startswith("not on "):
            outcome.problems.append(f"{test} was skipped, which CI does not allow: {reason}")
            outcome.skipped -= 1
            outcome.failed += 1
    outcome.remarks = [f"{test} passed only when it was tried again" for test in counts.get("tried_again", ())]
    return outcome


def summarize(outcomes: dict[str, Outcome], missing: dict[str, Unavailable]) -> None:
    """Print a line for each engine, then the totals alone on the last line."""
    print()
    for engine, outcome in outcomes.items():
        print(f"{engine:<12}{outcome}   {outcome.seconds:.1f} s")
        for line in outcome.problems + outcome.remarks:
            print(f"{'':<12}{line}")
    for engine, reason in missing.items():
        print(f"{engine:<12}not tested: {reason}")

    total = Outcome()
    for outcome in outcomes.values():
        total.passed += outcome.passed
        total.failed += outcome.failed
        total.skipped += outcome.skipped
    if path := os.environ.get("VINYL_TEST_TOTALS"):
        with open(path, "a", encoding="utf-8") as file:
            print(json.dumps([total.passed, total.failed, total.skipped]), file=file)
    print(total)


def terminated(*_: object) -> None:
    sys.exit("The tests were terminated.")


def run_as_program(main: Callable[[list[str]], int]) -> NoReturn:
    """Call it with the arguments and exit with its status; whatever ends the program ends what it has started."""
    signal.signal(signal.SIGTERM, terminated)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("The tests were interrupted.")


if __name__ == "__main__":
    run_as_program(main)
