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
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ParamSpec, TypeVar, cast

import django.db
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.utils import DatabaseErrorWrapper, load_backend
from django.utils.connection import BaseConnectionHandler

from vinyl import bridge
from vinyl.common import process_wide
from vinyl.common.deadlines import Deadline, TimeLimit, bounded, without_patience
from vinyl.common.originals import has_own_cursors
from vinyl.conf import deadline_of, pool_options, prepares_statements, watchdog_seconds
from vinyl.drivers import NativeDriver
from vinyl.errors import BridgeError, ModeError
from vinyl.lending import shared
from vinyl.lending.pins import all_pinned, all_pins, pin_here, pinned, turns
from vinyl.lending.pool import Member, Pool
from vinyl.lending.turns import Turns
from vinyl.lending.wrappers import Scope, ScopedWrapper, Session, current_scope, wrapper_class_for
from vinyl.watchdog import Watchdog

P = ParamSpec("P")
T = TypeVar("T")

# Seconds to wait for an event loop in another thread to close its pools.
CLOSE_TIMEOUT = 5.0


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
        is_native = hasattr(driver, "execute") and not has_own_cursors(_django_class(alias), settings["OPTIONS"])
        # The driver, if it may execute planned queries without the bridge, and without cursors.
        self.native: NativeDriver | None = cast("NativeDriver", driver) if is_native else None
        self.queries_log: deque[Any] = deque(maxlen=9000)
        options = pool_options(alias, settings)
        self.time_limit = TimeLimit(alias, deadline_of(alias))
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

    @cached_property
    def errors(self) -> DatabaseErrorWrapper:
        """A block that raises Django's errors for the driver's, where there is no wrapper."""
        return DatabaseErrorWrapper(_Errors(self.wrapper_class.Database))  # type: ignore[attr-defined]

    @cached_property
    def unconnected(self) -> ScopedWrapper:
        """A wrapper to be asked how values are converted, outside of the bridge: it has no connection.

        `django.db.connections` would make one for each context in which it is asked, which is each task.
        """
        return self._new_wrapper(source=None)

    def wrapper(self) -> ScopedWrapper:
        """Return a wrapper for a scope; it has no connection yet."""
        return self._spare.pop() if self._spare else self._new_wrapper(source=self)

    def keep(self, wrapper: ScopedWrapper) -> None:
        """Take back a wrapper that its scope no longer needs."""
        wrapper.reset()
        self._spare.append(wrapper)

    def borrow(self) -> Member[Session]:
        """Inside the bridge: lend a session, waiting for one where that is needed."""
        deadline = self.time_limit.begin(self._waiting)
        while True:
            member = self.pool.take() or self._wait(deadline)
            is_ready = False
            try:
                is_ready = self.wrapper_class.driver.catch_up(member.value.connection)
            finally:
                if not is_ready:
                    self.pool.release(member, reusable=False)
            if is_ready:
                return member

    def _wait(self, deadline: Deadline | None) -> Member[Session]:
        with ExitStack() as stack:
            for wait in process_wide.waits:
                stack.enter_context(wait(self.alias))
            return bridge.await_(bounded(deadline, self.pool.acquire(), self._what_it_waits_for))

    @property
    def _waiting(self) -> str:
        return f"a connection to the database {self.alias!r} was waited for"

    def _what_it_waits_for(self) -> str:
        holders = self.pool.holders()
        return f"{self._waiting} (in use:{holders})" if holders else self._waiting

    def give_back(self, member: Member[Session], *, reusable: bool) -> None:
        if self.inherited:
            # Closing it here would end it for the parent process.
            _inherited.append(member)
        else:
            self.pool.release(member, reusable=reusable)

    def renew(self) -> None:
        """Forget what was made by the settings as they were. What is in use goes on as it is."""
        self._spare.clear()
        vars(self).pop("unconnected", None)
        self.pool.drop_idle()

    def in_thread(self, callback: Callable[[], None]) -> None:
        """Call this in the loop's thread. For finalizers, which run in whichever thread collects the garbage."""
        if threading.get_ident() == self._thread:
            callback()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    async def _open(self) -> Session:
        # Nobody has the connection yet, so no statement on it is worth waiting for.
        with without_patience():
            return await bridge.spawn(_in_scope, self._connect, (), {})

    def _connect(self) -> Session:
        """Connect as Django does, by a wrapper of its own, which is the scope's for receivers of connection_created."""
        wrapper = self._new_wrapper(source=None)
        scope = current_scope()
        assert scope is not None
        scope.wrappers[self.alias] = wrapper
        if self._in_memory and not _is_another_threads(django_wrapper := plain(self.alias)):
            wrapper.shared = django_wrapper  # type: ignore[attr-defined]
        known = {*vars(wrapper), *vars(ScopedWrapper)}
        wrapper.ensure_connection()
        attributes = {name: value for name, value in vars(wrapper).items() if name not in known}
        connection, wrapper.connection = wrapper.connection, None
        if self.native is not None and hasattr(connection, "prepares"):
            connection.prepares = prepares_statements(self.alias, self.settings)
        return Session(connection, attributes)

    def _new_wrapper(self, source: "ConnectionSource | None") -> ScopedWrapper:
        wrapper: Any = self.wrapper_class(self.settings, self.alias)  # type: ignore[call-arg]
        wrapper.source = source
        wrapper.queries_log = self.queries_log
        wrapper.time_limit = self.time_limit
        return wrapper  # type: ignore[no-any-return]


