"""Installs the peers, by their pins, into the environment of this Python: `python -m benchmarks.install`.

What cannot be installed is named, with the reason, and the others are installed without it. Only the standard library
is there when this begins.
"""

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
NAMES = REQUIREMENTS / "benchmarks.in"
PINS = REQUIREMENTS / "benchmarks.txt"


def main() -> None:
    if install("-r", str(PINS)) is None:
        return
    for requirement in requirements():
        if reason := install(requirement, "-c", str(PINS)):
            print(f"{requirement} is not installed, and what needs it is not measured: {reason}")


def requirements() -> list[str]:
    """Return what is asked for by name, without what that brings along."""
    lines = [line.strip() for line in NAMES.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def install(*what: str) -> str | None:
    """Install this, or return the reason why it cannot be."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    printed = (done.stdout + done.stderr).strip().splitlines() or ["pip said nothing"]
    errors = [line.strip() for line in printed if line.startswith("ERROR:")]
    return [*errors, printed[-1]][0]


if __name__ == "__main__":
    main()
