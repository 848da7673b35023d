"""Loops that turn rows into results, generated for the columns of a query.

A loop that knows its columns is as fast as Python can be: a row is unpacked into variables, an instance is made by
`object.__new__()` and one dictionary that has its attributes, and joined instances, annotations and converters stand
in the same loop. It gives what Django's loop gives, field by field.

Where a class has something to say about how its instances are made, it is asked as Django asks it, by from_db(): see
is_plain(). All else of the loop stays generated.

Source text is made of positions and of quoted names, never of a name as it is. The objects it refers to are given to
the compiled text as arguments, so equal texts are compiled once.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.expressions import Col
from django.db.models.fields.mixins import FieldCacheMixin
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

from vinyl import _compat
from vinyl._install import is_of_a_field
from vinyl.common.classes import class_of
from vinyl.loading.converters import Columns, binding, has_more
from vinyl.loading.short_cuts import Names
from vinyl.loading.states import HasLateState, loaded_state, set_attributes

Row = Sequence[Any]
# Turns rows, as the driver gives them, into results. The connection is the one that they were read from, or another of
# the same alias: some of Django's converters ask for it.
Loader = Callable[[Sequence[Row], Any], list[Any]]


@lru_cache(maxsize=2000)
def _compiled(text: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(compile(text, "<a loop of vinyl.loading.hydration>", "exec"), namespace)
    return namespace["make"]


def _made(names: Names, body: list[str]) -> Loader:
    """Compile the body of a loader, which refers to `rows`, to `connection` and to these names."""
    if names.finds:
        bound = "".join(f"b{number}, " for number in range(len(names.finds)))
        body = [f"{bound}= {names.of(binding(names.finds))}(connection)", *body]
    arguments = ", ".join(f"g{number}" for number in range(len(names.objects)))
    lines = [f"def make({arguments}):", " def load(rows, connection):", *(f"  {line}" for line in body), " return load"]
    return _compiled("\n".join(lines))(*names.objects)  # type: ignore[no-any-return]


def comprehension(compiler: Any, result: Callable[[Names, list[str]], str]) -> Loader:
    """Return a loader that makes one expression of each row, of which `result` returns the text."""
    names = Names()
    columns = Columns(compiler, names)
    return _made(names, [f"return [{result(names, columns.texts)} for {columns.target} in rows]"])


def tuples(compiler: Any) -> Loader:
    """Return a loader of tuples, which rows may be already."""
    names = Names()
    columns = Columns(compiler, names)
    if not columns.has_more and all(text.isidentifier() for text in columns.texts):
        return _made(names, ["return list(map(tuple, rows))"])
    return _made(names, [f"return [{tuple_of(columns.texts)} for {columns.target} in rows]"])


def tuple_of(texts: list[str]) -> str:
    """Return the text of a tuple."""
    return f"({', '.join(texts)},)"


def key_of_columns(model: Any, compiler: Any) -> Any:
    """Return what makes a loader for this compiler as good as one for another; None if that would take long to tell.

    `model` is the class of the instances. Fields are named by their id(), so who keeps the key must keep the compiler's
    `select` too.
    """
    columns = []
    for expression, *_ in compiler.select:
        if type(expression) is not Col:
            return None
        columns.append((id(expression.target), id(expression.output_field)))
    info = compiler.klass_info
    joined = None if info is None else (_maker(model), *info["select_fields"], *_keys_of_joined(info))
    annotations = tuple((compiler.annotation_col_map or {}).items())
    return type(compiler.connection), settings.USE_TZ, has_more(compiler), tuple(columns), joined, annotations


def _maker(model: Any) -> Any:
    """Return what makes instances of the class, or None if nobody need be asked. It may change, as tests patch it."""
    return None if is_plain(model) else model.from_db


def _keys_of_joined(info: dict[str, Any]) -> Iterator[Any]:
    for each in info.get("related_klass_infos", ()):
        setters = tuple(each[name] for name in ("local_setter", "remote_setter") if not _does_nothing(each[name]))
        model = each["model"]
        yield model, _maker(class_of(model)), *each["select_fields"], setters, tuple(_keys_of_joined(each))


def instances(model: Any, compiler: Any, alias: str) -> Loader:
    """Return a loader of instances of the vinyl class `model`, with the instances joined to them and annotations."""
    return _Loop(model, compiler, alias).loader()


def may_wait(loader: Loader) -> bool:
    """Whether the loader asks classes of the project's, which may query as an instance is made."""
    return getattr(loader, "has_hooks", False)


