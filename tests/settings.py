"""Django's settings for the tests: the engine and server that `python -m tests` names, SQLite where nothing is said."""

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ENGINE = os.environ.get("VINYL_TEST_ENGINE", "sqlite")
# The mode of the PgBouncer that the server is behind, if it is: `session` or `transaction`.
POOL_MODE = os.environ.get("VINYL_TEST_POOL_MODE", "")
# Under pytest-xdist each worker has a database of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def database(name: str) -> dict[str, Any]:
    """Return the DATABASES entry of a test database on the server named by VINYL_TEST_URL."""
    folder = Path(tempfile.gettempdir(), "vinyl-tests")
    folder.mkdir(exist_ok=True)
    url = urlsplit(os.environ.get("VINYL_TEST_URL") or f"sqlite:///{folder}")
    name = f"test_vinyl_{name}{WORKER}"
    # MIGRATE: tests.kinds has no migrations, and what refers to tables that have some could not be made before them.
    if ENGINE == "sqlite":
        path = str(Path(url.path) / f"{name}.sqlite3")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "TEST": {"NAME": path, "MIGRATE": False},
            # Writers queue up for the file; SQLite's own patience is 5 s.
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    if ENGINE in ("mariadb", "mysql"):
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name,
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": unquote(url.hostname or "127.0.0.1"),
            "PORT": str(url.port or ""),
            "TEST": {"NAME": name, "MIGRATE": False, "CHARSET": "utf8mb4"},
        }
    query = dict(pair.split("=", 1) for pair in url.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.lstrip("/") or "postgres",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(query.get("host") or url.hostname or "127.0.0.1"),
        "PORT": str(url.port or ""),
        # As Django documents it: a cursor WITH HOLD would stay behind in a session that is another client's by then.
        "DISABLE_SERVER_SIDE_CURSORS": POOL_MODE == "transaction",
        "TEST": {"NAME": name, "MIGRATE": False},
    }


def environment_of_the_demo() -> dict[str, str]:
    """Return an environment in which the demo uses the same server as the tests."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    if ENGINE != "sqlite":
        environment[f"VINYL_TEST_{ENGINE.upper()}"] = os.environ["VINYL_TEST_URL"]
    return environment


DATABASES = {"default": database("default"), "other": database("other")}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "tests.kinds",
    "tests.library",
    "tests.types_of_fields",
    *(["django.contrib.postgres"] if ENGINE == "postgresql" else []),
]
AUTH_USER_MODEL = "kinds.User"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.library.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECRET_KEY = "tests"
STATIC_URL = "static/"
USE_TZ = True
# With VINYL_TEST_VERIFY_PLANS=1 each planned query of the tests is carried out by Django as well, and compared.
VINYL = {"VERIFY_PLANS": True} if os.environ.get("VINYL_TEST_VERIFY_PLANS") else {}
