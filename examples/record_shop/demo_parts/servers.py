"""The two servers, each a process of its own on a free port, with a log file."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_parts.problem import Problem

PROJECT = Path(__file__).resolve().parent.parent
SECONDS_TO_START = 20
SECONDS_TO_STOP = 5

UVICORN = "uvicorn config.asgi:application --host 127.0.0.1 --port {port} --lifespan off --timeout-keep-alive 60"
GUNICORN = (
    "gunicorn config.wsgi:application --bind 127.0.0.1:{port} --workers 1 --threads 4 --keep-alive 60 "
    "--graceful-timeout 2 --no-control-socket"
)


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{self.port}"

    def last_words(self, lines: int = 25) -> str:
        """Return the end of the log."""
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"The last lines of {self.name}'s log:", *text[-lines:]])


@contextmanager
def serve(folder: Path) -> Iterator[tuple[Server, Server]]:
    """Run uvicorn with the ASGI application and gunicorn with the WSGI application, until the block ends."""
    with running("uvicorn", UVICORN, folder) as asgi, running("gunicorn", GUNICORN, folder) as wsgi:
        for server in (asgi, wsgi):
            wait_until_ready(server)
        yield asgi, wsgi


@contextmanager
def running(name: str, command: str, folder: Path) -> Iterator[Server]:
    """Run a server's command; stop it and all it has started when the block ends, however it ends."""
    log = folder / f"{name}.log"
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command.format(port=port).split()],
            cwd=PROJECT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Out of the terminal's group: Ctrl-C is for the demo, which then stops the servers in order.
            start_new_session=True,
        )
        try:
            yield Server(name, port, process, log)
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask the server to end, then insist; its workers are in its group."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(timeout=SECONDS_TO_STOP)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(server: Server) -> None:
    """Return as soon as somebody answers at the port; raise Problem if the server ends or takes too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise Problem(f"{server.name} ended with status {server.process.returncode}.", server.last_words())
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Problem(f"{server.name} did not listen within {SECONDS_TO_START} seconds.", server.last_words())
