"""Statements that need no cursor of Django's, and how they reach the database from where they are asked for.

    natively(source, writes, send)     in a coroutine: `send` is awaited with the connection that is this scope's
    execute_here(plan, params)         in synchronous code, in the bridge or in the sync mode
    execute_all_here(alias, queries)   the same for several that read, in one round trip where the driver can, else side
                                       by side as far as there are free connections

The native way is for what is common: a connection that is borrowed for the statement, or pinned by the task's own
transaction. Whatever wants to see or change a statement (execute_wrapper(), the log of queries, a deadline, tasks that
share a transaction, a backend with cursors of its own, a tool that has patched Django's) is served by Django's cursor,
where it has its place.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import django.db
from django.conf import settings

from vinyl import bridge
from vinyl.common.originals import cursors_are_patched
from vinyl.common.tasks import in_tasks
from vinyl.fairness import run_fairly
from vinyl.lending import pins, shared
from vinyl.lending.scopes import ConnectionSource, run
from vinyl.loading.rows import SLICE, fetch
from vinyl.plans.learning import COUNTED, WRITES, Params, Plan


def execute_here(plan: Plan, params: Params) -> Any:
    """Execute a plan's statement and return its rows, or the number of those it has changed."""
    connection: Any = django.db.connections[plan.alias]
    source = getattr(connection, "source", None)
    # One that is in use without a pin is read from by a cursor, and a second one may not be free.
    if source is not None and source.native is not None and connection.is_free_or_pinned:
        connection.before_use()
        is_done, result = bridge.await_(natively(source, plan.asks in WRITES, sending(source, plan, params)))
        if is_done:
            return _given(source, plan, result)
    with connection.cursor() as cursor:
        cursor.execute(plan.sql, params)
        if plan.asks in COUNTED:
            return cursor.rowcount
        if plan.asks == "insert_id":
            meta = plan.model._meta
            return [(connection.ops.last_insert_id(cursor, meta.db_table, meta.pk.column),)]
        return fetch(cursor)


def execute_all_here(alias: str, queries: Sequence[tuple[Plan, Params]]) -> Iterator[list[Any]]:
    """Execute statements that read, and yield the rows of each, before the next is executed if that is on its own."""
    connection: Any = django.db.connections[alias]
    source = getattr(connection, "source", None)
    if len(queries) > 1 and source is not None and connection.is_free_or_pinned:
        connection.before_use()
        if source.native is not None and source.native.pipelines:
            is_done, results = bridge.await_(natively(source, False, sending_together(source, queries)))
            if is_done:
                yield from (_rows(source, result) for result in results)
                return
        elif (free := _free_connections(source)) > 1:
            yield from bridge.await_(_side_by_side(free, queries))
            return
    yield from (execute_here(plan, params) for plan, params in queries)


def _free_connections(source: ConnectionSource) -> int:
    # A transaction has one connection, and sees what others do not.
    return 0 if pins.all_pinned() or _is_looked_at(source) else source.pool.free


async def _side_by_side(number: int, queries: Sequence[tuple[Plan, Params]]) -> list[Any]:
    """Execute at most that number of statements at a time, each on a connection of its own."""
    places = asyncio.Semaphore(number)
    return await in_tasks(_executed(places, plan, params) for plan, params in queries)


async def _executed(places: asyncio.Semaphore, plan: Plan, params: Params) -> Any:
    async with places:
        return await run(execute_here, plan, params)


def _given(source: ConnectionSource, plan: Plan, result: Any) -> Any:
    if plan.asks in COUNTED:
        return result.rowcount
    return new_key(result) if plan.asks == "insert_id" else _rows(source, result)


def new_key(result: Any) -> list[tuple[Any]]:
    """Return the key that was given to a new row, as a row that the server would have returned."""
    return [(result.lastrowid,)]


def rows_of(source: ConnectionSource, result: Any, start: int = 0, stop: int | None = None) -> list[Any]:
    """Return some rows of a result. It is now that they are converted, for which the driver may have an error."""
    with source.errors:
        return result.rows(start, stop)  # type: ignore[no-any-return]


def _rows(source: ConnectionSource, result: Any) -> list[Any]:
    """Return all rows of a result; a large number of them gives way to other tasks as they are converted."""
    if len(result) <= SLICE:
        return rows_of(source, result)
    rows: list[Any] = []
    run_fairly(_converted(source, result, rows), holds_collector=True)
    return rows


def _converted(source: ConnectionSource, result: Any, rows: list[Any]) -> Iterator[None]:
    for start in range(0, len(result), SLICE):
        rows += rows_of(source, result, start, start + SLICE)
        yield


def sending(source: ConnectionSource, plan: Plan, params: Params) -> Callable[[Any], Awaitable[Any]]:
    """Return a function that has a connection's driver execute the plan's statement."""
    driver: Any = source.native
    return lambda connection: driver.execute(connection, plan.statement(driver), params)


def sending_together(
    source: ConnectionSource, queries: Sequence[tuple[Plan, Params]]
) -> Callable[[Any], Awaitable[Any]]:
    """Return a function that has a connection's driver execute the plans' statements in one round trip."""
    driver: Any = source.native
    return lambda connection: driver.execute_many(
        connection, [(plan.statement(driver), params) for plan, params in queries]
    )


async def natively(source: ConnectionSource, writes: bool, send: Callable[[Any], Awaitable[Any]]) -> tuple[bool, Any]:
    """Send to the connection of this scope, borrowed or pinned; False where Django's lane has to serve."""
    if source.native is None or _is_looked_at(source):
        return False, None
    pin = pins.pin_here(source.alias)
    if pin is None:
        return await _on_borrowed(source, send)
    wrapper = pins.pinned(source.alias, asyncio.current_task())
    if wrapper.connection is None or wrapper.needs_rollback or pin.turns is not None:
        return False, None
    if wrapper.is_limited or wrapper.queries_logged:
        return False, None
    return True, await _on_pinned(wrapper, writes, send)


def _is_looked_at(source: ConnectionSource) -> bool:
    """Whether somebody wants to see the statements or to end them in time, or a test has a transaction of its own."""
    return bool(
        settings.DEBUG
        or source.time_limit.is_set
        or cursors_are_patched()
        or pins.execute_wrappers(source.alias)
        or source.alias in shared.by_alias
    )


async def _on_borrowed(source: ConnectionSource, send: Callable[[Any], Awaitable[Any]]) -> tuple[bool, Any]:
    member = source.pool.take() or await source.pool.acquire()
    session, driver = member.value, source.native
    assert driver is not None
    try:
        if session.limit.is_told or not driver.is_caught_up(session.connection):
            return False, None
        with source.errors:
            return True, await send(session.connection)
    finally:
        source.give_back(member, reusable=driver.is_idle(session.connection))


async def _on_pinned(wrapper: Any, writes: bool, send: Callable[[Any], Awaitable[Any]]) -> Any:
    # Which notes that the driver is called, too.
    try:
        with wrapper.wrap_database_errors:
            return await send(wrapper.connection)
    except Exception as error:
        if writes and wrapper.in_atomic_block:
            # As Django's mark_for_rollback_on_error().
            wrapper.needs_rollback = True
            wrapper.rollback_exc = error
        raise
