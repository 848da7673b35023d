"""VinylManager: the one line on a model, and the place where vinyl classes are made.

The manager does not register with Django: `_meta.managers`, `objects` and `_default_manager` stay what they were, and
migrations do not see it. It is an attribute of the model class, hence inherited as Python attributes are: each model
below an abstract base, each multi-table child and each proxy gets a manager of its own by reading it.
"""

import copy
import copyreg
import inspect
from functools import cache, cached_property
from typing import Any, Self

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet, sql
from django.db.models.manager import BaseManager

from vinyl.common import classes
from vinyl.errors import NotUpdated
from vinyl.faces import relations
from vinyl.faces.accessors import accessors
from vinyl.faces.methods import in_each_mode
from vinyl.faces.models import VinylModel, kept_by_the_model
from vinyl.faces.queryset import VinylQuerySet, as_vinyl, queryset_class
from vinyl.plans.construction import made
from vinyl.plans.recording import can_be_recorded, recorded
from vinyl.plans.shapes import Shape


class VinylManager(BaseManager.from_queryset(VinylQuerySet)):  # type: ignore[misc]
    """The manager by which a model is used with vinyl: `vinyl = VinylManager()` on the model.

    It has the methods of a queryset, all of Django's, awaited in the async mode. Calling it, `Artifact.vinyl(x=12)`,
    makes an instance, which is not written before it is told to insert(). `model` is a subclass of VinylModel whose
    methods the instances shall have. https://docs.djangoproject.com/en/stable/topics/db/managers/
    """

    name: str
    model: Any
    # As Django's related managers, which can be called too: `{{ books.all }}` shall not make a book.
    do_not_call_in_templates = True

    def __init__(self, model: type[VinylModel] | None = None) -> None:
        super().__init__()
        is_given = model is not None
        if is_given and not (
            isinstance(model, type) and issubclass(model, VinylModel) and not issubclass(model, Model)
        ):
            raise ImproperlyConfigured(
                f"VinylManager(model=…) takes a subclass of vinyl.VinylModel, not {model!r}. The Django model is the "
                "one that the manager stands on."
            )
        self.instance_base = model or VinylModel
        # Of new querysets, by their database. Copies for another database have the same.
        self._shapes: dict[str | None, Shape] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()):
            hands_on = getattr(value, "__wrapped__", None) is getattr(cls._queryset_class, name, cls)
            if inspect.isfunction(value) and not (name.startswith("_") or hasattr(BaseManager, name) or hands_on):
                setattr(cls, name, in_each_mode(value))

    @classmethod
    def from_queryset(cls, queryset_class_: type[QuerySet[Any]], class_name: str | None = None) -> type[Self]:
        """Return a manager class that has the methods of a queryset class too, as Django's from_queryset()."""
        if not (isinstance(queryset_class_, type) and issubclass(queryset_class_, QuerySet)):
            raise ImproperlyConfigured(
                f"VinylManager.from_queryset() takes a subclass of Django's QuerySet, not {queryset_class_!r}."
            )
        return super().from_queryset(queryset_class(queryset_class_), class_name)  # type: ignore[no-any-return]

    def contribute_to_class(self, cls: type[Model], name: str) -> None:
        if name == "objects":
            raise ImproperlyConfigured(
                f"The VinylManager of {cls.__name__} cannot be named `objects`, which is Django's own manager. Name it "
                "`vinyl`."
            )
        self.name = self.name or name
        self.model = cls
        setattr(cls, name, VinylManagerDescriptor(self))

    def bound_to(self, model: type[Model]) -> Self:
        """Return this manager for a model that inherits it."""
        bound = copy.copy(self)
        bound.model = model
        bound._shapes = {}
        bound.__dict__.pop("vinyl_class", None)
        return bound

    @cached_property
    def vinyl_class(self) -> type[Any]:
        """The class of the instances: a subclass of the model that has VinylModel's methods."""
        if self.model is None:
            raise ImproperlyConfigured(
                f"This {type(self).__name__} stands on no model. Write `vinyl = VinylManager()` in the body of a "
                "model, abstract or not, but of no other class; for one that you cannot edit call vinyl.manager(Model)."
            )
        return make_class(self.model, self.instance_base)  # type: ignore[arg-type]

    def __call__(self, /, *args: Any, **values: Any) -> Any:
        """Make an instance, as calling the model does. `await instance.insert()` writes it."""
        if not args:
            instance = made(self.vinyl_class, values)
            if instance is not None:
                return instance
        return self.vinyl_class(*args, **values)

    def get_queryset(self) -> Any:
        """Return a new queryset. Subclasses may override it to filter what the manager gives, as in Django."""
        if self._hints or not self._is_plain:
            return self._new_queryset()
        shape = self._shapes.get(self._db)
        if shape is None:
            # Not this manager's method: the shape outlives copies of it.
            shape = self._shapes[self._db] = Shape(None, (), copy.copy(self)._new_queryset)
        return recorded(self._queryset_class, self.vinyl_class, self._db, shape, ())

    def _new_queryset(self) -> Any:
        return self._queryset_class(self.vinyl_class, sql.Query(self.model), self._db, self._hints)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether all that it gives is built by Django's methods, as far as plans rely on them."""
        cls = self._queryset_class
        return can_be_recorded(cls, VinylQuerySet) and can_be_recorded(cls.django_class, QuerySet)


