"""One adapter in a process of its own, which measures what it is told to: `python -m benchmarks.worker NAME`.

It reads a line of JSON for each cell, `{"workload": "get", "concurrency": 50, "seconds": 2.0}`, and answers with one:
`{"measurement": {…}}`, `{"unsupported": "…"}` or `{"error": "…"}`. The first line of all says that it is ready,
`{"note": "…"}`, or why it never will be, `{"absent": "…"}`. What libraries print goes to standard error.
"""

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TextIO

from benchmarks import adapters
from benchmarks.adapters.base import Adapter
from benchmarks.measuring import by_tasks, by_threads
from benchmarks.target import Target
from benchmarks.workloads import WORKLOADS

# Fewer than the servers allow: MySQL's default is 151.
MOST_CONNECTIONS = 120


class Channel:
    """The lines from and to the process that started this one."""

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers

    def say(self, **answer: Any) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give the commands. Waiting for one blocks the event loop, which has nothing to do until our next turn."""
        return map(json.loads, iter(sys.stdin.readline, ""))


def main(name: str) -> None:
    channel = Channel(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    target = Target.of_environment()
    try:
        adapter = adapters.make(name, target)
    except ImportError as error:
        channel.say(absent=str(error))
        return
    with asyncio.Runner(loop_factory=loop_factory(target.loop)) as runner:
        runner.run(serve(adapter, channel))


def loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop == "asyncio":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def serve(adapter: Adapter, channel: Channel) -> None:
    """Answer commands until there are no more."""
    try:
        await adapter.open()
    except Exception as error:
        traceback.print_exc()
        channel.say(absent=describe(error))
        return
    channel.say(note=adapter.note)
    for command in channel:
        channel.say(**await answer(adapter, **command))
    await adapter.close()


async def answer(adapter: Adapter, workload: str, concurrency: int, seconds: float) -> dict[str, Any]:
    if workload in adapter.unsupported or not hasattr(adapter, workload):
        return {"unsupported": adapter.unsupported.get(workload, "it has no such operation")}
    if adapter.connection_per_task and concurrency > MOST_CONNECTIONS:
        return {"unsupported": f"it keeps a connection for each task, and {MOST_CONNECTIONS} at most are opened"}
    arguments = adapter, WORKLOADS[workload], concurrency, seconds
    try:
        if adapter.synchronous:
            measurement = await asyncio.to_thread(by_threads, *arguments)
        else:
            measurement = await by_tasks(*arguments)
    except Exception as error:
        traceback.print_exc()
        return {"error": describe(error)}
    return {"measurement": asdict(measurement)}


def describe(error: BaseException) -> str:
    """Name the error; of a group, which a TaskGroup raises, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(sys.argv[1])
