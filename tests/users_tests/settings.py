"""The project's settings: databases of its own on the server that the tests run on."""

import os

from tests.settings import DATABASES as SERVER
from tests.settings import WORKER


def database(alias):
    """Return the entry of a database whose test database nobody else uses."""
    settings = {**SERVER["default"], "TEST": {"NAME": f"test_vinyl_users_{alias}{WORKER}", "MIGRATE": False}}
    if settings["ENGINE"].endswith("mysql"):
        settings["TEST"]["CHARSET"] = "utf8mb4"
    if settings["ENGINE"].endswith("sqlite3"):
        # In memory, unless the tests want files.
        folder = os.environ.get("VINYL_TEST_USERS_FILES")
        settings["NAME"] = f"users_{alias}"
        settings["TEST"]["NAME"] = folder and f"{folder}/{alias}.sqlite3"
    return settings


DATABASES = {"default": database("default"), "other": database("other")}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "tests.users_tests"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
ROOT_URLCONF = "tests.users_tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "users"
STATIC_URL = "static/"
MEDIA_URL = "media/"
USE_TZ = True
