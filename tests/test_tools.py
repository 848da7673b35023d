"""What other people's tools see of vinyl's queries: Django's log, django-debug-toolbar and Sentry."""

import asyncio
import time
from datetime import datetime
from types import ModuleType

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import include, path

import vinyl
from tests.library.models import Author, Book, Tag
from vinyl import transaction
from vinyl.lending import scopes
from vinyl.plans import natively

pytestmark = pytest.mark.usefixtures("db")

Tags = vinyl.manager(Tag)
PAGE = "<html><body>{}</body></html>"


@vinyl.portable
async def authors(request):
    found = await Author.vinyl.filter(name=request.GET["name"])
    return HttpResponse(PAGE.format(len(found)))


async def books(request):
    async with transaction.atomic():
        await Book.vinyl.count()
        await vinyl.run(Author.objects.count)
    return HttpResponse(PAGE.format(""))


# Django's log.


async def test_djangos_log_has_the_times_of_the_statements():
    await Tags.count()
    with override_settings(DEBUG=True):
        started = time.perf_counter()
        await Tags.count()
        took = time.perf_counter() - started
        logged = vinyl.connection.queries[-1]
    assert "COUNT(" in logged["sql"]
    assert 0 <= float(logged["time"]) <= took + 0.001


@pytest.mark.asynchronous
async def test_a_time_is_the_statements_and_not_that_for_which_its_task_waits_elsewhere():
    async def ask(name):
        await begun.wait()
        await Author.vinyl.filter(name=name).exists()

    begun = asyncio.Event()
    await Author.vinyl.filter(name="x").exists()
    with override_settings(DEBUG=True):
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for name in ("Ann", "Bob"):
                group.create_task(ask(name))
            await asyncio.sleep(0.1)
            begun.set()
        took = time.perf_counter() - started
        times = [float(query["time"]) for query in vinyl.connection.queries[-2:]]
    assert all(seconds <= took - 0.1 + 0.001 for seconds in times)


# Sentry.


@pytest.fixture
def sentry():
    """The events that Sentry's SDK would send. Its changes of Django's classes are taken back."""
    import sentry_sdk
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper
    from sentry_sdk.integrations import django as integration
    from sentry_sdk.transport import Transport

    class Memory(Transport):
        def capture_envelope(self, envelope):
            events.extend(item.payload.json for item in envelope.items if item.payload.json)

    events = []
    owners = [(CursorWrapper, "execute"), (CursorWrapper, "executemany"), (BaseDatabaseWrapper, "connect")]
    owners += [(BaseDatabaseWrapper, "_commit"), (BaseDatabaseWrapper, "_rollback")]
    before = [(owner, name, vars(owner)[name]) for owner, name in owners]
    integration.install_sql_hook()
    # Without what it puts into handlers and templates, which could not be taken back.
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:1/1",
        transport=Memory,
        traces_sample_rate=1.0,
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    sentry_sdk.get_client().integrations["django"] = integration.DjangoIntegration()
    yield events
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    for owner, name, value in before:
        setattr(owner, name, value)


def spans_of(event):
    return [span for span in event["spans"] if span["op"] == "db" and span["description"] != "connect"]


def seconds_of(span):
    begun, ended = (datetime.fromisoformat(span[name]) for name in ("start_timestamp", "timestamp"))
    return (ended - begun).total_seconds()


async def test_sentry_has_a_span_for_each_statement_planned_ones_too(sentry):
    import sentry_sdk

    for _ in range(3):
        await Author.vinyl.filter(name="Ann").exists()
    with sentry_sdk.start_transaction(name="request"):
        started = time.perf_counter()
        await Author.vinyl.filter(name="Ann").exists()
        await Tags.create(label="x")
        took = time.perf_counter() - started
    (event,) = sentry
    first, second = [span for span in spans_of(event) if "library" in span["description"]]
    assert "library_author" in first["description"]
    assert second["description"].startswith("INSERT INTO")
    assert first["data"]["db.system"] == connection.vendor
    assert connection.settings_dict["NAME"] in first["data"]["db.name"]
    assert 0 < seconds_of(first) + seconds_of(second) < took + 0.01


