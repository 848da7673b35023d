"""Build the wheel and the source distribution, check them, and install each extra: `python -m tests.package`.

What is built is left in dist/. Each extra is installed from the wheel into a fresh environment, with the Django that
the running environment has, and `examples/minimal` is run there. The extra `mysql` is left out, with the reason, where
mysqlclient cannot be compiled; with CI=true that is a failure.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.metadata import Metadata

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"

# By extra, what it brings along, to be imported in the fresh environment.
EXTRAS = {
    "": [],
    "postgresql": ["psycopg", "psycopg_binary"],
    "mysql": ["asyncmy", "cryptography", "MySQLdb"],
    "opentelemetry": ["vinyl.opentelemetry"],
}
# What somebody who packages vinyl, or tests it, needs of the repository.
IN_SOURCES = (
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "docs/index.md",
    "examples/minimal/minimal.py",
    "requirements/dev.txt",
    "src/vinyl/py.typed",
    "tests/conftest.py",
    "tools/python",
)


class Wrong(Exception):
    """What is wrong with what was built: a full sentence."""


def build() -> tuple[Path, Path]:
    """Build both, the wheel from the source distribution, as an index would have them; return their files."""
    shutil.rmtree(DIST, ignore_errors=True)
    call(sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT))
    [wheel], [sources] = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sources


def check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [described] = [name for name in names if name.endswith(".dist-info/METADATA")]
        check_metadata(archive.read(described))
    modules = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*") if is_source(path)}
    packed = {name for name in names if ".dist-info/" not in name}
    if packed != modules:
        raise Wrong(f"The wheel has not what src/ has: {', '.join(sorted(packed ^ modules))}.")


def is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def check_metadata(text: bytes) -> None:
    """Parse the metadata strictly, and compare its claims with what is tested: see corners()."""
    described = Metadata.from_email(text, validate=True)
    tested = corners()
    claims = {
        "Programming Language :: Python :: ": {python for python, _ in tested},
        "Framework :: Django :: ": {django for _, django in tested},
    }
    for prefix, versions in claims.items():
        claimed = {each.removeprefix(prefix) for each in described.classifiers or [] if each.startswith(prefix)}
        if claimed - {"3 :: Only"} != versions:
            raise Wrong(f"The classifiers {prefix}… are {sorted(claimed)}, but tested are {sorted(versions)}.")
    if not described.description or described.description_content_type != "text/markdown":
        raise Wrong("The description is not README.md.")
    if not EXTRAS.keys() - {""} <= set(described.provides_extra or []):
        raise Wrong(f"The extras are {described.provides_extra}.")


def corners() -> list[tuple[str, str]]:
    """Return each Python with each Django that `make test-all` tests."""
    [line] = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("CORNERS ")]
    return [(python, django) for python, _, django in (each.partition("/") for each in line.split()[2:])]


def check_sources(sources: Path) -> None:
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in IN_SOURCES if name not in names]
    if missing:
        raise Wrong(f"The source distribution lacks {', '.join(missing)}.")


def check_extra(extra: str, wheel: Path, folder: Path) -> None:
    """Install the wheel with the extra, in a fresh environment; import what it brings along, and run a site."""
    call(sys.executable, "-m", "venv", str(folder))
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if extra == "mysql":
        call(python, "-m", "tests.mysqlclient")
    call(*pip, f"{wheel}[{extra}]" if extra else str(wheel), f"Django=={metadata.version('Django')}")
    call(python, "-W", "error", "-c", f"import {', '.join(['vinyl', *EXTRAS[extra]])}", folder=folder)
    call(python, "-W", "error", str(ROOT / "examples" / "minimal" / "minimal.py"), folder=folder)


def call(*command: str, folder: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr).strip()}")


def main() -> int:
    try:
        wheel, sources = build()
        check_wheel(wheel)
        check_sources(sources)
    except Wrong as error:
        print(error)
        return 1
    print(f"{wheel.name} and {sources.name} are built and checked.")
    failed = 0
    for extra in EXTRAS:
        name = f"django-vinyl[{extra}]" if extra else "django-vinyl"
        with tempfile.TemporaryDirectory() as folder:
            try:
                check_extra(extra, wheel, Path(folder))
                print(f"{name} is installed and runs, with Django {metadata.version('Django')}.")
            except Wrong as error:
                failed += extra != "mysql" or os.environ.get("CI") == "true"
                print(f"{name} cannot be installed. {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
