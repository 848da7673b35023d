"""The application. It teaches SQLite to be slow, for the report; the other databases know how."""

import time

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class GuestbookConfig(AppConfig):
    """The guest book."""

    name = "guestbook"
    verbose_name = "guest book"

    def ready(self):
        connection_created.connect(teach)


def teach(connection, **kwargs):
    """Make a function `pause` of the connection, if it is one of SQLite's."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("pause", 1, time.sleep)