class _Loop:
    """The text of a loop, as it grows: o0 is a row's instance, o1, o2, … are those joined to it, k0, … their caches."""

    def __init__(self, model: Any, compiler: Any, alias: str) -> None:
        self._names = Names()
        self._columns = Columns(compiler, self._names)
        # The variable that has the value of each expression: a joined instance may share some with another.
        self._values: list[str] = []
        self._select = compiler.select
        self._annotations = dict(compiler.annotation_col_map or {})
        self._model = model
        self._klass_info = compiler.klass_info
        self._alias = alias
        self._alias_name = self._names.of(alias)
        self._new = self._names.of(object.__new__)
        self._set_attributes = self._names.of(set_attributes)
        self._instances = 0
        self._has_hooks = False

    def loader(self) -> Loader:
        lines = self._conversions()
        info = self._klass_info
        columns = info["select_fields"]
        # Django takes all between the first and the last.
        positions = {self._attribute(index): index for index in range(columns[0], columns[-1] + 1)}
        lines += self._instance(self._model, positions, info, is_cached_there=False)
        # What the instance was not made with.
        for name, column in self._annotations.items():
            lines.append(f"setattr(o0, {name!r}, {self._values[column]})")
        lines.append("append(o0)")
        loop = f"for {self._columns.target} in rows:"
        body = ["results = []", "append = results.append", loop, *(f" {line}" for line in lines), "return results"]
        loader = _made(self._names, body)
        vars(loader)["has_hooks"] = self._has_hooks
        return loader

    def _attribute(self, index: int) -> str:
        return self._select[index][0].target.attname  # type: ignore[no-any-return]

    def _conversions(self) -> list[str]:
        lines = []
        for number, text in enumerate(self._columns.texts):
            if text.isidentifier():
                self._values.append(text)
            else:
                self._values.append(f"c{number}")
                lines.append(f"c{number} = {text}")
        return lines

    def _is_simple(self, model: Any, names: list[str]) -> bool:
        return is_plain(model) and not any(is_intercepted(model, name) for name in names)

    def _instance(
        self, model: Any, positions: dict[str, int], info: dict[str, Any], *, is_cached_there: bool
    ) -> list[str]:
        """Return the lines that make one instance, and those joined to it."""
        number = self._instances
        self._instances += 1
        joined = info.get("related_klass_infos", [])
        needs_cache = is_cached_there or any(_cached_name(each["local_setter"]) is not None for each in joined)
        values = {name: self._values[index] for name, index in positions.items()}
        if self._is_simple(model, list(values)):
            lines = self._by_attributes(number, model, values, needs_cache)
        else:
            lines = self._by_from_db(number, model, values)
            if needs_cache:
                lines.append(f"k{number} = o{number}._state.fields_cache")
        for each in joined:
            lines += self._joined(number, each)
        return lines

    def _by_attributes(self, number: int, model: Any, values: dict[str, str], needs_cache: bool) -> list[str]:
        if number == 0:
            for name in [name for name in self._annotations if not is_intercepted(model, name)]:
                values[name] = self._values[self._annotations.pop(name)]
        lines = [f"o{number} = {self._new}({self._names.of(model)})"]
        items = [f"{name!r}: {value}" for name, value in values.items()]
        if needs_cache or self._alias != DEFAULT_DB_ALIAS:
            state = [f"{name!r}: {self._names.of(value)}" for name, value in loaded_state(self._alias).items()]
            if needs_cache:
                lines.append(f"k{number} = {{}}")
                state.append(f"'fields_cache': k{number}")
            lines.append(f"s = {self._new}({self._names.of(ModelState)})")
            lines.append(f"s.__dict__ = {{{', '.join(state)}}}")
            items.insert(0, "'_state': s")
        return [*lines, f"{self._set_attributes}(o{number}, {{{', '.join(items)}}})"]

    def _by_from_db(self, number: int, model: Any, values: dict[str, str]) -> list[str]:
        self._has_hooks = True
        from_db, attributes = self._names.of(_compat.from_db(model)), self._names.of(list(values))
        row = "".join(f"{value}, " for value in values.values())
        return [f"o{number} = {from_db}({self._alias_name}, {attributes}, ({row}))"]

    def _joined(self, parent: int, info: dict[str, Any]) -> list[str]:
        """Return the lines that make an instance of a select_related() relation, or None where there is none."""
        number = self._instances
        model = info["model"]
        found = {self._attribute(index): index for index in info["select_fields"]}
        # A child's columns may stand in any order, since those of the parent were selected already.
        positions = {f.attname: found[f.attname] for f in model._meta.concrete_fields if f.attname in found}
        set_here, set_there = info["local_setter"], info["remote_setter"]
        there = _cached_name(set_there)
        lines = self._instance(class_of(model), positions, info, is_cached_there=there is not None)
        if there is not None:
            lines.append(f"k{number}[{there!r}] = o{parent}")
        # Each part of a primary key is NOT NULL, so one of them tells whether the outer join has found a row.
        key = self._values[positions[model._meta.pk_fields[0].attname]]
        lines = [f"if {key} is None:", f" o{number} = None", "else:", *(f" {line}" for line in lines)]
        here = _cached_name(set_here)
        if here is not None:
            lines.append(f"k{parent}[{here!r}] = o{number}")
        else:
            lines.append(f"{self._names.of(set_here)}(o{parent}, o{number})")
        if there is None and not _does_nothing(set_there):
            lines += [f"if o{number} is not None:", f" {self._names.of(set_there)}(o{number}, o{parent})"]
        return lines


