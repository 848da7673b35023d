"""`manage.py seed`: fill an empty database with some thousand rows."""

import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from shop import seeding
from shop.models import Artist


class Command(BaseCommand):
    """Fill an empty database; the rows are the same each time."""

    help = "Fill an empty database with some thousand rows, the same each time."

    def handle(self, *args: Any, **options: Any) -> None:
        if Artist.objects.exists():
            raise CommandError("There are artists already. Seeding is for an empty database.")
        inserts = seeding.invent()
        asyncio.run(seeding.insert(inserts, lambda rows: None))
        rows = sum(len(objects) for _, objects in inserts)
        self.stdout.write(self.style.SUCCESS(f"{rows} rows were inserted."))
