"""Several queries at a time: started before they are awaited, or sent together.

    started = Book.vinyl.filter(…).start()               the query begins now …
    authors = await Author.vinyl.all()
    books = await started                                 … and is waited for here

    books, authors = await vinyl.gather(Book.vinyl.all(), Author.vinyl.all())

In the sync mode both give the results at once. Within a transaction, whose connection serves one query at a time, what
was started runs when it is awaited, and what is gathered one after the other, unless it can be sent in one round trip.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from vinyl.common.tasks import in_tasks
from vinyl.conf import verifies_plans
from vinyl.dispatch import Operation, dispatch
from vinyl.faces.results import Results
from vinyl.lending import pins
from vinyl.mode import Mode, current
from vinyl.plans import lanes
from vinyl.plans.binders import OutOfPlan
from vinyl.plans.learning import Params, Plan
from vinyl.plans.recording import Recorded


def start(queryset: Any) -> Any:
    """Begin to load the queryset now; give its list when it is awaited. In the sync mode, give the list."""
    if current() is not Mode.ASYNC:
        return dispatch(_load, queryset)
    if _is_pinned(queryset):
        return Operation(queryset._loaded())
    return asyncio.get_running_loop().create_task(Operation(queryset._loaded()))


def gather(*querysets: Any) -> Any:
    """Load several querysets, and give a list of their lists; awaited in the async mode.

    They are sent in one round trip where the database's driver can and all are planned, else side by side, each on a
    connection of its own; within a transaction one after the other. If one fails, the others are cancelled and its
    error is raised.
    """
    for queryset in querysets:
        if not isinstance(queryset, Results):
            raise TypeError(
                f"vinyl.gather() takes querysets, not {queryset!r}. Other awaitables are for asyncio.gather()."
            )
    return dispatch(_one_after_the_other, querysets, natively=_gathered)


def _load(queryset: Any) -> list[Any]:
    queryset._fetch_all()
    return list(queryset._result_cache)


def _one_after_the_other(querysets: Sequence[Any]) -> list[list[Any]]:
    return [_load(queryset) for queryset in querysets]


async def _gathered(querysets: Sequence[Any]) -> list[list[Any]]:
    waiting = [queryset for queryset in dict.fromkeys(querysets) if not queryset._is_loaded]
    planned = _planned(waiting)
    results = None if planned is None else await lanes.execute_together(planned)
    if results is not None:
        for queryset, result in zip(waiting, results, strict=True):
            queryset._keep(result)
    elif any(_is_pinned(queryset) for queryset in waiting):
        for queryset in waiting:
            await queryset._loaded()
    else:
        await in_tasks(Operation(queryset._loaded()) for queryset in waiting)
    return [list(queryset._result_cache) for queryset in querysets]


def _is_pinned(queryset: Any) -> bool:
    """Whether the query belongs to a transaction or a hold of this context."""
    if not pins.all_pins():
        return False
    return pins.pin_here(queryset.db) is not None


def _planned(querysets: Sequence[Any]) -> list[tuple[Plan, Params]] | None:
    """Return the plans of the queries with their parameters, if all have one and there are several."""
    found: list[tuple[Plan, Params]] = []
    for queryset in querysets:
        # A raw() query has none.
        call = queryset._call("fetch") if isinstance(queryset, Recorded) else None
        if call is None or call.plan is None or verifies_plans():
            return None
        try:
            found.append((call.plan, call.plan.bind(call.values)))
        except OutOfPlan:
            return None
    return found if len(found) > 1 else None
