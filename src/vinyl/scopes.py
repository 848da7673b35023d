"""Which connection belongs to the current scope, and running code in one.

* Inside the bridge `django.db.connections[alias]` is the scope's wrapper: the one that this task has pinned, else one
  that this run of the bridge takes for itself. Everywhere else it is Django's ordinary one.
* There is one source of connections per process, event loop and alias. A fork and a new loop start with none.
* `run()` is the way into the bridge for all code that may query: it gives back at its end what its scope still has.

The public side is `vinyl.connection` and `vinyl.connections[alias]`: see sql.py. This module knows neither
models nor querysets.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

import django.db
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.utils import load_backend
from django.utils.connection import BaseConnectionHandler

from vinyl import bridge
from vinyl.conf import pool_options
from vinyl.errors import BridgeError, ModeError
from vinyl.pins import all_pinned, all_pins, pinned, turns
from vinyl.pool import Member, Pool
from vinyl.turns import Turns
from vinyl.wrappers import Scope, ScopedWrapper, Session, current_scope, wrapper_class_for

P = ParamSpec("P")
T = TypeVar("T")


class ConnectionSource:
    """The connections of one alias in one event loop: the pool, and wrappers that no scope needs at the moment."""

    def __init__(self, alias: str, loop: asyncio.AbstractEventLoop) -> None:
        settings = django.db.connections.settings[alias]
        if not settings["AUTOCOMMIT"]:
            raise ImproperlyConfigured(
                f"DATABASES[{alias!r}]['AUTOCOMMIT'] is False, but the asynchronous mode gives a connection back after "
                "each statement. Set it to True, and use transaction.atomic() where statements belong together."
            )
        self.alias = alias
        self.settings = settings
        self.wrapper_class = _wrapper_class(alias)
        driver = self.wrapper_class.driver
        self.queries_log: deque[Any] = deque(maxlen=9000)
        options = pool_options(alias, settings)
        # A database in memory belongs to its connection: there is one, Django's own of this thread.
        self._in_memory = getattr(self._new_wrapper(source=None), "is_in_memory_db", bool)()
        if self._in_memory:
            options = replace(options, min_size=0, max_size=1)
        self.pool: Pool[Session] = Pool(
            f"The connection pool of the database {alias!r}",
            options,
            loop,
            open=self._open,
            close_member=lambda session: driver.terminate(session.connection),
            check=lambda session: driver.is_alive(session.connection),
        )
        self.inherited = False
        self._spare: list[ScopedWrapper] = []
        self._loop = loop
        self._thread = threading.get_ident()

    def wrapper(self) -> ScopedWrapper:
        """Return a wrapper for a scope; it has no connection yet."""
        return self._spare.pop() if self._spare else self._new_wrapper(source=self)

    def keep(self, wrapper: ScopedWrapper) -> None:
        """Take back a wrapper that its scope no longer needs."""
        wrapper.reset()
        self._spare.append(wrapper)

    def borrow(self) -> Member[Session]:
        """Inside the bridge: lend a session, waiting for one where that is needed."""
        while True:
            member = self.pool.take() or bridge.await_(self.pool.acquire())
            is_ready = False
            try:
                is_ready = self.wrapper_class.driver.catch_up(member.value.connection)
            finally:
                if not is_ready:
                    self.pool.release(member, reusable=False)
            if is_ready:
                return member

    def give_back(self, member: Member[Session], *, reusable: bool) -> None:
        if self.inherited:
            # Closing it here would end it for the parent process.
            _inherited.append(member)
        else:
            self.pool.release(member, reusable=reusable)

    def renew(self) -> None:
        """Forget what was made by the settings as they were. What is in use goes on as it is."""
        self._spare.clear()
        self.pool.drop_idle()

    def in_thread(self, callback: Callable[[], None]) -> None:
        """Call this in the loop's thread. For finalizers, which run in whichever thread collects the garbage."""
        if threading.get_ident() == self._thread:
            callback()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    async def _open(self) -> Session:
        return await bridge.spawn(_in_scope, self._connect, (), {})

    def _connect(self) -> Session:
        """Connect as Django does, by a wrapper of its own, which is the scope's for receivers of connection_created."""
        wrapper = self._new_wrapper(source=None)
        scope = current_scope()
        assert scope is not None
        scope.wrappers[self.alias] = wrapper
        if self._in_memory:
            wrapper.shared = plain(self.alias)  # type: ignore[attr-defined]
        known = {*vars(wrapper), *vars(ScopedWrapper)}
        wrapper.ensure_connection()
        attributes = {name: value for name, value in vars(wrapper).items() if name not in known}
        connection, wrapper.connection = wrapper.connection, None
        return Session(connection, attributes)

    def _new_wrapper(self, source: "ConnectionSource | None") -> ScopedWrapper:
        wrapper: Any = self.wrapper_class(self.settings, self.alias)  # type: ignore[call-arg]
        wrapper.source = source
        wrapper.queries_log = self.queries_log
        return wrapper  # type: ignore[no-any-return]


def _wrapper_class(alias: str) -> type[ScopedWrapper]:
    return wrapper_class_for(load_backend(django.db.connections.settings[alias]["ENGINE"]).DatabaseWrapper)


