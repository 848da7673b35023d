"""Giving way: work of the processor in the bridge that takes long lets the event loop serve other tasks in between.

    run_fairly(steps)      takes all steps of an iterator, each of them short, and gives way whenever TURN has passed

Loading makes many objects and no garbage, and the garbage collector would look at all of them again and again: it costs
a large result up to half of its time. So steps that never wait may hold it. It is free again while others are given
way, and afterwards. What it does then is bounded, but for a full collection, which looks at all objects of the process:
that waits until the work is done.

Outside of the bridge nobody waits for the thread, so nothing is awaited. This module knows nothing of databases.
"""

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from time import monotonic

from vinyl import bridge

# Seconds of work after which a task gives way.
TURN = 0.003
# Seconds for which full collections are put off at most.
PATIENCE = 10.0
# More young collections than there will be.
NEVER = 2**31 - 1


def give_way() -> None:
    """In the bridge: let the event loop serve all who are ready, then go on. Elsewhere: nothing."""
    if bridge.active():
        bridge.await_(asyncio.sleep(0))


def run_fairly(steps: Iterator[object], *, holds_collector: bool = False) -> None:
    """Take all steps, and give way in between."""
    if not _takes_a_turn(steps, holds_collector):
        return
    with full_collections_later:
        give_way()
        while _takes_a_turn(steps, holds_collector):
            give_way()


def _takes_a_turn(steps: Iterator[object], holds_collector: bool) -> bool:
    """Take steps for one turn, and tell whether there may be more."""
    end = monotonic() + TURN
    with collector_held() if holds_collector else nullcontext():
        for _ in steps:
            if monotonic() >= end:
                return True
    return False


@contextmanager
def collector_held() -> Iterator[None]:
    """Hold the garbage collector in this block, unless it is held already. Of several threads the first lets it go."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _FullCollectionsLater:
    """A block in which the collector's oldest generation is not collected. Blocks may overlap, in threads too.

    One that takes long, or overlapping without an end, would let the garbage of others grow: see PATIENCE.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._end = 0.0
        self._thresholds = gc.get_threshold()

    def __enter__(self) -> None:
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                self._end = monotonic() + PATIENCE
                self._thresholds = gc.get_threshold()
                gc.set_threshold(*self._thresholds[:2], NEVER)
                gc.callbacks.append(self._look)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                gc.callbacks.remove(self._look)
                self._let_go()

    def _look(self, *args: object) -> None:
        # Before and after each young collection: without any, nothing grows. The lock may be this thread's.
        if monotonic() >= self._end:
            self._let_go()

    def _let_go(self) -> None:
        # Unless somebody has set it anew.
        if gc.get_threshold()[2] == NEVER:
            gc.set_threshold(*self._thresholds)


full_collections_later = _FullCollectionsLater()
