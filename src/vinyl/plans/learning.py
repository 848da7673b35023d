"""Plans: queries whose building and compiling are known from having watched Django.

A plan belongs to a shape, what is asked of it (`fetch`, `get`, `count`, …) and a database. When Django carries the call
out once more, its statement is watched; if it is the only one, and each of its parameters is one of the call's values,
converted by a binder, the SQL, the binders and the loader of the rows are the plan. From then on Django is not asked,
unless a value is not for binders: see binders.py.

    VINYL = {"VERIFY_PLANS": True}      Django is asked all the same; a plan that would have sent something else, and be
                                        it a parameter of another type, raises PlanMismatch

What a plan cannot be made for is left to Django, each time. This module knows neither modes nor how a plan is executed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import django.db
from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.signals import class_prepared

from vinyl.common.classes import class_of
from vinyl.common.variables import temporarily
from vinyl.conf import verifies_plans
from vinyl.errors import PlanMismatch
from vinyl.lending import pins
from vinyl.loading.hydration import is_plain
from vinyl.loading.rows import loader_of
from vinyl.plans import binders
from vinyl.plans.binders import Binder, OutOfPlan
from vinyl.plans.shapes import VALUES, Shape, Values, forget

# What plans are asked for: results of a queryset, and what is written.
READS_INSTANCES = frozenset({"fetch", "get", "first", "last"})
# Of what is inserted some give rows, and some the key that the database has made, by the cursor.
INSERTS = frozenset({"insert", "insert_id"})
# They give the number of rows that they have changed.
COUNTED = frozenset({"update", "delete", "write"})
WRITES = INSERTS | COUNTED
# Of so many calls that did not teach one, e.g. since two of its values were equal, no further is watched.
ATTEMPTS = 5

# While Django carries out a call of which the routers were asked already: the model, and the database they have chosen.
chosen: ContextVar[tuple[Any, str] | None] = ContextVar("vinyl.chosen", default=None)


def _model_made(**kwargs: object) -> None:
    # It may refer to others, whose rows have been deleted without looking for it.
    forget()


class_prepared.connect(_model_made)

Params = Sequence[Any]
Statement = tuple[str, Params]
Loader = Callable[..., list[Any]]
# Of the statement that carries a call out. What Django sends before it, as to set a connection up, begins otherwise.
_BEGINNINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(READS_INSTANCES, ("SELECT ",)),
    "count": ("SELECT COUNT(",),
    "exists": ("SELECT 1 AS ", "SELECT %s AS "),
    "update": ("UPDATE ",),
    "delete": ("DELETE ",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A statement that is known, and how its values become parameters and its rows results."""

    alias: str
    asks: str
    sql: str
    # For each parameter the index of its value, and what is done to it; or None and a constant of the shape.
    binders: tuple[tuple[int | None, Any], ...]
    model: Any
    load: Loader | None = None
    prefetches: tuple[Any, ...] = ()
    # Of the driver that executes it natively, made at the first execution.
    _statements: list[Any] = field(default_factory=list)

    def bind(self, values: Sequence[Any]) -> list[Any]:
        """Return the parameters; raise OutOfPlan for a value that Django has to be asked about."""
        try:
            return [bind if index is None else bind(values[index]) for index, bind in self.binders]
        except Exception as error:
            # Django says in its own words what is wrong.
            raise OutOfPlan from error

    def statement(self, driver: Any) -> Any:
        """Return the driver's statement, which knows what it needs to be executed again."""
        if not self._statements:
            self._statements.append(driver.Statement(self.sql))
        return self._statements[0]


class Lesson:
    """What is known of how to ask a shape for something: the plans by their database."""

    __slots__ = ("attempts", "plans")

    def __init__(self) -> None:
        self.attempts = ATTEMPTS
        self.plans: dict[str, Plan] = {}


