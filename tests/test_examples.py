"""The examples, run as their first lines say."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
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


def test_each_job_of_the_workers_is_done_once(tmp_path):
    settings = {name: connection.settings_dict[name] for name in ("ENGINE", "NAME", "HOST", "PORT", "USER", "PASSWORD")}
    is_sqlite = connection.vendor == "sqlite"
    script = str(EXAMPLES / "worker" / "worker.py")
    printed = run(tmp_path, script, "--jobs", "30", WORKER_DATABASE="" if is_sqlite else json.dumps(settings))
    done = re.findall(r"^job (\d+): (\d+) boj, worker \d$", printed, re.MULTILINE)
    assert Counter(int(number) for number, _ in done) == Counter(range(30))
    assert printed.endswith("\ndone: 30\n")
    assert all(result == number[::-1] for number, result in done)
