"""What the README shows, run as a reader would."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

from tests import settings

ROOT = Path(__file__).parent.parent

SCRIPT = """
import asyncio

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["shop"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
)
django.setup()

from django.core.management import call_command
from django.db.models import F

import vinyl
from shop.models import Artifact

call_command("migrate", run_syncdb=True, verbosity=0)


async def main():
{code}
    assert await Artifact.vinyl.get() == artifact
    assert artifact.x == 13


asyncio.run(main())
{sync}
assert artifact in Artifact.vinyl.filter(x=12)
"""


def test_the_example_of_the_readme_runs(tmp_path):
    model, code, sync = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(model, encoding="utf-8")
    (tmp_path / "main.py").write_text(SCRIPT.format(code=textwrap.indent(code, "    "), sync=sync), encoding="utf-8")
    run = subprocess.run([sys.executable, "-W", "error", "main.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_demo_gives_equal_answers_on_both_servers():
    demo = [sys.executable, "examples/record_shop/demo.py", "--db", settings.ENGINE]
    run = subprocess.run(demo, cwd=ROOT, capture_output=True, text=True, env=settings.environment_of_the_demo())
    assert run.returncode == 0, run.stdout + run.stderr
    assert "answers are equal" in run.stdout
