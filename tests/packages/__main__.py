"""Run the tests with packages around Django: `python -m tests.packages [--engine NAME] [arguments of pytest]`.

On SQLite and on PostgreSQL, in the environment of requirements/packages.txt.
"""

import os
import sys

from tests.__main__ import main, run_as_program

FOLDER = "tests/packages"
ENGINES = ("sqlite", "postgresql")


def main_of_packages(arguments: list[str]) -> int:
    # Settings are found by each process that a test starts, too.
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.packages.settings"
    engines = [] if "--engine" in arguments else [part for name in ENGINES for part in ("--engine", name)]
    files = [] if any(argument.startswith(FOLDER) for argument in arguments) else [FOLDER]
    return main([*engines, *arguments, *files])


if __name__ == "__main__":
    sys.exit(run_as_program(main_of_packages))