@dataclass(slots=True)
class Call:
    """One call: what is asked of a shape with these values, and the plan for it, if there is one.

    `aliases` are the databases of which Django will ask one. `updates` are the keyword arguments of an update(), whose
    shape is one call more than its queryset's; its values begin at `first_update`.
    """

    shape: Shape
    values: Values
    asks: str
    updates: dict[str, Any] | None = None
    first_update: int | None = None
    plan: Plan | None = None
    aliases: Sequence[str] = ()
    # The model and what the routers have chosen for it, if they were asked.
    chosen: tuple[Any, str] | None = None

    def by_django(self, carry_out: Callable[[], Any]) -> Any:
        """Inside an operation: have Django carry out the call, and learn a plan from it, or verify that there is."""
        with ExitStack() as stack:
            if self.chosen is not None:
                stack.enter_context(temporarily(chosen, self.chosen))
            if not self._teaches:
                return carry_out()
            watched_here = {alias: stack.enter_context(watched(alias)) for alias in self.aliases}
            result = carry_out()
        asked = [alias for alias, statements in watched_here.items() if statements]
        if len(asked) == 1:
            self._learn(asked[0], watched_here[asked[0]])
        return result

    @property
    def _teaches(self) -> bool:
        """Whether there is a plan to be learned, or to be verified."""
        if len({(type(value), value) for value in self.values}) < len(self.values):
            # Which is which cannot be told.
            return False
        lesson = self.shape.plans.get(self.asks)
        return lesson is None or lesson.attempts > 0 or verifies_plans()

    def _learn(self, alias: str, statements: list[Statement]) -> None:
        if self.asks == "delete":
            # Django deletes in a transaction, whose beginning is a statement on SQLite.
            statements = [(sql, params) for sql, params in statements if not sql.startswith("BEGIN")]
        if not statements:
            return
        lesson: Lesson = self.shape.plans.setdefault(self.asks, Lesson())
        plan = lesson.plans.get(alias)
        if plan is None and lesson.attempts > 0:
            plan = self._learned(alias, statements)
            if plan is None:
                lesson.attempts -= 1
            else:
                lesson.plans[alias] = plan
        if plan is not None and verifies_plans():
            self._verify(plan, statements)

    def _learned(self, alias: str, statements: list[Statement]) -> Plan | None:
        try:
            return _Lecture(self, alias).plan(statements)
        except Exception:
            # The query has gone well. What is to make the next ones fast must not make it fail.
            if verifies_plans():
                raise
            return None

    def _verify(self, plan: Plan, statements: list[Statement]) -> None:
        try:
            params = plan.bind(self.values)
        except OutOfPlan:
            return
        compare(plan, params, statements)


def compare(plan: Plan, params: Params, statements: list[Statement]) -> None:
    """Raise PlanMismatch unless the first of Django's statements is what the plan would have sent."""
    planned = (plan.sql, params)
    django = next(((sql, list(params)) for sql, params in statements), None)
    if django is None or planned != django or [*map(type, planned[1])] != [*map(type, django[1])]:
        raise PlanMismatch(
            f"The plan for {plan.asks} of {plan.model._meta.label} on the database {plan.alias!r} would have sent "
            f"{planned}, but Django has sent {django}. Please report this. Set VINYL['PLANS'] to False until it is "
            "mended."
        )


@contextmanager
def watched(alias: str) -> Iterator[list[Statement]]:
    """Give the statements that are executed on the alias in this block, as Django has made them.

    What the project's own wrappers make of them, they will make of those of plans too.
    """
    statements: list[Statement] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params or ()))
        return execute(sql, params, many, context)

    with pins.outermost_wrapper(django.db.connections[alias], watch):
        yield statements


