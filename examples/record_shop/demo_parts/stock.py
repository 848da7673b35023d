"""The data of the demo: making it, and looking at what the servers have left of it.

It is Django as ever, `objects` and all, but for the rows, which vinyl inserts. Import it after django.setup().
"""

import asyncio
from collections.abc import Callable

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Sum

from shop import seeding
from shop.models import Artist, Customer, Order, OrderLine, Record, Tag

# What the calls create, and forget() deletes.
CUSTOMER = {"name": "Grace Demo", "email": "grace.demo@example.org"}
TAG = "demo"


def migrate() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)


def fill(begin: Callable[[int], None], advance: Callable[[int], None]) -> None:
    """Insert some thousand rows; `begin` is told how many there will be, `advance` how many more there are."""
    inserts = seeding.invent()
    begin(sum(len(objects) for _, objects in inserts))
    asyncio.run(seeding.insert(inserts, advance))


def add_admin() -> None:
    """Make the user admin, whose password is admin."""
    User.objects.create_superuser("admin", "admin@example.org", "admin")


def in_stock() -> tuple[int, int]:
    """Return the primary keys of two records to order."""
    first, second = Record.objects.filter(stock__gte=5).order_by("pk").values_list("pk", flat=True)[:2]
    return first, second


def state() -> dict[str, int]:
    """Count everything, to see what calls have changed."""
    rows = {model.__name__: model.objects.count() for model in (Artist, Customer, Order, OrderLine, Record, Tag)}
    return {**rows, "stock": Record.objects.aggregate(pieces=Sum("stock"))["pieces"]}


def forget() -> None:
    """Delete what the calls leave behind on purpose."""
    Customer.objects.filter(email=CUSTOMER["email"]).delete()
    Tag.objects.filter(name=TAG).delete()
