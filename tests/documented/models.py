"""What the pages speak of. Names and values are those that the examples need."""

from django.db import models
from django.utils.timezone import now

from vinyl import VinylManager


class InPrint(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(stock__gt=0)


class Author(models.Model):
    name = models.CharField(max_length=50)

    vinyl = VinylManager()


class Owner(models.Model):
    name = models.CharField(max_length=50)

    vinyl = VinylManager()


class Group(models.Model):
    label = models.CharField(max_length=50)

    vinyl = VinylManager()


class Tag(models.Model):
    label = models.CharField(max_length=50)
    group = models.ForeignKey(Group, models.CASCADE, null=True)

    vinyl = VinylManager()


class ArtifactQuerySet(models.QuerySet):
    def published(self):
        return self.filter(published__lte=now())

    def mean_age(self):
        return sum(artifact.age for artifact in self) / self.count()


class Artifact(models.Model):
    name = models.CharField(max_length=50)
    x = models.IntegerField(default=0)
    y = models.IntegerField(default=0)
    age = models.IntegerField(default=100)
    published = models.DateTimeField(default=now)
    author = models.ForeignKey(Author, models.CASCADE, null=True, related_name="artifacts")
    owner = models.ForeignKey(Owner, models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)

    vinyl = VinylManager.from_queryset(ArtifactQuerySet)()

    class Meta:
        db_table = "artifact"

    def __str__(self):
        return self.name


class Book(models.Model):
    title = models.CharField(max_length=50)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    published = models.DateField()
    stock = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=6, decimal_places=2, default=10)
    tags = models.ManyToManyField(Tag)

    vinyl = VinylManager()
    objects = models.Manager()
    in_print = InPrint()


class Account(models.Model):
    balance = models.IntegerField(default=0)

    vinyl = VinylManager()


class Job(models.Model):
    """Has a field with the name of a method of vinyl's instances, and a state, as jobs of a queue do."""

    update = models.CharField(max_length=50, default="daily")
    state = models.CharField(max_length=10, default="waiting")

    vinyl = VinylManager()
