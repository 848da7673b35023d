"""A site served natively, beside Django's own handlers: `python -m benchmarks.sites [--seconds 5] [--clients 1 50]`.

Each server is one process and serves the page of `benchmarks.site`, five queries long, from a private PostgreSQL.
So many clients each ask again as soon as they have their answer, for some seconds after a second to warm up, over
connections that stay open. The result is a table: requests a second, the 99th percentile of their times, the CPU that
the server takes for one, which others disturb least, its threads and memory at the end, the connections that it has at
the database, and how many requests have failed.

The machine is shared by server, database and clients, so only the differences say something; how busy it was before is
told first.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks.servers import started
from benchmarks.target import DATABASE

THREADS = 20
SERVERS = {
    "vinyl.asgi, uvicorn": "uvicorn benchmarks.site:vinyl --port {port} --no-access-log --lifespan off",
    "Django's ASGI, uvicorn": "uvicorn benchmarks.site:asgi --port {port} --no-access-log --lifespan off",
    f"Django's WSGI, gunicorn, {THREADS} threads": (
        f"gunicorn benchmarks.site:wsgi --bind 127.0.0.1:{{port}} --workers 1 --threads {THREADS} --keep-alive 60"
    ),
}
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Seconds after which a request has failed.
PATIENCE = 30


@dataclass
class Figures:
    """What was measured of one server with so many clients."""

    times: list[float] = field(default_factory=list)
    failed: int = 0
    cpu: float = 0

    def row(self, name: str, clients: int, seconds: float, process: int, connections: int) -> str:
        times = sorted(self.times) or [float("nan")]
        p99 = times[min(len(times) - 1, len(times) * 99 // 100)] * 1000
        threads, memory = _of_process(process)
        rate = len(self.times) / seconds
        cpu = self.cpu / max(1, len(self.times)) * 1000
        figures = [clients, f"{rate:.0f}", f"{p99:.0f}", f"{cpu:.1f}", threads, memory, connections, self.failed]
        return f"| {' | '.join(map(str, [name, *figures]))} |"


async def load(port: int, process: int, clients: int, seconds: float) -> Figures:
    """Ask with so many clients, and measure for so many seconds, after one more."""
    figures = Figures()
    begin = time.monotonic() + 1
    asking = [asyncio.create_task(_client(port, begin, begin + seconds, figures)) for _ in range(clients)]
    await asyncio.sleep(1)
    before = _cpu_of(process)
    await asyncio.sleep(seconds)
    figures.cpu = _cpu_of(process) - before
    await asyncio.gather(*asking)
    return figures


async def _client(port: int, begin: float, end: float, figures: Figures) -> None:
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while (asked := time.monotonic()) < end:
        try:
            async with asyncio.timeout(PATIENCE):
                streams = streams or await asyncio.open_connection("127.0.0.1", port)
                succeeded = await _ask(*streams)
        except (OSError, EOFError, TimeoutError):
            _close(streams)
            succeeded, streams = False, None
        answered = time.monotonic()
        if asked >= begin and succeeded and answered < end:
            figures.times.append(answered - asked)
        elif not succeeded:
            figures.failed += 1
            await asyncio.sleep(0.01)
    _close(streams)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head.startswith(b"HTTP/1.1 200")


def _close(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
    if streams is not None:
        streams[1].close()


@contextmanager
def serving(command: str, url: str) -> Iterator[tuple[int, int]]:
    """Start a server; give the port, and the number of the process that serves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "SITE_DATABASE": url}
    arguments = [sys.executable, "-m", *command.format(port=port).split()]
    process = subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(port)
        yield port, _serving(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _serving(process: int) -> int:
    """Return gunicorn's worker, or the process itself where it has no children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(children[0]) if children else process


def _of_process(process: int) -> tuple[int, str]:
    """Return the number of a process's threads, and its memory in MB."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(status["Threads"]), f"{int(status['VmRSS'].split()[0]) / 1024:.0f} MB"


def _cpu_of(process: int) -> float:
    """Return the seconds of CPU that a process has taken."""
    # After the name, which may have anything in it.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _connections(looking: "psycopg.Connection[tuple[int]]") -> int:
    query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
    ((number,),) = looking.execute(query).fetchall()
    return number


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sites")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 50, 500])
    options = parser.parse_args()
    print(f"Load before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}, on {os.cpu_count()} processors.\n")
    print("| server | clients | requests/s | p99, ms | CPU, ms | threads | memory | connections | failed |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with started("postgresql") as server:
        url = f"{server.url.rpartition('/')[0]}/{DATABASE}"
        seed = "from benchmarks.site import seed; seed()"
        subprocess.run([sys.executable, "-c", seed], env={**os.environ, "SITE_DATABASE": url}, check=True)
        # Opened beforehand, since a server may take all that the database has.
        with psycopg.connect(url, autocommit=True) as looking:
            for name, command in SERVERS.items():
                for clients in options.clients:
                    with serving(command, url) as (port, process):
                        figures = asyncio.run(load(port, process, clients, options.seconds))
                        row = figures.row(name, clients, options.seconds, process, _connections(looking))
                        print(row, flush=True)


if __name__ == "__main__":
    main()
