"""What the tests with packages have beside tests/conftest.py."""

from collections.abc import Iterator

import pytest
from django.db import connections


@pytest.fixture(scope="session", autouse=True)
def closed_at_the_end(databases: None) -> Iterator[None]:
    """Close further connections to a database before it is dropped."""
    yield
    for alias in connections:
        if alias not in ("default", "other"):
            connections[alias].close()
