"""Django's settings for the bank, on the engine and server that `child.py` has started."""

from typing import Any

from tests.settings import DEFAULT_AUTO_FIELD, ENGINE, database

__all__ = ["DATABASES", "DEFAULT_AUTO_FIELD", "INSTALLED_APPS", "USE_TZ", "VINYL"]

# Seconds that a connection of SQLite waits for the lock of another. Less than its default, so that it often waits in
# vain, and the transfer has to be tried again.
SQLITE_PATIENCE = 0.5
OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": SQLITE_PATIENCE, "transaction_mode": "IMMEDIATE"},
    # A deadlock is found out soon, so that there are many.
    "postgresql": {"options": "-c deadlock_timeout=50ms"},
}
DATABASES = {"default": {**database("stress"), "OPTIONS": OPTIONS.get(ENGINE, {})}}
INSTALLED_APPS = ["tests.stress"]
USE_TZ = True
# So many seconds none has to wait for a connection, on a slow machine either, unless connections get lost.
POOL_SECONDS = 60.0
# Far fewer connections than tasks, which become too old every few seconds, and idle ones at once.
VINYL = {
    "POOL": {
        "default": {
            "min_size": 2,
            "max_size": 4 if ENGINE == "sqlite" else 16,
            "timeout": POOL_SECONDS,
            "max_lifetime": 3.0,
            "max_idle": 0.5,
        }
    }
}
