"""A backend of a project's, which makes cursors in its own way: each tells `opened` that it was."""

from django.conf import settings
from django.db.utils import load_backend

opened: list[str] = []
_django: type = load_backend(settings.DATABASES["default"]["ENGINE"]).DatabaseWrapper


class DatabaseWrapper(_django):
    def _cursor(self, name=None):
        opened.append(self.alias)
        return super()._cursor(name)
