"""Run the tests of vinyl on a Galera cluster: `python -m tests.cluster [arguments of pytest]`.

Each starts three MariaDB servers of its own on this machine, by `tests.galera`, and steers their faults itself; the
other tests' databases are SQLite's meanwhile. Without CI=true, a machine that has no Galera is told what it lacks.
"""

from tests import galera
from tests.__main__ import run, run_as_program, summarize
from tests.daemons import CannotStart
from tests.servers import Unavailable, sqlite


def main(arguments: list[str]) -> int:
    try:
        galera.find_programs()
    except CannotStart as error:
        summarize({}, {"galera": Unavailable(str(error))})
        return 1
    with sqlite() as server:
        outcome = run("sqlite", server, ["tests/cluster", *arguments])
    summarize({"galera": outcome}, {})
    return 1 if outcome.failed or outcome.problems else 0


if __name__ == "__main__":
    run_as_program(main)
