"""What type checkers, mypy and pyright, say of a project that uses vinyl: with django-stubs, and without.

The project is in tests/typing. The lines with `# error` in its mistakes.py are errors, and there are no others. A run
takes seconds, so it is on one engine.
"""

import json
import os
import re
import subprocess
import sys
import venv
from importlib import metadata, util
from pathlib import Path

import pytest

import vinyl

pytestmark = pytest.mark.engine("sqlite")

ROOT = Path(__file__).parent.parent
SOURCE = Path(vinyl.__file__).parent.parent
PROJECT = Path(__file__).parent / "typing"
# What needs no types of Django's.
WITHOUT_STUBS = ["asynchronous.py", "synchronous.py", "values.py", "mistakes.py"]
WITH_STUBS = [*WITHOUT_STUBS, "models.py", "synchronous_models.py", "with_stubs.py"]
WITH_PLUG_IN = [name for name in WITH_STUBS if name != "values.py"] + ["values_by_plug_in.py"]

MYPY = f"""
[mypy]
strict = true
mypy_path = {SOURCE}:{ROOT}
explicit_package_bases = true
"""
PLUG_IN = """
plugins = mypy_django_plugin.main
[mypy.plugins.django-stubs]
django_settings_module = tests.typing.settings
"""
# To mypy, Django without stubs is a package without types.
NO_STUBS = """
disallow_subclassing_any = false
[mypy-django.*]
follow_imports = skip
ignore_missing_imports = true
"""


def expected():
    lines = (PROJECT / "mistakes.py").read_text().splitlines()
    return [("mistakes.py", number) for number, line in enumerate(lines, 1) if line.endswith("# error")]


def run(*command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(ROOT)])}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.stdout


def mypy(tmp_path, options, names):
    config = tmp_path / "mypy.ini"
    config.write_text(MYPY + options)
    files = [str(PROJECT / name) for name in names]
    # Kept, since Django's stubs take long.
    cache = ["--cache-dir", str(ROOT / ".mypy_cache" / str(len(options)))]
    output = run(sys.executable, "-m", "mypy", "--config-file", str(config), *cache, *files)
    errors = [line for line in output.splitlines() if ": error:" in line]
    return sorted({(Path(error.split(":")[0]).name, int(error.split(":")[1])) for error in errors}), output


@pytest.mark.parametrize(
    ("options", "names"),
    [("", WITH_STUBS), (PLUG_IN, WITH_PLUG_IN), (NO_STUBS, WITHOUT_STUBS)],
    ids=["with django-stubs", "with its plug-in", "without django-stubs"],
)
def test_mypy_knows_the_types_and_finds_the_mistakes(tmp_path, options, names):
    found, output = mypy(tmp_path, options, names)
    assert found == expected(), output


def site_packages(tmp_path, names):
    """Make a folder with these packages of the environment only; return it."""
    folder = tmp_path / "site"
    folder.mkdir()
    for target, name in names.items():
        spec = util.find_spec(name)
        origin = Path(spec.origin).parent if spec is not None and spec.origin else None
        (folder / target).symlink_to(origin or stubs())
    return folder


def stubs():
    return Path(metadata.distribution("django-stubs").locate_file("django-stubs"))


def pyright(tmp_path, paths, interpreter, *arguments):
    config = tmp_path / "pyrightconfig.json"
    include = [os.path.relpath(PROJECT / name, tmp_path) for name in WITH_STUBS]
    config.write_text(json.dumps({"include": include, "extraPaths": [str(path) for path in paths]}))
    command = [sys.executable, "-m", "pyright", "--pythonpath", str(interpreter), "--outputjson", *arguments]
    return json.loads(run(*command, *([] if arguments else ["--project", str(config)])))


def errors_of(report, names):
    found = {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    }
    return sorted(each for each in found if each[0] in names)


def test_pyright_knows_the_types_and_finds_the_mistakes(tmp_path):
    report = pyright(tmp_path, [SOURCE, ROOT], sys.executable)
    assert errors_of(report, WITH_STUBS) == expected(), report


def test_pyright_knows_them_without_django_stubs(tmp_path):
    venv.create(tmp_path / "empty", with_pip=False)
    site = site_packages(tmp_path, {"django": "django", "asgiref": "asgiref"})
    report = pyright(tmp_path, [site, SOURCE, ROOT], tmp_path / "empty" / "bin" / "python")
    assert errors_of(report, WITHOUT_STUBS) == expected(), report


# The modules whose names are public, and what declares the names of the package.
PUBLIC = re.compile(r"vinyl\.(\w+$|(sync|errors|_typed|_typed_sync)\.|transaction\.(?!conflicts|retries|task_groups))")


def test_all_types_of_the_public_names_are_known(tmp_path, monkeypatch):
    # Pyright would verify the package without the types of Django, whose stubs are in a package of another name.
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "django").symlink_to(stubs())
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "stubs"), str(SOURCE)])}
    verify = ["--verifytypes", "vinyl", "--ignoreexternal"]
    result = subprocess.run([*command, *verify], env=environment, capture_output=True, text=True, check=False)
    completeness = json.loads(result.stdout)["typeCompleteness"]
    symbols = {each["name"]: each["isTypeKnown"] and not each["isTypeAmbiguous"] for each in completeness["symbols"]}
    assert {f"vinyl.{name}" for name in vinyl.__all__} - {"vinyl.transaction"} <= symbols.keys()
    assert [name for name, is_known in symbols.items() if PUBLIC.match(name) and not is_known] == []
