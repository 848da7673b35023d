"""A private MariaDB server for one run of the tests: made in a temporary folder, started, stopped and removed.

The programs are the system's, on Debian those of the package mariadb-server; else those of the same package, which
`tests.debian_packages` unpacks: 32 MB are downloaded, and 0.1 GB kept. `python -m tests.private_mariadb
[system|packages]` starts a server and leaves it running until Ctrl-C.

root has no password, and may connect from 127.0.0.1 and through the socket, whose path the server knows: `SELECT
@@socket`. Time zones are loaded. There is no TLS before MariaDB 11.4, which makes itself a certificate.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import daemons, debian_packages
from tests.daemons import CannotStart, Daemon
from tests.debian_packages import CannotUnpack

# Safety is traded for speed: nothing is to survive a crash, unless it is DURABLE.
SPEED = {
    "innodb-buffer-pool-size": "128M",
    "innodb-log-file-size": "64M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-doublewrite": "0",
    "innodb-buffer-pool-dump-at-shutdown": "0",
    "skip-log-bin": None,
}
# What is committed survives the end of the server's process, though not that of the machine: it is written at each
# commit, which hands it to the operating system, and a page that was being written as the process was killed is whole
# in the doublewrite buffer.
DURABLE = {"innodb-flush-log-at-trx-commit": "2", "innodb-doublewrite": "1"}
SETTINGS = {"character-set-server": "utf8mb4", "max-connections": "300", "skip-name-resolve": None}
PACKAGES = ("mariadb-server-core", "mariadb-client", "tzdata")
KEPT_PROGRAMS = ("mariadbd", "mariadb-install-db", "my_print_defaults", "resolveip", "mariadb-tzinfo-to-sql")


@dataclass(frozen=True)
class Programs:
    """The server, what makes its folder, what loads time zones; the root of their files, and options that name it."""

    server: str
    installer: str
    time_zones: str | None
    root: Path = Path("/")
    options: tuple[str, ...] = ()


@contextmanager
def serve(source: str | None = None) -> Iterator[tuple[str, str]]:
    """Give the URL of a new server, which only this machine can reach, and the path of its program.

    The source `system` or `packages` restricts where the programs may come from.
    """
    with started(source) as server:
        yield server.url, server.programs


@contextmanager
def started(source: str | None = None, *, durable: bool = False) -> Iterator[Daemon]:
    """As serve(), and give the server itself, which can be started again; a `durable` one has then what it had."""
    with daemons.home("mariadb") as (folder, owner):
        programs = find_programs(source, copy_to=folder / "programs" if owner else None)
        install(programs, folder, owner)
        [port] = daemons.free_ports(1)
        further = [*programs.options, *as_options(DURABLE if durable else {})]
        command = [programs.server, *options(folder, port), *further]
        url = f"mysql://root@{daemons.HOST}:{port}/"
        with daemons.running(Daemon(url, port, programs.server, command, folder, owner)) as server:
            yield server


def find_programs(source: str | None = None, copy_to: Path | None = None) -> Programs:
    """Find the system's programs, else those of the packages. A `mysqld` is not looked for: it may be Oracle's."""
    server, installer = daemons.find_program("mariadbd"), daemons.find_program("mariadb-install-db")
    if server and installer and source != "packages":
        return Programs(server, installer, daemons.find_program("mariadb-tzinfo-to-sql"))
    missing = (
        "MariaDB's programs, mariadbd and mariadb-install-db, are not installed; `apt-get install mariadb-server`."
    )
    if source == "system":
        raise CannotStart(missing)
    try:
        root = debian_packages.programs(PACKAGES, KEPT_PROGRAMS, copy_to)
    except CannotUnpack as error:
        raise CannotStart(f"{missing} {error}") from error
    return Programs(
        str(root / "usr/sbin/mariadbd"),
        str(root / "usr/bin/mariadb-install-db"),
        str(root / "usr/bin/mariadb-tzinfo-to-sql"),
        root,
        (f"--basedir={root / 'usr'}",),
    )


def install(programs: Programs, folder: Path, owner: dict[str, Any]) -> None:
    """Make the system tables, with the time zones and a root without a password."""
    zones = folder / "zones.sql"
    loader = [programs.time_zones, "--skip-write-binlog"] if programs.time_zones else []
    zones.write_text(daemons.time_zones(loader, programs.root) if loader else "", encoding="utf-8")
    zones.chmod(0o644)
    how = ["--auth-root-authentication-method=normal", "--skip-test-db", f"--extra-file={zones}"]
    places = [*programs.options, f"--datadir={folder / 'data'}"]
    command = [programs.installer, "--no-defaults", *places, *how, *as_options({**SPEED, **SETTINGS})]
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
    daemons.show(serve(daemons.asked_source()))
