"""A private MySQL server, Oracle's, for one run of the tests: made in a temporary folder, started, stopped and removed.

The programs are the system's, else those of Debian's package mysql-server-core, which only the unstable suite has and
`tests.debian_packages` unpacks: 60 MB are downloaded, and 0.2 GB kept. `python -m tests.private_mysql
[system|packages]` starts a server and leaves it running until Ctrl-C.

root has no password, and may connect from 127.0.0.1 and through the socket, whose path the server knows: `SELECT
@@socket`. Users are made with caching_sha2_password, the default of MySQL 8 and the only choice in 9, and time zones
are loaded. The server has made itself keys: it speaks TLS, with a certificate that nobody has signed but itself, and
without TLS or a socket it has its RSA key ready for those who send a password.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import daemons, debian_packages
from tests.daemons import CannotStart, Daemon
from tests.debian_packages import CannotUnpack
from tests.private_mariadb import DURABLE, SETTINGS, as_options

# Safety is traded for speed: nothing is to survive a crash, unless it is private_mariadb's DURABLE.
SPEED = {
    "innodb-buffer-pool-size": "128M",
    "loose-innodb-redo-log-capacity": "64M",  # unknown before 8.0.30
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-doublewrite": "OFF",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
    "skip-log-bin": None,
    "mysqlx": "OFF",
}
# MySQL knows root@localhost only, which is not who comes from 127.0.0.1 to a server that resolves no names.
USERS = "CREATE USER root@127.0.0.1; GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION;\n"
# Where there is such a component, MD5() and SHA1() are in it, which Django's functions of these names need.
HASHES = "component_classic_hashing"
PLUGINS = "usr/lib/mysql/plugin"
PACKAGES = ("mysql-server-core", "tzdata")
KEPT_PROGRAMS = ("mysqld", "mysql_tzinfo_to_sql")


@dataclass(frozen=True)
class Programs:
    """The server and what loads time zones; the root of their files, and options that name it."""

    server: str
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
    with daemons.home("mysql") as (folder, owner):
        programs = find_programs(source, copy_to=folder / "programs" if owner else None)
        initialize(programs, folder, owner)
        [port] = daemons.free_ports(1)
        options = [*command(programs, folder, port), *as_options(DURABLE if durable else {})]
        url = f"mysql://root@{daemons.HOST}:{port}/"
        with daemons.running(Daemon(url, port, programs.server, options, folder, owner)) as server:
            # A server that is started again has all this, and would refuse to have it twice.
            (folder / "begin.sql").write_text("", encoding="utf-8")
            yield server


def find_programs(source: str | None, copy_to: Path | None) -> Programs:
    """Find the system's programs, if they are not MariaDB's, else those of the packages."""
    server = daemons.find_program("mysqld")
    if server and source != "packages":
        printed = subprocess.run([server, "--version"], capture_output=True, check=False, encoding="utf-8").stdout
        if "MariaDB" not in printed:
            return Programs(server, daemons.find_program("mysql_tzinfo_to_sql"))
    missing = "Oracle's mysqld is not installed; install MySQL 8.0.11 or later."
    if source == "system":
        raise CannotStart(missing)
    try:
        root = debian_packages.programs(PACKAGES, KEPT_PROGRAMS, copy_to)
    except CannotUnpack as error:
        raise CannotStart(f"{missing} {error}") from error
    folders = {
        "basedir": root / "usr",
        "lc-messages-dir": root / "usr/share/mysql",
        "character-sets-dir": root / "usr/share/mysql/charsets",
        "plugin-dir": root / PLUGINS,
    }
    options = tuple(f"--{name}={path}" for name, path in folders.items())
    return Programs(str(root / "usr/sbin/mysqld"), str(root / "usr/bin/mysql_tzinfo_to_sql"), root, options)


def initialize(programs: Programs, folder: Path, owner: dict[str, Any]) -> None:
    """Make the system tables, with the time zones, and write down what the server shall begin with."""
    zones = daemons.time_zones([programs.time_zones], programs.root) if programs.time_zones else ""
    has_hashes = (programs.root / PLUGINS / f"{HASHES}.so").exists()
    hashes = f"INSTALL COMPONENT 'file://{HASHES}';\n" if has_hashes else ""
    for name, statements in {"zones.sql": zones, "begin.sql": USERS + hashes}.items():
        (folder / name).write_text(statements, encoding="utf-8")
        (folder / name).chmod(0o644)
    first = ["--initialize-insecure", f"--init-file={folder / 'zones.sql'}"]
    daemons.run([*base(programs, folder), *first], folder / "log", owner)


def command(programs: Programs, folder: Path, port: int) -> list[str]:
    """Return the command that starts the server of a folder, which `initialize` made."""
    places = {
        "socket": str(folder / "socket"),
        "pid-file": str(folder / "pid"),
        "bind-address": daemons.HOST,
        "port": str(port),
        "init-file": str(folder / "begin.sql"),
    }
    return [*base(programs, folder), *as_options(places)]


def base(programs: Programs, folder: Path) -> list[str]:
    """Return what is common to the command that makes the system tables and to the one that starts the server."""
    places = {"datadir": str(folder / "data"), "tmpdir": str(folder), "secure-file-priv": "NULL"}
    options = as_options({**places, **SPEED, **SETTINGS})
    return [programs.server, "--no-defaults", *programs.options, *options]


if __name__ == "__main__":
    daemons.show(serve(daemons.asked_source()))
