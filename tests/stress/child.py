"""The process in which an engine is soaked: `python -W error -m tests.stress.child ENGINE SECONDS SEED`.

The counts go where `python -m tests.stress` reads them: see `tests/report.py`.
"""

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from random import Random

from tests.__main__ import run_as_program
from tests.stress.servers import SERVERS, Server


def main(arguments: list[str]) -> int:
    engine, seconds, seed = arguments
    with SERVERS[engine](Random(f"{seed} server")) as server:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="tests.stress.settings", VINYL_TEST_ENGINE=engine, VINYL_TEST_URL=server.url
        )
        return soaked(server, float(seconds), int(seed))


def soaked(server: Server, seconds: float, seed: int) -> int:
    """Make the tables, run the soak, and judge it."""
    import django

    django.setup()
    from django.db import connection

    from tests.stress import terminal
    from tests.stress.claims import judged
    from tests.stress.soak import Soak

    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    version = ".".join(map(str, connection.get_database_version()))
    versions = f"Python {platform.python_version()}, Django {metadata.version('Django')}"
    how = f"--seconds {seconds:g} --seed {seed}"
    print(f"{connection.display_name} {version} ({server.programs}), {versions}, {how}", flush=True)
    progress = terminal.Progress()
    soak = Soak(server, seed, seconds, progress)
    try:
        soak.run()
    finally:
        progress.end()
    print(terminal.figures(soak), end="\n\n")
    verdicts = list(judged(soak))
    print(terminal.verdicts(verdicts), flush=True)
    failed = sum(bool(verdict.findings) for verdict in verdicts)
    counts = {"passed": len(verdicts) - failed, "failed": failed, "skipped": {}}
    Path(os.environ["VINYL_TEST_REPORT"]).write_text(json.dumps(counts), encoding="utf-8")
    connection.close()
    return 1 if failed else 0


if __name__ == "__main__":
    run_as_program(main)
