"""The settings of the other tests, and the packages'."""

import ctypes.util
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, ENGINE, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "adrf", "channels", "django_prometheus", "rest_framework", "strawberry_django"]
ROOT_URLCONF = "tests.packages.urls"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
ALLOWED_HOSTS = ["testserver"]

# The same databases by an ENGINE that derives from Django's.
if ENGINE in ("sqlite", "postgresql"):
    backend = {"sqlite": "sqlite3"}.get(ENGINE, ENGINE)
    DATABASES = {
        **DATABASES,
        "counted": {
            **DATABASES["default"],
            "ENGINE": f"django_prometheus.db.backends.{backend}",
            "TEST": {**DATABASES["default"]["TEST"], "MIRROR": "default"},
        },
    }
# GeoDjango needs libraries of the system's.
HAS_GEO = all(ctypes.util.find_library(name) for name in ("gdal", "geos_c"))
if ENGINE == "postgresql" and HAS_GEO:
    DATABASES["gis"] = {**DATABASES["counted"], "ENGINE": "django.contrib.gis.db.backends.postgis"}

# A process that a test starts has the test's database.
if name := os.environ.get("VINYL_TEST_DATABASE"):
    DATABASES = {"default": {**DATABASES["default"], "NAME": name}}
