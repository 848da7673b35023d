"""Spans of statements: one for each, below the current span, in both modes, without values."""

import asyncio
import subprocess
import sys
import threading

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections
from django.test import override_settings
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import vinyl
from tests import settings
from tests.library.models import Author, Tag
from vinyl import transaction
from vinyl.common import process_wide
from vinyl.lending import scopes
from vinyl.opentelemetry import _described, instrument, uninstrument
from vinyl.plans import natively

pytestmark = pytest.mark.usefixtures("db")

Tags = vinyl.manager(Tag)
PROVIDER = TracerProvider()
EXPORTER = InMemorySpanExporter()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))
TRACER = PROVIDER.get_tracer("tests")


@pytest.fixture(autouse=True)
def instrumented():
    EXPORTER.clear()
    instrument(tracer_provider=PROVIDER)
    yield
    uninstrument()


def statements():
    """The spans of statements, but for those of transactions."""
    spans = [span for span in EXPORTER.get_finished_spans() if "db.query.text" in span.attributes]
    return [span for span in spans if "library_" in span.attributes["db.query.text"]]


async def test_each_statement_is_a_span_of_a_client_named_by_the_conventions():
    for _ in range(3):
        EXPORTER.clear()
        await Author.vinyl.filter(name="Ann").count()
        (span,) = statements()
    attributes = dict(span.attributes)
    database = connection.settings_dict
    assert span.name == f"SELECT {database['NAME']}"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert attributes.pop("db.query.text").startswith("SELECT COUNT(")
    assert attributes.pop("server.address", "") == database["HOST"]
    assert str(attributes.pop("server.port", "")) == database["PORT"]
    assert attributes == {
        "db.system.name": settings.ENGINE,
        "db.namespace": str(database["NAME"]),
        "db.operation.name": "SELECT",
    }


async def test_the_parent_is_the_current_span():
    with TRACER.start_as_current_span("request") as request:
        await Tags.create(label="x")
        async with transaction.atomic():
            await Tags.count()
    await Tags.count()
    inside, in_transaction, outside = statements()
    assert inside.parent.span_id == in_transaction.parent.span_id == request.get_span_context().span_id
    assert outside.parent is None


@pytest.mark.asynchronous
async def test_spans_of_tasks_are_below_the_span_of_their_task():
    async def request(name):
        with TRACER.start_as_current_span(name) as span:
            await Author.vinyl.filter(name=name).count()
            return span.get_span_context().span_id

    parents = await asyncio.gather(*(request(name) for name in ("Ann", "Bob")))
    assert {span.parent.span_id for span in statements()} == set(parents)


async def test_an_error_has_its_class_and_the_servers_code_and_no_value():
    await Tags.create(label="secret")
    EXPORTER.clear()
    with pytest.raises(IntegrityError):
        await Tags.create(label="secret")
    (span,) = statements()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "django.db.utils.IntegrityError"
    codes = {"postgresql": "23505", "mariadb": "1062", "mysql": "1062", "sqlite": None}
    assert span.attributes.get("db.response.status_code") == codes[settings.ENGINE]
    assert "secret" not in span.to_json()


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
async def test_a_cancelled_statement_is_an_error():
    await Tags.count()
    EXPORTER.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await vinyl.connection.execute("SELECT pg_sleep(20), 'library_'")
    (span,) = [span for span in EXPORTER.get_finished_spans() if span.name.startswith("SELECT")]
    assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert span.end_time - span.start_time < 10 * 10**9


async def test_literals_of_sql_by_hand_are_not_shown():
    await vinyl.connection.execute(
        "SELECT id FROM library_tag WHERE label = 'secret' AND id > 42 AND label <> %s", ["x"]
    )
    (span,) = statements()
    assert span.attributes["db.query.text"] == ("SELECT id FROM library_tag WHERE label = ? AND id > ? AND label <> %s")


