"""Where Django's own tests come from: the source distribution of the Django that is installed.

It is fetched once per version and kept in `.django-tests/<version>`. A folder of that name is whole: a download is
unpacked beside it and renamed at its end, so that one which was interrupted is never used.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

CACHE = Path(__file__).parent.parent.parent / ".django-tests"


class NotFetched(Exception):
    """The sources of Django cannot be had, for the reason given."""


def folder() -> Path:
    """Return the folder `tests` of the installed Django's sources, fetching them if that was not done yet."""
    version = metadata.version("Django")
    kept = CACHE / version
    if not kept.exists():
        print(f"Fetching the tests of Django {version}; only once.", flush=True)
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=CACHE) as unfinished:
            _unpack(_download(version, Path(unfinished)), Path(unfinished, version))
            _put(Path(unfinished, version), kept)
    return kept / "tests"


def _download(version: str, into: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-binary", "Django", f"Django=={version}", "--dest", str(into)]
    if subprocess.run([*pip, *options]).returncode:
        raise NotFetched(f"pip could not download the sources of Django {version}; what it says is above.")
    (archive,) = into.glob("*.tar.gz")
    return archive


def _unpack(archive: Path, into: Path) -> None:
    """Unpack the tests alone; nothing in them asks for the rest."""
    with tarfile.open(archive) as tar:
        for member in tar:
            _, _, path = member.name.partition("/")
            if path.startswith("tests/"):
                tar.extract(member.replace(name=path), into, filter="data")


def _put(finished: Path, kept: Path) -> None:
    try:
        os.rename(finished, kept)
    except OSError:
        # Another process was faster.
        if not kept.exists():
            raise
