"""vinyl.connection and vinyl.connections: SQL by hand, in both modes."""

import asyncio
import weakref

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError
from django.db import connections as django_connections
from django.test import override_settings

import vinyl
from tests.library.models import Tag
from vinyl import bridge
from vinyl.lending.scopes import plain

pytestmark = pytest.mark.usefixtures("db")

Tags = vinyl.manager(Tag)


async def test_execute_gives_rows_as_tuples_or_the_row_count():
    assert await vinyl.connection.execute("SELECT 1, 'a'") == [(1, "a")]
    assert await vinyl.connection.execute("SELECT id FROM library_tag") == []
    assert await vinyl.connection.execute("INSERT INTO library_tag (label) VALUES (%s), (%s)", ["x", "y"]) == 2
    assert await vinyl.connection.execute("UPDATE library_tag SET label = 'z' WHERE label = %s", ["x"]) == 1


async def test_errors_are_djangos():
    await Tags.create(label="x")
    with pytest.raises(IntegrityError):
        await vinyl.connection.execute("INSERT INTO library_tag (label) VALUES ('x')")
    with pytest.raises((ProgrammingError, OperationalError), match="nowhere"):
        await vinyl.connection.execute("SELECT x FROM nowhere")


async def test_a_cursor_has_the_methods_of_the_python_database_api():
    async with vinyl.connection.cursor() as cursor:
        await cursor.executemany("INSERT INTO library_tag (label) VALUES (%s)", [["a"], ["b"], ["c"], ["d"]])
        await cursor.execute("SELECT label FROM library_tag ORDER BY label")
        assert [column[0] for column in cursor.description] == ["label"]
        assert await cursor.fetchone() == ("a",)
        assert list(await cursor.fetchmany(1)) == [("b",)]
        assert [tuple(row) for row in await cursor.fetchall()] == [("c",), ("d",)]
        assert await cursor.fetchone() is None
        await cursor.execute("UPDATE library_tag SET label = upper(label)")
        assert cursor.rowcount == 4


def test_in_the_sync_mode_a_cursor_is_entered_and_iterated_as_in_django():
    with vinyl.sync_mode(), vinyl.connection.cursor() as cursor:
        cursor.execute("SELECT 1 UNION SELECT 2 ORDER BY 1")
        assert list(cursor) == [(1,), (2,)]


@pytest.mark.asynchronous
async def test_the_forms_of_the_other_mode_are_refused_by_name():
    with pytest.raises(vinyl.ModeError, match=r"async with cursor\(\)"), vinyl.connection.cursor():
        pass
    with pytest.raises(vinyl.ModeError, match=r"async with hold\(\)"), vinyl.connection.hold():
        pass
    async with vinyl.connection.cursor() as cursor:
        with pytest.raises(vinyl.ModeError, match="async for row in cursor"):
            list(cursor)


async def test_hold_is_a_block_in_both_modes():
    async with vinyl.connection.hold():
        await Tags.create(label="x")
        assert await vinyl.connection.execute("SELECT label FROM library_tag") == [("x",)]


async def test_execute_wrappers_see_the_queries_of_their_context():
    def wrapper(execute, sql, params, many, context):
        seen.append((sql.split()[0], context["connection"].alias))
        return execute(sql, params, many, context)

    seen = []
    with vinyl.connection.execute_wrapper(wrapper):
        await Tags.create(label="x")
        await Tags.count()
    await Tags.count()
    assert seen == [("INSERT", "default"), ("SELECT", "default")]


@pytest.mark.asynchronous
async def test_execute_wrappers_are_inherited_by_tasks_and_not_seen_by_others():
    def wrapper(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    async def later():
        await ready.wait()
        await Tags.count()

    seen, ready = [], asyncio.Event()
    other = asyncio.create_task(later())
    with vinyl.connection.execute_wrapper(wrapper):
        await asyncio.gather(Tags.count(), Tags.count())
        ready.set()
        await other
    assert len(seen) == 2


async def test_queries_are_logged_if_debug_is_on():
    with override_settings(DEBUG=True):
        await Tags.filter(label="logged").count()
    assert "logged" in vinyl.connection.queries[-1]["sql"]


async def test_each_alias_has_its_connection():
    await Tags.using("other").create(label="there")
    assert await vinyl.connections["other"].execute("SELECT label FROM library_tag") == [("there",)]
    assert await vinyl.connection.execute("SELECT label FROM library_tag") == []
    assert list(vinyl.connections) == ["default", "other"]


@pytest.mark.asynchronous
async def test_statistics_count_and_close_starts_anew():
    await vinyl.connection.execute("SELECT 1")
    statistics = vinyl.connection.statistics()
    assert (statistics["pool_size"], statistics["pool_in_use"], statistics["requests_num"]) == (1, 0, 1)
    await vinyl.close()
    assert vinyl.connection.statistics()["pool_size"] == 0
    await vinyl.connection.execute("SELECT 1")
    assert vinyl.connection.statistics()["connections_num"] == 1


@pytest.mark.asynchronous
async def test_close_leaves_no_greenlet_behind():
    def work():
        Tag.objects.count()
        return weakref.ref(bridge.current())

    greenlets = await asyncio.gather(*(vinyl.run(work) for _ in range(3)))
    assert None not in [each() for each in greenlets]
    await vinyl.close()
    assert [each() for each in greenlets] == [None] * 3
    assert bridge._parked.greenlets == [], "not even that of close()"


def test_close_closes_djangos_connections_in_the_sync_mode():
    with vinyl.sync_mode():
        vinyl.connection.execute("SELECT 1")
        assert django_connections["default"].connection is not None
        vinyl.close()
        assert django_connections["default"].connection is None
        assert vinyl.connection.statistics() == {}


MEMORY = ":memory:", "file:vinyl_tests?mode=memory&cache=shared"


@pytest.fixture(params=MEMORY, ids=["private", "shared cache"])
def memory(request, monkeypatch):
    """Another alias, whose database is in memory."""
    settings = {**django_connections.settings["default"], "ENGINE": "django.db.backends.sqlite3", "NAME": request.param}
    monkeypatch.setitem(django_connections.settings, "memory", {**settings, "OPTIONS": {}})
    yield vinyl.connections["memory"]
    # Django ignores close() for such a database, which would be lost.
    django_connections["memory"].connection.close()
    del django_connections["memory"]


@pytest.mark.asynchronous
async def test_a_database_in_memory_is_the_one_of_djangos_connection(memory):
    await vinyl.run(_create_by_django)
    assert await memory.execute("INSERT INTO t VALUES (2)") == 1
    assert await asyncio.gather(*(memory.execute("SELECT count(*) FROM t") for _ in range(5))) == [[(2,)]] * 5
    async with vinyl.transaction.atomic(using="memory"):
        await memory.execute("INSERT INTO t VALUES (3)")
    await vinyl.close()
    assert await memory.execute("SELECT x FROM t ORDER BY x") == [(1,), (2,), (3,)]


def _create_by_django():
    """Write by Django's own connection of this thread, as migrations do before the loop runs."""
    with plain("memory").cursor() as cursor:
        cursor.execute("CREATE TABLE t (x integer)")
        cursor.execute("INSERT INTO t VALUES (1)")
