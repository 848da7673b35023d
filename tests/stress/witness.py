"""What nobody would hear of otherwise: warnings, what the event loop and the garbage collector complain of, memory.

The process runs with `-W error`, so that a warning is an error of whoever causes it; in a finalizer, where it cannot be
raised, it comes to sys.unraisablehook.
"""

import asyncio
import ctypes
import gc
import logging
import os
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vinyl.bridge import Inside

# Where vinyl tells, at the level INFO, that a transaction is run again.
RETRIES = "vinyl.transaction"


class Witness(logging.Handler):
    """Collects complaints; `remarks` are what vinyl logs of a fault that has had consequences."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.retries = 0
        self.complaints: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        logging.getLogger().addHandler(self)
        logging.getLogger(RETRIES).setLevel(logging.INFO)
        sys.unraisablehook = self._unraisable
        threading.excepthook = self._in_thread

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.set_exception_handler(self._of_loop)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == RETRIES and record.levelno == logging.INFO:
            self.retries += 1
            return
        if record.name.startswith("vinyl.") and record.levelno <= logging.WARNING:
            # Whatever the server said of it.
            remark = re.sub(r"%[.\d]*[a-z]", "…", record.msg)
            self.remarks[f"{record.name}: {remark}"] += 1
        else:
            self.complaints[f"{record.name}: {record.getMessage()}"] += 1

    def _unraisable(self, what: "sys.UnraisableHookArgs") -> None:
        self.complaints[f"{what.err_msg or 'Exception ignored in'} {what.object!r}: {what.exc_value!r}"] += 1

    def _in_thread(self, what: threading.ExceptHookArgs) -> None:
        self.complaints[f"Exception in {what.thread}: {what.exc_value!r}"] += 1

    def _of_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints[f"{context.get('message')} ({context.get('exception')!r})"] += 1


@dataclass(frozen=True)
class Footprint:
    """The memory of the process.

    The blocks that Python has allocated are exact: one for each object. What the process has of the machine's memory,
    in bytes, is not: it is as much as was needed at the worst, less what the allocators have given back of it.
    """

    blocks: int
    resident: int

    def __str__(self) -> str:
        return f"{self.blocks:,} blocks in {self.resident / 2**20:.1f} MB"


def footprint() -> Footprint:
    gc.collect()
    # glibc keeps what was freed unless it is asked to give it back.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    statistics = Path("/proc/self/statm")
    pages = int(statistics.read_text().split()[1]) if statistics.exists() else 0
    return Footprint(sys.getallocatedblocks(), pages * os.sysconf("SC_PAGE_SIZE"))


def greenlets() -> int:
    """Return how many greenlets of the bridge have not come to their end, parked ones included."""
    gc.collect()
    return sum(1 for each in gc.get_objects() if type(each) is Inside and not each.dead)
