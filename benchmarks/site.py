"""A small site, as a project would write it: each page makes five queries. `benchmarks.sites` measures who serves it.

    uvicorn benchmarks.site:vinyl        natively, by vinyl.asgi
    uvicorn benchmarks.site:asgi         by Django's ASGI handler: a thread for each request
    gunicorn benchmarks.site:wsgi        by Django's WSGI handler: a number of threads

SITE_DATABASE is the URL of a PostgreSQL database.
"""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

ROWS = 100


def configure() -> None:
    url = urlsplit(os.environ["SITE_DATABASE"])
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.strip("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(url.hostname or ""),
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": 60,
    }
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": database},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="benchmark",
        LOGGING_CONFIG=None,
    )
    django.setup()


if not settings.configured:
    configure()


def seed() -> None:
    """Make the tables and fill them."""
    from django.contrib.auth.models import Group
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    Group.objects.all().delete()
    Group.objects.bulk_create(Group(pk=number, name=f"group {number}") for number in range(1, ROWS + 1))


def page(request: HttpRequest) -> HttpResponse:
    from django.contrib.auth.models import Group

    groups = [Group.objects.get(pk=number) for number in range(1, 5)]
    return JsonResponse({"groups": [group.name for group in groups], "count": Group.objects.count()})


urlpatterns = [path("", page)]


def __getattr__(name: str) -> Any:
    """Make the application that the server asks for, and no other."""
    if name == "vinyl":
        from vinyl.asgi import get_asgi_application

        return get_asgi_application()
    if name == "asgi":
        from django.core.asgi import get_asgi_application as djangos

        return djangos()
    if name == "wsgi":
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
    raise AttributeError(name)
