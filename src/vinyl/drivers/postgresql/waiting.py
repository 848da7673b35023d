"""Waiting for the socket of one connection.

psycopg's operations are generators: they yield what they wait for (reading, writing or both) and are sent what the
socket is ready for. One of ours may yield GIVE_WAY, and goes on after all who are ready have had their turns. A Waiter
drives one at a time, from the event loop's callbacks, and has one Future for it:

    future = waiter.begin(generator, state)     `state` is what the generator has yielded; in a coroutine
    waiter.stop()                               when the wait has ended, or is given up: another may go on with it
    waiter.close()                              close the connection; who waits gets OperationalError

Its reader stays registered with the loop from one statement to the next. A callback reads all that has arrived, so
that the loop is not told of the same bytes twice. What arrives while nobody waits is left in the socket, and the reader
is removed until the next wait.

A reader must never outlive its file descriptor, whose number the next socket is given. So the pgconn is closed in
close() only; libpq itself closes the socket of a connection that fails, hence check() after each step. As long as the
reader is registered the loop keeps the pgconn alive through it.

The module knows nothing of statements, cancellation or greenlets.
"""

import asyncio
import os
import select
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Generator
from contextvars import Context
from itertools import count
from typing import Any

import psycopg
from psycopg.pq import ConnStatus
from psycopg.waiting import Ready, Wait

# As plain integers, since those of enumerations are slow to compute with.
WAIT_R, WAIT_W = int(Wait.R), int(Wait.W)
READY_R, READY_W = int(Ready.R), int(Ready.W)
OK = int(ConnStatus.OK)
GIVE_WAY = 0

# How often a generator goes on with a socket that is ready again, before others have their turn.
ROUNDS = 20
# That the other side is gone. What it has sent before can still be read.
GONE = select.POLLERR | select.POLLHUP