def _is_another_threads(wrapper: Any) -> bool:
    """Tell whether a database in memory is that of Django's test runner, which keeps it open in its own thread.

    A connection of Django's own would be left behind in this one, since Django closes none of a database in memory.
    """
    return wrapper.connection is None and str(wrapper.settings_dict["NAME"]).startswith("file:memorydb_")


class _Errors:
    """What DatabaseErrorWrapper needs of a wrapper."""

    errors_occurred = False

    def __init__(self, database: Any) -> None:
        self.Database = database


def _wrapper_class(alias: str) -> type[ScopedWrapper]:
    return wrapper_class_for(_django_class(alias))


def _django_class(alias: str) -> Any:
    return load_backend(django.db.connections.settings[alias]["ENGINE"]).DatabaseWrapper


def check_alias(alias: object) -> None:
    """Raise Django's error unless there is a database of this alias, or TypeError for what can be none."""
    if not isinstance(alias, str):
        raise TypeError(f"The alias of a database is a string, one of DATABASES, not {alias!r}.")
    if alias not in django.db.connections.settings:
        raise django.db.connections.exception_class(f"The connection '{alias}' doesn't exist.")


class _Sources:
    """The sources of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.by_alias: dict[str, ConnectionSource] = {}
        self._lifetime: AsyncGenerator[None, None] | None = None

    def get(self, alias: str) -> ConnectionSource:
        source = self.by_alias.get(alias) if isinstance(alias, str) else None
        if source is None:
            check_alias(alias)
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
        bridge.close_parked()


_loops: dict[asyncio.AbstractEventLoop, _Sources] = {}
_inherited: list[Any] = []


def _sources(loop: asyncio.AbstractEventLoop) -> _Sources:
    sources = _loops.get(loop)
    if sources is None:
        for other in [other for other in _loops if other.is_closed()]:
            _loops.pop(other).close()
        sources = _loops[loop] = _Sources(loop)
        for begin in process_wide.beginnings:
            begin()
        seconds = watchdog_seconds()
        if seconds is not None:
            Watchdog(loop, seconds, bridge.OUTERMOST).start()
    return sources


def _after_fork() -> None:
    """In the child: leave the parent's connections alone. Closing them here would end them for the parent."""
    for sources in _loops.values():
        _inherited.append(sources)
        for source in sources.by_alias.values():
            source.inherited = True
    _loops.clear()
    shared.forget()


os.register_at_fork(after_in_child=_after_fork)


def running_loop() -> asyncio.AbstractEventLoop:
    """Return asyncio's event loop, which the caller runs in; raise ModeError where there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise ModeError(
            "vinyl was used in the async mode where no event loop of asyncio runs; those of other libraries, such as "
            "trio, do not serve. Run the coroutine by asyncio.run(), or use the sync mode: vinyl.set_async(False) or "
            "vinyl.sync_mode()."
        ) from error


def source(alias: str) -> ConnectionSource:
    """Return the running loop's source of the alias's connections."""
    return _sources(running_loop()).get(alias)


async def source_here(alias: str) -> ConnectionSource:
    """Return the running loop's source of the alias's connections, whose pool is closed with the loop."""
    sources = _sources(running_loop())
    await sources.tie_to_loop()
    return sources.get(alias)


def loops() -> list[asyncio.AbstractEventLoop]:
    """Return the event loops that have used a database. Any thread may ask."""
    return list(_loops)


def sources_of(loop: asyncio.AbstractEventLoop) -> list[ConnectionSource]:
    """Return the loop's sources of connections that were asked for so far. Any thread may ask."""
    sources = _loops.get(loop)
    return [] if sources is None else list(sources.by_alias.values())


