"""Django's settings for its own tests, on the engine and server that `python -m tests.django_suite` names.

They are Django's example, `test_sqlite.py` beside its tests, but for the databases and for who records the outcomes.
"""

import os
from typing import Any

from test_sqlite import *  # type: ignore[import-not-found]  # noqa: F403

from tests.settings import database as database_of_tests

# Tells the databases of runs that go on side by side apart; see `children.py`.
RUN = os.environ["VINYL_DJANGO_RUN"]


def database(alias: str) -> dict[str, Any]:
    """Return the DATABASES entry of an alias: as vinyl's own tests have it, without what only they need."""
    entry = database_of_tests(f"django_{RUN}_{alias}")
    # Nothing has to survive a crash of the machine; PostgreSQL is told so by PGOPTIONS.
    options = {"init_command": "PRAGMA synchronous = OFF"} if entry["ENGINE"].endswith("sqlite3") else {}
    return {**entry, "TEST": {"NAME": entry["TEST"]["NAME"]}, "OPTIONS": options}


DATABASES = {"default": database("default"), "other": database("other")}
TEST_RUNNER = "tests.django_suite.recorder.Runner"
