"""Every public name of Django's querysets is answered by vinyl's, in the way that is written down here."""

import inspect

import pytest
from django.db.models import QuerySet
from django.db.models.manager import BaseManager
from django.db.models.query import RawQuerySet

import vinyl
from tests.library.models import Author
from vinyl import VinylQuerySet
from vinyl.faces.queryset import VinylRawQuerySet

# Awaited in the async mode. Django's names for asynchronous code are these with an `a` before.
OPERATIONS = {
    "aggregate", "bulk_create", "bulk_update", "contains", "count", "create", "delete", "earliest", "exists", "explain",
    "first", "get", "get_or_create", "in_bulk", "last", "latest", "update", "update_or_create",
}  # fmt: skip
# Give a queryset at once.
CHAINS = {
    "alias", "all", "annotate", "complex_filter", "dates", "datetimes", "defer", "difference", "distinct", "exclude",
    "extra", "filter", "intersection", "none", "only", "order_by", "prefetch_related", "raw", "reverse",
    "select_for_update", "select_related", "union", "using", "values", "values_list",
}  # fmt: skip
# Streams: for `for` and `async for`.
STREAMS = {"iterator"}
# Neither query nor chain.
PLAIN = {"as_manager", "db", "ordered", "query", "resolve_expression", "totally_ordered"}
# Answered differently, for the reason given.
DIFFERENT = {"fetch_mode": "vinyl never queries behind an attribute, so it refuses FETCH_PEERS"}


def public_names(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


def parameters(cls, name):
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(getattr(cls, name)).parameters.values()
    ]


def test_every_public_name_of_djangos_querysets_has_its_place():
    asynchronous = {f"a{name}" for name in OPERATIONS | STREAMS}
    known = OPERATIONS | CHAINS | STREAMS | PLAIN | asynchronous | set(DIFFERENT)
    assert public_names(QuerySet) - known == set()
    # fetch_mode and totally_ordered came with newer versions.
    assert known - public_names(QuerySet) <= {"fetch_mode", "totally_ordered"}


@pytest.mark.parametrize("name", sorted(OPERATIONS | STREAMS | {f"a{name}" for name in OPERATIONS | STREAMS}))
def test_what_queries_is_vinyls_and_has_djangos_signature(name):
    assert name in vars(VinylQuerySet)
    assert parameters(VinylQuerySet, name) == parameters(QuerySet, name)


@pytest.mark.asynchronous
@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_what_queries_gives_an_awaitable_in_the_async_mode(name):
    pending = getattr(Author.vinyl.all(), name)()
    assert inspect.isawaitable(pending)
    pending.close()


@pytest.mark.parametrize("name", sorted(CHAINS - {"raw"}))
def test_what_chains_is_djangos_own(name):
    if name != "prefetch_related":
        assert name not in vars(VinylQuerySet)
    assert getattr(VinylQuerySet, name).__module__ in (QuerySet.__module__, VinylQuerySet.__module__)
    assert parameters(VinylQuerySet, name) == parameters(QuerySet, name)


def test_the_manager_has_the_methods_of_the_queryset():
    on_djangos = {name for name in public_names(QuerySet) if hasattr(BaseManager.from_queryset(QuerySet), name)}
    assert {name for name in on_djangos if not hasattr(vinyl.VinylManager, name)} == set()


def test_every_public_name_of_raw_querysets_has_its_place():
    assert public_names(RawQuerySet) == {
        "columns",
        "db",
        "iterator",
        "model_fields",
        "prefetch_related",
        "resolve_model_init_order",
        "using",
    }
    assert {"iterator", "prefetch_related", "using"} <= vars(VinylRawQuerySet).keys()
