"""Shows how far a run is: a bar on a terminal, and in a log a line for each cell."""

import time
from types import TracebackType

import rich.progress
from rich.console import Console

from benchmarks.figures import Cell


class Progress:
    """The progress of so many turns, each of one adapter in one cell of a round."""

    def __init__(self, turns: int, rounds: int, console: Console | None = None) -> None:
        self.turns = turns
        self.rounds = rounds
        self.done = 0
        self._where = ""
        self._began = time.monotonic()
        self._console = console or Console(stderr=True, highlight=False)
        self._bar = rich.progress.Progress(
            rich.progress.BarColumn(),
            rich.progress.TextColumn("{task.percentage:3.0f} %"),
            rich.progress.TextColumn("{task.description}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=turns)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, number: int, cell: Cell) -> None:
        """A cell of a round begins."""
        self._where = f"round {number} of {self.rounds}, {cell}"
        if not self._console.is_terminal:
            share = self.done / self.turns
            self._console.print(f"{share:4.0%}  {self._where}  {self.left()}", markup=False, soft_wrap=True)

    def turn(self, adapter: str) -> None:
        """An adapter begins its turn."""
        self._bar.update(self._task, completed=self.done, description=f"{self._where}: {adapter}, {self.left()}")

    def end(self, turns: int = 1) -> None:
        """So many turns have ended."""
        self.done += turns
        self._bar.update(self._task, completed=self.done)

    def say(self, text: str) -> None:
        """Say something that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def left(self) -> str:
        """Say how long it will take, by how long it took so far."""
        if not self.done:
            return "time left not known yet"
        seconds = (time.monotonic() - self._began) / self.done * (self.turns - self.done)
        return f"{seconds / 60:.0f} min left" if seconds >= 120 else f"{seconds:.0f} s left"
