"""Comments in statements: which view and trace they are of, and that nothing in them can end the comment."""

import re
from contextlib import contextmanager
from types import ModuleType
from urllib.parse import unquote

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.backends.signals import connection_created
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import re_path
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import vinyl
from tests.library.models import Author, Tag
from vinyl import count_queries, opentelemetry, sql_comments, transaction
from vinyl.common import process_wide
from vinyl.lending import scopes
from vinyl.plans import natively

pytestmark = pytest.mark.usefixtures("db")

Tags = vinyl.manager(Tag)
ATTEMPTS = ["'; DROP TABLE library_tag; --", "*/ OR 1=1 /*", "%s", "%27%2A%2F", "\\", "é"]
HOSTILE = f"books/(?:{'|'.join(map(re.escape, ATTEMPTS))})?"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@vinyl.portable
async def view(request):
    for _ in range(2):
        assert not await Author.vinyl.filter(name="it's 100%").exists()
    assert await vinyl.connection.execute("SELECT '%', 1;") == [("%", 1)]
    async with transaction.atomic():
        tag = await Tags.create(label="100%")
    assert (await Tags.get(pk=tag.pk)).label == "100%"
    return HttpResponse("")


@contextmanager
def sending():
    """Give the statements of the block as they are sent, by all that changes them."""

    def note(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    statements = []
    process_wide.add(note, innermost=True)
    try:
        yield statements
    finally:
        process_wide.remove(note)


@pytest.fixture
def urls():
    configuration = ModuleType("urls")
    configuration.urlpatterns = [re_path(HOSTILE, view, name="it's */ a view")]
    middleware = ["vinyl.sql_comments.middleware"]
    with override_settings(ROOT_URLCONF=configuration, MIDDLEWARE=middleware):
        yield


def keys(value):
    return override_settings(VINYL={**getattr(settings, "VINYL", {}), "SQL_COMMENTS": value})


async def get(path, **headers):
    if vinyl.is_async():
        response = await AsyncClient().get(path, headers=headers)
    else:
        with vinyl.sync_mode():
            response = Client().get(path, headers=headers)
    assert response.status_code == 200


def comment_of(sql):
    """The keys and values of a statement's comment, which is its end and the only one, without quotes."""
    found = re.fullmatch(r"[^*]*/\*((?:[a-z_]+='[A-Za-z0-9%_.~-]*',?)+)\*/;?", sql.replace("COUNT(*)", ""), re.DOTALL)
    assert found is not None, sql
    text = found[1].replace("%%", "%")
    return {key: unquote(value) for key, value in re.findall("([a-z_]+)='([^']*)'", text)}


async def test_statements_say_of_which_view_they_are_whatever_its_name(urls):
    with keys(["route", "controller"]), sending() as sent:
        await get("/books/")
    assert len(sent) >= 5
    for sql in sent:
        assert comment_of(sql) == {"controller": "it's */ a view", "route": HOSTILE}


async def test_all_keys(urls):
    with keys(True), sending() as sent:
        await get("/books/", traceparent=TRACEPARENT)
    comment = comment_of(sent[0])
    assert list(comment) == ["controller", "db_driver", "framework", "route", "traceparent"]
    assert comment["db_driver"] == connection.settings_dict["ENGINE"]
    assert comment["framework"].startswith("django:")
    assert comment["traceparent"] == TRACEPARENT


@pytest.mark.parametrize("header", [f"{TRACEPARENT}*/", "'; DROP TABLE library_tag; --", "", TRACEPARENT.upper()])
async def test_a_header_that_is_no_traceparent_is_left_out(urls, header):
    with keys(["traceparent", "db_driver"]), sending() as sent:
        await get("/books/", traceparent=header)
    assert all(list(comment_of(sql)) == ["db_driver"] for sql in sent)


async def test_the_traceparent_is_that_of_the_statements_span():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with keys(["traceparent"]), sending() as sent:
        opentelemetry.instrument(tracer_provider=provider)
        try:
            await Tags.count()
        finally:
            opentelemetry.uninstrument()
    span = exporter.get_finished_spans()[-1]
    trace, parent = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
    assert comment_of(sent[-1])["traceparent"].startswith(f"00-{trace}-{parent}-")
    assert "/*" not in span.attributes["db.query.text"]


async def test_nothing_is_said_unless_it_is_asked_for(urls):
    with sending() as sent:
        await get("/books/")
    assert sent
    assert not any("/*" in sql for sql in sent)
    assert sql_comments.commented not in process_wide.wrappers


async def test_plans_and_counted_queries_are_without_comments():
    with keys(["db_driver"]):
        for _ in range(3):
            async with count_queries() as queries:
                await Author.vinyl.filter(name="Ann").exists()
            assert "/*" not in queries[0].sql
    async with count_queries() as queries:
        await Author.vinyl.filter(name="Ann").exists()
    assert "/*" not in queries[0].sql


@pytest.mark.asynchronous
async def test_statements_with_comments_take_djangos_lane():
    source = await scopes.source_here("default")
    with keys(["db_driver"]):
        await Tags.count()
        assert natively._is_looked_at(source)
    assert not natively._is_looked_at(source)


async def test_a_statement_that_ends_in_a_comment_gets_its_own():
    with keys(["db_driver"]), sending() as sent:
        assert await vinyl.connection.execute("SELECT 1 -- one") == [(1,)]
    assert sent[-1].endswith("*/")
    assert sent[-1].splitlines()[-1].startswith("/*")


@pytest.mark.parametrize("value", ["route", 3, ["colour"], None, [3]])
def test_nonsense_is_refused(value):
    refused = pytest.raises(ImproperlyConfigured, match=r"VINYL\['SQL_COMMENTS'\] must be True, False or a list of")
    with keys(value), refused:
        connection_created.send(type(connection), connection=connection)
