"""Querysets that remember their shape, and are built only when somebody needs what Django builds.

A queryset of a shape that is known is *recorded*: it has the shape and the values, and nothing of Django's. What asks
for a plan's result needs no more. Whatever else is done to it, reading `query` for example, builds it by Django's own
methods from the calls. A queryset whose `query` was read, or of which an attribute was set, may have been changed by
whoever did it, and has no shape any more.

The shape of a queryset that is new to its tree grows it once Django's method has returned, and only if each value is
one that Django takes as it is: so an error is raised where Django raises it, and a warning given. This module knows
neither how a plan is made nor how one is executed.
"""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import django.db
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from vinyl.conf import uses_plans
from vinyl.plans import binders
from vinyl.plans.learning import WRITES, Call, chosen
from vinyl.plans.shapes import Key, Param, Shape, Values, are_in_lists, call_with_names, call_with_values

# What else of Django's a queryset class of the project's must have left as it is.
_RELIED_ON = (
    *("get", "first", "last", "count", "exists", "update", "query", "db", "ordered"),
    *("__init__", "__iter__", "__getitem__", "__len__", "__bool__", "__getattr__", "__getattribute__", "__setattr__"),
    *("_chain", "_clone", "_fetch_all", "_filter_or_exclude", "_filter_or_exclude_inplace", "_iterator", "_values"),
    *("_add_hints", "_prefetch_related_objects"),
)
# What a queryset that is loaded answers by its results.
_OF_RESULTS = frozenset({"fetch", "first", "last", "count", "exists", "update", "delete"})


def _with_names(name: str, *, warns_without: bool = False) -> Any:
    """Make a method that builds a query by names alone, without which Django may warn each time."""

    def method(self: "Recorded", *args: Any, **kwargs: Any) -> Any:
        shape = self.__dict__.get("_shape") if args or not warns_without else None
        key = None if shape is None else call_with_names(name, args, kwargs)
        return self._next(name, key, (), args, kwargs)

    return _step(method, name)


def _with_values(name: str) -> Any:
    """Make a method that builds a query, and whose arguments are values."""

    def method(self: "Recorded", *args: Any, **kwargs: Any) -> Any:
        shape = self.__dict__.get("_shape")
        if shape is None or args:
            return self._next(name, None, (), args, kwargs)
        key, values = call_with_values(name, kwargs) or (None, ())
        return self._next(name, key, values, args, kwargs)

    return _step(method, name)


def _step(method: Any, name: str) -> Any:
    method = functools.wraps(getattr(QuerySet, name))(method)
    method.is_step = True
    return method


