"""A page made of six slow queries, which are under way at a time: `python dashboard.py`.

Prints the panels, and how long the queries took one after the other and side by side. On SQLite, where each connection
has a thread, `slowly()` is a function of Python's that sleeps; on a server it would be the query that is slow.
"""

import asyncio
import time

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "sales.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    VINYL={"POOL": {"default": {"max_size": 6}}},
)
django.setup()

from django.db import connection, models
from django.db.backends.signals import connection_created
from django.db.models import Avg, Func, Max, Sum

import vinyl
from vinyl import VinylManager

REGIONS = ["north", "south"]
SECONDS = 0.2


class Sale(models.Model):
    region = models.CharField(max_length=20)
    amount = models.IntegerField()

    vinyl = VinylManager()

    class Meta:
        app_label = "dashboard"


class Slowly(Func):
    """The value of an expression, after a while."""

    function = "slowly"


def slowly(value):
    time.sleep(SECONDS)
    return value


def teach(connection, **kwargs):
    connection.connection.create_function("slowly", 1, slowly)


connection_created.connect(teach)


async def panel(region, name, aggregate):
    """Ask for one figure. A coroutine, so that several can wait at a time."""
    figures = await Sale.vinyl.filter(region=region).aggregate(figure=Slowly(aggregate("amount")))
    return f"{region}: {name} {figures['figure']:g}"


def panels():
    kinds = {"total": Sum, "average": Avg, "largest": Max}
    return [panel(region, name, aggregate) for region in REGIONS for name, aggregate in kinds.items()]


async def main():
    started = time.perf_counter()
    one_after_the_other = [await each for each in panels()]
    between = time.perf_counter()
    side_by_side = await asyncio.gather(*panels())
    ended = time.perf_counter()

    assert side_by_side == one_after_the_other
    print(*side_by_side, sep="\n")
    print(f"one after the other {between - started:.1f} s, side by side {ended - between:.1f} s")
    print(f"connections: {vinyl.connection.statistics()['pool_size']}")


def make_table():
    with connection.schema_editor() as editor:
        if Sale._meta.db_table in connection.introspection.table_names():
            editor.delete_model(Sale)
        editor.create_model(Sale)
    Sale.objects.bulk_create([Sale(region=region, amount=amount) for region in REGIONS for amount in range(1, 11)])


if __name__ == "__main__":
    make_table()
    asyncio.run(main())
