"""What befalls the server while the bank is open: faults by lot, in a thread of their own."""

import threading
import time
from collections import Counter
from random import Random

from tests.stress.servers import Server

# Seconds: between two small faults, on average; from the end of a large one to the next.
PAUSE = 0.15
LARGE_PAUSE = 3.0


class Faults(threading.Thread):
    """Small faults, and every few seconds a large one, until it is told to stop; then the server is up."""

    def __init__(self, server: Server, random: Random) -> None:
        super().__init__(name="faults")
        self.counts: Counter[str] = Counter(dict.fromkeys([*server.small, *server.large], 0))
        # What has ended the thread, if it was not told to.
        self.error: Exception | None = None
        self._server = server
        self._random = random
        self._is_over = threading.Event()

    def run(self) -> None:
        try:
            self._befall()
        except Exception as error:
            self.error = error

    def _befall(self) -> None:
        # In turns, and each of them, however short the run.
        large = list(self._server.large.items())
        next_large = time.monotonic() + LARGE_PAUSE / 2
        while not self._is_over.wait(self._random.expovariate(1 / PAUSE)):
            if time.monotonic() >= next_large:
                name, fault = large[0]
                large.append(large.pop(0))
                self.counts[name] += fault()
                next_large = time.monotonic() + LARGE_PAUSE
            else:
                name, fault = self._random.choice(list(self._server.small.items()))
                self.counts[name] += fault()
        for name, fault in large:
            if not self.counts[name]:
                self.counts[name] += fault()

    def stop(self) -> None:
        self._is_over.set()
        self.join()
