"""A private PgBouncer in front of a PostgreSQL server: made in a temporary folder, started, and removed in the end.

The program is the system's, if it is new enough to know prepared statements, else that of Debian's package, which
`tests.debian_packages` unpacks from the unstable suite: 14 MB are downloaded, and 50 MB kept. Its options are those it
has by itself, but for the pool mode, so what works behind it does so as it is installed.

It serves every database of the server, and lets in, without a password, whom the server knows.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests import daemons, debian_packages
from tests.daemons import HOST, CannotStart, Daemon
from tests.debian_packages import CannotUnpack
from tests.private_postgresql import answers

MODES = ("session", "transaction")
OLDEST = (1, 21)


class Pooler(Daemon):
    """PgBouncer, which is ready as soon as it lets somebody through to the server."""

    def is_ready(self) -> bool:
        return answers(self.url)


@contextmanager
def serve(server: str, mode: str, source: str | None = None, **options: object) -> Iterator[tuple[str, str]]:
    """Give the URL of a new PgBouncer in front of the server of a URL, and its program with the version.

    The source `system` or `packages` restricts where the program may come from. Further options are PgBouncer's.
    """
    with daemons.home("pgbouncer", user="postgres") as (folder, owner):
        program = find_program(source, copy_to=folder / "programs" if owner else None)
        target = conninfo_to_dict(server)
        [port] = daemons.free_ports(1)
        configuration = configure(folder, target, {"listen_port": port, "pool_mode": mode, **options})
        url = f"postgresql://{target['user']}@{HOST}:{port}/{target.get('dbname', 'postgres')}"
        programs = f"{version_of(program)}, {program}"
        with daemons.running(Pooler(url, port, programs, [program, str(configuration)], folder, owner)):
            yield url, programs


def end_sessions(url: str, *databases: str) -> None:
    """End the sessions that it keeps for later, of these databases: one that has any cannot be dropped."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", [list(databases)]
        )


def find_program(source: str | None, copy_to: Path | None) -> str:
    """Find the system's program, if it is new enough, else that of the package."""
    program = daemons.find_program("pgbouncer")
    if program and source != "packages" and number_of(version_of(program)) >= OLDEST:
        return program
    missing = "PgBouncer 1.21 or newer is not installed; `apt-get install pgbouncer`, where that is as new."
    if source == "system":
        raise CannotStart(missing)
    try:
        return str(debian_packages.programs(["pgbouncer"], ["pgbouncer"], copy_to) / "usr/sbin/pgbouncer")
    except CannotUnpack as error:
        raise CannotStart(f"{missing} {error}") from error


def version_of(program: str) -> str:
    printed = subprocess.run([program, "--version"], capture_output=True, check=False, encoding="utf-8").stdout
    return printed.partition("\n")[0]


def number_of(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def configure(folder: Path, target: dict[str, Any], options: dict[str, object]) -> Path:
    """Write the configuration, and the list of users: one, with the password that the server asks for."""
    place = make_conninfo(host=target.get("host", HOST), port=target.get("port", "5432"))
    users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f"{quoted(target['user'])} {quoted(target.get('password', ''))}\n", encoding="utf-8")
    settings = {
        "listen_addr": HOST,
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": users,
        # Others than the one of the list are asked for by this one.
        "auth_user": target["user"],
        **options,
    }
    lines = ["[databases]", f"* = {place}", "[pgbouncer]", *(f"{name} = {value}" for name, value in settings.items())]
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for file in (users, configuration):
        file.chmod(0o644)
    return configuration


def quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))
