"""Where a run takes place: the machine, Python, the versions of the packages and of the server."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from django.db import connection

from benchmarks.adapters import ADAPTERS
from benchmarks.target import Target

# Besides those of the adapters.
FURTHER = ("uvloop", "greenlet", "mysqlclient")


def describe(target: Target, server: str) -> dict[str, Any]:
    """Describe it. `server` says where the server's programs are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        [version] = cursor.fetchone()
    return {
        "engine": target.engine,
        "server": version,
        "programs": server,
        "machine": platform.platform(),
        "processor": processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "loop": target.loop,
        "pool": target.pool,
        "packages": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that are installed."""
    found = {}
    for package in sorted({*FURTHER, *(name for entry in ADAPTERS.values() for name in entry.packages)}):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the name of the processor, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor()])[0]
