"""What runs, who waits and who holds: asked in the process, and from outside while its event loop is blocked."""

import asyncio
import inspect
import os
import socket
import stat
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction as django_transaction
from django.test import override_settings

import vinyl
from tests import settings
from tests.library.models import Author, Tag
from vinyl import transaction
from vinyl.bridge import await_
from vinyl.common import process_wide
from vinyl.observing import activities

pytestmark = pytest.mark.usefixtures("db")

Tags = vinyl.manager(Tag)


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def of_default():
    return next(each for each in vinyl.activity() if each.alias == "default")


@pytest.mark.asynchronous
async def test_without_any_work_there_is_nothing_to_tell():
    assert vinyl.activity() == []
    assert str(vinyl.activity()) == "No database was used yet."
    await Tags.count()
    assert of_default().holders == []
    assert of_default().statistics["pool_in_use"] == 0


@pytest.mark.asynchronous
async def test_who_holds_a_transaction_is_told_with_its_line_and_since_when():
    async def hold():
        async with transaction.atomic():
            await Tags.count()
            begun.set()
            await over.wait()

    begun, over = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(hold(), name="the holder")
    await begun.wait()
    (holder,) = of_default().holders
    over.set()
    await task
    assert (holder.task, holder.holds, holder.sql, holder.sql_seconds) == (
        "task 'the holder'",
        "transaction",
        None,
        None,
    )
    assert holder.place == (__file__, line_of(hold, "over.wait"), "hold")
    assert 0 < holder.seconds < 10
    assert of_default().holders == []


@pytest.mark.asynchronous
async def test_who_holds_a_connection_without_a_transaction_is_told():
    async with vinyl.connection.hold():
        (holder,) = of_default().holders
    async with vinyl.connection.cursor():
        (reader,) = of_default().holders
    assert (holder.holds, reader.holds) == ("hold", None)


@pytest.mark.asynchronous
async def test_who_waits_is_told_in_the_order_of_waiting():
    async def wait():
        await Tags.count()

    with override_settings(VINYL={"POOL": {"default": {"max_size": 1}}}):
        begun = asyncio.Event()

        async def later(name):
            await begun.wait()
            await wait()

        tasks = [asyncio.create_task(later(name), name=name) for name in ("first", "second")]
        async with vinyl.connection.hold():
            begun.set()
            await until(lambda: len(of_default().waiters) == 2)
            waiters = of_default().waiters
            text = str(vinyl.activity())
        await asyncio.gather(*tasks)
    assert [waiter.task for waiter in waiters] == ["task 'first'", "task 'second'"]
    assert waiters[0].place == (__file__, line_of(wait, "count()"), "wait")
    assert waiters[0].seconds >= waiters[1].seconds >= 0
    assert text.startswith("default: 1 of 1 connections in use, 2 wait\n  has a connection in a hold for 0.")
    assert f"waits for a connection for 0.0 s: task 'first' at \"{__file__}\", line" in text


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e9) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(20)",
    "mariadb": "SELECT SLEEP(20)",
    "mysql": "SELECT SLEEP(20)",
}


@pytest.mark.asynchronous
@pytest.mark.parametrize("within", ["transaction", None])
async def test_the_statement_that_runs_is_told_and_since_when(within):
    slow = SLOW[settings.ENGINE]

    async def work():
        if within is None:
            await vinyl.connection.execute(slow)
        async with transaction.atomic():
            await Tags.count()
            await asyncio.sleep(0.1)
            await vinyl.connection.execute(slow)

    task = asyncio.create_task(work())
    await until(lambda: vinyl.activity() and of_default().holders and of_default().holders[0].sql == slow)
    (holder,) = of_default().holders
    task.cancel()
    await asyncio.wait([task])
    assert holder.holds == within
    assert holder.place.line == line_of(work, "execute(slow)") + (4 if within else 0)
    assert 0 <= holder.sql_seconds <= holder.seconds
    if within:
        assert holder.seconds - holder.sql_seconds > 0.05


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
@pytest.mark.parametrize("within", [True, False])
async def test_a_planned_query_that_waits_for_a_lock_is_told(within):
    async def work():
        if within:
            async with transaction.atomic():
                await Author.vinyl.filter(pk=author.pk).update(name="y")
        else:
            await Author.vinyl.filter(pk=author.pk).update(name="y")

    author = await Author.vinyl(name="Ann").insert()
    for _ in range(3):
        await work()
    begun = asyncio.Event()

    async def later():
        await begun.wait()
        await work()

    task = asyncio.create_task(later(), name="waits")
    async with transaction.atomic():
        await Author.vinyl.select_for_update().get(pk=author.pk)
        begun.set()
        await until(lambda: [holder for holder in of_default().holders if holder.task == "task 'waits'" and holder.sql])
        holder = next(holder for holder in of_default().holders if holder.task == "task 'waits'")
    await task
    assert holder.sql.startswith('UPDATE "library_author"')
    assert holder.place.function == "work"


