"""What the shop sells, and to whom. `vinyl = VinylManager()` is all that vinyl needs of a model."""

import uuid
from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from vinyl import VinylManager


class Artist(models.Model):
    """A musician or a band."""

    name = models.CharField(max_length=120, unique=True)
    country = models.CharField(max_length=60)

    vinyl = VinylManager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """A word by which records are found: a genre, a mood."""

    name = models.CharField(max_length=40, unique=True)

    vinyl = VinylManager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Record(models.Model):
    """A record for sale."""

    class Format(models.TextChoices):
        """What the music is pressed on."""

        LP = "lp", "LP"
        EP = "ep", "EP"
        SINGLE = "single", "Single"
        CD = "cd", "CD"

    title = models.CharField(max_length=160)
    artist = models.ForeignKey(Artist, on_delete=models.PROTECT, related_name="records")
    tags = models.ManyToManyField(Tag, blank=True, related_name="records")
    format = models.CharField(max_length=10, choices=Format, default=Format.LP)
    price = models.DecimalField(max_digits=7, decimal_places=2, validators=[MinValueValidator(Decimal("0.01"))])
    released = models.DateField(db_index=True)
    stock = models.PositiveIntegerField(default=0)

    vinyl = VinylManager()

    class Meta:
        ordering = ["title", "pk"]
        constraints = [
            models.UniqueConstraint("artist", "title", name="record_title_once_per_artist"),
            models.CheckConstraint(condition=Q(price__gt=0), name="record_price_above_zero"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return the page of the record."""
        return reverse("shop:record", args=[self.pk])

    @property
    def look(self) -> str:
        """How the sleeve looks, as properties for the style sheet: there are no pictures, yet no two look the same."""
        return f"--hue: {self.pk * 47 % 360}; --across: {22 + self.pk * 29 % 57}%; --sun: {10 + self.pk * 13 % 17}%"


class Customer(models.Model):
    """Somebody who has ordered."""

    name = models.CharField(max_length=120)
    email = models.EmailField(unique=True)

    vinyl = VinylManager()

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class Order(models.Model):
    """Records that a customer has ordered together. Its reference is what the customer gets to know of it."""

    reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    records = models.ManyToManyField(Record, through="OrderLine", related_name="orders")
    placed_at = models.DateTimeField(default=timezone.now, db_index=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)

    vinyl = VinylManager()

    class Meta:
        ordering = ["-placed_at", "-pk"]

    def __str__(self) -> str:
        return f"Order {self.reference}"

    def get_absolute_url(self) -> str:
        """Return the page of the order."""
        return reverse("shop:order", args=[self.reference])

    @property
    def total(self) -> Decimal:
        """The sum of the lines, which have to be loaded: prefetch_related("lines")."""
        return sum((line.total for line in self.lines.all()), Decimal("0.00"))


class OrderLine(models.Model):
    """So many of one record in one order, at the price of that day."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    record = models.ForeignKey(Record, on_delete=models.PROTECT, related_name="lines")
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    unit_price = models.DecimalField(max_digits=7, decimal_places=2)

    vinyl = VinylManager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(F("order"), F("record"), name="order_line_once_per_record"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="order_line_quantity_at_least_one"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × record {self.record_id}"

    @property
    def total(self) -> Decimal:
        """The price of all pieces of this line."""
        return self.quantity * self.unit_price
