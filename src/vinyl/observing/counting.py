"""`vinyl.count_queries()`: a block whose queries are counted and listed, in both modes, with the lines that send them.

It is a wrapper around each execution, in this context only, so planned queries take Django's lane in it: see
natively.py. What is executed is the same. Which of the queries are one too many is worked out by repetitions.py.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any, overload

import django.db
from django.utils.functional import cached_property

from vinyl import bridge, mode
from vinyl.common import whereabouts
from vinyl.dispatch import require_async
from vinyl.errors import ModeError, TooManyQueries
from vinyl.lending import pins
from vinyl.lending.scopes import check_alias

if TYPE_CHECKING:
    # Loaded by who counts.
    from vinyl.observing.repetitions import Query, Repetition

_CACHED = cached_property.__get__.__code__
# What transactions are made of.
_OF_TRANSACTIONS = ("BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT")


class Queries(Sequence["Query"]):
    """What a block of count_queries() has executed so far, in the order in which it has ended."""

    def __init__(self) -> None:
        self._queries: list[Query] = []

    def __len__(self) -> int:
        return len(self._queries)

    @overload
    def __getitem__(self, index: int) -> "Query": ...

    @overload
    def __getitem__(self, index: slice) -> "list[Query]": ...

    def __getitem__(self, index: int | slice) -> "Query | list[Query]":
        return self._queries[index]

    def __iter__(self) -> Iterator["Query"]:
        return iter(self._queries)

    def __repr__(self) -> str:
        return f"<{len(self)} queries>"

    def __str__(self) -> str:
        """List them: a number, how long it took, the database, the SQL, and the line."""
        return "\n".join(_shown(number, query) for number, query in enumerate(self, 1))

    @property
    def repetitions(self) -> list["Repetition"]:
        """The queries that one line of code has sent more than once, each with the edit that cures it."""
        from vinyl.observing.repetitions import repetitions

        return repetitions(self._queries)

    def report(self) -> str:
        """Tell of each repetition: what is asked for one by one, by which line, and what to write instead."""
        return "\n".join(map(str, self.repetitions)) or "No line has sent a query more than once."


def _shown(number: int, query: "Query") -> str:
    where = "by code that is not the project's" if query.place is None else f"at {query.place}"
    return f"{number:>4}. {query.duration * 1000:.1f} ms on {query.alias!r} {where}\n      {query.sql}"


class count_queries:  # noqa: N801 (called like a function)
    """Count the queries of a block: `async with`, or `with` in the sync mode; gives them as Queries.

    They are those of this task and of the tasks that are started inside, on all databases, or on `using`: planned ones,
    prefetches and failed ones too, but neither what begins and ends transactions, nor what Django asks the server about
    itself. `Model.objects` in the block is counted in the sync mode and within vinyl.run(). Each has its `sql`, without
    values, its `duration` in seconds, from sending it to going on with the answer, its `alias`, and as its `place` the
    line of the project's code, or None.

    If there were more than `at_most`, leaving the block raises TooManyQueries, an AssertionError that lists them, but
    not if the block has raised an error itself.
    """

    def __init__(self, *, at_most: int | None = None, using: str | None = None) -> None:
        is_number = isinstance(at_most, int) and not isinstance(at_most, bool)
        if at_most is not None and not (is_number and at_most >= 0):
            raise ValueError(f"vinyl.count_queries() got at_most={at_most!r}. Give a number of queries, 0 or more.")
        if using is not None:
            check_alias(using)
        self._at_most = at_most
        self._aliases: Iterable[str] = django.db.connections if using is None else [using]
        self._queries: Queries | None = None
        self._block = ExitStack()

    def __enter__(self) -> Queries:
        if mode.current() is not mode.Mode.SYNC:
            raise ModeError("`with count_queries()` was used in the async mode. Use `async with count_queries()`.")
        return self._enter()

    def __exit__(self, kind: Any, *exc_info: object) -> None:
        self._block.close()
        if kind is None:
            self._check()

    async def __aenter__(self) -> Queries:
        require_async("async with count_queries()", "with count_queries()")
        return self._enter()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)

    def _enter(self) -> Queries:
        if self._queries is not None:
            raise TypeError(
                "A count_queries() was entered twice. Make another one: its queries are those of one block."
            )
        self._queries = Queries()
        whereabouts.observers.add(self)
        self._block.callback(whereabouts.observers.discard, self)
        for alias in self._aliases:
            self._block.enter_context(_around(alias, self._count))
        return self._queries

    def _count(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        wrapper = context["connection"]
        begun = self._begun(_text(sql, wrapper), None if many else params, wrapper)
        if begun is None:
            return execute(sql, params, many, context)
        started = perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            assert self._queries is not None
            self._queries._queries.append(replace(begun, duration=perf_counter() - started))

    def _begun(self, sql: str, params: Any, wrapper: Any) -> "Query | None":
        """Return what is known of a query before it is executed, if it counts. No frame may be kept beyond that."""
        from vinyl.observing.repetitions import Query, relation_of

        # A task that was started in the block may outlive it.
        is_over = self not in whereabouts.observers
        inside = bridge.current()
        task = None if inside is None else inside.task
        frames = whereabouts.stack(task)
        if is_over or sql.lstrip().upper().startswith(_OF_TRANSACTIONS) or _is_about_the_server(wrapper, frames):
            return None
        return Query(sql, 0.0, wrapper.alias, whereabouts.here(task), relation_of(sql, params, frames))

    def _check(self) -> None:
        assert self._queries is not None
        number = len(self._queries)
        if self._at_most is None or number <= self._at_most:
            return
        told = self._queries.report() if self._queries.repetitions else ""
        raise TooManyQueries(
            f"The block of count_queries() has executed {number} {'query' if number == 1 else 'queries'}, and at most "
            f"{self._at_most} {'was' if self._at_most == 1 else 'were'} allowed:\n{self._queries}"
            + (f"\n{told}" if told else "")
        )


def _around(alias: str, wrapper: Callable[..., Any]) -> Any:
    """Return a block in which the wrapper is around all others of the alias, in the caller's mode."""
    if mode.current() is mode.Mode.ASYNC:
        return pins.execute_wrapper(alias, wrapper, outermost=True)
    return pins.outermost_wrapper(django.db.connections[alias], wrapper)


def _is_about_the_server(wrapper: Any, frames: Iterable[FrameType]) -> bool:
    """Whether Django asks the server what it is: once for a wrapper, whoever happens to be the first who needs it."""
    asked = [frame.f_locals.get("instance") for frame in frames if frame.f_code is _CACHED]
    return any(each is wrapper or each is wrapper.features for each in asked)


def _text(sql: Any, wrapper: Any) -> str:
    """Return SQL as text; psycopg has objects for it too."""
    if isinstance(sql, bytes):
        return sql.decode()
    return sql.as_string(wrapper.connection) if hasattr(sql, "as_string") else str(sql)
