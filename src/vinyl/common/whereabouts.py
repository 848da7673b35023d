"""Where code is at the moment, in the project's own code: for messages that must name who holds or sends something.

    of_task(task)       of a task that waits, which is asked through what it waits for, coroutine by coroutine
    here(task)          of the caller, whom the task has brought here, from the bridge out to the coroutine that waits

Nothing is recorded beforehand, so it costs nothing until it is asked for. There is one exception: a task that has none
of the project's lines, as those of asyncio.gather(), is of the line that has made its operation, which is noted while
there are `observers`. This module knows neither pools nor connections.
"""

import asyncio
import gc
import inspect
import os.path
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any, NamedTuple

import django
from greenlet import getcurrent

from vinyl import errors

# What is in these is not the line of code that somebody would look for.
_FOREIGN = tuple(
    os.path.join(folder, "")
    for folder in (os.path.dirname(errors.__file__), os.path.dirname(django.__file__), sysconfig.get_path("stdlib"))
)
_INSTALLED = os.path.join("", "site-packages", "")


# Whoever wants to know the lines that make operations, for as long as that is.
observers: set[object] = set()


class Place(NamedTuple):
    """A line of code."""

    filename: str
    line: int
    function: str

    def __str__(self) -> str:
        return f'"{self.filename}", line {self.line}, in {self.function}'


def of_task(task: "asyncio.Task[Any]") -> str:
    """Return the task's name and the innermost line of the project's code that it is in."""
    place = place_of(task)
    return f"task {task.get_name()!r}" if place is None else f"task {task.get_name()!r} at {place}"


def place_of(task: "asyncio.Task[Any]") -> Place | None:
    """Return the innermost line of the project's code that a task is in."""
    return innermost(frames_of(task)[::-1])


def here(task: "asyncio.Task[Any] | None") -> Place | None:
    """Return the innermost line of the project's code that has led here; `task` is the one that runs, if one does."""
    made_at: Place | None = None if task is None else getattr(task.get_coro(), "_made_at", None)
    return innermost(stack(task)) or made_at


def stack(task: "asyncio.Task[Any] | None") -> list[FrameType]:
    """Return the frames that have led to the caller, the innermost first, but none of what runs the task.

    The caller's own is not among them: it would refer to itself, and so keep alive what all of them refer to.
    """
    outermost = None if task is None else _frame_of(task.get_coro())
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(2)
    side = getcurrent()
    while frame is not None:
        frames.append(frame)
        if frame is outermost:
            break
        frame = frame.f_back
        if frame is None and side.parent is not None:
            side = side.parent
            frame = side.gr_frame
    return frames


def innermost(frames: Sequence[FrameType]) -> Place | None:
    """Return the project's line among these frames, the innermost of which is the first."""
    theirs = lines(frames)
    # A line of the project's says more than one of a library's that it calls.
    return next((place for place in theirs if _INSTALLED not in place.filename), theirs[0] if theirs else None)


def lines(frames: Iterable[FrameType]) -> list[Place]:
    """Return the lines of these frames that are not vinyl's, Django's or Python's."""
    return [place_of_frame(frame) for frame in frames if not frame.f_code.co_filename.startswith(_FOREIGN)]


def place_of_frame(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _frame_of(coroutine: Any) -> FrameType | None:
    return getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)


def frames_of(task: "asyncio.Task[Any]") -> list[FrameType]:
    """Return the frames of a task, in the bridge too, the outermost first. Any thread may ask."""
    coroutine = task.get_coro()
    if getattr(coroutine, "cr_running", False):
        outermost = _frame_of(coroutine)
        for innermost in sys._current_frames().values():
            frames = with_callers(innermost)
            if outermost in frames:
                return frames[frames.index(outermost) :]
    return list(_frames(coroutine))


def _frames(coroutine: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of what it waits for, the outermost first."""
    while coroutine is not None:
        frame = _frame_of(coroutine)
        if frame is not None:
            yield frame
            yield from _frames_in_bridge(frame)
            coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
        else:
            # What a coroutine's __await__() gives, as of the operations of vinyl, refers to that.
            coroutine = next((each for each in gc.get_referents(coroutine) if inspect.iscoroutine(each)), None)


def _frames_in_bridge(frame: FrameType) -> list[FrameType]:
    """Return the frames of the greenlet that the bridge's coroutine of this frame waits for, the outermost first."""
    return with_callers(getattr(frame.f_locals.get("inside"), "gr_frame", None))


def with_callers(innermost: FrameType | None) -> list[FrameType]:
    """Return a frame and those that have led to it, the outermost first."""
    frames: list[FrameType] = []
    while innermost is not None:
        frames.append(innermost)
        innermost = innermost.f_back
    return frames[::-1]
