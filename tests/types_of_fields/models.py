"""A column of each type, in tables by family; keys of each type and relations by them; what the database computes."""

import datetime as dt
import uuid
from decimal import Decimal

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Value

from vinyl import VinylManager


class Sample(models.Model):
    """A row has a value in one of its columns. The label says what it is for, so that rows can be told apart."""

    label = models.CharField(max_length=100, db_index=True)

    vinyl = VinylManager()

    class Meta:
        abstract = True


class Numbers(Sample):
    big_integer = models.BigIntegerField(null=True)
    boolean = models.BooleanField(null=True)
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    decimal_of_units = models.DecimalField(max_digits=5, decimal_places=0, null=True)
    float = models.FloatField(null=True)
    integer = models.IntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    small = models.SmallIntegerField(null=True)


class Texts(Sample):
    char = models.CharField(max_length=200, null=True)
    email = models.EmailField(null=True)
    file = models.FileField(upload_to="files", null=True)
    file_path = models.FilePathField(path="/", null=True)
    image = models.ImageField(upload_to="images", null=True)
    slug = models.SlugField(null=True)
    text = models.TextField(null=True)
    url = models.URLField(null=True)


class Moments(Sample):
    date = models.DateField(null=True)
    date_time = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    time = models.TimeField(null=True)


class Structures(Sample):
    binary = models.BinaryField(null=True)
    ip_address = models.GenericIPAddressField(null=True)
    ip_address_of_four = models.GenericIPAddressField(protocol="IPv4", null=True)
    ip_address_unpacked = models.GenericIPAddressField(unpack_ipv4=True, null=True)
    json = models.JSONField(null=True)
    json_encoded = models.JSONField(encoder=DjangoJSONEncoder, null=True)
    uuid = models.UUIDField(null=True)


# Keys.


class SmallKey(models.Model):
    id = models.SmallAutoField(primary_key=True)


class Key(models.Model):
    id = models.AutoField(primary_key=True)


class BigKey(models.Model):
    id = models.BigAutoField(primary_key=True)


class CharKey(models.Model):
    name = models.CharField(max_length=100, primary_key=True)


class DecimalKey(models.Model):
    number = models.DecimalField(max_digits=12, decimal_places=4, primary_key=True)


class MomentKey(models.Model):
    moment = models.DateTimeField(primary_key=True)


class UuidKey(models.Model):
    code = models.UUIDField(primary_key=True, default=uuid.uuid4)


class Reference(models.Model):
    """A relation by a key of each type."""

    small = models.ForeignKey(SmallKey, models.CASCADE, null=True)
    key = models.ForeignKey(Key, models.CASCADE, null=True)
    big = models.ForeignKey(BigKey, models.CASCADE, null=True)
    char = models.OneToOneField(CharKey, models.CASCADE, null=True)
    decimal = models.ForeignKey(DecimalKey, models.CASCADE, null=True)
    moment = models.ForeignKey(MomentKey, models.CASCADE, null=True)
    uuid = models.ForeignKey(UuidKey, models.CASCADE, null=True)
    codes = models.ManyToManyField(UuidKey, related_name="+")

    vinyl = VinylManager()

    class Meta:
        order_with_respect_to = "uuid"


class Whole(models.Model):
    """A key of several types."""

    pk = models.CompositePrimaryKey("char", "uuid", "date")
    char = models.CharField(max_length=50)
    uuid = models.UUIDField()
    date = models.DateField()

    vinyl = VinylManager()


class Part(models.Model):
    char = models.CharField(max_length=50)
    uuid = models.UUIDField()
    date = models.DateField()
    whole = models.ForeignObject(
        Whole, models.CASCADE, from_fields=["char", "uuid", "date"], to_fields=["char", "uuid", "date"]
    )

    vinyl = VinylManager()


# What the database computes.


def again(name: str, field: models.Field) -> models.Field:
    """Return a field in which the database repeats the column of this name."""
    return models.GeneratedField(expression=F(name), output_field=field, db_persist=True, null=True)


class Computed(Sample):
    """What is written to a column is read back from another, as soon as the row is written."""

    binary = models.BinaryField(null=True)
    binary_again = again("binary", models.BinaryField())
    boolean = models.BooleanField(null=True)
    boolean_again = again("boolean", models.BooleanField())
    char = models.CharField(max_length=200, null=True)
    char_again = again("char", models.CharField(max_length=200))
    date = models.DateField(null=True)
    date_again = again("date", models.DateField())
    date_time = models.DateTimeField(null=True)
    date_time_again = again("date_time", models.DateTimeField())
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    decimal_again = again("decimal", models.DecimalField(max_digits=30, decimal_places=10))
    duration = models.DurationField(null=True)
    duration_again = again("duration", models.DurationField())
    float = models.FloatField(null=True)
    float_again = again("float", models.FloatField())
    integer = models.IntegerField(null=True)
    integer_again = again("integer", models.IntegerField())
    ip_address = models.GenericIPAddressField(null=True)
    ip_address_again = again("ip_address", models.GenericIPAddressField())
    json = models.JSONField(null=True)
    json_again = again("json", models.JSONField())
    time = models.TimeField(null=True)
    time_again = again("time", models.TimeField())
    uuid = models.UUIDField(null=True)
    uuid_again = again("uuid", models.UUIDField())


class Defaulted(models.Model):
    """Of each column the database has the default."""

    boolean = models.BooleanField(db_default=True)
    char = models.CharField(max_length=50, db_default="é🦆 it's \\ %s")
    date = models.DateField(db_default=dt.date(999, 12, 31))
    date_time = models.DateTimeField(db_default=dt.datetime(2024, 2, 29, 1, 2, 3, 4, dt.UTC))
    decimal = models.DecimalField(max_digits=30, decimal_places=10, db_default=Decimal("-1.50"))
    duration = models.DurationField(db_default=dt.timedelta(days=-1, microseconds=1))
    float = models.FloatField(db_default=1e-300)
    integer = models.BigIntegerField(db_default=-(2**63))
    ip_address = models.GenericIPAddressField(db_default="2001:db8::1")
    json = models.JSONField(db_default=Value({"é": [1, None, {"a": 1.5}]}, models.JSONField()))
    text = models.TextField(db_default="🦆" * 100)
    time = models.TimeField(db_default=dt.time.max)
    uuid = models.UUIDField(db_default=uuid.UUID(int=1))

    vinyl = VinylManager()


class Required(models.Model):
    """No column may be NULL."""

    char = models.CharField(max_length=5)
    number = models.IntegerField()

    vinyl = VinylManager()
