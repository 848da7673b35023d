"""A private MariaDB server for one run of the tests: made in a temporary folder, started, stopped and removed.

The programs are the system's: on Debian, those of the package mariadb-server, 10.11 or later. `python -m
tests.private_mariadb` starts a server and leaves it running until Ctrl-C.

root has no password, and may connect from 127.0.0.1 and through the socket, whose path the server knows: `SELECT
@@socket`. Time zones are loaded. There is no TLS before MariaDB 11.4, which makes itself a certificate.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import daemons
from tests.daemons import CannotStart

# Safety is traded for speed: nothing is to survive a crash.
SPEED = {
    "innodb-buffer-pool-size": "128M",
    "innodb-log-file-size": "64M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-doublewrite": "0",
    "innodb-buffer-pool-dump-at-shutdown": "0",
    "skip-log-bin": None,
}
SETTINGS = {"character-set-server": "utf8mb4", "max-connections": "300", "skip-name-resolve": None}


@contextmanager
def serve() -> Iterator[tuple[str, str]]:
    """Give the URL of a new server, which only this machine can reach, and the path of its program."""
    server, installer = find_programs()
    with daemons.home("mariadb") as (folder, owner):
        install(installer, folder, owner)
        [port] = daemons.free_ports(1)
        log = folder / "log"
        process = daemons.spawn([server, *options(folder, port)], log, owner)
        try:
            daemons.wait_until_ready(process, port, log)
            yield f"mysql://root@{daemons.HOST}:{port}/", server
        finally:
            daemons.kill(process)


def version(url: str) -> str:
    """Return the version of a server that runs, as it greets: 10.11.19-MariaDB-0+deb12u1."""
    return daemons.greeting(urlsplit(url).port or 3306) or "unknown"


def find_programs() -> tuple[str, str]:
    """Find the server and the program that makes its folder. A `mysqld` is not looked for: it may be Oracle's."""
    server, installer = daemons.find_program("mariadbd"), daemons.find_program("mariadb-install-db")
    if not server or not installer:
        raise CannotStart(
            "MariaDB's programs, mariadbd and mariadb-install-db, are not installed; `apt-get install mariadb-server`."
        )
    return server, installer


def install(installer: str, folder: Path, owner: dict[str, Any]) -> None:
    """Make the system tables, with the time zones and a root without a password."""
    zones, program = folder / "zones.sql", daemons.find_program("mariadb-tzinfo-to-sql")
    statements = daemons.time_zones(program, "--skip-write-binlog") if program else ""
    zones.write_text(statements, encoding="utf-8")
    zones.chmod(0o644)
    how = ["--auth-root-authentication-method=normal", "--skip-test-db", f"--extra-file={zones}"]
    command = [installer, "--no-defaults", f"--datadir={folder / 'data'}", *how, *as_options({**SPEED, **SETTINGS})]
    daemons.run(command, folder / "log", {"cwd": folder, **owner})


def options(folder: Path, port: int) -> list[str]:
    """Return the options of the server of a folder, which `install` made."""
    places = {
        "datadir": str(folder / "data"),
        "tmpdir": str(folder),
        "socket": str(folder / "socket"),
        "pid-file": str(folder / "pid"),
        "bind-address": daemons.HOST,
        "port": str(port),
    }
    return ["--no-defaults", *as_options({**places, **SPEED, **SETTINGS})]


def as_options(values: Mapping[str, str | None]) -> list[str]:
    return [f"--{name}" if value is None else f"--{name}={value}" for name, value in values.items()]


if __name__ == "__main__":
    daemons.show(serve())