def close_sources(loop: asyncio.AbstractEventLoop) -> None:
    """Close all pools of the loop."""
    _sources(loop).close()


def close_all_sources() -> None:
    """Close all pools of the process, from any thread: those of an event loop that runs in another one are waited for.

    Connections in use are closed as they are given back.
    """
    for loop, sources in list(_loops.items()):
        if not loop.is_running() or loop is asyncio._get_running_loop():
            sources.close()
            continue
        closed = threading.Event()
        loop.call_soon_threadsafe(sources.close)
        loop.call_soon_threadsafe(closed.set)
        closed.wait(CLOSE_TIMEOUT)


def _settings_changed(*, setting: str, **kwargs: Any) -> None:
    """Follow override_settings() of tests, as Django's connections do."""
    # Applications connect receivers of connection_created.
    if setting not in ("TIME_ZONE", "USE_TZ", "INSTALLED_APPS"):
        return
    for sources in list(_loops.values()):
        for source in sources.by_alias.values():
            source.renew()
    for each in shared.by_alias.values():
        for cached in ("timezone", "timezone_name"):
            vars(each.wrapper).pop(cached, None)
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
    await _sources(running_loop()).tie_to_loop()
    if taken := turns():
        return await _in_turn(taken, partial(bridge.spawn, _in_scope, fn, args, kwargs))
    return await bridge.spawn(_in_scope, fn, args, kwargs)


async def run_in_callers_turn(fn: Callable[[], T]) -> T:
    """As run(), for whom its caller waits, in whose turn it is: another would never come."""
    return await bridge.spawn(_in_scope, fn, (), {})


async def _in_turn(turns: list[Turns], operation: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Carry out an operation when it is this task's turn on the connections that it shares with others."""
    taken = []
    try:
        for each in turns:
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
    await _sources(running_loop()).tie_to_loop()
    return await _in_turn(turns(), rest)


class _Pause:
    """What there is to await where begin() pauses: nothing."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


def _pause(wrapper: ScopedWrapper) -> None:
    bridge.await_(_Pause())
    if isinstance(wrapper, ScopedWrapper) and wrapper.source is None:
        # It was made without a loop, and is taken up in one.
        wrapper.source = source = _sources_here().get(wrapper.alias)
        wrapper.time_limit = source.time_limit


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
        scope.end(failed=True, dropped=inside.abandoned)
        raise
    scope.end(failed=False)
    return result


def scoped(alias: str) -> Any:
    """Inside the bridge: return the wrapper of this scope for the alias."""
    inside, scope = bridge.current(), current_scope()
    if inside is None or scope is None:
        raise _no_scope()
    wrapper: Any = pinned(alias, inside.task) or scope.wrappers.get(alias)
    if wrapper is None:
        if shared.by_alias and alias in shared.by_alias:
            wrapper = view = shared.by_alias[alias].view()
            scope.wrappers[alias] = view
            if scope.before_first_use is None:
                # Before anybody looks whether it is in a block.
                view.take_turn()
        elif inside.loop is None and scope.before_first_use is not None:
            check_alias(alias)
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


def turns_of_block(alias: str) -> Turns | None:
    """In a coroutine: return the turns of which a block on the alias is to keep one until it ends, if tasks share."""
    pin = pin_here(alias)
    if pin is not None:
        return pin.turns
    return shared.by_alias[alias].turns() if alias in shared.by_alias else None


def is_used(alias: str) -> bool:
    """Inside the bridge: tell whether connections of the alias were asked for before, in this event loop."""
    if alias in shared.by_alias:
        return True
    inside = bridge.current()
    return inside is not None and inside.loop is not None and alias in _sources(inside.loop).by_alias


def plain(alias: str) -> Any:
    """Inside the bridge: return Django's own wrapper of this thread."""
    return BaseConnectionHandler.__getitem__(django.db.connections, alias)
