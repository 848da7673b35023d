"""Tells valgrind, from Python, where to count: two calls of a library of three lines of C.

Valgrind's requests to itself are instructions that do nothing elsewhere, so the same process runs without it, too.
"""

import ctypes
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""


class CannotCount(Exception):
    """What counting takes is not there."""


def build(folder: Path) -> Path:
    """Compile the library in this folder."""
    library = folder / "markers.so"
    command = ["cc", "-O2", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    try:
        subprocess.run(command, input=SOURCE, text=True, check=True, capture_output=True)
    except FileNotFoundError:
        raise CannotCount("There is no C compiler, `cc`. Install one: apt-get install gcc.") from None
    except subprocess.CalledProcessError as error:
        raise CannotCount(f"valgrind/callgrind.h cannot be compiled: {error.stderr.strip()}") from None
    return library


class Markers:
    """The markers of a compiled library."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.CDLL(library)

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Have the instructions of a block counted, and written down by this name."""
        self._library.begin()
        yield
        self._library.end(name.encode())
