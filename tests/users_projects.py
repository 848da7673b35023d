"""Running the tests of tests/users_tests as a user does, in a process of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS = 180
# What is written at the end of a process, where nobody can raise it any more.
COMPLAINTS = ("Exception ignored", "ResourceWarning", "never awaited", "was destroyed but it is pending")


def run_django(*arguments: str, environment: Mapping[str, str] | None = None) -> int:
    """Run `manage.py test` with these arguments; return how many tests have passed, all of those there were."""
    output = _run("django", "test", "--noinput", *arguments, environment=environment)
    assert "\nOK" in output, output
    return _number(r"Ran (\d+) tests?", output)


def run_pytest(*arguments: str, environment: Mapping[str, str] | None = None) -> int:
    """Run pytest, as its users configure it; return how many tests have passed, all of those there were."""
    configuration = str(ROOT / "tests" / "users_tests" / "pytest.ini")
    options = ["-c", configuration, f"--rootdir={ROOT}", "-p", "no:cacheprovider"]
    output = _run("pytest", *options, *arguments, environment=environment)
    return _number(r"(\d+) passed", output)


def _run(module: str, *arguments: str, environment: Mapping[str, str] | None) -> str:
    command = [sys.executable, "-W", "error", "-m", module, *arguments]
    everything = {
        **{name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        "DJANGO_SETTINGS_MODULE": "tests.users_tests.settings",
        **(environment or {}),
    }
    done = subprocess.run(
        command, cwd=ROOT, env=everything, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert [line for line in output.splitlines() if any(complaint in line for complaint in COMPLAINTS)] == []
    return output


def _number(pattern: str, output: str) -> int:
    found = re.search(pattern, output)
    assert found is not None, output
    return int(found[1])