class _Lecture:
    """Learning a plan from a call that Django has carried out: the query is built once more, to see what it is of."""

    def __init__(self, call: Call, alias: str) -> None:
        self._call = call
        self._alias = alias
        self._connection = django.db.connections[alias]
        shape = call.shape if call.updates is None else call.shape.parent
        assert shape is not None
        self._queryset = shape.queryset(call.values[: call.first_update])
        self._compiler = self._queryset.query.get_compiler(using=alias)

    def plan(self, statements: list[Statement]) -> Plan | None:
        """Return the plan, or None if the statements do not tell."""
        call, (sql, params) = self._call, statements[0]
        prefetches = self._queryset._prefetch_related_lookups if call.asks in READS_INSTANCES else ()
        if not sql.startswith(_BEGINNINGS[call.asks]) or (len(statements) > 1 and not prefetches):
            return None
        found = self._binders_of_filters() | self._binders_of_updates()
        # Django asks for the constant 1 where it only wants to know whether there are rows.
        constants = params[:1] if sql.startswith("SELECT %s AS ") else ()
        order = _in_order(call.values, found, params[len(constants) :])
        if order is None:
            return None
        order = (*((None, constant) for constant in constants), *order)
        load = self._loader(sql) if call.asks in READS_INSTANCES else None
        if load is None and call.asks in READS_INSTANCES:
            return None
        return Plan(self._alias, call.asks, sql, order, self._queryset.model, load, prefetches)

    def _binders_of_filters(self) -> dict[int, Binder]:
        """Return the binders by the index of their value, of those values that a condition compares with."""
        found: dict[int, Binder] = {}
        indexes = self._indexes()
        for value, lookup in binders.compared_values(self._queryset.query.where, frozenset()):
            index = indexes.get((type(value), value))
            binder = None if index is None else binders.of_lookup(lookup, value, self._compiler, self._connection)
            if index is not None and binder is not None:
                found[index] = binder
        return found

    def _binders_of_updates(self) -> dict[int, Binder]:
        """Return the binders by the index of their value, of those values that are written."""
        found: dict[int, Binder] = {}
        indexes = self._indexes()
        for name, value in (self._call.updates or {}).items():
            if type(value) in VALUES:
                binder = binders.of_field(self._queryset.model._meta.get_field(name), value, self._connection)
                if binder is not None:
                    found[indexes[type(value), value]] = binder
        return found

    def _indexes(self) -> dict[tuple[type, Any], int]:
        return {(type(value), value): index for index, value in enumerate(self._call.values)}

    def _loader(self, sql: str) -> Loader | None:
        """Return the loader of the rows, if the statement selects what the queryset does."""
        if any(hasattr(field, "content_type_field_name") for field in self._queryset.model._meta.private_fields):
            # Their content types have to be at hand for each instance.
            return None
        try:
            compiled, _ = self._compiler.as_sql()
        except (EmptyResultSet, FullResultSet):
            return None
        selected, source, _ = compiled.partition(" FROM ")
        if not source or not sql.startswith(selected + source):
            return None
        info = self._compiler.klass_info
        if info is not None and not (is_plain(self._queryset.model) and _are_plain(info)):
            # What they do as they are made may query, which is for the bridge.
            return None
        loader: Loader | None = loader_of(self._queryset, self._compiler, self._alias)
        return loader


def _are_plain(info: dict[str, Any]) -> bool:
    """Whether nobody is told of the making of the instances that are joined to others."""
    joined = info.get("related_klass_infos", ())
    return all(is_plain(class_of(each["model"])) and _are_plain(each) for each in joined)


def _in_order(values: Values, found: dict[int, Binder], params: Params) -> tuple[tuple[int | None, Any], ...] | None:
    """Return the binders in the order of the parameters, or None unless each value is one parameter.

    Any other parameter must be None, True or False, which no value is: it belongs to the shape.
    """
    if len(found) < len(values):
        return None
    bound = {index: binder(values[index]) for index, binder in found.items()}
    order: list[tuple[int | None, Any]] = []
    for param in params:
        candidates = [index for index, value in bound.items() if type(value) is type(param) and value == param]
        if len(candidates) == 1:
            order.append((candidates[0], found[candidates[0]]))
        elif param is None or param is True or param is False:
            order.append((None, param))
        else:
            return None
    indexes = [index for index, _ in order if index is not None]
    return tuple(order) if sorted(indexes) == list(range(len(values))) else None
