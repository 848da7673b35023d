"""What the private servers have in common: a folder, a user and a process; of MariaDB and MySQL also ports.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

START_SECONDS = 60
STOP_SECONDS = 20
HOST = "127.0.0.1"
# Where the programs may come from: what the machine has installed, or packages that are unpacked for the occasion.
SOURCES = ("system", "packages")
ZONES = "usr/share/zoneinfo"
EACH_ZONE = "INSERT INTO time_zone (Use_leap_seconds)"
# Below those that Linux gives to outgoing connections: a server that is started again finds its ports as it left them.
PORTS = range(20000, 32768)


D = TypeVar("D", bound="Daemon")


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


@dataclass
class Daemon:
    """A server of a folder, which can be stopped or killed, and started again with its files and its port.

    `programs` tells people what it is made of, `how` its subprocess whose it is.
    """

    url: str
    port: int
    programs: str
    command: Sequence[str]
    folder: Path
    how: dict[str, Any]
    process: "subprocess.Popen[bytes] | None" = None

    # The signals that ask it to end in good order, the most polite first.
    requests: ClassVar[Sequence[signal.Signals]] = (signal.SIGTERM,)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def running(self) -> "subprocess.Popen[bytes]":
        if not self.process:
            raise ValueError(f"The server at port {self.port} does not run.")
        return self.process

    def start(self) -> None:
        """Start it, with a new log, and wait until it is ready."""
        self.log.unlink(missing_ok=True)
        process = self.process = spawn(self.command, self.log, self.how)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"the server did not come up: {self.cause()}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        return greeting(self.port) is not None

    def cause(self) -> str:
        """Say why it did not come up."""
        return cause(self.log)

    def stop(self) -> None:
        """Shut it down in good order; insist if that takes too long."""
        process = self.running
        for request in self.requests:
            process.send_signal(request)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
                break
        self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        kill(self.running)
        self.process = None

    def end(self) -> None:
        """End it in any state; its files are to be thrown away."""
        if self.process:
            self.kill()


@contextmanager
def running(server: D) -> Iterator[D]:
    """Start a server, and in the end end it."""
    try:
        server.start()
        yield server
    finally:
        server.end()


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


def children(parent: int) -> list[int]:
    """Return the processes whose parent this one is."""
    return [process for process, (_, its_parent) in processes().items() if its_parent == parent]


def is_alive(process: int) -> bool:
    """Tell whether there is such a process, and not only its exit status, for a parent that has not asked for it."""
    state, _ = processes().get(process, ("Z", 0))
    return state != "Z"


def processes() -> dict[int, tuple[str, int]]:
    """Return the state and the parent of each process, by its number; nothing where the system has no /proc."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The program's name, in parentheses, may have spaces.
            state, parent, *_ = path.read_text(errors="replace").rpartition(")")[2].split()
            found[int(path.parent.name)] = (state, int(parent))
    return found


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program at once, and any helpers of its."""
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