class Waiter:
    """Drives the generators of one connection, in one event loop at a time."""

    __slots__ = (
        "_descriptor",
        "_future",
        "_generator",
        "_is_reading",
        "_is_writing",
        "_loop",
        "_pgconn",
        "_poll",
        "_process",
        "_state",
        "_thread",
    )

    def __init__(self, pgconn: Any) -> None:
        self._pgconn = pgconn
        self._descriptor: int = pgconn.socket
        # Where the reader and the writer are registered, if they are.
        self._loop: AbstractEventLoop | None = None
        self._thread = self._process = 0
        self._is_reading = self._is_writing = False
        self._poll = select.poll()
        # What is under way.
        self._generator: Generator[Any, Any, Any] | None = None
        self._future: Future[Any] | None = None
        self._state = 0

    def begin(self, generator: Generator[Any, Any, Any], state: int) -> "Future[Any]":
        """Drive the generator, which has yielded `state`, to its end; return the future of its result."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._move(loop)
        self._generator = generator
        future = self._future = loop.create_future()
        self._state = state
        # A socket can nearly always be written to, so it is not for the loop to find that out.
        ready = _ready(self._look(), state) if state & WAIT_W else 0
        if ready:
            self._advance(ready)
        elif state == GIVE_WAY:
            loop.call_soon(self._go_on, generator, context=Context())
        else:
            self._register()
        return future

    def stop(self) -> None:
        """Let go of the generator and its result, for a caller that does not wait any more.

        The reader and the writer unregister themselves where nobody waits for what they tell.
        """
        self._generator = None
        future, self._future = self._future, None
        if future is not None and future.done() and not future.cancelled():
            # It has failed at the moment it was cancelled. That need not be told twice.
            future.exception()

    def check(self) -> None:
        """Unregister, if libpq has closed the socket."""
        if self._pgconn.status != OK:
            self.detach()

    def detach(self, then: Callable[[], None] | None = None) -> None:
        """Unregister from the loop, in its thread, and call `then` afterwards."""
        loop, self._loop = self._loop, None
        self._is_reading = self._is_writing = False
        if loop is not None and not loop.is_closed() and os.getpid() == self._process:
            if threading.get_ident() != self._thread and loop.is_running():
                loop.call_soon_threadsafe(self._detach_from, loop, then)
                return
            self._detach_from(loop)
        if then is not None:
            then()

    def close(self) -> None:
        """Close the connection."""
        self.detach(self._finish)

    # Registering.

    def _move(self, loop: AbstractEventLoop) -> None:
        self.detach()
        # In case libpq has closed the socket this raises psycopg's error.
        self._descriptor = self._pgconn.socket
        self._poll = select.poll()
        self._poll.register(self._descriptor)
        self._loop, self._thread, self._process = loop, threading.get_ident(), os.getpid()

    def _detach_from(self, loop: AbstractEventLoop, then: Callable[[], None] | None = None) -> None:
        loop.remove_reader(self._descriptor)
        loop.remove_writer(self._descriptor)
        if then is not None:
            then()

    def _register(self) -> None:
        """Have the loop call back for what the generator waits for."""
        loop = self._loop
        assert loop is not None
        # In a context of its own: the loop keeps that of who registers, with all that is in it.
        if self._state & WAIT_R and not self._is_reading:
            Context().run(loop.add_reader, self._descriptor, self._can_read)
            self._is_reading = True
        if self._state & WAIT_W:
            if not self._is_writing:
                Context().run(loop.add_writer, self._descriptor, self._can_write)
                self._is_writing = True
        elif self._is_writing:
            self._is_writing = False
            loop.remove_writer(self._descriptor)

    def _look(self) -> int:
        """Return the events of the socket, as poll() has them, that the generator waits for."""
        self._poll.modify(self._descriptor, _EVENTS[self._state])
        found = self._poll.poll(0)
        return found[0][1] if found else 0

    # What the loop calls.

    def _can_read(self) -> None:
        if self._generator is not None and self._state & WAIT_R:
            self._advance(READY_R)
        elif self._loop is not None:
            self._is_reading = False
            self._loop.remove_reader(self._descriptor)

    def _can_write(self) -> None:
        if self._generator is not None and self._state & WAIT_W:
            self._advance(READY_W)
        elif self._loop is not None:
            self._is_writing = False
            self._loop.remove_writer(self._descriptor)

    def _advance(self, ready: int) -> None:
        """Tell the generator what the socket is ready for, until it has to wait or has ended."""
        generator, future = self._generator, self._future
        assert generator is not None
        assert future is not None
        if future.done():
            # It was cancelled, and who waits for it is going to stop() it.
            self._generator = None
            return
        try:
            for rounds in count():
                self._state = generator.send(ready)
                if self._state == GIVE_WAY:
                    assert self._loop is not None
                    self._loop.call_soon(self._go_on, generator, context=Context())
                    return
                events = self._look()
                ready = _ready(events, self._state)
                if not ready or (rounds >= ROUNDS and not events & GONE):
                    break
        except BaseException as end:
            self._generator = None
            # uvloop forgets a reader of its own accord, once it has told it that the other side is gone.
            if self._pgconn.status != OK or self._look() & GONE:
                self.detach()
            if isinstance(end, StopIteration):
                future.set_result(end.value)
            else:
                future.set_exception(end)
        else:
            self._register()

    def _go_on(self, generator: Generator[Any, Any, Any]) -> None:
        """Go on with a generator that has given way, if it was not left meanwhile."""
        if self._generator is generator and self._state == GIVE_WAY:
            self._advance(0)

    def _finish(self) -> None:
        self._pgconn.finish()
        self._generator = None
        future, self._future = self._future, None
        if future is not None and not future.done() and not future.get_loop().is_closed():
            future.set_exception(psycopg.OperationalError("the connection is closed"))


# What poll() is asked for, by what is waited for.
_EVENTS = {0: 0, WAIT_R: select.POLLIN, WAIT_W: select.POLLOUT, WAIT_R | WAIT_W: select.POLLIN | select.POLLOUT}


def _ready(events: int, state: int) -> int:
    """Return what a generator that waits for `state` is told of the events of poll()."""
    if events & GONE:
        # Reading or writing will raise it.
        return state
    return (READY_R if events & select.POLLIN else 0) | (READY_W if events & select.POLLOUT else 0)
