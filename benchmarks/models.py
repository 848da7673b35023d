"""The models, in Django's words: they make the tables that every adapter reads and writes."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models


def base() -> Any:
    """Return what models derive from: django-async-backend wants a class of its own, which adds its managers."""
    if "django_async_backend" not in settings.INSTALLED_APPS:
        return models.Model
    from django_async_backend.db.models.base import AsyncModelMixin

    class Base(AsyncModelMixin, models.Model):  # type: ignore[misc]
        class Meta:
            abstract = True

    return Base


if TYPE_CHECKING:
    Base = models.Model
else:
    Base = base()


class Author(Base):
    name: Any = models.CharField(max_length=100)
    email: Any = models.CharField(max_length=200)
    age: Any = models.IntegerField()
    created: Any = models.DateTimeField()


class Publisher(Base):
    name: Any = models.CharField(max_length=100)
    city: Any = models.CharField(max_length=100)


class Tag(Base):
    name: Any = models.CharField(max_length=50)


class Book(Base):
    title: Any = models.CharField(max_length=200)
    isbn: Any = models.CharField(max_length=20)
    price: Any = models.DecimalField(max_digits=8, decimal_places=2)
    pages: Any = models.IntegerField()
    published: Any = models.DateField(db_index=True)
    rating: Any = models.FloatField()
    in_print: Any = models.BooleanField()
    author: Any = models.ForeignKey(Author, models.CASCADE, related_name="books")
    publisher: Any = models.ForeignKey(Publisher, models.CASCADE, related_name="books")
    tags: Any = models.ManyToManyField(Tag, related_name="books")
