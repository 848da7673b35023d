"""Primary keys and the relations by them."""

from django.db import models

from vinyl import VinylManager


class Tenant(models.Model):
    name = models.CharField(max_length=50)

    vinyl = VinylManager()


class Order(models.Model):
    pk = models.CompositePrimaryKey("tenant_id", "number")
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="orders")
    number = models.IntegerField()
    note = models.CharField(max_length=50, default="")

    vinyl = VinylManager()


class Line(models.Model):
    """Refers to a composite primary key."""

    order_tenant = models.IntegerField()
    order_number = models.IntegerField()
    order = models.ForeignObject(
        Order,
        models.CASCADE,
        from_fields=("order_tenant", "order_number"),
        to_fields=("tenant_id", "number"),
        related_name="lines",
    )
    text = models.CharField(max_length=50, default="")

    vinyl = VinylManager()


class Countries(models.Manager):
    def get_by_natural_key(self, code):
        return self.get(code=code)


class Country(models.Model):
    code = models.CharField(primary_key=True, max_length=2)
    name = models.CharField(max_length=50, unique=True)

    objects = Countries()
    vinyl = VinylManager()

    def natural_key(self):
        return (self.code,)


class City(models.Model):
    """Refers to a column that is not the primary key."""

    name = models.CharField(max_length=50)
    country = models.ForeignKey(Country, models.CASCADE, to_field="name", related_name="cities")
    ruler = models.ForeignKey(Country, models.SET_NULL, null=True, to_field="name", related_name="+")

    vinyl = VinylManager()


class Node(models.Model):
    """Refers to itself."""

    name = models.CharField(max_length=50, unique=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    friends = models.ManyToManyField("self")
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")

    vinyl = VinylManager()


class Citizen(models.Model):
    name = models.CharField(max_length=50)

    vinyl = VinylManager()


class Passport(models.Model):
    """Its primary key is a relation."""

    citizen = models.OneToOneField(Citizen, models.CASCADE, primary_key=True)
    number = models.CharField(max_length=20, default="")

    vinyl = VinylManager()


class Visa(models.Model):
    """Refers to a primary key that is a relation."""

    passport = models.ForeignKey(Passport, models.CASCADE, related_name="visas")
    country = models.CharField(max_length=20, default="")

    vinyl = VinylManager()


class Small(models.Model):
    id = models.SmallAutoField(primary_key=True)

    vinyl = VinylManager()


class Numbered(models.Model):
    """Names of attributes and columns differ."""

    number = models.BigAutoField(primary_key=True, db_column="nr")
    kind = models.CharField(max_length=20, db_column="class")
    near = models.ForeignKey("self", models.SET_NULL, null=True, db_column="Near By", related_name="nearer")

    vinyl = VinylManager()

    class Meta:
        db_table = "kinds_of numbers"
