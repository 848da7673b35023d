"""VinylModel: what instances of vinyl classes can do. Writing is explicit: insert, update, delete; there is no save().

Each method is one operation in the caller's mode; operations.py has what it does. A model whose own field or method has
the name of one of these methods keeps its own, and is served by the functions of the same names below.
"""

import asyncio
import inspect
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db.models import Model
from django.db.models.utils import AltersData

from vinyl import mode, operations
from vinyl._install import unmuted
from vinyl.common.content_types import complete_generic_keys
from vinyl.common.variables import temporarily
from vinyl.dispatch import always_awaited, dispatch
from vinyl.errors import ModeError, UnloadedAttribute, UnsupportedOperation
from vinyl.loading.states import HasLateState
from vinyl.mode import Mode, current, finish, portable
from vinyl.operations import label
from vinyl.plans import writes, writes_by_key
from vinyl.plans.prefetching import prefetch

# The names that Django's own models do not have, so that a project's may.
NAMES = ("insert", "update", "refresh", "load")

_django_saves: ContextVar[bool] = ContextVar("vinyl.django_saves", default=False)


def saves_by_django() -> AbstractContextManager[None]:
    """Let Django's code call save() in this block: QuerySet.create() and its like make instances and save them."""
    return temporarily(_django_saves, True)


class VinylModel(HasLateState, AltersData):
    """The base of all vinyl classes; subclass it to give a model's instances your own methods.

    Pass the subclass as `VinylManager(model=custom.Artifact)`. Methods may be `async def`: they are called in both
    modes, as if they were decorated with `vinyl.portable`. https://docs.djangoproject.com/en/stable/ref/models/instances/
    """

    is_vinyl_class = True

    # Vinyl classes have their model's own: this is reached where there is none, and by an __init__() of the project's.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not isinstance(self, Model):
            name = type(self).__name__
            raise TypeError(
                f"{name} is no model, but what vinyl puts before one: with `vinyl = VinylManager(model={name})` on the "
                "model, `Model.vinyl(…)` makes an instance."
            )
        super().__init__(*args, **kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # A vinyl class is none of the subclasses that a model's own __init_subclass__() is about.
        if not issubclass(cls, Model):
            super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()):
            if inspect.iscoroutinefunction(value):
                setattr(cls, name, portable(value))

    def insert(self, *, using: str | None = None) -> Any:
        """Insert this instance as a new row, and those of its parent models; give the instance.

        Afterwards it has what the database has set: its primary key, defaults, generated values, computed expressions.
        `using` is the alias of the database; else the routers choose. Raises IntegrityError as Django does.
        """
        return writes.insert(self, using)

    def update(self, *, using: str | None = None, **values: Any) -> Any:
        """Write the row of this instance: all loaded fields, or just `values`, which are set first; give the instance.

        Values may be expressions, such as F("stock") - 1; what the database computes is read back. Raises NotUpdated,
        also as `Model.NotUpdated`, where there is no such row.
        """
        return writes_by_key.update(self, using, values)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> Any:
        """Delete the row and what depends on it, by the `on_delete` rules; give Django's pair of counts."""
        return writes_by_key.delete(self, using, keep_parents)

    def refresh(self, *fields: str, using: str | None = None) -> Any:
        """Read the fields anew, all that are loaded if none is named; give the instance. Raises DoesNotExist."""
        return dispatch(operations.refresh, self, fields, using)

    def load(self, *lookups: str) -> Any:
        """Load deferred fields and relations, by the names that prefetch_related() takes; give the instance."""
        return dispatch(operations.load, self, lookups, prefetch)

    # Django's names that an instance of a vinyl class answers differently.

    def adelete(self, using: str | None = None, keep_parents: bool = False) -> Any:
        """As delete(), awaited in each mode."""
        return always_awaited(operations.delete, self, using, keep_parents)

    def arefresh_from_db(self, using: str | None = None, fields: Iterable[str] | None = None) -> Any:
        """As refresh(), awaited in each mode."""
        return always_awaited(operations.refresh, self, tuple(fields or ()), using)

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Raise an error: Django calls this where a deferred field is read, users call refresh()."""
        missing = [name for name in fields or () if name not in self.__dict__]
        if missing:
            raise unloaded(self, missing[0], how="Take it out of the query's defer(), or add it to its only()")
        raise UnsupportedOperation(f"Use refresh() on {label(self)}, where it is awaited in the async mode.")

    def save(
        self,
        force_insert: bool = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        """Raise an error: it would have to guess between insert() and update().

        With `update_fields` there is nothing to guess. Packages save so, such as Django's auth after a login. As all
        that is synchronous, it is for the sync mode, for the bridge, and for threads without an event loop.
        """
        if not _django_saves.get():
            if update_fields is not None and not force_insert:
                _saved(self, using, update_fields)
                return
            raise UnsupportedOperation(
                f"{label(self)} has no save() in vinyl, which would guess between INSERT and UPDATE. Call insert() "
                "for a new row and update() for an existing one, awaited in the async mode. Of a form, take "
                "form.save(commit=False), then write its instance so."
            )
        # The project's own insert() and update() may use `objects`, whose signals are to be sent.
        with operations.written_to(self, using), unmuted():
            if force_insert or (self._state.adding and not force_update and not update_fields):
                finish(insert(self))
            elif update_fields is None:
                finish(update(self))
            else:
                finish(update(self, **operations.values_of(self, update_fields)))

    def asave(self, *args: Any, update_fields: Any = None, using: str | None = None, **kwargs: Any) -> Any:
        """As save(): with `update_fields` it is update(), awaited in each mode; else raise an error."""
        if update_fields is None or kwargs.get("force_insert"):
            self.save()
        return always_awaited(self.save, update_fields=update_fields, using=using)

    # Templates must not call these. AltersData says the same of what overrides them.
    for _method in (insert, update, delete, refresh, load, adelete, arefresh_from_db, save, asave):
        vars(_method)["alters_data"] = True
    del _method

    # What Django's code calls.

    def full_clean(self, *args: Any, **kwargs: Any) -> None:
        """As Django's, a plain call. Where it has to look for equal rows in the async mode, it raises ModeError."""
        with _told_how_to_validate(self, "full_clean"):
            super().full_clean(*args, **kwargs)  # type: ignore[misc]

    def validate_unique(self, *args: Any, **kwargs: Any) -> None:
        """As full_clean()."""
        with _told_how_to_validate(self, "validate_unique"):
            super().validate_unique(*args, **kwargs)  # type: ignore[misc]

    def validate_constraints(self, *args: Any, **kwargs: Any) -> None:
        """As full_clean()."""
        with _told_how_to_validate(self, "validate_constraints"):
            super().validate_constraints(*args, **kwargs)  # type: ignore[misc]

    def _prepare_related_fields_for_save(self, operation_name: str, fields: Any = None) -> None:
        complete_generic_keys(self)
        super()._prepare_related_fields_for_save(operation_name, fields)  # type: ignore[misc]

    def __reduce__(self) -> Any:
        """Pickle and copy as Django does, to an instance of the model's vinyl class."""
        state: Any = super().__reduce__()[2]
        return object.__new__, (type(self),), state


