"""ENGINEs that derive from Django's: what they add holds for vinyl's connections too."""

import pytest
from django.db import DatabaseError
from prometheus_client import REGISTRY

import vinyl
from tests.library.models import Author

pytestmark = pytest.mark.usefixtures("db")


def count(name):
    """Return a counter of django-prometheus's, of all kinds."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == f"django_db_{name}_total" and sample.labels["alias"] == "counted"
    )


async def test_django_prometheus_counts_connections_and_statements():
    before = count("execute")
    await Author.vinyl.using("counted").create(name="Jane")
    for _ in range(5):
        # Planned after the first ones.
        assert await Author.vinyl.using("counted").filter(name="Jane").count() == 1
    assert count("execute") - before >= 6
    assert count("new_connections") > 0


async def test_django_prometheus_counts_errors():
    before = count("errors")
    with pytest.raises(DatabaseError, match="nowhere"):
        await vinyl.connections["counted"].execute("SELECT id FROM nowhere")
    assert count("errors") == before + 1
