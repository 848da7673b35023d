"""Plans of bulk_create(), for PostgreSQL: one statement with an array for each column.

Django's statement there, INSERT … SELECT * FROM UNNEST(…), does not depend on the number of rows. So a plan belongs to
a model, a database and the types of the columns; it is learned by watching Django, as in writes.py. Its binders make
the text of an array of a column, see arrays.py.

It is for new instances of the vinyl class with plain values, all without a primary key or all with one. All else is
Django's: options, other databases, a single row, defaults of the database, files, models that do things in their way.
Nothing is decided before the caller awaits: instances may change until then, as with Django.

This module must not know managers; of querysets it needs what Django's have.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import django.db
from django.db.models import AutoField, QuerySet

from vinyl.common.mementos import remember
from vinyl.conf import uses_plans, verifies_plans
from vinyl.lending import scopes
from vinyl.loading.states import attributes_of
from vinyl.plans import arrays, binders
from vinyl.plans.binders import OutOfPlan
from vinyl.plans.lanes import execute, execute_now
from vinyl.plans.learning import COUNTED, Plan, compare, watched
from vinyl.plans.shapes import count_learned, forget_with
from vinyl.plans.writes import KINDS, are_converted, is_plain

# Of QuerySet, what bulk_create() goes through.
_RELIED_ON = (
    *("bulk_create", "_batched_insert", "_insert", "_prepare_for_bulk_create", "_handle_order_with_respect_to"),
    *("_check_bulk_create_options", "db"),
)
NONE = type(None)
# None where no plan can be made.
_plans: dict[tuple[Any, ...], Plan | None] = forget_with({})
_UNKNOWN = object()
ByDjango = Callable[[Any], Any]


def create_now(queryset: Any, objects: Any, by_django: ByDjango) -> Any:
    """Carry out bulk_create() of the objects: an operation. `by_django` is Django's method."""
    batch = _Batch.of(queryset, objects, lambda alias: django.db.connections[alias])
    bound = None if batch is None else batch.bound()
    if batch is None:
        return by_django(objects)
    if bound is None or verifies_plans():
        return _watch(batch, bound, by_django)
    return batch.finished(bound[0], execute_now(*bound))


async def create(queryset: Any, objects: Any, by_django: ByDjango) -> Any:
    """As create_now(), natively if there is a plan."""
    batch = _Batch.of(queryset, objects, lambda alias: scopes.source(alias).unconnected)
    bound = None if batch is None else batch.bound()
    if batch is None:
        return await scopes.run(by_django, objects)
    if bound is None or verifies_plans():
        return await scopes.run(_watch, batch, bound, by_django)
    return batch.finished(bound[0], await execute(*bound))


class _Batch:
    """Instances that a plan can be used for, or learned from, with their values by column."""

    __slots__ = ("_ops", "alias", "columns", "fields", "key", "model", "objects")

    def __init__(self, model: Any, connection: Any, objects: list[Any]) -> None:
        self.model, self.alias, self.objects = model, connection.alias, objects
        self._ops = connection.ops

    @classmethod
    def of(cls, queryset: Any, objects: Any, connection_of: Callable[[str], Any]) -> "_Batch | None":
        """Return the batch that the objects are, or None where it is for Django alone.

        `connection_of` gives the wrapper of an alias, which is not going to be used.
        """
        # Other iterables may query; of one row Django makes another statement.
        if type(objects) not in (list, tuple) or len(objects) < 2 or not uses_plans():
            return None
        model = queryset.model
        if not _is_for_plans(model, queryset.django_class) or any(type(each) is not model for each in objects):
            return None
        queryset._for_write = True
        connection = connection_of(queryset.db)
        if connection.vendor != "postgresql":
            return None
        batch = cls(model, connection, list(objects))
        return batch if batch._prepare() else None

    def _prepare(self) -> bool:
        dicts = [attributes_of(each) for each in self.objects]
        states = [attributes.get("_state") for attributes in dicts]
        if not all(state is not None and state.adding for state in states):
            return False
        for each, state in zip(self.objects, states, strict=True):
            remember(each)
            if vars(state).get("fields_cache"):
                each._prepare_related_fields_for_save(operation_name="bulk_create")
        meta = self.model._meta
        try:
            keys = [attributes[meta.pk.attname] for attributes in dicts]
            self.fields = _fields(meta, has_keys=keys[0] is not None)
            self.columns = [[attributes[field.attname] for attributes in dicts] for field in self.fields]
        except KeyError:
            return False
        if any((key is None) is not (keys[0] is None) for key in keys):
            return False
        if keys[0] is None and not isinstance(meta.pk, AutoField):
            return False
        kinds = [_kind(column) for column in self.columns]
        self.key = (self.model, self.alias, keys[0] is None, *kinds)
        return bool(self.fields) and KINDS.issuperset(kinds) and _plans.get(self.key, _UNKNOWN) is not None

    def bound(self) -> tuple[Plan, Any] | None:
        """Return the plan with its parameters; None if there is none, or not for these values."""
        plan = _plans.get(self.key)
        if plan is None or self._is_too_large():
            return None
        try:
            return plan, plan.bind(self.columns)
        except OutOfPlan:
            return None

    def _is_too_large(self) -> bool:
        return bool(self._ops.bulk_batch_size(self.fields, self.objects) < len(self.objects))

    def finished(self, plan: Plan, rows: Any) -> list[Any]:
        """Tell the instances that they are written, and give them what the database has returned."""
        if plan.asks not in COUNTED:
            names = [field.attname for field in self.model._meta.db_returning_fields]
            for each, row in zip(self.objects, rows, strict=True):
                attributes_of(each).update(zip(names, row, strict=True))
        for each in self.objects:
            state = attributes_of(each)["_state"]
            state.adding, state.db = False, plan.alias
        return self.objects