@pytest.mark.asynchronous
async def test_synchronous_code_in_the_bridge_is_told_by_its_line():
    def work():
        with django_transaction.atomic():
            Author.objects.count()
            await_(over.wait())

    over = asyncio.Event()
    task = asyncio.create_task(vinyl.run(work))
    await until(lambda: vinyl.activity() and of_default().holders and of_default().holders[0].place)
    (holder,) = of_default().holders
    over.set()
    await task
    assert holder.place.function == "work"


def test_without_an_event_loop_the_mode_is_told():
    with pytest.raises(vinyl.ModeError):
        vinyl.activity()


# From outside.


@pytest.fixture
def server(tmp_path):
    """This process can be asked; gives the folder. Tests of other files have used databases before."""
    with override_settings(VINYL={"ACTIVITY": str(tmp_path)}):
        yield tmp_path
    if activities._server is not None:
        activities._server.close()
        activities._server = None


def ask(folder):
    """Ask this process from another one, by a thread of which the event loop may be blocked meanwhile."""
    script = (
        "import sys, django; from django.conf import settings; "
        f"settings.configure(INSTALLED_APPS=['vinyl'], VINYL={{'ACTIVITY': {str(folder)!r}}}); django.setup(); "
        "from django.core.management import call_command; call_command('vinyl', live=int(sys.argv[1]))"
    )
    return subprocess.run(
        [sys.executable, "-c", script, str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
    )


@pytest.mark.asynchronous
async def test_another_process_is_told_even_while_the_event_loop_is_blocked(server):
    async with transaction.atomic():
        await Tags.count()
        # It does not give way to the event loop.
        answer = ask(server)
    assert answer.returncode == 0, answer.stderr
    assert "default: 1 of 10 connections in use, 0 wait\n  has a connection in a transaction for " in answer.stdout
    assert f'at "{__file__}", line' in answer.stdout
    (path,) = server.iterdir()
    assert path.name == f"vinyl-{os.getpid()}.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.asynchronous
async def test_nobody_is_told_unless_the_settings_say_so(tmp_path):
    await Tags.count()
    assert activities._server is None
    assert ask(tmp_path).returncode == 1


@pytest.mark.asynchronous
async def test_a_folder_that_is_not_there_is_logged_and_queries_go_on(caplog):
    with override_settings(VINYL={"ACTIVITY": "/nowhere/at/all"}):
        assert await Tags.count() == 0
    assert "Nobody can ask this process for its activity" in caplog.text


@pytest.mark.asynchronous
async def test_what_is_left_of_a_process_of_the_same_number_is_replaced(server):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{server}/vinyl-{os.getpid()}.sock")
    await Tags.count()
    assert activities.activity_of(os.getpid()).startswith("default: 0 of 10")


@pytest.mark.asynchronous
async def test_a_child_process_has_a_socket_of_its_own(server):
    await Tags.count()
    parents = activities._server
    parents._process = -1
    assert parents.is_inherited
    for begin in process_wide.beginnings:
        begin()
    childs = activities._server
    assert not childs.is_inherited
    parents.close()
    assert activities.activity_of(os.getpid()).startswith("default: 0 of 10")
    parents._process = os.getpid()
    parents.close()


@pytest.mark.parametrize("value", [3, True, ["/run"]])
def test_what_is_no_folder_is_refused(value):
    with override_settings(VINYL={"ACTIVITY": value}), pytest.raises(ImproperlyConfigured, match="path of a folder"):
        activities.activity_of(1)