class _Nothing:
    """A base that leaves no trace in the class below it: Python asks it what to put in its place."""

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[()]:
        return ()


VinylTyped: Any = _Nothing()
VinylTyped.__doc__ = """A base for Django models that only type checkers see: it has the methods of VinylModel.

    class Book(VinylTyped, models.Model): …

At run time it is none of the bases of the class, so neither Django nor migrations know of it.
"""


@contextmanager
def _told_how_to_validate(instance: Any, method: str) -> Iterator[None]:
    # Not awaitable, since forms call it: a validation that nobody awaits would let everything pass.
    try:
        yield
    except ModeError:
        raise
    except SynchronousOnlyOperation as error:
        raise ModeError(
            f"{method}() of {label(instance)} queries for rows that are equal, which cannot be done in the async mode. "
            f"Use `await vinyl.run(instance.{method})`, or run what calls it, such as form.is_valid, by vinyl.run()."
        ) from error


def insert(instance: Any, /, *, using: str | None = None) -> Any:
    """Insert an instance: `instance.insert()`, for models that have an `insert` of their own."""
    return _method(instance, "insert")(**_given(using=using))


def update(instance: Any, /, *, using: str | None = None, **values: Any) -> Any:
    """Write an instance: `instance.update(…)`, for models that have an `update` of their own."""
    return _method(instance, "update")(**_given(using=using), **values)


def delete(instance: Any, /, *, using: str | None = None, keep_parents: bool = False) -> Any:
    """Delete an instance: `instance.delete()`, for models that have a field `delete`."""
    return _method(instance, "delete")(**_given(using=using, keep_parents=keep_parents))


def refresh(instance: Any, /, *fields: str, using: str | None = None) -> Any:
    """Read an instance anew: `instance.refresh(…)`, for models that have a `refresh` of their own."""
    return _method(instance, "refresh")(*fields, **_given(using=using))


def load(instance: Any, /, *lookups: str) -> Any:
    """Load what an instance lacks: `instance.load(…)`, for models that have a `load` of their own."""
    return _method(instance, "load")(*lookups)


def _method(instance: Any, name: str) -> Any:
    """Return the method of the vinyl class, past an attribute of the model's own by this name."""
    if not getattr(instance, "is_vinyl_class", False) or not isinstance(instance, Model):
        raise TypeError(
            f"vinyl.{name}() takes an instance that vinyl has made, not {instance!r}. Get or make it by a "
            "VinylManager: `Model.vinyl.get(…)`, `Model.vinyl(…)`."
        )
    return getattr(super(type(instance), instance), name)


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that differ from their defaults: a project's method need not take them all."""
    return {name: value for name, value in options.items() if value}


def kept_by_the_model(model: type[Any], base: type[VinylModel]) -> dict[str, Any]:
    """Return the model's own attributes that have the name of a method of VinylModel, unless `base` overrides it."""
    kept: dict[str, Any] = {}
    for name, method in vars(VinylModel).items():
        own = inspect.getattr_static(model, name, None)
        # Of the names that Django's models have as well, only fields are kept: vinyl has no save().
        is_its_own = own is not None if name in NAMES else inspect.isdatadescriptor(own) or hasattr(own, "field")
        if not name.startswith("_") and is_its_own and inspect.getattr_static(base, name) is method:
            kept[name] = own
    return kept


def _saved(instance: Any, using: str | None, update_fields: Any) -> None:
    if current() is not Mode.SYNC and asyncio._get_running_loop() is not None:
        raise ModeError(
            f"save() of {label(instance)} was called in the async mode. Use `await instance.update(…)`, or run the "
            "code that calls it by `await vinyl.run(function)`."
        )
    # As in Django, there is nothing to do without fields. update() without values would write all.
    if not update_fields:
        return
    with mode.using(Mode.SYNC), operations.written_to(instance, using), unmuted():
        finish(update(instance, **operations.values_of(instance, update_fields)))


def unloaded(instance: Any, name: str, how: str) -> UnloadedAttribute:
    """Return the error for an attribute that was not loaded; `how` says what to add to the query."""
    return UnloadedAttribute(
        f"{label(instance)}.{name} was not loaded with this instance, and vinyl never queries behind an attribute. "
        f"{how}, or load it now with `await instance.load({name!r})` (without await in the sync mode)."
    )
