"""A worker of Celery's, a process of its own, whose tasks use vinyl in the sync mode."""

import asyncio
import os
import subprocess
import sys

import pytest
from django.db import connection

from tests.library.models import Author, Book
from vinyl import transaction

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def worker(tmp_path, monkeypatch):
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("VINYL_TEST_BROKER", str(tmp_path))
    environment = {**os.environ, "VINYL_TEST_DATABASE": connection.settings_dict["NAME"]}
    command = [sys.executable, "-m", "celery", "-A", "tests.packages.tasks", "worker", "--concurrency", "2"]
    process = subprocess.Popen([*command, "--loglevel", "WARNING"], env=environment)
    yield
    process.terminate()
    process.wait(30)


def test_tasks_use_vinyl_in_the_sync_mode(worker):
    from tests.packages.tasks import count, sell

    Book.objects.create(title="Emma", stock=5, author=Author.objects.create(name="Jane"))
    results = [sell.delay("Emma") for _ in range(3)]
    assert sorted(result.get(timeout=60) for result in results) == [2, 3, 4]
    assert Book.objects.get().stock == 2
    assert count.delay().get(timeout=60) == 1

    async def add():
        sent = []
        async with transaction.atomic():
            await Book.vinyl.create(title="Persuasion", author=await Author.vinyl.get())
            await transaction.on_commit(lambda: sent.append(count.delay()))
            assert sent == []
        return sent

    (result,) = asyncio.run(add())
    assert result.get(timeout=60) == 2