def _cached_name(setter: Any) -> str | None:
    """Return the name by which this setter of the compiler's writes to `fields_cache`, or None if it does otherwise."""
    if getattr(setter, "__func__", None) is FieldCacheMixin.set_cached_value:
        return setter.__self__.cache_name  # type: ignore[no-any-return]
    return None


_nothing = (lambda x, y: None).__code__
_NOTHING = _nothing.co_code, _nothing.co_consts


def _does_nothing(setter: Any) -> bool:
    """Whether it is the function that the compiler sets where there is nothing to set."""
    code = getattr(setter, "__code__", None)
    return code is not None and (code.co_code, code.co_consts) == _NOTHING


def is_plain(model: Any) -> bool:
    """Whether making an instance of the class is nobody's business: it has no hooks, and no field has asked to be told.

    vinyl sends no signals but those that fields have connected for themselves, as ImageField does.
    """
    return _has_no_hooks(model) and not any(
        is_of_a_field(receiver)
        for signal in (pre_init, post_init)
        if signal.receivers
        for receiver in signal._live_receivers(model._meta.model)[0]
    )


def _has_no_hooks(model: Any) -> bool:
    from_db: Any = Model.from_db
    return (
        getattr(model.from_db, "__func__", None) is from_db.__func__
        and model.__init__ is Model.__init__
        # Model.__init__() calls the next one.
        and super(Model, model).__init__ is object.__init__
        and model.__new__ is object.__new__
        and model.__setattr__ is object.__setattr__
        and type(model).__call__ is type.__call__
        and _static(model, "__dict__") is vars(HasLateState)["__dict__"]
        and _static(model, "_state") is vars(HasLateState)["_state"]
    )


# Django's own. The one of foreign keys only forgets what is cached of the relation when the key changes.
READ_FROM_ATTRIBUTES = (DeferredAttribute, ForeignKeyDeferredAttribute)


def is_intercepted(model: Any, name: str) -> bool:
    """Whether the class has a descriptor that is to be told when this attribute is set."""
    found = _static(model, name)
    return type(found) not in READ_FROM_ATTRIBUTES and hasattr(type(found), "__set__")


def _static(model: Any, name: str) -> Any:
    return next((vars(owner)[name] for owner in model.__mro__ if name in vars(owner)), None)
