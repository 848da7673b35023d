"""The programs `mysqldump` and `mysql`, by which Django copies test databases of MariaDB and MySQL for parallel runs.

They are the machine's, else MariaDB's, which speak to both servers; `tests.debian_packages` unpacks them, 0.04 GB.
"""

import os
import shlex
import shutil
from pathlib import Path

from tests import debian_packages

# By the names that Django calls them by, and MariaDB's.
PROGRAMS = {"mysqldump": "mariadb-dump", "mysql": "mariadb"}
LAUNCHER = """#!/bin/sh
# MariaDB's program trusts a certificate that the server has made itself only if it is told to.
exec {program} --no-defaults --disable-ssl-verify-server-cert "$@"
"""


def path_with_them(folder: Path) -> str:
    """Return a PATH on which both are; launchers of unpacked ones are put into the folder."""
    if all(map(shutil.which, PROGRAMS)):
        return os.environ["PATH"]
    unpacked = debian_packages.programs(["mariadb-client"], PROGRAMS.values()) / "usr/bin"
    for name, program in PROGRAMS.items():
        launcher = folder / name
        launcher.write_text(LAUNCHER.format(program=shlex.quote(str(unpacked / program))), encoding="utf-8")
        launcher.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])