@pytest.mark.parametrize(
    ("sql", "vendor", "shown"),
    [
        ("SELECT 'it''s', \"a'b\".c1 FROM t2", "postgresql", 'SELECT ?, "a\'b".c1 FROM t2'),
        ("SELECT E'it\\'s', 1.5, $q$ it's $q$, $$x$$", "postgresql", "SELECT ?, ?, ?, ?"),
        ("SELECT 'a\\', 'secret'", "postgresql", "SELECT ?, ?"),
        ("SELECT 'a\\', secret', 'secret'", "mysql", "SELECT ?, ?"),
        ('SELECT "secret", "a""b", `a` FROM t', "mysql", "SELECT ?, ?, `a` FROM t"),
        ("SELECT 1 -- it's\n, 'secret' /* isn't */", "postgresql", "SELECT ? ?\n, ? ?"),
        ("SELECT 1 # it's\n, 'secret'", "mysql", "SELECT ? ?\n, ?"),
        ("insert into t values (X'FF', -3)", "sqlite", "insert into t values (?, -?)"),
    ],
)
def test_what_is_a_literal_is_known_of_each_database(sql, vendor, shown):
    assert _described(sql, vendor) == (shown, shown.split()[0].upper())


async def test_many_sets_of_parameters_are_one_span_with_their_number():
    async with vinyl.connection.cursor() as cursor:
        await cursor.executemany("INSERT INTO library_tag (label) VALUES (%s)", [["a"], ["b"]])
    (span,) = statements()
    assert span.attributes["db.operation.batch.size"] == 2
    assert span.attributes["db.operation.name"] == "BATCH INSERT"


async def while_held(function, seconds):
    """Call it in a task from before the only connection was held, which it is until the task is done, or so long."""

    async def later():
        await held.wait()
        with TRACER.start_as_current_span("request"):
            await function()

    held = asyncio.Event()
    task = asyncio.create_task(later())
    async with vinyl.connection.hold():
        EXPORTER.clear()
        held.set()
        while not (vinyl.connection.statistics()["requests_waiting"] or task.done()):
            await asyncio.sleep(0)
        await asyncio.wait([task], timeout=seconds)
    await task
    return {span.name: span for span in EXPORTER.get_finished_spans()}


@pytest.mark.asynchronous
async def test_waiting_for_a_connection_is_a_span_of_its_own_if_one_is_waited_for():
    with override_settings(VINYL={"POOL": {"default": {"max_size": 1}}}):
        await Tags.count()
        EXPORTER.clear()
        await Tags.count()
        assert [span.name for span in EXPORTER.get_finished_spans() if span.name.startswith("acquire")] == []
        spans = await while_held(Tags.count, 0.1)
    span = spans["acquire connection"]
    assert span.attributes["db.client.connection.pool.name"] == "default"
    assert span.parent.span_id == spans["request"].context.span_id
    assert span.end_time - span.start_time > 0.05 * 10**9
    assert statements()[-1].start_time >= span.end_time


@pytest.mark.asynchronous
async def test_waiting_in_vain_is_an_error():
    async def in_vain():
        with pytest.raises(vinyl.PoolTimeout):
            await Tags.count()

    with override_settings(VINYL={"POOL": {"default": {"max_size": 1, "timeout": 1}}}):
        span = (await while_held(in_vain, 20))["acquire connection"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "vinyl.errors.PoolTimeout"


async def test_after_uninstrument_there_are_no_spans_and_queries_have_their_lane():
    uninstrument()
    uninstrument()
    await Tags.count()
    assert EXPORTER.get_finished_spans() == ()
    assert connection.execute_wrappers == []
    if vinyl.is_async():
        assert not natively._is_looked_at(await scopes.source_here("default"))


async def test_instrumenting_again_makes_no_second_span():
    instrument(tracer_provider=PROVIDER)
    await Tags.count()
    assert len(statements()) == 1


def test_connections_that_other_threads_make_later_are_instrumented():
    def work():
        with vinyl.sync_mode():
            Tags.count()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(statements()) == 1


def test_a_failing_statement_of_the_sync_mode_leaves_no_wrapper_behind():
    with vinyl.sync_mode(), pytest.raises(DatabaseError):
        vinyl.connection.execute("SELECT x FROM nowhere")
    uninstrument()
    assert connection.execute_wrappers == []
    assert process_wide.wrappers == []


def test_nothing_imports_opentelemetry_by_itself():
    script = "import sys, vinyl; print([name for name in sys.modules if 'opentelemetry' in name])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
