"""Frozen queries: built once, where the program begins, and called with their values.

    cheap = Book.vinyl.filter(author=Param("author"), price__lt=Param("limit")).order_by("id")[:10].freeze()

    books = await cheap(author=3, limit=Decimal(9))         # a list; without `await` in the sync mode
    book = await cheap.first(author=3, limit=Decimal(9))    # also get(), count() and exists()

A queryset with a Param is open: it can be built on and frozen, and that is all. What is wrong about its names is told
where it is written. A frozen query gives what the queryset with these values would give, with the same errors: values
of a kind that its plan knows go straight to it, and others, None or a model's instance for example, the usual way.
"""

import datetime
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NoReturn
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError

from vinyl.dispatch import dispatch
from vinyl.errors import UnsupportedOperation
from vinyl.plans import binders
from vinyl.plans.lanes import ask
from vinyl.plans.recording import STEPS, Recorded, recorded
from vinyl.plans.shapes import Param, Values, call_with_values, kind_of

Step = tuple[str, tuple[Any, ...], dict[str, Any]]


class OpenQuery:
    """A queryset some of whose values are not given yet. It has the queryset's methods that build it, and freeze()."""

    def __init__(self, base: Recorded, steps: tuple[Step, ...], probe: Any, annotations: Mapping[str, Any]) -> None:
        self._base = base
        self._types = annotations
        self._steps = steps
        # The queryset with other values, by which Django tells what is wrong.
        self._probe = probe

    @classmethod
    def begin(cls, base: Recorded, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "OpenQuery":
        return cls(base, (), base, {})._next(name, args, kwargs)

    def freeze(self) -> "FrozenQuery":
        """Return the query as a function of its parameters."""
        return FrozenQuery(self._base, self._steps, self._types)

    def _next(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "OpenQuery":
        probe, known_types = self._probe, dict(self._types)
        for keyword, value in kwargs.items():
            if isinstance(value, Param):
                before, probe = probe, _probed(probe, name, keyword)
                known_types.setdefault(value.name, _type_of_new(before, probe))
        given = {keyword: value for keyword, value in kwargs.items() if not isinstance(value, Param)}
        if args or given or not kwargs:
            probe = getattr(probe, name)(*args, **given)
        return OpenQuery(self._base, (*self._steps, (name, args, kwargs)), probe, known_types)

    def __getitem__(self, k: Any) -> "OpenQuery":
        if not isinstance(k, slice):
            self._refuse("a result by its index")
        return OpenQuery(self._base, (*self._steps, ("__getitem__", (k,), {})), self._probe[k], self._types)

    def __getattr__(self, name: str) -> Any:
        if name in STEPS:
            return partial(self._called, name)
        if not name.startswith("__") and hasattr(type(self._base), name):
            self._refuse(f"{name}()")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _called(self, name: str, /, *args: Any, **kwargs: Any) -> "OpenQuery":
        return self._next(name, args, kwargs)

    def _refuse(self, what: str) -> NoReturn:
        names = ", ".join(map(repr, _names(self._steps)))
        raise UnsupportedOperation(
            f"This query of {self._base.model._meta.object_name} has parameters whose values are not given ({names}), "
            f"so it has no {what}. Call freeze(), then the frozen query with the values."
        )

    def __await__(self) -> Iterator[Any]:
        self._refuse("result to await")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("results")

    def __repr__(self) -> str:
        return f"<open query of {self._base.model._meta.label}: {', '.join(_names(self._steps))}>"


def _samples() -> Iterator[Any]:
    """Yield values of which each lookup of a field of Django's takes one."""
    time = datetime.datetime(2024, 2, 29, 1, 2, 3)
    aware = time.replace(tzinfo=datetime.UTC) if settings.USE_TZ else time
    moments: tuple[Any, ...] = (aware, aware.date(), time.time(), datetime.timedelta(1))
    single = (1, *moments, Decimal(1), UUID(int=1), "1", True)
    yield from (*single, {})
    for value in single:
        yield [value, value]


def _probed(queryset: Any, name: str, keyword: str) -> Any:
    """Apply a call with the first value that the field takes; raise Django's error if there is none."""
    error: Exception | None = None
    for sample in _samples():
        try:
            return getattr(queryset, name)(**{keyword: sample})
        except (TypeError, ValueError, ValidationError) as refused:
            error = error or refused
    assert error is not None
    raise error


def _type_of_new(before: Any, after: Any) -> Any:
    """Return the type of value that the condition compares with which `after` has and `before` has not."""
    # Of a copy: the base, whose query somebody has read, would not be recorded any more.
    conditions = [*binders.leaves(before.all().query.where)]
    known = [*map(id, conditions)]
    new = next((leaf for leaf in binders.leaves(after.query.where) if id(leaf) not in known), None)
    if type(new) in binders.WITHOUT_VALUE:
        return bool
    # What spans relations may be a subquery.
    own: Any = binders.own_type(getattr(getattr(new, "lhs", None), "output_field", None))
    if own is None:
        return inspect.Parameter.empty
    return types.GenericAlias(list, own) if type(new) in binders.OF_LISTS else own


def _names(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return the parameters' names in the order of their first use."""
    return tuple(
        dict.fromkeys(value.name for _, _, kwargs in steps for value in kwargs.values() if isinstance(value, Param))
    )


class FrozenQuery:
    """A query as a function of its parameters, all given by name: gives the list of results, in the caller's mode."""

    def __class_getitem__(cls, item: Any) -> type["FrozenQuery"]:
        """Take the model that type checkers are told, as Django's querysets do."""
        return cls

    def __init__(
        self, base: Recorded, steps: tuple[Step, ...], annotations: Mapping[str, Any] = types.MappingProxyType({})
    ) -> None:
        self._base = base
        self._steps = steps
        self._names = _names(steps)
        self._required = frozenset(self._names)
        # By the kinds of the parameters: a queryset with such values, and where in its values each parameter stands.
        self._known: dict[tuple[Any, ...], Callable[[dict[str, Any]], Any]] = {}
        empty = inspect.Parameter.empty
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotations.get(name, empty))
                for name in self._names
            ]
        )

    def __call__(self, /, **params: Any) -> Any:
        """Give the list of the results."""
        return self._ask("fetch", params)

    def get(self, /, **params: Any) -> Any:
        """Give the one result. Raises DoesNotExist and MultipleObjectsReturned."""
        return self._ask("get", params)

    def first(self, /, **params: Any) -> Any:
        """Give the first result, or None."""
        return self._ask("first", params)

    def count(self, /, **params: Any) -> Any:
        """Give the number of results."""
        return self._ask("count", params)

    def exists(self, /, **params: Any) -> Any:
        """Tell whether there is a result."""
        return self._ask("exists", params)

    def queryset(self, /, **params: Any) -> Any:
        """Return the queryset with these values, to be built on."""
        if params.keys() != self._required:
            self._refuse(params)
        queryset: Any = self._base.all()
        for name, args, kwargs in self._steps:
            given = {
                keyword: params[value.name] if isinstance(value, Param) else value for keyword, value in kwargs.items()
            }
            queryset = getattr(queryset, name)(*args, **given)
        return queryset

    def _ask(self, asks: str, params: dict[str, Any]) -> Any:
        queryset = self._recorded(params)
        if queryset is None:
            queryset = self.queryset(**params)
        if asks == "fetch":
            return ask(dispatch, queryset._call("fetch"), _fetched, queryset)
        return getattr(queryset, asks)()

    def _recorded(self, params: dict[str, Any]) -> Any:
        """Return the queryset without building it, if one with values of these kinds is known."""
        if params.keys() != self._required:
            self._refuse(params)
        kinds = tuple([kind_of(params[name]) for name in self._names])
        make = self._known.get(kinds)
        if make is not None:
            return make(params)
        if None in kinds:
            return None
        queryset = self.queryset(**params)
        values: Values | None = queryset.__dict__.get("_shape_values")
        # One that is built was not known yet: it is now, and will be recorded the next time.
        if values is not None and "_query" not in queryset.__dict__:
            self._known[kinds] = _maker(queryset, values, self._sources(values))
        return queryset

    def _sources(self, values: Values) -> list[tuple[int, str]]:
        """Return where in the values each parameter stands: after those of the base, in the order of the calls."""
        own: list[str | None] = []
        for name, _, kwargs in self._steps:
            for value in kwargs.values():
                if isinstance(value, Param):
                    own.append(value.name)
                else:
                    _, constants = call_with_values(name, {"constant": value}) or (None, ())
                    own += [None] * len(constants)
        first = len(values) - len(own)
        return [(first + index, name) for index, name in enumerate(own) if name is not None]

    def _refuse(self, params: dict[str, Any]) -> NoReturn:
        raise TypeError(
            f"The frozen query of {self._base.model._meta.object_name} takes "
            f"{', '.join(map(repr, self._names)) or 'no parameters'}, not {', '.join(map(repr, params)) or 'none'}."
        )

    def __repr__(self) -> str:
        return f"<frozen query of {self._base.model._meta.label}({', '.join(self._names)})>"


def _fetched(queryset: Any) -> list[Any]:
    queryset._fetch_all()
    return list(queryset._result_cache)


def _maker(queryset: Any, values: Values, sources: list[tuple[int, str]]) -> Callable[[dict[str, Any]], Any]:
    """Return a function that makes the recorded queryset with other parameters."""
    cls = type(queryset)
    model, alias, shape = (queryset.__dict__[name] for name in ("model", "_db", "_shape"))
    template = list(values)

    def make(params: dict[str, Any]) -> Any:
        filled = template.copy()
        for index, name in sources:
            filled[index] = params[name]
        return recorded(cls, model, alias, shape, tuple(filled))

    return make
