"""A site in one file: notes that are listed and added, asynchronously, on SQLite.

python minimal.py                   makes the table, adds a note and prints them all
uvicorn minimal:application         serves them at http://127.0.0.1:8000/
"""

import asyncio
import sys

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "notes.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
)
django.setup()

from django.core.asgi import get_asgi_application
from django.db import connection, models
from django.http import JsonResponse
from django.urls import path

from vinyl import VinylManager


class Note(models.Model):
    text = models.CharField(max_length=200)
    written = models.DateTimeField(auto_now_add=True)

    vinyl = VinylManager()

    class Meta:
        app_label = "minimal"


async def note_list(request):
    """Give the last ten notes; `?add=text` adds one before."""
    if "add" in request.GET:
        await Note.vinyl(text=request.GET["add"]).insert()
    notes = await Note.vinyl.order_by("-id")[:10]
    return JsonResponse({"notes": [note.text for note in notes]})


def make_table():
    """Do what migrations are for in a project that has applications."""
    if Note._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Note)


async def main(text):
    await Note.vinyl(text=text).insert()
    async for note in Note.vinyl.order_by("id"):
        print(note.text)


urlpatterns = [path("", note_list)]
make_table()
application = get_asgi_application()

if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Hello"))
