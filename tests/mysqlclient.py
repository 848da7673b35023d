"""Installs mysqlclient, on which Django's backend for MariaDB and MySQL runs: `python -m tests.mysqlclient`.

It has no wheel for Linux. It is built with the client library that the machine has installed, if pkg-config knows one;
else with MariaDB's, which is unpacked from Debian's packages and copied to where mysqlclient is, so that it stays with
the virtual environment. The headers of Debian's Python are unpacked, too, if they are missing. A C compiler is needed.

The library loads its authentication plug-ins, which MySQL's default needs, from a folder that was fixed when it was
compiled. `load()` tells a copied one where they are.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from types import ModuleType

from tests import debian_packages
from tests.debian_packages import CannotUnpack

PIN = Path(__file__).parent.parent / "requirements" / "mysqlclient.txt"
# What mysqlclient's own set-up asks pkg-config for.
LIBRARIES = ("mysqlclient", "mariadb", "libmariadb", "perconaserverclient")
# In the manner of auditwheel.
COPY = Path(sysconfig.get_path("platlib"), "mysqlclient.libs")
PLUGINS = COPY / "plugin"
CURE = (
    "`apt-get install gcc libc6-dev python3-dev pkg-config libmariadb-dev`, or what they are called elsewhere,"
    f" then `{sys.executable} -m tests.mysqlclient`."
)


class CannotInstall(Exception):
    """mysqlclient is not to be had, for the reason given: a full sentence."""


def load() -> ModuleType | None:
    """Import MySQLdb, if it is installed and works, and let its library find its plug-ins, in subprocesses as well."""
    if PLUGINS.exists():
        os.environ.setdefault("MARIADB_PLUGIN_DIR", str(PLUGINS))
    try:
        import MySQLdb
    except ImportError:
        return None
    module: ModuleType = MySQLdb
    return module


def is_installed() -> bool:
    """Say whether the version that is pinned is there and works."""
    return load() is not None and f"mysqlclient=={metadata.version('mysqlclient')}" in PIN.read_text().split()


def install() -> None:
    """Build and install the version that is pinned."""
    if not any(map(shutil.which, ["cc", "gcc"])):
        raise CannotInstall("There is no C compiler.")
    shutil.rmtree(COPY, ignore_errors=True)
    try:
        paths = {} if is_library_known() else copy_library()
        if not Path(sysconfig.get_path("include"), "Python.h").exists():
            paths["CPATH"] = os.pathsep.join(filter(None, [paths.get("CPATH"), *headers_of_python()]))
    except CannotUnpack as error:
        raise CannotInstall(f"A part that it is built with is missing. {error}") from error
    # A wheel in pip's cache would outlast the library that it was built with.
    how = ["-q", "--disable-pip-version-check", "--no-cache-dir", "--force-reinstall", "--no-deps"]
    run(["-m", "pip", "install", *how, "--requirement", str(PIN)], paths, "It could not be built")
    run(["-c", "import MySQLdb"], {}, "It was built, but does not work")


def is_library_known() -> bool:
    """Say whether mysqlclient's own set-up finds a client library: it is told of one, or asks pkg-config."""
    if {"MYSQLCLIENT_CFLAGS", "MYSQLCLIENT_LDFLAGS"} <= os.environ.keys():
        return True
    asks = [["pkg-config", "--exists", name] for name in LIBRARIES]
    return shutil.which("pkg-config") is not None and any(subprocess.call(ask) == 0 for ask in asks)


def copy_library() -> dict[str, str]:
    """Copy MariaDB's library out of the packages, and return where the compiler finds it and its headers."""
    root = debian_packages.files(["libmariadb-dev", "libmariadb3"])
    [library] = root.glob("usr/lib/*/libmariadb.so.3")
    shutil.copytree(library.parent / "libmariadb3/plugin", PLUGINS)
    shutil.copy(library, COPY)
    return {
        "CPATH": str(root / "usr/include/mariadb"),
        "LIBRARY_PATH": str(COPY),
        "MYSQLCLIENT_CFLAGS": "-std=c99",
        "MYSQLCLIENT_LDFLAGS": f"-l:{library.name} -Wl,-rpath,$ORIGIN/../{COPY.name}",
    }


def headers_of_python() -> list[str]:
    """Return where the compiler finds the headers of Debian's Python, which are in a package that it does not need."""
    version = f"python{sysconfig.get_python_version()}"
    include = debian_packages.files([f"lib{version}-dev"]) / "usr/include"
    return [str(include / version), str(include)]


def run(arguments: list[str], paths: dict[str, str], failure: str) -> None:
    """Run Python, and if it fails say so with the first error that it prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env={**os.environ, **paths}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        printed = (done.stdout + done.stderr).splitlines()
        errors = [line.strip() for line in printed if re.search("error:(?! subprocess)", line, re.IGNORECASE)]
        raise CannotInstall(f"{failure}: {[*errors, *printed[-1:]][0]}.")


def main() -> int:
    if is_installed():
        return 0
    try:
        install()
    except CannotInstall as error:
        print(f"mysqlclient is not installed, so MariaDB and MySQL are not tested. {error} The cure: {CURE}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
