"""Runs the hot paths in a process under valgrind, always in the same surroundings, and reads what it has counted."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.instructions import markers, paths
from benchmarks.instructions.markers import CannotCount

ROOT = Path(__file__).parent.parent.parent
# What a count must not depend on. The order of sets of strings, for one, is another in each process otherwise.
FIXED = {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "LC_ALL": "C.UTF-8"}
KEPT = ("PATH", "HOME", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
PATIENCE = 600

NAME = re.compile(r"^desc: Trigger: Client Request: (\w+)$", re.MULTILINE)
TOTAL = re.compile(r"^totals: (\d+)$", re.MULTILINE)


def ratios() -> dict[str, float]:
    """Return the instructions of each path as a ratio to those of the reference."""
    counted = counts()
    reference = counted.pop(paths.REFERENCE)
    return {name: count / reference for name, count in counted.items()}


def counts() -> dict[str, float]:
    """Return how many instructions each path takes for one operation, in the order of the paths."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", paths.__name__, str(markers.build(folder))]
        # At first without valgrind: this tells what is broken, and leaves compiled modules behind for the import.
        run(command)
        run(
            [
                "valgrind",
                "--tool=callgrind",
                "--instr-atstart=no",
                f"--callgrind-out-file={folder / 'counts'}",
                *command,
            ]
        )
        found = dict(read(file) for file in folder.glob("counts.*"))
        return {path: found[path] for path in paths.PATHS}


def run(command: list[str]) -> None:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | FIXED
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except FileNotFoundError:
        raise CannotCount(f"There is no program `{command[0]}`. Install it: apt-get install valgrind.") from None
    if done.returncode:
        raise CannotCount(f"The hot paths cannot be run.\n{done.stderr[-4_000:]}")


def read(file: Path) -> tuple[str, float]:
    """Read a dump of valgrind's: the name of the path, and how many instructions one operation took."""
    text = file.read_text(encoding="utf-8")
    name, total = NAME.search(text), TOTAL.search(text)
    if name is None or total is None:
        raise CannotCount("This valgrind writes its counts in a way that is not known here.")
    return name[1], int(total[1]) / paths.PATHS[name[1]].times
