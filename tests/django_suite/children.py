"""Django's tests in child processes, side by side: as many at a time as there are processors.

A `Job` is one child: some labels, on one engine, in one of the ways that `child.py` knows. Each has databases and a
folder for temporary files of its own, and a session of its own, so that Ctrl-C reaches only this process: whatever
ends it, no child and no database stays behind.

What a child prints goes to a log, which is shown if it does not come to its end. How far it is shows in its record.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.django_suite import databases, sources
from tests.django_suite.records import Reader, Record
from tests.servers import Server

ROOT = Path(__file__).parent.parent.parent
# Seconds between two looks at the children, between two lines about them, and without news before one is given up.
LOOK, TELL, GIVE_UP = 0.2, 15, 300

# One more than there are processors, since children also wait for the server and the disk.
WORKERS = (os.cpu_count() or 1) + 1

Records = dict[tuple[str, str], Record]


@dataclass
class Job:
    """Labels to be run on one engine, in one way; `number` tells it from others of the same engine and way."""

    engine: str
    server: Server
    way: str
    labels: list[str]
    number: int = 0

    @property
    def name(self) -> str:
        """What its databases are named after, so that runs, ways and jobs can go on side by side on one server."""
        return f"{os.getpid()}_{self.way}_{self.number}"


class Child:
    """The process of a job."""

    def __init__(self, job: Job, folder: Path, record: Record) -> None:
        self.job = job
        self.record = record
        self._log = folder / "log"
        self._reader = Reader(folder / "record")
        self._heard_at = time.monotonic()
        self._last = "the first test"
        self._is_finished = False
        tests = str(sources.folder())
        command = [sys.executable, "-m", "tests.django_suite.child", job.way, tests, *job.labels]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=tests, env=_environment(job, folder), stdout=log, stderr=log, start_new_session=True
            )

    def has_ended(self) -> bool:
        """Read what it has written since the last look, and tell whether it has ended or is to be given up."""
        ended = self._process.poll() is not None
        for kind, name, *rest in self._reader.entries():
            self._heard_at = time.monotonic()
            self._last = name if kind != "count" else self._last
            self._is_finished |= name == "finished"
            self.record.add(kind, name, *rest)
        if not ended and time.monotonic() - self._heard_at > GIVE_UP:
            self.record.problems.append(f"nothing happened for {GIVE_UP} s after {self._last}")
            return True
        if ended and not self._is_finished:
            log = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
            said = "".join(f"\n    {line}" for line in log)
            self.record.problems.append(f"the process ended by itself after {self._last}; it said:{said}")
        return ended

    def remove(self) -> None:
        """End the process with all that it has started, and remove its databases."""
        self._reader.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        databases.drop(self.job.engine, self.job.server.url, f"test_vinyl_django_{self.job.name}_")


def _environment(job: Job, folder: Path) -> dict[str, str]:
    # Nothing has to survive a crash of the server. PgBouncer does not know the setting.
    options = {} if os.environ.get("VINYL_TEST_POOL_MODE") else {"PGOPTIONS": "-c synchronous_commit=off"}
    return {
        **os.environ,
        **options,
        "DJANGO_SETTINGS_MODULE": "tests.django_suite.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "TMPDIR": str(folder),
        "VINYL_DJANGO_RECORD": str(folder / "record"),
        "VINYL_DJANGO_RUN": job.name,
        "VINYL_TEST_ENGINE": job.engine,
        "VINYL_TEST_URL": job.server.url,
    }


@contextmanager
def _child(job: Job, record: Record) -> Iterator[Child]:
    with tempfile.TemporaryDirectory(prefix="vinyl-django-", ignore_cleanup_errors=True) as folder:
        child = Child(job, Path(folder), record)
        try:
            yield child
        finally:
            child.remove()


def run(jobs: list[Job]) -> Records:
    """Run the jobs to their end, and return what was recorded, by engine and way."""
    records: Records = {(job.engine, job.way): Record() for job in jobs}
    waiting = list(jobs)
    running: list[tuple[Child, ExitStack]] = []
    started = told_at = time.monotonic()
    with ExitStack() as everything:
        while waiting or running:
            while waiting and len(running) < WORKERS:
                job = waiting.pop(0)
                stack = everything.enter_context(ExitStack())
                running.append((stack.enter_context(_child(job, records[job.engine, job.way])), stack))
            time.sleep(LOOK)
            for child, stack in list(running):
                if child.has_ended():
                    stack.close()
                    running.remove((child, stack))
            if time.monotonic() - told_at >= TELL:
                told_at = time.monotonic()
                _tell(records, told_at - started)
    for record in records.values():
        record.close()
    return records


def _tell(records: Records, seconds: float) -> None:
    parts = [f"{engine}, {way}: {len(record):,}" for (engine, way), record in records.items() if len(record)]
    print(f"{seconds:5.0f} s   tests done on {'; '.join(parts) or 'nothing yet'}", flush=True)
