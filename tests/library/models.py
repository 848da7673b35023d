"""Models of each kind that the tests need. Their only line about vinyl is the manager."""

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Lower, Now

from tests.library import custom
from vinyl import VinylManager


class Author(models.Model):
    name = models.CharField(max_length=100)
    born = models.DateField(null=True)

    vinyl = VinylManager()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    label = models.CharField(max_length=50, unique=True)


class BookQuerySet(models.QuerySet):
    def in_print(self):
        return self.filter(stock__gt=0)


class Book(models.Model):
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    editor = models.ForeignKey(Author, models.SET_NULL, null=True, related_name="edited")
    title = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=10)
    stock = models.IntegerField(default=0)
    published = models.DateTimeField(null=True)
    changed = models.DateTimeField(auto_now=True)
    tags = models.ManyToManyField(Tag, related_name="books")
    notes = GenericRelation("Note")

    objects = BookQuerySet.as_manager()
    vinyl = VinylManager.from_queryset(BookQuerySet)()

    class Meta:
        ordering = ("id",)
        constraints = [models.UniqueConstraint(fields=["author", "title"], name="one_title_per_author")]

    def __str__(self) -> str:
        return self.title


class Cover(models.Model):
    book = models.OneToOneField(Book, models.CASCADE, related_name="cover")
    colour = models.CharField(max_length=20)

    vinyl = VinylManager()


class Note(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    about = GenericForeignKey()
    text = models.TextField()
    answer_to = models.ForeignKey("self", models.CASCADE, null=True, related_name="answers")

    vinyl = VinylManager()


class Shelf(models.Model):
    """Values that the database makes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=20, db_default="A-0")
    width = models.IntegerField(default=1)
    double_width = models.GeneratedField(
        expression=models.F("width") * 2, output_field=models.IntegerField(), db_persist=True
    )
    made = models.DateTimeField(db_default=Now())

    vinyl = VinylManager()


class Place(models.Model):
    name = models.CharField(max_length=50)

    vinyl = VinylManager()


class Branch(Place):
    """A multi-table child, which inherits the manager."""

    seats = models.IntegerField(default=0)


class BigBranch(Branch):
    floors = models.IntegerField(default=2)


class NamedPlace(Place):
    """A proxy, which inherits the manager."""

    class Meta:
        proxy = True


class Stamped(models.Model):
    """An abstract base with a manager: each child has one of its own."""

    stamp = models.CharField(max_length=10, default="new")

    vinyl = VinylManager()

    class Meta:
        abstract = True


class Letter(Stamped):
    text = models.TextField(default="")


class Parcel(Stamped):
    weight = models.FloatField(default=0)


class Member(models.Model):
    name = models.CharField(max_length=100)

    vinyl = VinylManager(model=custom.Member)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="one_member_of_each_name")]


class Loan(models.Model):
    """Kept from deletion by PROTECT."""

    book = models.ForeignKey(Book, models.PROTECT, related_name="loans")
    member = models.ForeignKey(Member, models.CASCADE)

    vinyl = VinylManager()
