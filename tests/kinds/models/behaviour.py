"""Models that change how instances are made, read and compared."""

import datetime as dt
from functools import cached_property
from typing import Any, ClassVar

from django.db import models

from vinyl import VinylManager


class Initialised(models.Model):
    """Has an __init__() with parameters of its own."""

    name = models.CharField(max_length=50)

    vinyl = VinylManager()

    def __init__(self, *args: Any, loud: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial_name = self.__dict__.get("name")
        if loud:
            self.name = self.name.upper()


class Remembering(models.Model):
    """Has a from_db() that remembers what was loaded, as Django's documentation shows it."""

    name = models.CharField(max_length=50)
    size = models.IntegerField(default=0)

    vinyl = VinylManager()

    @classmethod
    def from_db(cls, db, field_names, values, **options):
        instance = super().from_db(db, field_names, values, **options)
        instance.loaded = dict(zip(field_names, values, strict=True))
        return instance


class Tracked(models.Model):
    """Has a __setattr__() that counts what is set."""

    name = models.CharField(max_length=50)
    size = models.IntegerField(default=0)

    vinyl = VinylManager()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "name" and value is not None:
            value = value.strip()
        super().__setattr__(name, value)
        self.__dict__.setdefault("was_set", []).append(name)


class Guarded(models.Model):
    """Has a __getattribute__() and a __getattr__()."""

    name = models.CharField(max_length=50)

    vinyl = VinylManager()

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return f"<{value}>" if name == "label" else value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("loud_"):
            return getattr(self, name.removeprefix("loud_")).upper()
        raise AttributeError(name)

    @property
    def label(self) -> str:
        return self.name


class Careful(models.Model):
    """Has a cached property, choices, and what full_clean() checks."""

    class Size(models.TextChoices):
        SMALL = "s", "Small"
        LARGE = "l", "Large"

    class Level(models.IntegerChoices):
        LOW = 1
        HIGH = 2

    name = models.CharField(max_length=50, unique=True)
    size = models.CharField(max_length=1, choices=Size, default=Size.SMALL)
    level = models.IntegerField(choices=Level, default=Level.LOW)
    made = models.DateField(default=dt.date(2001, 1, 1))

    vinyl = VinylManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["size", "level"], name="one_of_each_size_and_level"),
            models.CheckConstraint(condition=~models.Q(name="bad"), name="no_bad_name"),
        ]
        required_db_features = {"supports_transactions"}

    @cached_property
    def loud_name(self) -> str:
        return self.name.upper()

    def get_absolute_url(self) -> str:
        return f"/careful/{self.pk}/"

    def clean(self) -> None:
        self.name = self.name.strip()


class Coin(models.Model):
    """Has an equality of its own."""

    worth = models.IntegerField()

    vinyl = VinylManager()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Coin) and self.worth == other.worth

    def __hash__(self) -> int:
        return hash(self.worth)


class Shape(models.Model):
    """Registers each of its subclasses, which must name their kind."""

    kinds: ClassVar[dict[str, type]] = {}
    name = models.CharField(max_length=50, default="")

    vinyl = VinylManager()

    def __init_subclass__(cls, *, kind: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kinds[kind] = cls


class Circle(Shape, kind="circle"):
    radius = models.IntegerField(default=1)


class Square(Shape, kind="square"):
    class Meta:
        proxy = True