def _kind(column: list[Any]) -> Any:
    """Return the type of the values but None; None if there are several."""
    kinds = set(map(type, column))
    if len(kinds) > 1:
        kinds.discard(NONE)
    return kinds.pop() if len(kinds) == 1 else None


def _fields(meta: Any, *, has_keys: bool) -> list[Any]:
    return [field for field in meta.local_concrete_fields if has_keys or not isinstance(field, AutoField)]


@cache
def _is_for_plans(model: Any, django_class: Any) -> bool:
    """Tell whether all that bulk_create() does is Django's, to one table."""
    meta = model._meta
    return (
        is_plain(model)
        and not meta.order_with_respect_to
        and len(meta.pk_fields) == 1
        and all(getattr(django_class, name, None) is getattr(QuerySet, name, None) for name in _RELIED_ON)
    )


def _watch(batch: _Batch, bound: tuple[Plan, Any] | None, by_django: ByDjango) -> Any:
    """Have Django write the batch, and learn the plan from its statement, or verify that there is."""
    with watched(batch.alias) as statements:
        result = by_django(batch.objects)
    if bound is not None:
        plan, params = bound
        compare(plan, params, [(sql, _encoded(django)) for sql, django in statements])
    elif batch.key not in _plans and not batch._is_too_large():
        learned = _learned(batch, *statements[0]) if len(statements) == 1 else None
        count_learned()
        _plans[batch.key] = learned
    return result


def _learned(batch: _Batch, sql: str, params: Any) -> Plan | None:
    connection = django.db.connections[batch.alias]
    quote, fields, meta = connection.ops.quote_name, batch.fields, batch.model._meta
    columns = ", ".join(quote(field.column) for field in fields)
    blanks = ", ".join(f"(%s)::{field.db_type(connection).split('(')[0]}[]" for field in fields)
    statement = f"INSERT INTO {quote(meta.db_table)} ({columns}) SELECT * FROM UNNEST({blanks})"
    rest = sql.removeprefix(statement)
    returns = rest.startswith(" RETURNING ")
    if not sql.startswith(statement) or (rest and not returns) or returns is not bool(meta.db_returning_fields):
        return None
    if len(params) != len(fields) or are_converted(meta, connection):
        return None
    encoders = [
        _encoder(field, column, param, connection)
        for field, column, param in zip(fields, batch.columns, params, strict=True)
    ]
    if None in encoders:
        return None
    return Plan(batch.alias, "insert" if returns else "write", sql, tuple(enumerate(encoders)), batch.model)


def _encoder(field: Any, column: list[Any], param: Any, connection: Any) -> arrays.Encoder | None:
    """Return what encodes the columns of a field, if Django has sent this column's values as they are."""
    kind: Any = _kind(column)
    target = binders.column_field(field)
    if not binders.is_plain(target):
        return None
    if field.get_db_prep_save(None, connection=connection) is not None or param != column:
        return None
    # psycopg's types of integers are subclasses of int, of which it asks for the size.
    if not all(isinstance(sent, kind | None) for sent in param):
        return None
    bounds = None
    if kind is int:
        bounds = connection.ops.integer_field_ranges.get(target.get_internal_type())
    return arrays.encoder(kind, bounds)


def _encoded(params: Any) -> list[Any]:
    """Return Django's parameters as the plan's are, to compare them."""
    return [_array(param) if isinstance(param, list) else param for param in params]


def _array(param: list[Any]) -> Any:
    plain = [int(value) if isinstance(value, int) and type(value) is not bool else value for value in param]
    kind = _kind(plain)
    encode = arrays.of_reprs if kind is int else arrays.encoder(kind, None)
    return param if encode is None else encode(plain)