class Undeclared(VinylManager):
    """The manager of a model that declares none: gives what the model's default manager gives."""

    def _new_queryset(self) -> Any:
        django_manager = copy.copy(self.model._default_manager)
        django_manager._db, django_manager._hints = self._db, self._hints
        return as_vinyl(django_manager.get_queryset())

    @cached_property
    def _is_plain(self) -> bool:
        return type(self.model._default_manager).get_queryset is BaseManager.get_queryset and super()._is_plain


class VinylManagerDescriptor:
    """Gives the model that it is read from a manager of its own."""

    def __init__(self, manager: VinylManager) -> None:
        self.manager = manager
        self._bound: dict[type[Model], VinylManager] = {manager.model: manager}

    def __get__(self, instance: Model | None, cls: Any = None) -> VinylManager:
        name = self.manager.name
        if instance is not None:
            raise AttributeError(f"Manager isn't accessible via {cls.__name__} instances. Use type(instance).{name}.")
        model = cls._meta.model if hasattr(cls, "is_vinyl_class") else cls
        if model._meta.abstract:
            raise AttributeError(f"Manager isn't available; {model._meta.object_name} is abstract.")
        if model._meta.swapped:
            raise AttributeError(
                f"Manager isn't available; {model._meta.label!r} has been swapped for {model._meta.swapped!r}."
            )
        manager = self._bound.get(model)
        if manager is None:
            manager = self._bound[model] = self.manager.bound_to(model)
        return manager


def manager(model: type[Model]) -> VinylManager:
    """Return the manager of a model: the first VinylManager it declares or inherits, else one of its own.

    For models that one cannot edit: `Users = vinyl.manager(User)`, then `await Users.get(pk=1)`. It then gives what the
    model's default manager gives, with the methods of its querysets.
    """
    if not (isinstance(model, type) and issubclass(model, Model)) or model._meta.abstract or model._meta.swapped:
        raise ImproperlyConfigured(
            f"vinyl.manager() takes a model that is neither abstract nor swapped, not {model!r}."
        )
    return _manager_of(model._meta.model)


@cache
def _manager_of(model: type[Model]) -> VinylManager:
    for owner in model.__mro__:
        for attribute in vars(owner).values():
            if isinstance(attribute, VinylManagerDescriptor):
                return attribute.__get__(None, model)
    default_manager: Any = model._default_manager
    undeclared = Undeclared.from_queryset(default_manager._queryset_class)()
    undeclared.name, undeclared.model = "vinyl", model
    return undeclared


@cache
def make_class(model: type[Model], base: type[VinylModel]) -> type[Any]:
    """Make the vinyl class of a model, with `base` before the model.

    By type.__new__ rather than ModelBase, whose business is to register a new model with Django.
    """
    namespace: dict[str, Any] = {
        "__module__": model.__module__,
        "__qualname__": f"{model.__qualname__}.vinyl",
        "__doc__": model.__doc__,
        **({"__init__": model.__init__} if base.__init__ is VinylModel.__init__ else {}),
        **accessors(model),
        **kept_by_the_model(model, base),
        **relations.guards(model),
    }
    metaclass = _metaclass(type(model))  # type: ignore[arg-type]
    vinyl_class: type[Any] = type.__new__(metaclass, model.__name__, (base, model), namespace)
    bases = (NotUpdated, model.NotUpdated) if hasattr(model, "NotUpdated") else (NotUpdated,)
    vinyl_class.NotUpdated = type("NotUpdated", bases, {"__module__": model.__module__})
    return vinyl_class


@cache
def _metaclass(models_own: type[type]) -> type[type]:
    """Derive the metaclass of vinyl classes from that of the model, so that pickle can be told how to find them."""
    metaclass = type(models_own.__name__, (models_own,), {"__doc__": "The type of vinyl classes."})
    copyreg.pickle(metaclass, _pickled_class)
    return metaclass


def _pickled_class(vinyl_class: Any) -> Any:
    base, model = vinyl_class.__bases__
    return _unpickled_class, (model._meta.label, base)


def _unpickled_class(label: str, base: type[VinylModel]) -> type[Any]:
    return make_class(apps.get_model(label), base)  # type: ignore[arg-type]


def _default_class(model: type[Model]) -> type[Any]:
    return manager(model).vinyl_class


classes.make = _default_class
classes.manager_class = VinylManager
