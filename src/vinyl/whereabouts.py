"""Where a task is at the moment, in the project's own code: for messages that must name who holds something.

Nothing is recorded beforehand, so it costs nothing until it is asked for: a task that waits is asked through what it
waits for, coroutine by coroutine, and into the bridge. This module knows neither pools nor connections.
"""

import asyncio
import os.path
import sysconfig
from collections.abc import Iterator
from types import FrameType
from typing import Any

import django

# What is in these is not the line of code that somebody would look for.
_FOREIGN = tuple(
    os.path.join(folder, "")
    for folder in (os.path.dirname(__file__), os.path.dirname(django.__file__), sysconfig.get_path("stdlib"))
)
_INSTALLED = os.path.join("", "site-packages", "")


def of_task(task: "asyncio.Task[Any]") -> str:
    """Return the task's name and the innermost line of the project's code that it is in."""
    frames = [frame for frame in _frames(task.get_coro()) if not frame.f_code.co_filename.startswith(_FOREIGN)]
    if not frames:
        return f"task {task.get_name()!r}"
    # A line of the project's says more than one of a library's that it calls.
    frame = next((frame for frame in reversed(frames) if _INSTALLED not in frame.f_code.co_filename), frames[-1])
    return f'task {task.get_name()!r} at "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}'


def _frames(coroutine: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of what it waits for, the outermost first."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            yield frame
            yield from _frames_in_bridge(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def _frames_in_bridge(frame: FrameType) -> list[FrameType]:
    """Return the frames of the greenlet that the bridge's coroutine of this frame waits for, the outermost first."""
    inner = getattr(frame.f_locals.get("inside"), "gr_frame", None)
    frames: list[FrameType] = []
    while inner is not None:
        frames.insert(0, inner)
        inner = inner.f_back
    return frames
