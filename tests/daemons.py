"""What the private servers have in common: a folder and a user; of MariaDB and MySQL also ports and a process.

One of these two is ready when it greets. The greeting is the first packet of the client protocol: the length in three
bytes, a number, the protocol's version 10, and the version of the server up to a zero byte.
"""

import argparse
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

START_SECONDS = 60
HOST = "127.0.0.1"
# Where the programs may come from: what the machine has installed, or packages that are unpacked for the occasion.
SOURCES = ("system", "packages")
ZONES = "usr/share/zoneinfo"
EACH_ZONE = "INSERT INTO time_zone (Use_leap_seconds)"
# Below those that Linux gives to outgoing connections: a server that is started again finds its ports as it left them.
PORTS = range(20000, 32768)


class CannotStart(Exception):
    """A private server is not to be had, for the reason given."""


@contextmanager
def home(name: str, user: str = "mysql") -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give a folder for a server, which is removed at the end, and how to run a subprocess as the folder's owner.

    The servers refuse to be run by root, who gives the folder to `user`, or to `nobody` if there is no such user.
    """
    is_root = os.geteuid() == 0
    with despite_sigterm():
        folder = Path(tempfile.mkdtemp(prefix=f"vinyl-{name}-", dir="/tmp" if is_root else None))
        try:
            yield folder, unprivileged(folder, user) if is_root else {}
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def despite_sigterm() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, unless the program has its own way with it, so that what was begun is ended."""
    is_in_main = threading.current_thread() is threading.main_thread()
    is_ours = is_in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_ours:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("The servers were terminated."))
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def unprivileged(folder: Path, user: str) -> dict[str, Any]:
    """Make an unprivileged user the owner of the folder, and return how to run a subprocess as that user."""
    for name in [user, "nobody"]:
        try:
            owner = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    raise CannotStart(f"root may not run the server, and there is neither a user {user!r} nor 'nobody' to run it.")


def find_program(*names: str) -> str | None:
    """Find the first of these programs that is installed; servers are often outside the PATH of a user."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def free_ports(count: int) -> list[int]:
    """Find so many ports that nobody uses."""
    ports: list[int] = []
    with ExitStack() as reserved:
        while len(ports) < count:
            port = random.choice(PORTS)
            with suppress(OSError):
                reserved.enter_context(socket.create_server((HOST, port)))
                ports.append(port)
    return ports


def time_zones(command: Sequence[str], root: Path = Path("/")) -> str:
    """Return the SQL with which a program loads the time zones of this root, once each; nothing if there are none."""
    done = subprocess.run([*command, root / ZONES], capture_output=True, check=False, encoding="utf-8")
    if EACH_ZONE not in done.stdout:
        return ""
    first, *zones, last = done.stdout.split(EACH_ZONE)
    # Debian has each zone three times: by its name, in posix and, with leap seconds, in right.
    kept = [zone for zone in zones if not re.search("VALUES \\('(posix|right)/", zone)]
    return EACH_ZONE.join(["USE mysql;\n" + first, *kept, last])


def run(command: Sequence[str], log: Path, how: dict[str, Any]) -> None:
    """Run a program to its end, or to ours, and add what it says to the log."""
    process = spawn(command, log, how)
    try:
        status = process.wait()
    finally:
        kill(process)
    if status != 0:
        raise CannotStart(f"{Path(command[0]).name} failed: {cause(log)}")


def spawn(command: Sequence[str], log: Path, how: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """Start a program, in a session of its own: Ctrl-C in the terminal must not stop it before those who use it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **how
        )


@contextmanager
def serving(command: Sequence[str], port: int, folder: Path, how: dict[str, Any]) -> Iterator[str]:
    """Start a server of this folder, and give its URL as soon as it greets; in the end kill it."""
    log = folder / "log"
    process = spawn(command, log, how)
    try:
        wait_until_ready(process, port, log)
        yield f"mysql://root@{HOST}:{port}/"
    finally:
        kill(process)


def greeting(port: int) -> str | None:
    """Return the version with which a server greets, or None if it does not."""
    try:
        with socket.create_connection((HOST, port), timeout=3) as connection, connection.makefile("rb") as stream:
            packet = stream.read(int.from_bytes(stream.read(4)[:3], "little"))
    except OSError:
        return None
    if packet[:1] != b"\x0a":
        return None
    # MariaDB 10 pretends to be 5.5.5, for the sake of old replicas.
    return packet[1 : packet.index(0)].decode().removeprefix("5.5.5-")


def wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not greeting(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise CannotStart(f"the server did not come up: {cause(log)}")
        time.sleep(0.05)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program, whose files are to be thrown away, and any helpers of its."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def cause(log: Path) -> str:
    """Pick the line of a log that says what went wrong: the first error, else the last line."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    return (errors[:1] or lines[-1:] or ["it printed nothing"])[0]


def show(server: AbstractContextManager[tuple[str, str]]) -> None:
    """Keep a server running for somebody at a terminal, until Ctrl-C."""
    try:
        with server as (url, programs):
            print(f"{url} ({programs}); Ctrl-C ends it.", flush=True)
            signal.pause()
    except CannotStart as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print()


def asked_source() -> str | None:
    """Return the source of programs that somebody at a terminal asks for, if any."""
    parser = argparse.ArgumentParser(description="Start a private server, and end it with Ctrl-C.")
    parser.add_argument("source", nargs="?", choices=SOURCES, help="where its programs may come from")
    source: str | None = parser.parse_args().source
    return source
