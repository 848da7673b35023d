"""What users rely on: the public names, their parameters and bases, and a place in the documentation for each."""

import inspect
import re
from pathlib import Path

import pytest

import vinyl
from tests.public_api import described
from vinyl import errors

ROOT = Path(__file__).parent.parent


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def test_the_public_names_and_their_parameters_are_those_that_were_released():
    renew = "python -m tests.public_api > tests/public_api.txt"
    assert list(described()) == read("tests/public_api.txt").splitlines(), f"If that is meant: {renew}"


@pytest.mark.parametrize("name", [name for name in vinyl.__all__ if name != "transaction"])
def test_each_public_name_is_in_the_reference(name):
    assert re.search(rf"^\.\. auto\w+:: vinyl\.{name}(\(.*\))?$", read("docs/api.md"), re.MULTILINE)


@pytest.mark.parametrize("name", [name for name, value in vars(vinyl.transaction).items() if inspect.isfunction(value)])
def test_each_function_about_transactions_is_in_the_reference(name):
    if name[0] != "_" and getattr(vinyl.transaction, name).__module__ == "vinyl.transaction":
        assert f".. autofunction:: vinyl.transaction.{name}\n" in read("docs/api.md")


@pytest.mark.parametrize("name", [name for name, value in vars(errors).items() if inspect.isclass(value)])
def test_each_error_has_a_heading_below_which_its_cause_and_its_cure_are(name):
    if issubclass(getattr(errors, name), vinyl.VinylError) and name not in ("VinylError", "PoolError"):
        assert f"\n### `{name}`\n" in read("docs/errors.md")
