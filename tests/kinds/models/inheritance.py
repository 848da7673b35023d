"""Parents, children and proxies."""

import uuid

from django.db import models
from django.db.models.functions import Now

from tests.kinds import custom
from vinyl import VinylManager


class Text(models.Model):
    text_id = models.AutoField(primary_key=True)
    words = models.TextField(default="")

    vinyl = VinylManager()


class Illustration(models.Model):
    illustration_id = models.AutoField(primary_key=True)
    caption = models.CharField(max_length=50, default="")

    vinyl = VinylManager()


class Page(Text, Illustration):
    """Has two parents."""

    number = models.IntegerField(default=1)


class Being(models.Model):
    name = models.CharField(max_length=50)

    vinyl = VinylManager()


class Swimmer(Being):
    swimming_being = models.OneToOneField(Being, models.CASCADE, primary_key=True, parent_link=True)
    depth = models.IntegerField(default=0)


class Flyer(Being):
    flying_being = models.OneToOneField(Being, models.CASCADE, primary_key=True, parent_link=True)
    height = models.IntegerField(default=0)


class Duck(Swimmer, Flyer):
    """Has two parents, who have one."""

    sound = models.CharField(max_length=10, default="quack")


class Vehicle(models.Model):
    plate = models.CharField(primary_key=True, max_length=10)
    wheels = models.IntegerField(default=4)

    vinyl = VinylManager()


class Bus(Vehicle):
    """A child whose primary key is not the link to its parent."""

    line = models.CharField(primary_key=True, max_length=10)
    vehicle = models.OneToOneField(Vehicle, models.CASCADE, parent_link=True, related_name="bus")
    colour = models.CharField(max_length=10, default="red")


class NightBus(Bus):
    """The proxy of a child."""

    class Meta:
        proxy = True
        ordering = ("-line",)

    def greeting(self) -> str:
        return f"Good night from {self.line}"


class SchoolBus(Bus):
    """A child with a manager and an instance class of its own."""

    as_bus = models.OneToOneField(Bus, models.CASCADE, primary_key=True, parent_link=True, related_name="school_bus")
    school = models.CharField(max_length=50, default="")

    vinyl = VinylManager(model=custom.SchoolBus)


class VehicleRow(models.Model):
    """The table of another model, which migrations leave alone."""

    plate = models.CharField(primary_key=True, max_length=10)
    wheels = models.IntegerField(default=3)

    vinyl = VinylManager()

    class Meta:
        managed = False
        db_table = "kinds_vehicle"


class Asset(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    worth = models.IntegerField(default=1)
    double_worth = models.GeneratedField(
        expression=models.F("worth") * 2, output_field=models.IntegerField(), db_persist=True
    )
    made = models.DateTimeField(db_default=Now())

    vinyl = VinylManager()


class Machine(Asset):
    """A child whose table has values that the database makes, as its parent's has."""

    power = models.IntegerField(default=1)
    triple_power = models.GeneratedField(
        expression=models.F("power") * 3, output_field=models.IntegerField(), db_persist=True
    )
    code = models.CharField(max_length=10, db_default="M-0")


class Dated(models.Model):
    made = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Titled(models.Model):
    title = models.CharField(max_length=50)

    vinyl = VinylManager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title


class Labelled(Titled):
    label = models.CharField(max_length=50, default="none")

    class Meta:
        abstract = True
        ordering = ("title",)


class Shouting:
    """A mixin that is no model."""

    def shouted(self) -> str:
        return str(self).upper() + "!"


class Report(Shouting, Dated, Labelled):
    """Has several abstract parents."""

    text = models.TextField(default="")


class Live(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class Post(models.Model):
    """The default manager hides some of the rows."""

    title = models.CharField(max_length=50)
    hidden = models.BooleanField(default=False)

    everything = models.Manager()
    live = Live()
    vinyl = VinylManager()

    class Meta:
        base_manager_name = "everything"
        default_manager_name = "live"


class Reply(models.Model):
    """Both of its managers hide some of the rows."""

    post = models.ForeignKey(Post, models.CASCADE, related_name="replies")
    hidden = models.BooleanField(default=False)

    live = Live()
    vinyl = VinylManager()

    class Meta:
        base_manager_name = "live"
