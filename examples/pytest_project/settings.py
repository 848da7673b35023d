"""Django settings of the library. `LIBRARY_DATABASE` may have another database than SQLite, as JSON:

'{"ENGINE": "django.db.backends.postgresql", "NAME": "library", …}'.
"""

import json
import os

SECRET_KEY = "tests only"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "lending"]
ROOT_URLCONF = "lending.urls"
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "library.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    # In a file, since a database in memory is locked for one connection while another one writes.
    "TEST": {"NAME": "test_library.sqlite3"},
}
DATABASES = {"default": json.loads(os.environ.get("LIBRARY_DATABASE") or "null") or SQLITE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
