"""What runs, who waits and who holds, at this moment: `vinyl.activity()`, and the same seen from another process.

    print(vinyl.activity())                          of the running event loop
    VINYL = {"ACTIVITY": "/run/shop"}                a folder: processes with an event loop can be asked, …
    manage.py vinyl --live 4711                      … as here, by their process id

Nothing is recorded for it but when a statement has begun: tasks are asked through their frames for what they are doing.
From outside they are by a thread, which answers who connects to a socket in the folder, `vinyl-4711.sock`, also while
the event loop is blocked. Only the user that the process runs as can connect.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from django.db.backends.utils import CursorWrapper

from vinyl.common import whereabouts
from vinyl.common.whereabouts import Place
from vinyl.conf import activity_folder
from vinyl.lending import scopes
from vinyl.plans.learning import Plan

logger = logging.getLogger("vinyl.activity")

_EXECUTING = (CursorWrapper._execute.__code__, CursorWrapper._executemany.__code__)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Holder:
    """A task that has a connection, for so many `seconds`, and the line of the project's code that it is in, if any.

    `sql` is the statement that runs, without values, for `sql_seconds` so far; both are None if none does. `holds` is
    "transaction" or "hold" where the connection is kept for that.
    """

    task: str
    place: Place | None
    seconds: float
    sql: str | None
    sql_seconds: float | None
    holds: str | None

    def __str__(self) -> str:
        held = f"in a {self.holds} " if self.holds else ""
        runs = "" if self.sql is None else f"\n    runs for {self.sql_seconds:.1f} s: {self.sql}"
        return f"has a connection {held}for {self.seconds:.1f} s: {_of(self.task, self.place)}{runs}"


@dataclass(frozen=True, slots=True)
class Waiter:
    """A task that waits for a connection, for so many `seconds`."""

    task: str
    place: Place | None
    seconds: float

    def __str__(self) -> str:
        return f"waits for a connection for {self.seconds:.1f} s: {_of(self.task, self.place)}"


@dataclass(frozen=True, slots=True)
class Activity:
    """What goes on in one event loop on the database `alias`; those first that have lasted longest."""

    alias: str
    holders: Sequence[Holder]
    waiters: Sequence[Waiter]
    statistics: dict[str, int]

    def __str__(self) -> str:
        in_use, most = self.statistics["pool_in_use"], self.statistics["pool_max"]
        head = f"{self.alias}: {in_use} of {most} connections in use, {len(self.waiters)} wait"
        return "\n".join([head, *(f"  {each}" for each in (*self.holders, *self.waiters))])


class Activities(list[Activity]):
    """The activity on each database that was used; as text, a line for each task and its statement."""

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "No database was used yet."


def of_running_loop() -> Activities:
    """Return what goes on in the running event loop; raise ModeError where there is none."""
    return Activities(map(_of_source, scopes.sources_of(scopes.running_loop())))


def _of(task: str, place: Place | None) -> str:
    return task if place is None else f"{task} at {place}"


def _of_source(source: Any) -> Activity:
    now = monotonic()
    holders = [_holder(source.alias, member, now) for member in source.pool.lent()]
    waiters = [Waiter(*_named(task), now - since) for task, since in source.pool.waiting()]
    return Activity(source.alias, holders, waiters, source.pool.statistics())


def _named(task: "asyncio.Task[Any] | None") -> tuple[str, Place | None]:
    if task is None:
        return "a task that is gone", None
    return f"task {task.get_name()!r}", whereabouts.place_of(task)


def _holder(alias: str, member: Any, now: float) -> Holder:
    task = None if member.holder is None else member.holder()
    sql = None if task is None else _running(alias, task)
    begun = max(member.lent_at, member.value.begun_at)
    return Holder(*_named(task), now - member.lent_at, sql, None if sql is None else now - begun, member.value.kept_for)


def _running(alias: str, task: "asyncio.Task[Any]") -> str | None:
    """Return the statement that a task waits for on the database, by its frames: of a plan, or of Django's cursor."""
    for frame in reversed(whereabouts.frames_of(task)):
        found = frame.f_locals
        if frame.f_code in _EXECUTING and found["self"].db.alias == alias:
            return str(found["sql"])
        plan = found.get("plan")
        if isinstance(plan, Plan) and plan.alias == alias:
            return plan.sql
    return None


# From outside.


class _Server:
    """A thread that tells who connects what all event loops of the process do."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = os.getpid()
        # Of a process that had the same number.
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(os.fspath(path))
            # Nobody can connect before listen().
            path.chmod(0o600)
            self._socket.listen()
        except OSError:
            self._socket.close()
            raise
        threading.Thread(target=self._serve, name="vinyl activity", daemon=True).start()
        atexit.register(self.close)

    @property
    def is_inherited(self) -> bool:
        """Whether it is the parent's, whose thread this process does not have."""
        return self._process != os.getpid()

    def close(self) -> None:
        atexit.unregister(self.close)
        if not self.is_inherited:
            self._path.unlink(missing_ok=True)
            # Which ends the thread's accept().
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                try:
                    client.sendall(_of_all_loops().encode())
                except Exception:
                    logger.exception("The activity could not be told.")


def _of_all_loops() -> str:
    told = [str(Activities(map(_of_source, scopes.sources_of(loop)))) for loop in scopes.loops()]
    return "\n\n".join(told) or str(Activities())


_server: _Server | None = None


def serve(folder: str) -> None:
    """Answer who asks from now on, unless the process does already. If that cannot be, it is logged."""
    global _server
    if _server is not None and not _server.is_inherited:
        return
    try:
        _server = _Server(_path(folder, os.getpid()))
    except OSError as error:
        logger.warning("Nobody can ask this process for its activity, by VINYL['ACTIVITY']: %s", error)


def _path(folder: str, process: int) -> Path:
    return Path(folder, f"vinyl-{process}.sock")


def activity_of(process: int) -> str:
    """Return what goes on in another process, as text. Raises OSError if that cannot be asked."""
    folder = activity_folder()
    if folder is None:
        raise FileNotFoundError("VINYL['ACTIVITY'] names no folder.")
    parts: list[bytes] = []
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(10)
        client.connect(os.fspath(_path(folder, process)))
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()