class Recorded(QuerySet[Any, Any]):
    """Mixin before QuerySet. Its methods are Django's."""

    _shape: Shape
    _shape_values: Values

    filter = _with_values("filter")
    exclude = _with_values("exclude")
    all = _with_names("all")
    order_by = _with_names("order_by")
    reverse = _with_names("reverse")
    distinct = _with_names("distinct")
    select_related = _with_names("select_related", warns_without=True)
    prefetch_related = _with_names("prefetch_related")
    only = _with_names("only")
    defer = _with_names("defer")
    values = _with_names("values")
    values_list = _with_names("values_list", warns_without=True)
    annotate = _with_names("annotate")
    using = _with_names("using")

    def __getitem__(self, k: Any) -> Any:
        attributes = self.__dict__
        if (
            type(k) is slice
            and k.step is None
            and "_shape" in attributes
            and attributes["_result_cache"] is None
            and _is_bound(k.start)
            and _is_bound(k.stop)
        ):
            return self._next("_sliced", ("_sliced", (k.start, k.stop), ()), (), (k.start, k.stop), {})
        return super().__getitem__(k)

    def _sliced(self, start: int | None, stop: int | None) -> Any:
        return QuerySet.__getitem__(self, slice(start, stop))

    def _next(self, name: str, key: Key | None, values: Values, args: Any, kwargs: Any) -> Any:
        """Return the queryset with one more call: recorded if its shape is known, else built by Django."""
        attributes = self.__dict__
        shape: Shape | None = self._known_shape()
        own: Values = attributes.get("_shape_values", ())
        if shape is not None and key is not None:
            known = shape.child(key)
            if known is not None:
                alias = attributes["_db"] if name != "using" else args[0] if args else kwargs["alias"]
                return recorded(type(self), self.model, alias, known, own + values)
        if key is None and kwargs and any(type(value) is Param for value in kwargs.values()):
            return self._with_params(name, args, kwargs)
        method = getattr(super(), name) if name != "_sliced" else self._sliced
        try:
            queryset = method(*args, **kwargs)
        finally:
            if shape is not None:
                # Django's method has read the query, which it does not change, to begin the next one with.
                attributes.update(_shape=shape, _shape_values=own)
        if shape is not None and key is not None and shape.is_new(key):
            self._grow(shape, key, queryset, values)
        return queryset

    def _grow(self, shape: Shape, key: Key, queryset: Any, values: Values) -> None:
        """Have the shape of the next queryset known, if all that have it will be accepted by Django as this one was."""
        if queryset is self or type(queryset) is not type(self):
            return
        query = queryset.__dict__["_query"]
        known = frozenset(map(id, binders.leaves(self.__dict__["_query"].where))) if values else frozenset()
        taken = binders.compared_values(query.where, known) if values else ()
        # A text is a list of its letters to lookups that take lists.
        given = Counter(zip(are_in_lists(key), map(type, values), values, strict=True))
        if given != Counter((type(lookup) in binders.OF_LISTS, type(value), value) for value, lookup in taken):
            shape.refuse(key)
        else:
            own = self.__dict__["_shape_values"]
            queryset.__dict__.update(_shape=shape.grow(key), _shape_values=own + values)

    def _known_shape(self) -> Shape | None:
        """Return the shape, unless the queryset has written: it reads from the database that is written to, then."""
        attributes = self.__dict__
        return None if attributes.get("_for_write") else attributes.get("_shape")

    def _by_django(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have Django carry out one of its methods that queries: it reads the query, and leaves it as it is."""
        attributes = self.__dict__
        shape, values = attributes.get("_shape"), attributes.get("_shape_values")
        try:
            return method(*args, **kwargs)
        finally:
            if shape is not None:
                attributes.update(_shape=shape, _shape_values=values)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """As Django's."""
        if kwargs and not args and self._known_shape() is not None:
            # Django's get() reads the query, and so leaves the shape, before it filters.
            return QuerySet.get(self.filter(**kwargs))
        return super().get(*args, **kwargs)

    def _with_params(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what stands for the queryset with one more call, as long as values of that are not given."""
        raise NotImplementedError

    # What tells that a queryset is changed, or needed as a whole.

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__
        if "_query" not in attributes and ("_shape" in attributes or "_late" in attributes):
            self._build()
            if name in attributes:
                return attributes[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if ("_shape" in self.__dict__ or "_late" in self.__dict__) and name not in ("_result_cache", "_prefetch_done"):
            self._leave_shape()
        object.__setattr__(self, name, value)

    @property
    def query(self) -> Any:
        """Django's query, which can be changed in place."""
        self._leave_shape()
        return QuerySet.query.fget(self)  # type: ignore[attr-defined]

    @query.setter
    def query(self, value: Any) -> None:
        QuerySet.query.fset(self, value)  # type: ignore[attr-defined]

    def _built(self, name: str) -> Any:
        """Return an attribute of the queryset as Django builds it."""
        attributes = self.__dict__
        if name not in attributes and ("_shape" in attributes or "_late" in attributes):
            self._build()
        return attributes[name]

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if "_query" not in self.__dict__ and "_shape" in self.__dict__:
            # Django's copy is a new queryset, with the attributes that are there.
            self._build()
        return super().__deepcopy__(memo)

    def __getstate__(self) -> Any:
        # What is pickled is Django's.
        self._leave_shape()
        return super().__getstate__()

    def _add_hints(self, **hints: Any) -> None:
        self._leave_shape()
        super()._add_hints(**hints)  # type: ignore[misc]

    def _leave_shape(self) -> None:
        attributes = self.__dict__
        if "_late" in attributes:
            self._build()
        if "_shape" in attributes:
            if "_query" not in attributes:
                self._build()
            del attributes["_shape"], attributes["_shape_values"]

    def _build(self) -> None:
        attributes = self.__dict__
        if "_late" in attributes:
            build, *arguments = attributes.pop("_late")
            built = build(*arguments)
        else:
            built = attributes["_shape"].queryset(attributes["_shape_values"])
        for name, value in vars(built).items():
            attributes.setdefault(name, value)

    # What has plans.

    def _call(self, asks: str, kwargs: dict[str, Any] | None = None) -> Call | None:
        """Return the call that asks this of the queryset, if its shape is known; None leaves it to Django."""
        attributes = self.__dict__
        shape: Shape | None = self._known_shape()
        if shape is None or not uses_plans() or (asks in _OF_RESULTS and attributes["_result_cache"] is not None):
            return None
        values: Values = attributes["_shape_values"]
        if asks == "update":
            return self._call_of_update(shape, values, kwargs or {})
        if kwargs:
            key, more = call_with_values("filter", kwargs) or (None, ())
            known = None if asks != "get" or key is None else shape.child(key)
            if known is None:
                return None
            shape, values = known, values + more
        return self._planned(Call(shape, values, asks))

    def _call_of_update(self, shape: Shape, values: Values, updates: dict[str, Any]) -> Call | None:
        key, more = call_with_values("update", updates) or (None, ())
        if key is None:
            return None
        # As Django's update().
        self.__dict__["_for_write"] = True
        known = shape.child(key) or shape.grow(key)
        return self._planned(Call(known, values + more, "update", updates, len(values)))

    def _planned(self, call: Call) -> Call:
        """Return the call with its plan, if there is one, and with the databases of which Django will ask one."""
        alias: str | None = self.__dict__["_db"]
        lesson = call.shape.plans.get(call.asks)
        if alias is None and lesson is not None and lesson.plans:
            # Routers are asked once for each query: here, if there may be a plan, else by Django.
            choose = django.db.router.db_for_write if call.asks in WRITES else django.db.router.db_for_read
            alias = choose(self.model)
            call.chosen = self.model, alias
        if lesson is not None and alias is not None:
            call.plan = lesson.plans.get(alias)
        call.aliases = self._aliases() if alias is None else (alias,)
        return call

    @property
    def db(self) -> str:
        """As Django's; while a call is carried out of which the routers were asked already, what they have said."""
        attributes = self.__dict__
        if "_query" not in attributes and self._known_shape() is not None:
            return attributes["_db"] or django.db.router.db_for_read(self.model)
        found = chosen.get()
        if found is not None and found[0] is self.model and self._db is None and not self._hints:
            return found[1]
        return super().db

    def _aliases(self) -> Sequence[str]:
        return list(django.db.connections) if django.db.router.routers else (DEFAULT_DB_ALIAS,)


def _is_bound(bound: Any) -> bool:
    return bound is None or (type(bound) is int and bound >= 0)


def recorded(cls: type[Any], model: Any, alias: str | None, shape: Shape, values: Values) -> Any:
    """Return a queryset that is built when it is needed."""
    queryset = object.__new__(cls)
    queryset.__dict__.update(
        model=model, _db=alias, _result_cache=None, _prefetch_done=False, _shape=shape, _shape_values=values
    )
    return queryset


def loaded(cls: type[Any], model: Any, results: list[Any], late: tuple[Any, ...]) -> Any:
    """Return a queryset of no database in particular that has its results, and is built when it is needed.

    `late` is by what: a function and its arguments. Prefetching makes a queryset for each instance, so it takes as few
    objects as that can be, which the garbage collector looks at.
    """
    queryset = object.__new__(cls)
    attributes = {"model": model, "_db": None, "_result_cache": results, "_prefetch_done": True, "_late": late}
    object.__setattr__(queryset, "__dict__", attributes)
    return queryset


STEPS = tuple(name for name, value in vars(Recorded).items() if hasattr(value, "is_step"))


@cache
def can_be_recorded(queryset_class: type[Any], djangos: type[Any]) -> bool:
    """Tell whether the querysets of a class are built as those of `djangos` are, which it is a subclass of."""
    return all(getattr(queryset_class, name, None) is getattr(djangos, name, None) for name in (*STEPS, *_RELIED_ON))
