"""In the child process: each queryset that Django evaluates is evaluated by vinyl too, and the results are compared.

Before an operation of Django's the queryset is copied; after it, the copy becomes a vinyl queryset and the same is done
with it: awaited on the event loop if the tests run in the bridge, in the sync mode otherwise. The test gets what Django
has given or raised. `wrapping.py` says which operations.

* Only the outermost evaluation counts, in the main thread, of a queryset that is not vinyl's and has no result yet.
* If the results differ, Django evaluates further copies. If one differs from Django's first result, the query is not
  deterministic: random orders, clocks, and some unions of which Django cannot evaluate a copy.
* After a database's error in a transaction nothing else can be asked, so such a query is not compared. Nor is one with
  an error in it where a test forbids queries: vinyl may ask for content types before Django has found the error.
* The other evaluations leave no trace in the log of queries, and no wrapper of executions is called for them.

Tests that fail because of queries they did not expect are not judged here; only the comparisons are.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connections
from django.db.models.query import RawQuerySet
from django.test.testcases import DatabaseOperationForbidden  # type: ignore[attr-defined]

import vinyl
from tests.django_suite import recorder, replaying
from tests.django_suite.counting import counts
from tests.django_suite.likeness import Comparison, Difference, shown
from tests.django_suite.records import write
from tests.django_suite.unnoticed import unnoticed
from vinyl import bridge
from vinyl.faces.queryset import as_vinyl
from vinyl.faces.results import Results

# How often Django evaluates again what differs: a random order of three rows is the same in one of six.
REPETITIONS = 20

_is_busy = False


@dataclass
class Operation:
    """Something that queries: Django's, of a queryset of Django's, and the same of vinyl's in each mode."""

    name: str
    of_django: Callable[[Any], Any]
    of_vinyl: Callable[[Any], Any]
    # What is awaited in the async mode; what `of_vinyl` gives where this is None.
    awaited: Callable[[Any], Any] | None = None


@dataclass
class Outcome:
    """What an operation has given or raised."""

    result: Any = None
    error: Exception | None = None

    def differs_from(self, expected: "Outcome", *, with_vinyl: bool) -> Difference | None:
        if type(self.error) is not type(expected.error):
            return "error", expected.error or expected.result, self.error or self.result
        return Comparison(with_vinyl=with_vinyl).first(expected.result, self.result)


def is_wanted(queryset: Any) -> bool:
    return (
        not _is_busy
        and threading.current_thread() is threading.main_thread()
        and not isinstance(queryset, Results)
        and queryset.model is not None
        and queryset._result_cache is None
    )


@contextmanager
def _busy() -> Iterator[None]:
    global _is_busy
    _is_busy = True
    try:
        yield
    finally:
        _is_busy = False


def compared_alone(operation: Operation, queryset: Any) -> None:
    """Compare an operation, where Django's is carried out later."""
    with _busy(), unnoticed():
        _compare(operation, _copy(queryset), _outcome(operation.of_django, _copy(queryset)))


def compared(operation: Operation, queryset: Any) -> Any:
    """Carry out Django's operation, compare it, and give or raise what it has given or raised."""
    with _busy():
        copy = _copy(queryset)
        expected = _outcome(operation.of_django, queryset)
        with unnoticed():
            _compare(operation, copy, expected)
    if expected.error is not None:
        raise expected.error
    return expected.result


def _compare(operation: Operation, queryset: Any, expected: Outcome) -> None:
    if isinstance(expected.error, DatabaseError) and connections[queryset.db].in_atomic_block:
        counts["not_compared"] += 1
        return
    copy = _copy(queryset)
    found = _outcome(_by_vinyl, operation, queryset)
    if expected.error is not None and isinstance(found.error, DatabaseOperationForbidden):
        counts["not_compared"] += 1
        return
    counts["compared"] += 1
    recorder.compared = True
    difference = found.differs_from(expected, with_vinyl=True)
    if difference is None:
        return
    again = (_outcome(operation.of_django, _copy(copy)) for _ in range(REPETITIONS))
    if any(each.differs_from(expected, with_vinyl=False) for each in again):
        counts["undetermined"] += 1
        write("undetermined", recorder.current)
        return
    where, *values = difference
    details = {"what": operation.name, "where": where, "values": [*map(shown, values)], "query": _sql(copy)}
    write("differs", recorder.current, details)


def _outcome(function: Callable[..., Any], *args: Any) -> Outcome:
    try:
        return Outcome(function(*args))
    except Exception as error:
        return Outcome(error=error)


def _copy(queryset: Any) -> Any:
    if isinstance(queryset, RawQuerySet):
        return _raw_copy(queryset)
    return replaying.copied(queryset)


def _raw_copy(queryset: Any) -> Any:
    # Django's using() leaves prefetch_related() out.
    copy = queryset.using(queryset._db)
    copy._prefetch_related_lookups = queryset._prefetch_related_lookups
    return copy


def _by_vinyl(operation: Operation, queryset: Any) -> Any:
    if not replaying.is_on:
        return _evaluated(operation, queryset)
    result: Any = None
    is_replayed = False
    for repeated in () if isinstance(queryset, RawQuerySet) else replaying.repetitions(queryset):
        is_replayed = True
        result = _evaluated(operation, repeated)
    counts["replayed"] += is_replayed
    return result if is_replayed else _evaluated(operation, queryset)


def _evaluated(operation: Operation, queryset: Any) -> Any:
    queryset = _raw(queryset) if isinstance(queryset, RawQuerySet) else as_vinyl(queryset)
    if bridge.active():
        return bridge.await_(_awaited(operation, queryset))
    with vinyl.sync_mode():
        return operation.of_vinyl(queryset)


async def _awaited(operation: Operation, queryset: Any) -> Any:
    return await (operation.awaited or operation.of_vinyl)(queryset)


def _raw(queryset: Any) -> Any:
    manager = vinyl.manager(queryset.model)
    found = manager.raw(queryset.raw_query, queryset.params, queryset.translations, queryset._db)
    return found.prefetch_related(*queryset._prefetch_related_lookups)


def _sql(queryset: Any) -> str:
    try:
        return str(queryset.query)[:1000]
    except Exception as error:
        return f"no SQL: {error!r}"