@pytest.mark.asynchronous
async def test_sentrys_spans_belong_to_the_transaction_of_their_task(sentry):
    import sentry_sdk

    async def request(name):
        with sentry_sdk.isolation_scope(), sentry_sdk.start_transaction(name=name):
            await Author.vinyl.filter(name=name).exists()
            async with transaction.atomic():
                await Author.vinyl.filter(name=name).count()

    await asyncio.gather(*(request(name) for name in ("Ann", "Bob")))
    assert sorted(event["transaction"] for event in sentry) == ["Ann", "Bob"]
    assert [len([span for span in spans_of(event) if "library" in span["description"]]) for event in sentry] == [2, 2]


@pytest.mark.asynchronous
async def test_without_a_tool_planned_queries_keep_their_lane():
    assert not natively._is_looked_at(await scopes.source_here("default"))


# django-debug-toolbar.


@pytest.fixture
def toolbars(monkeypatch):
    """The toolbars of the requests that are made, with vinyl's panel."""
    with override_settings(
        INSTALLED_APPS=[*settings.INSTALLED_APPS, "debug_toolbar"],
        MIDDLEWARE=["debug_toolbar.middleware.DebugToolbarMiddleware"],
        DEBUG_TOOLBAR_PANELS=["vinyl.debug_toolbar.SQLPanel"],
        DEBUG_TOOLBAR_CONFIG={"SHOW_TOOLBAR_CALLBACK": "tests.test_tools.always", "IS_RUNNING_TESTS": False},
    ):
        from debug_toolbar.middleware import show_toolbar_func_or_path
        from debug_toolbar.settings import get_config
        from debug_toolbar.toolbar import DebugToolbar

        def note(sender, toolbar, **kwargs):
            made.append(toolbar)

        made = []
        for cached in (show_toolbar_func_or_path, get_config):
            cached.cache_clear()
        monkeypatch.setattr(DebugToolbar, "_panel_classes", None)
        DebugToolbar._created.connect(note)
        configuration = ModuleType("urls")
        configuration.urlpatterns = urls()
        with override_settings(ROOT_URLCONF=configuration):
            yield made
        DebugToolbar._created.disconnect(note)


def always(request):
    return True


def urls():
    return [path("authors", authors), path("books", books), path("__debug__/", include("debug_toolbar.urls"))]


def queries_of(toolbar):
    """The statements of the toolbar's panel, without those of transactions."""
    queries = toolbar.get_panel_by_id("SQLPanel").get_stats()["queries"]
    return [query for query in queries if query["raw_sql"].startswith("SELECT")]


@pytest.mark.asynchronous
async def test_the_toolbar_has_the_queries_of_asynchronous_views_each_of_its_own_request(toolbars):
    for _ in range(3):
        toolbars.clear()
        started = time.perf_counter()
        await asyncio.gather(*(AsyncClient().get(url) for url in ("/authors?name=Ann", "/books")))
        took = time.perf_counter() - started
        of_authors, of_books = sorted(toolbars, key=lambda toolbar: toolbar.request.path)
        (query,) = queries_of(of_authors)
        assert "'Ann'" in query["sql"]
        assert any(place[0] == __file__ for place in query["stacktrace"])
        assert len(queries_of(of_books)) == 2
        assert all(0 < query["duration"] < took * 1000 for query in [query, *queries_of(of_books)])


def test_the_toolbar_has_each_query_of_synchronous_views_once(toolbars):
    with vinyl.sync_mode():
        assert Client().get("/authors?name=Ann").status_code == 200
    (toolbar,) = toolbars
    (query,) = queries_of(toolbar)
    assert "'Ann'" in query["sql"]


def test_the_toolbar_has_each_query_of_an_asynchronous_view_under_wsgi_once(toolbars):
    assert Client().get("/books").status_code == 200
    (toolbar,) = toolbars
    assert len(queries_of(toolbar)) == 2


@pytest.mark.asynchronous
async def test_after_a_request_planned_queries_have_their_lane_again(toolbars):
    await AsyncClient().get("/authors?name=Ann")
    assert toolbars
    assert not natively._is_looked_at(await scopes.source_here("default"))
