"""Processes and event loops that end in the middle, and forks: nothing is half done, and no connection is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

import vinyl
from tests import server_connections, settings
from tests.library.models import Author
from vinyl import transaction

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.direct]

SECONDS = 60


def run(name, status=0):
    """Run a function of tests.processes to its end, and return what it has printed and what Python has said."""
    databases = json.dumps({alias: connections.settings[alias]["NAME"] for alias in ("default", "other")})
    command = [sys.executable, "-W", "error", "-m", "tests.processes", name, databases]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == status, done.stderr
    found = json.loads(done.stdout)
    if settings.ENGINE != "sqlite":
        with vinyl.sync_mode():
            vinyl.portable(server_connections.until_gone)(found if isinstance(found, list) else [found])
    return done.stderr


def names():
    return sorted(Author.objects.values_list("name", flat=True))


# Event loops.


@pytest.mark.parametrize(
    "name", ["loop_closed_without_its_connections", "loop_closed_without_its_connections_and_another"]
)
def test_a_loop_that_is_closed_without_its_connections_leaves_none_and_no_warning(name):
    assert run(name) == ""


def test_a_loop_that_ends_while_tasks_query_cancels_them():
    assert run("loop_ended_while_tasks_query") == ""
    assert names() == []


def test_two_loops_in_two_threads_at_the_same_time_share_nothing():
    async def use(thread):
        both.wait(10)
        async with transaction.atomic():
            await Author.vinyl(name=f"{thread} in a transaction").insert()
        await asyncio.gather(*(Author.vinyl(name=f"{thread} {n}").insert() for n in range(10)))
        both.wait(10)
        counters = vinyl.connection.statistics()
        assert await Author.vinyl.count() == 22
        return counters["pool_in_use"], counters["returns_bad"], counters["pool_size"] <= counters["pool_max"]

    both = threading.Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda thread: asyncio.run(use(thread)), range(2)))
    assert found == [(0, 0, True)] * 2


# Ends.


@pytest.mark.parametrize("name", ["exit_at_once_in_a_transaction", "exit_in_a_transaction"])
def test_a_process_that_exits_in_a_transaction_leaves_nothing_of_it(name):
    assert run(name, status=3) == ""
    assert names() == []


def test_a_process_that_exits_while_another_task_queries_leaves_nothing_of_it():
    assert run("exit_while_another_task_queries", status=3) == ""
    assert names() == []


def test_an_interrupt_in_a_statement_ends_it_and_rolls_back():
    said = run("interrupt_in_a_statement", status=-signal.SIGINT)
    assert said.strip().endswith("KeyboardInterrupt")
    assert "ignored" not in said
    assert names() == []


# Forks.


def test_a_fork_while_connections_are_idle_leaves_them_to_the_parent_also_at_the_childs_end():
    assert run("fork_while_connections_are_idle") == ""
    assert names() == ["child"]


@pytest.mark.parametrize("name", ["fork_in_a_transaction", "fork_while_the_loop_pauses_in_a_transaction"])
def test_a_fork_in_a_transaction_leaves_it_to_the_parent(name):
    assert run(name) == ""
    assert names() == ["child"]
    assert list(Author.objects.using("other").values_list("name", flat=True)) == ["parent", "parent"]


def test_a_fork_while_the_loop_queries_disturbs_nothing_of_it():
    assert run("fork_while_the_loop_queries") == ""
    assert names() == ["child"]