class _Sources:
    """The sources of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.by_alias: dict[str, ConnectionSource] = {}
        self._lifetime: AsyncGenerator[None, None] | None = None

    def get(self, alias: str) -> ConnectionSource:
        source = self.by_alias.get(alias)
        if source is None:
            if alias not in django.db.connections.settings:
                # Django's error for it.
                raise django.db.connections.exception_class(f"The connection '{alias}' doesn't exist.")
            source = self.by_alias[alias] = ConnectionSource(alias, self._loop)
        return source

    async def tie_to_loop(self) -> None:
        """Have the pools closed with the loop: asyncio.run(), for one, closes asynchronous generators left open."""
        if self._lifetime is None:
            self._lifetime = self._close_at_end()
            await anext(self._lifetime)

    async def _close_at_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        for source in self.by_alias.values():
            source.pool.close()
        self.by_alias.clear()


_loops: dict[asyncio.AbstractEventLoop, _Sources] = {}
_inherited: list[Any] = []


def _sources(loop: asyncio.AbstractEventLoop) -> _Sources:
    sources = _loops.get(loop)
    if sources is None:
        for other in [other for other in _loops if other.is_closed()]:
            _loops.pop(other).close()
        sources = _loops[loop] = _Sources(loop)
    return sources


def _after_fork() -> None:
    """In the child: leave the parent's connections alone. Closing them here would end them for the parent."""
    for sources in _loops.values():
        _inherited.append(sources)
        for source in sources.by_alias.values():
            source.inherited = True
    _loops.clear()


os.register_at_fork(after_in_child=_after_fork)


def source(alias: str) -> ConnectionSource:
    """Return the running loop's source of the alias's connections."""
    return _sources(asyncio.get_running_loop()).get(alias)


def close_sources(loop: asyncio.AbstractEventLoop) -> None:
    """Close all pools of the loop."""
    _sources(loop).close()


def _settings_changed(*, setting: str, **kwargs: Any) -> None:
    """Follow override_settings() of tests, as Django's connections do."""
    # Applications connect receivers of connection_created.
    if setting not in ("TIME_ZONE", "USE_TZ", "INSTALLED_APPS"):
        return
    for sources in list(_loops.values()):
        for source in sources.by_alias.values():
            source.renew()
    scope = current_scope()
    if scope is not None:
        for wrapper in {*scope.wrappers.values(), *all_pinned()}:
            wrapper.forget_time_zone()


setting_changed.connect(_settings_changed)


async def run(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run synchronous Django code natively: in the bridge, on the asynchronous connections of this scope.

    Inside, Django's ORM waits on the event loop instead of blocking it, in the caller's transaction if there is one. It
    returns what `fn` returns and raises what it raises. Code in `fn` that blocks otherwise (time.sleep(), reading from
    a socket) blocks the event loop: it is not run in a thread.
    """
    await _sources(asyncio.get_running_loop()).tie_to_loop()
    if shared := turns():
        return await _in_turn(shared, partial(bridge.spawn, _in_scope, fn, args, kwargs))
    return await bridge.spawn(_in_scope, fn, args, kwargs)


async def _in_turn(shared: list[Turns], operation: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Carry out an operation when it is this task's turn on the connections that it shares with others."""
    taken = []
    try:
        for each in shared:
            await each.take()
            taken.append(each)
        return await operation()
    finally:
        for each in taken:
            each.give()


def begin(fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> tuple[bool, Any]:
    """Run `fn` as run() does, but at once and without an event loop, until it would use a connection.

    Return True and its result if it never does, else False and a coroutine that runs the rest and gives the result.
    """
    has_ended, result = bridge.begin(_in_scope, fn, args, kwargs, before_first_use=_pause)
    return (True, result) if has_ended else (False, _taken_up(result, all_pins()))


async def _taken_up(rest: Callable[[], Coroutine[Any, Any, Any]], pins_at_begin: object) -> Any:
    if all_pins() != pins_at_begin:
        raise ModeError(
            "The call was made outside of the transaction or hold in which it is awaited, or the other way round. Call "
            "and await it in one place."
        )
    await _sources(asyncio.get_running_loop()).tie_to_loop()
    return await _in_turn(turns(), rest)


class _Pause:
    """What there is to await where begin() pauses: nothing."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


def _pause(wrapper: ScopedWrapper) -> None:
    bridge.await_(_Pause())
    if wrapper.source is None:
        # It was made without a loop, and is taken up in one.
        wrapper.source = _sources_here().get(wrapper.alias)


def _in_scope(
    fn: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    before_first_use: Callable[[ScopedWrapper], None] | None = None,
) -> T:
    inside = bridge.current()
    assert inside is not None
    scope = inside.storage = Scope(before_first_use)
    try:
        result = fn(*args, **kwargs)
    except BaseException:
        scope.end(failed=True)
        raise
    scope.end(failed=False)
    return result


def scoped(alias: str) -> ScopedWrapper:
    """Inside the bridge: return the wrapper of this scope for the alias."""
    inside, scope = bridge.current(), current_scope()
    if inside is None or scope is None:
        raise _no_scope()
    wrapper = pinned(alias, inside.task) or scope.wrappers.get(alias)
    if wrapper is None:
        if inside.loop is None and scope.before_first_use is not None:
            wrapper = _wrapper_class(alias)(django.db.connections.settings[alias], alias)  # type: ignore[call-arg]
        else:
            wrapper = _sources_here().get(alias).wrapper()
        scope.wrappers[alias] = wrapper
        wrapper.scope = scope
    return wrapper


def _sources_here() -> _Sources:
    inside = bridge.current()
    if inside is None or inside.loop is None:
        raise _no_scope()
    return _sources(inside.loop)


def _no_scope() -> BridgeError:
    return BridgeError(
        "The database was used in the bridge, but not in a scope of vinyl's, or without an event loop. Use "
        "`await vinyl.run(function)` rather than spawn()."
    )


def is_used(alias: str) -> bool:
    """Inside the bridge: tell whether connections of the alias were asked for before, in this event loop."""
    inside = bridge.current()
    return inside is not None and inside.loop is not None and alias in _sources(inside.loop).by_alias


def plain(alias: str) -> Any:
    """Inside the bridge: return Django's own wrapper of this thread."""
    return BaseConnectionHandler.__getitem__(django.db.connections, alias)
