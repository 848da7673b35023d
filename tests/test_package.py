"""What vinyl says that it supports is what `make test-all` tests, of which CI has the oldest and the newest."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.package import Wrong, check_metadata, corners

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def metadata(*classifiers):
    lines = [
        "Metadata-Version: 2.4",
        "Name: django-vinyl",
        f"Version: {PROJECT['version']}",
        "Description-Content-Type: text/markdown",
        *(f"Classifier: {classifier}" for classifier in classifiers),
        *(f"Provides-Extra: {extra}" for extra in PROJECT["optional-dependencies"]),
        "",
        "# vinyl",
    ]
    return "\n".join(lines).encode()


def test_the_classifiers_name_the_pythons_and_the_djangos_that_are_tested():
    check_metadata(metadata(*PROJECT["classifiers"]))


def test_a_classifier_of_what_is_not_tested_is_found():
    with pytest.raises(Wrong, match="Django"):
        check_metadata(metadata(*PROJECT["classifiers"], "Framework :: Django :: 4.2"))


def test_ci_tests_the_oldest_and_the_newest():
    python, oldest = corners()[0]
    _, newest = corners()[-1]
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    steps = re.findall(r'^step test "\$(\w+)" ([\d.]+)', run, re.MULTILINE)
    assert steps == [("newest", newest), ("oldest", oldest)]
    assert PROJECT["requires-python"] == f">={python}"
