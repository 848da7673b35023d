"""The page that begins with a project: its files are written, its commands are run, its answer is the one it shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import documentation

PAGE = Path(__file__).parent.parent / "docs" / "quickstart.md"

# What curl asks for, asked of the application that uvicorn would serve.
CLIENT = """
import asyncio, os, sys
import httpx

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
from config.asgi import application


async def main(method, url):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application)) as client:
        response = await client.request(method, url)
        print(response.raise_for_status().text)


asyncio.run(main(*sys.argv[1:]))
"""

pytestmark = pytest.mark.engine("sqlite")


def write_files(folder):
    """Write the files of the page that can be written yet: startproject and startapp make the folders."""
    for block in documentation.blocks(PAGE):
        how, _, name = block.mark.rpartition(" of ")
        file = folder / name
        if file.parent.exists():
            earlier = file.read_text(encoding="utf-8") if how == "at the end" else ""
            file.write_text(earlier + block.code, encoding="utf-8")


def run(folder, command):
    program, *arguments = shlex.split(command)
    if program == "curl":
        method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "GET"
        arguments = ["-c", CLIENT, method, arguments[-1]]
    elif program == "django-admin":
        arguments = ["-m", "django", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env={**environment, "PYTHONPATH": "."}
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_quickstart_makes_a_project_that_answers_as_it_says(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    commands = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).splitlines()
    answers = {}
    for command in commands:
        if command.startswith("python -m pip"):
            continue
        if command.startswith("uvicorn"):
            assert command == "uvicorn config.asgi:application"
            continue
        if command == "python manage.py makemigrations":
            write_files(tmp_path)
        answers[command] = run(tmp_path, command)
    (answer,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert answers["curl http://127.0.0.1:8000/books/"] == answer
    assert answers["python stock.py"] == "Emma by Jane Austen 1\n"
