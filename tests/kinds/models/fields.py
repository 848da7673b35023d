"""Fields of the project's own, and the less usual ones of Django's."""

from typing import Any, NamedTuple

from django.db import models

from vinyl import VinylManager


class Colour(NamedTuple):
    red: int
    green: int
    blue: int


class ColourField(models.Field):
    """Keeps a Colour as text."""

    def db_type(self, connection):
        return "varchar(6)"

    def from_db_value(self, value, expression, connection):
        return None if value is None else Colour(*bytes.fromhex(value))

    def to_python(self, value):
        return Colour(*bytes.fromhex(value)) if isinstance(value, str) else value

    def get_prep_value(self, value):
        return bytes(value).hex() if isinstance(value, Colour) else value


class RevisionField(models.IntegerField):
    """Counts how often the row was written."""

    def pre_save(self, model_instance, add):
        value = 1 if add else getattr(model_instance, self.attname) + 1
        setattr(model_instance, self.attname, value)
        return value


class Celsius(float):
    """A temperature."""


class CelsiusAttribute:
    """Makes a Celsius of what is set, and counts how often it is read."""

    def __init__(self, field: Any) -> None:
        self.field = field

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if self.field.attname not in instance.__dict__:
            instance.refresh_from_db(fields=[self.field.attname])
        return instance.__dict__[self.field.attname]

    def __set__(self, instance: Any, value: Any) -> None:
        is_number = isinstance(value, int | float)
        instance.__dict__[self.field.attname] = Celsius(value) if is_number else value


class CelsiusField(models.FloatField):
    def contribute_to_class(self, cls, name, **kwargs):
        super().contribute_to_class(cls, name, **kwargs)
        setattr(cls, name, CelsiusAttribute(self))


class Swatch(models.Model):
    colour = ColourField(null=True)
    revision = RevisionField(default=0)
    warmth = CelsiusField(default=20)

    vinyl = VinylManager()


class Assorted(models.Model):
    """A field of each of Django's other types."""

    big = models.BigIntegerField(default=2**40)
    yes = models.BooleanField(default=True)
    data = models.JSONField(default=dict)
    maybe = models.JSONField(null=True)
    length = models.DurationField(null=True)
    blob = models.BinaryField(default=b"")
    price = models.DecimalField(max_digits=8, decimal_places=3, default=0)
    time = models.TimeField(null=True)
    ip = models.GenericIPAddressField(null=True)
    slug = models.SlugField(default="")
    url = models.URLField(default="")
    number = models.FloatField(default=0.5)
    key = models.UUIDField(null=True)

    vinyl = VinylManager()


class Document(models.Model):
    name = models.CharField(max_length=50, unique=True)
    file = models.FileField(upload_to="documents", blank=True)

    vinyl = VinylManager()


class Photo(models.Model):
    """The size stands before the image."""

    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)
    image = models.ImageField(upload_to="photos", width_field="width", height_field="height", blank=True)

    vinyl = VinylManager()


class PhotoOfLateSize(models.Model):
    """The size stands after the image."""

    image = models.ImageField(upload_to="photos", width_field="width", height_field="height", blank=True)
    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)

    vinyl = VinylManager()


class Picture(Photo):
    """A child whose parent has the image, and which has another one."""

    painter = models.CharField(max_length=50, default="")
    frame_width = models.IntegerField(null=True)
    frame = models.ImageField(upload_to="frames", width_field="frame_width", blank=True)
