"""Runs the rounds: a process for each adapter, which lives for a round, and in each cell has its turn.

The adapters take turns within each cell, so that what else the machine does disturbs all of them alike. In each round
another of them begins. After each turn in a workload that writes, `clean` brings the tables back to how they were.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from benchmarks.figures import Cell, Record
from benchmarks.progress import Progress
from benchmarks.target import Target
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-W", "ignore", "-m", "benchmarks.worker")
PATIENCE = 20
# Seconds in which a worker must have answered, besides those that it is told to measure.
LONGEST = 90


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how."""

    adapters: Sequence[str]
    cells: Sequence[Cell]
    rounds: int
    seconds: float

    @property
    def turns(self) -> int:
        return self.rounds * len(self.cells) * len(self.adapters)


@dataclass
class Outcome:
    """What came of it: the records, what adapters say of themselves, and why some are absent."""

    records: list[Record] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


class Worker:
    """The process of an adapter. One that ends, or is ended since it does not answer, is begun anew for the next cell.

    `command` starts it, but for its name; `longest` is how many seconds it may take to begin, and to end a cell.
    """

    def __init__(
        self, name: str, target: Target, log: TextIO, *, command: Sequence[str] = COMMAND, longest: float = LONGEST
    ) -> None:
        self.name = name
        self._longest = longest
        self._command = [*command, name]
        self._environment = {**os.environ, **target.environment()}
        self._log = log
        self._process = self._begin()
        self.greeting = self._read(longest)

    def _begin(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env=self._environment,
        )

    def ask(self, *, seconds: float, **command: Any) -> dict[str, Any]:
        """Have it measure a cell for so many seconds, and return its answer, which may be an error."""
        if self._process.poll() is not None:
            self.end()
            self._process = self._begin()
            if absent := self._read(self._longest).get("absent"):
                return {"error": absent}
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has just ended, as reading tells
            self._process.stdin.write(json.dumps({**command, "seconds": seconds}).encode() + b"\n")
            self._process.stdin.flush()
        return self._read(seconds + self._longest)

    def _read(self, seconds: float) -> dict[str, Any]:
        """Read a line. The worker writes one when it was asked, and then waits, so there is nothing more to read."""
        assert self._process.stdout is not None
        is_there, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not is_there:
            self._process.kill()
        line = self._process.stdout.readline() if is_there else b""
        if not line:
            self._process.wait()
            reason = "its process ended" if is_there else f"it did not answer within {seconds:g} s, and was ended"
            return {"absent": reason, "error": reason}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Let it disconnect and end; insist if that takes too long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@dataclass(frozen=True)
class Run:
    """The rounds of a plan, with what they need."""

    plan: Plan
    target: Target
    clean: Callable[[], None]
    log: TextIO
    progress: Progress
    outcome: Outcome = field(default_factory=Outcome)

    def all(self) -> Outcome:
        """Measure all that is planned."""
        for number in range(1, self.plan.rounds + 1):
            workers: list[Worker] = []
            try:
                for name in self.plan.adapters:
                    self.start(name, workers)
                self.clean()
                for cell in self.plan.cells:
                    self.progress.begin(number, cell)
                    self.measure(number, cell, rotated(workers, number - 1))
                    self.progress.end(len(self.plan.adapters) - len(workers))  # those of adapters that are absent
            finally:
                for worker in workers:
                    worker.end()
        return self.outcome

    def start(self, name: str, workers: list[Worker]) -> None:
        """Start the process of an adapter, and see whether it is ready. One that was not is not tried again."""
        if name in self.outcome.absent:
            return
        worker = Worker(name, self.target, self.log)
        if absent := worker.greeting.get("absent"):
            self.outcome.absent[name] = absent
            self.progress.say(f"{name} is not measured: {absent}")
            worker.end()
            return
        self.outcome.notes[name] = worker.greeting["note"]
        workers.append(worker)

    def measure(self, number: int, cell: Cell, workers: Sequence[Worker]) -> None:
        """Let each adapter have its turn in a cell."""
        for worker in workers:
            self.progress.turn(worker.name)
            answer = worker.ask(workload=cell.workload, concurrency=cell.concurrency, seconds=self.plan.seconds)
            record = Record.of_answer(number, cell, worker.name, answer)
            self.outcome.records.append(record)
            if record.error:
                self.progress.say(f"{worker.name} failed in {cell}: {record.error}")
            if WORKLOADS[cell.workload].writes:
                self.clean()
            self.progress.end()


def rotated(workers: Sequence[Worker], by: int) -> list[Worker]:
    """Let another one begin in each round."""
    first = by % len(workers) if workers else 0
    return [*workers[first:], *workers[:first]]
