"""What several suites look at."""

from asgiref.sync import sync_to_async
from django.db import connection

from tests.users_tests.models import Author

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
    "mysql": "SELECT SLEEP(60)",
}


def slow():
    """A statement that takes long."""
    return SLOW[connection.vendor]


async def add(name):
    """Insert an author by vinyl."""
    return await Author.vinyl.create(name=name)


async def names():
    """The authors' names, as vinyl reads them."""
    return [author.name async for author in Author.vinyl.order_by("id")]


def names_of_django():
    return [author.name for author in Author.objects.order_by("id")]


async def names_in_thread():
    """The authors' names, as synchronous code reads them that a coroutine waits for."""
    return await sync_to_async(names_of_django)()
