"""Invented records, by the thousand: the same each time, so that any two databases filled by this have equal data."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any
from uuid import UUID

import vinyl
from shop.models import Artist, Customer, Order, OrderLine, Record, Tag

ARTISTS, RECORDS, ORDERS = 240, 2500, 1200
BATCH = 500


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


ADJECTIVES = words(
    "Amber Blue Broken Distant Electric Golden Hidden Hollow Midnight Paper Quiet Silver Slow Velvet Wild Winter"
)
NOUNS = words(
    "Arcade Birds Cinema Coast Engines Garden Harbour Lanterns Machine Mirrors Parade River Saints Signal Tides Windows"
)
OPENINGS = ["Above", "After", "Against", "Before", "Below", "Beyond", "Letters from", "Notes on", "Songs for", "Toward"]
COUNTRIES = words(
    "Brazil Canada France Germany Ghana Iceland Ireland Jamaica Japan Mali Norway Portugal Spain Sweden Vietnam"
)
TAGS = words(
    "afrobeat ambient blues bossa-nova classical country disco dub electronic folk funk garage hip-hop jazz krautrock "
    "metal post-punk psychedelic reggae soul"
)
FIRST_NAMES = words(
    "Ada Amir Clara Dara Elif Femi Greta Hana Ines Jonas Kofi Lena Mateo Nia Omar Petra Rui Sofia Tomas Yuki"
)
LAST_NAMES = words(
    "Adler Baptiste Costa Diallo Eriksen Fischer Garcia Haddad Ito Jansen Kaya Lindqvist Mensah Novak Okafor Petrov "
    "Quinn Rossi"
)

Inserts = list[tuple[Any, list[Any]]]


def invent() -> Inserts:
    """Invent everything: pairs of a manager and its objects, in the order in which they can be inserted."""
    random = Random(1948)
    tags = [Tag.vinyl(name=name) for name in TAGS]
    artists = invent_artists(random)
    records = invent_records(random, artists)
    customers = invent_customers()
    orders = invent_orders(random, customers)
    return [
        (Tag.vinyl, tags),
        (Artist.vinyl, artists),
        (Record.vinyl, records),
        (vinyl.manager(Record.tags.through), invent_labels(random, records, tags)),
        (Customer.vinyl, customers),
        (Order.vinyl, orders),
        (OrderLine.vinyl, invent_lines(random, orders, records)),
    ]


async def insert(inserts: Inserts, progress: Callable[[int], None]) -> None:
    """Fill an empty database in one transaction; `progress` is told how many rows were inserted since the last time."""
    async with vinyl.transaction.atomic():
        for manager, objects in inserts:
            for start in range(0, len(objects), BATCH):
                batch = objects[start : start + BATCH]
                await manager.bulk_create(batch)
                progress(len(batch))
            if objects[0].pk is None:
                # MySQL does not return the keys that it gives, but gives them in order.
                keys = await manager.order_by("pk").values_list("pk", flat=True)
                for each, key in zip(objects, keys, strict=True):
                    each.pk = key


def invent_artists(random: Random) -> list[Any]:
    return [Artist.vinyl(name=name, country=random.choice(COUNTRIES)) for name in random.sample(two_words(), ARTISTS)]


def invent_records(random: Random, artists: list[Any]) -> list[Any]:
    titles = [*two_words(), *(f"{opening} the {words}" for opening, words in product(OPENINGS, two_words()))]
    return [invent_record(random, title, random.choice(artists)) for title in random.sample(titles, RECORDS)]


def two_words() -> list[str]:
    return [f"{adjective} {noun}" for adjective, noun in product(ADJECTIVES, NOUNS)]


def invent_record(random: Random, title: str, artist: Any) -> Any:
    return Record.vinyl(
        title=title,
        artist=artist,
        format=random.choices(Record.Format.values, weights=[6, 2, 2, 3])[0],
        price=random.choice(range(4, 48)) + random.choice([Decimal("0.49"), Decimal("0.99")]),
        released=date(1955, 1, 1) + timedelta(days=random.randrange(70 * 365)),
        # One in ten is sold out.
        stock=0 if random.random() < 0.1 else random.randrange(1, 40),
    )


def invent_labels(random: Random, records: list[Any], tags: list[Any]) -> list[Any]:
    """Stick one to three tags on each record: rows of the table behind Record.tags, which has no class of ours."""
    labels = vinyl.manager(Record.tags.through)
    return [labels(record=record, tag=tag) for record in records for tag in random.sample(tags, random.randint(1, 3))]


def invent_customers() -> list[Any]:
    return [
        Customer.vinyl(name=f"{first} {last}", email=f"{first}.{last}@example.org".lower())
        for first, last in product(FIRST_NAMES, LAST_NAMES)
    ]


def invent_orders(random: Random, customers: list[Any]) -> list[Any]:
    days = (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=random.randrange(500_000)) for _ in range(ORDERS))
    return [
        Order.vinyl(
            reference=UUID(int=random.getrandbits(128), version=4),
            customer=random.choice(customers),
            placed_at=day,
            confirmed_at=day,
        )
        for day in sorted(days)
    ]


def invent_lines(random: Random, orders: list[Any], records: list[Any]) -> list[Any]:
    return [
        OrderLine.vinyl(order=order, record=record, quantity=random.randint(1, 3), unit_price=record.price)
        for order in orders
        for record in random.sample(records, random.randint(1, 4))
    ]
