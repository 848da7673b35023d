"""The lanes by which a planned query reaches the database.

    native      a coroutine: the driver executes the plan's statement on a connection that is borrowed, or pinned by the
                task's transaction. No greenlet, no cursor of Django's
    Django's    synchronous code: a cursor of `django.db.connections[alias]`, in the bridge or in the sync mode

The native lane is for what is common. Whatever wants to see or change a statement (execute_wrapper(), the log of
queries, a deadline, tasks that share a transaction) is served by Django's lane, where it has its place. The results are
the same, and so are the errors, which are Django's.

This module must not know querysets.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from time import monotonic
from typing import Any

import django.db
from django.db import transaction
from django.db.models.query import MAX_GET_RESULTS

from vinyl.conf import verifies_plans
from vinyl.fairness import TURN, collector_held, full_collections_later
from vinyl.lending import scopes
from vinyl.lending.scopes import ConnectionSource
from vinyl.loading.rows import SLICE, load
from vinyl.plans.binders import OutOfPlan
from vinyl.plans.learning import COUNTED, INSERTS, READS_INSTANCES, WRITES, Call, Params, Plan
from vinyl.plans.natively import execute_here, natively, new_key, rows_of, sending, sending_together
from vinyl.plans.prefetching import prefetch

Dispatch = Callable[..., Any]


def execute_now(plan: Plan, params: Params) -> Any:
    """Execute by Django's cursor: an operation, for the bridge and the sync mode."""
    if plan.asks in WRITES:
        with transaction.mark_for_rollback_on_error(using=plan.alias):
            return _execute(plan, params)
    return _execute(plan, params)


def _execute(plan: Plan, params: Params) -> Any:
    rows = execute_here(plan, params)
    if plan.asks in COUNTED:
        return _counted(plan, rows)
    if plan.asks not in READS_INSTANCES:
        return _value(plan, rows)
    assert plan.load is not None
    connection = django.db.connections[plan.alias]
    results = load(plan.load, rows, connection) if len(rows) > SLICE else plan.load(rows, connection)
    if plan.prefetches and results:
        prefetch(results, plan.prefetches)
    return _answer(plan, results)


async def execute(plan: Plan, params: Params) -> Any:
    """Execute natively where that is possible, else in the bridge."""
    source = await scopes.source_here(plan.alias)
    if plan.asks == "fetch" and source.native is not None and plan.statement(source.native).is_large:
        results = await _fetched_as_they_arrive(source, plan, params)
        if results is not None:
            return await _with_relations(plan, results)
    is_done, result = await natively(source, plan.asks in WRITES, sending(source, plan, params))
    return await _finished(source, plan, result) if is_done else await scopes.run(execute_now, plan, params)


async def _fetched_as_they_arrive(source: ConnectionSource, plan: Plan, params: Params) -> list[Any] | None:
    """Make the results of the rows while the server sends others; None where that is not possible."""
    driver, load, connection = source.native, plan.load, source.unconnected
    assert driver is not None
    assert load is not None
    statement = plan.statement(driver)
    results: list[Any] = []
    with ExitStack() as stack:

        def take(rows: Sequence[Any]) -> None:
            if not results:
                stack.enter_context(full_collections_later)
            with collector_held():
                results.extend(load(rows, connection))

        is_native, is_done = await natively(
            source, False, lambda connection: driver.execute_in_chunks(connection, statement, params, take)
        )
    statement.is_large = len(results) > SLICE
    return results if is_native and is_done else None


async def execute_together(queries: Sequence[tuple[Plan, Params]]) -> list[Any] | None:
    """Execute queries of one alias in one round trip; None where that is not possible."""
    alias = queries[0][0].alias
    if any(plan.alias != alias for plan, _ in queries):
        return None
    source = await scopes.source_here(alias)
    if source.native is None or not source.native.pipelines:
        return None
    is_done, results = await natively(source, False, sending_together(source, queries))
    if not is_done:
        return None
    return [await _finished(source, plan, result) for (plan, _), result in zip(queries, results, strict=True)]


async def _finished(source: ConnectionSource, plan: Plan, result: Any) -> Any:
    if plan.asks in COUNTED:
        return _counted(plan, result.rowcount)
    if plan.asks not in READS_INSTANCES:
        return _value(plan, new_key(result) if plan.asks == "insert_id" else rows_of(source, result))
    return _answer(plan, await _with_relations(plan, await _loaded(source, plan, result)))


async def _with_relations(plan: Plan, results: list[Any]) -> list[Any]:
    if plan.prefetches and results:
        await scopes.run(prefetch, results, plan.prefetches)
    return results


async def _loaded(source: ConnectionSource, plan: Plan, result: Any) -> list[Any]:
    """Make the results of the rows, slice by slice, and give way to other tasks in between."""
    assert plan.load is not None
    connection = source.unconnected
    if len(result) <= SLICE:
        return plan.load(rows_of(source, result), connection)
    # The next one, which is likely to be as large, is worked on as it arrives.
    plan.statement(source.native).is_large = True
    results: list[Any] = []
    with full_collections_later:
        while True:
            _load_for_a_turn(source, plan, result, connection, results)
            if len(results) == len(result):
                return results
            await asyncio.sleep(0)


def _load_for_a_turn(source: ConnectionSource, plan: Plan, result: Any, connection: Any, results: list[Any]) -> None:
    assert plan.load is not None
    end = monotonic() + TURN
    with collector_held():
        while len(results) < len(result):
            start = len(results)
            results += plan.load(rows_of(source, result, start, start + SLICE), connection)
            if monotonic() >= end:
                break


def _counted(plan: Plan, count: int) -> Any:
    if plan.asks != "delete":
        return count
    return count, {plan.model._meta.label: count} if count else {}


def _value(plan: Plan, rows: Any) -> Any:
    if plan.asks in INSERTS:
        return rows
    return rows[0][0] if plan.asks == "count" else bool(rows)


def _answer(plan: Plan, results: list[Any]) -> Any:
    """Make of the instances what was asked for, in Django's words where that fails."""
    if plan.asks == "fetch":
        return results
    if plan.asks != "get":
        return results[0] if results else None
    if len(results) == 1:
        return results[0]
    name = plan.model._meta.object_name
    if not results:
        raise plan.model.DoesNotExist(f"{name} matching query does not exist.")
    number = len(results) if len(results) < MAX_GET_RESULTS else f"more than {MAX_GET_RESULTS - 1}"
    raise plan.model.MultipleObjectsReturned(f"get() returned more than one {name} -- it returned {number}!")


def ask(dispatch: Dispatch, call: Call | None, by_django: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Carry out a call by its plan, if there is one, else by Django's method; `dispatch` knows the mode."""
    carry_out = partial(by_django, *args, **kwargs)
    if call is None:
        return dispatch(carry_out)
    plan = call.plan
    if plan is not None and not verifies_plans():
        with suppress(OutOfPlan):
            return dispatch(execute_now, plan, plan.bind(call.values), natively=execute)
    return dispatch(call.by_django, carry_out)
