"""The examples, run as their first lines say."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

EXAMPLES = Path(__file__).parent.parent / "examples"

# What uvicorn would serve, asked by a client.
SERVED = """
import asyncio
import httpx
from minimal import application


async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://example") as client:
        await client.get("/?add=first")
        print((await client.get("/?add=second")).text)


asyncio.run(main())
"""


def run(folder, *command, **environment):
    """Run a command of Python's in the folder, and return what it prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    ended = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.engine("sqlite")
def test_the_minimal_site_adds_and_lists_notes(tmp_path):
    script = str(EXAMPLES / "minimal" / "minimal.py")
    run(tmp_path, script, "one", "note")
    assert run(tmp_path, script) == "one note\nHello\n"


@pytest.mark.engine("sqlite")
def test_the_minimal_site_is_served(tmp_path):
    served = run(tmp_path, "-c", SERVED, PYTHONPATH=str(EXAMPLES / "minimal"))
    assert json.loads(served) == {"notes": ["second", "first"]}


@pytest.mark.engine("sqlite")
def test_the_queries_of_the_dashboard_are_under_way_at_a_time(tmp_path):
    printed = run(tmp_path, str(EXAMPLES / "dashboard" / "dashboard.py"))
    assert "north: total 55\nnorth: average 5.5\nnorth: largest 10\n" in printed
    assert printed.endswith("connections: 6\n")


def database(name):
    """What an example is to be told of a database on the server of the tests, as JSON; nothing where that is SQLite."""
    names = ("ENGINE", "HOST", "PORT", "USER", "PASSWORD")
    settings = {each: connection.settings_dict[each] for each in names}
    return "" if connection.vendor == "sqlite" else json.dumps({**settings, "NAME": name})


@contextmanager
def database_of_its_own():
    """As database(), for an example that has migrations."""
    if connection.vendor == "sqlite":
        yield ""
        return
    name = of_example()
    quoted = connection.ops.quote_name(name)
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {quoted}")
        cursor.execute(f"CREATE DATABASE {quoted}")
        try:
            yield database(name)
        finally:
            cursor.execute(f"DROP DATABASE {quoted}")


def of_example():
    """Name a database that no test uses."""
    return f"{connection.settings_dict['NAME']}_of_example"


def test_each_job_of_the_workers_is_done_once(tmp_path):
    script = str(EXAMPLES / "worker" / "worker.py")
    printed = run(tmp_path, script, "--jobs", "30", WORKER_DATABASE=database(connection.settings_dict["NAME"]))
    done = re.findall(r"^job (\d+): (\d+) boj, worker \d$", printed, re.MULTILINE)
    assert Counter(int(number) for number, _ in done) == Counter(range(30))
    assert printed.endswith("\ndone: 30\n")
    assert all(result == number[::-1] for number, result in done)


@pytest.mark.direct
def test_the_site_served_natively_has_requests_under_way_at_a_time_in_one_thread(tmp_path):
    with database_of_its_own() as described:
        printed = run(tmp_path, str(EXAMPLES / "native_site" / "demo.py"), GUESTBOOK_DATABASE=described)
    natively, by_wsgi = printed.split("The guest book ")[1:]
    [under_way] = re.findall(r"(\d) under way at a time, in 1 thread\n", natively)
    assert int(under_way) > 1
    assert set(re.findall(r"ms   (\S+)", natively)) == {"MainThread"}
    # All that the visitor has done.
    assert natively.count(" ms ") == by_wsgi.count(" ms ") == 8


@pytest.mark.direct
def test_the_tests_of_the_project_pass(tmp_path):
    project = shutil.copytree(EXAMPLES / "pytest_project", tmp_path / "project", ignore=shutil.ignore_patterns(".*"))
    printed = run(project, "-m", "pytest", "--color=no", LIBRARY_DATABASE=database(of_example()), PYTEST_ADDOPTS="")
    assert re.search(r"^=+ 16 passed in ", printed, re.MULTILINE)
