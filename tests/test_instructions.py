"""The guard of the hot paths: what it counts runs, and it complains of what became dearer, and of nothing else."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.instructions import baseline, counting, paths

BEFORE = {"get": 1.0, "insert": 2.0}


def complaints(now):
    return [baseline.complaint(change) for change in baseline.compare(now, BEFORE) if change.is_dearer]


def test_a_path_that_became_dearer_is_named_with_the_way_to_accept_it():
    [complaint] = complaints({"get": 1.25, "insert": 2.0})
    assert complaint.startswith("get takes 25% more instructions than its baseline")
    assert "make instructions ARGS=--update" in complaint


def test_what_became_cheaper_or_hardly_dearer_or_is_new_does_not_fail():
    assert complaints({"get": 0.2, "insert": 2.0 * (1 + baseline.TOLERANCE) - 0.01, "new": 9.0}) == []


def test_a_baseline_is_written_beside_those_of_other_versions(tmp_path):
    file = tmp_path / "baselines.json"
    baseline.store({"get": 1.23456}, "Python 3.11, Django 5.2", file)
    baseline.store({"get": 2.0}, "Python 3.13, Django 6.1", file)
    baseline.store({"get": 1.5}, "Python 3.13, Django 6.1", file)
    assert baseline.stored(file) == {"Python 3.11, Django 5.2": {"get": 1.235}, "Python 3.13, Django 6.1": {"get": 1.5}}


@pytest.mark.parametrize("where", baseline.stored())
def test_each_baseline_has_all_paths(where):
    assert {*baseline.stored()[where], paths.REFERENCE} == {*paths.PATHS}


def test_a_dump_of_valgrinds_gives_the_instructions_of_one_operation(tmp_path):
    dump = tmp_path / "counts.1"
    dump.write_text("version: 1\ndesc: Trigger: Client Request: get\nevents: Ir\nsummary: 40\n\ntotals: 40\n")
    assert counting.read(dump) == ("get", 40 / paths.PATHS["get"].times)


SCRIPT = """
import contextlib, json
from benchmarks.instructions import paths

class Markers:
    def __init__(self, library):
        pass

    @contextlib.contextmanager
    def counted(self, name):
        opened.clear()
        yield
        counted[name] = len(opened)
        if name == paths.REFERENCE:
            from benchmarks.stub import base

            cursor = base.Connection.cursor
            base.Connection.cursor = lambda self, *args: opened.append(1) or cursor(self, *args)

counted, opened = {}, []
paths.Markers = Markers
paths.main("none")
print(json.dumps(counted))
"""


@pytest.fixture(scope="module")
def cursors():
    """The paths, run on the stub, and how many cursors each has opened."""
    environment = os.environ | {"PYTHONPATH": counting.FIXED["PYTHONPATH"]}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_path_runs_on_the_stub(cursors):
    assert list(cursors) == list(paths.PATHS)


def test_what_is_planned_goes_natively_unless_its_path_is_by_way_of_the_bridge(cursors):
    by_bridge = [path for path in paths.ASYNCHRONOUS if path.is_by_bridge]
    assert by_bridge
    for path in by_bridge:
        assert cursors[path.name] > 0
        assert cursors[path.operation] == 0
    for name in ("frozen_get", "annotate", "gather", "values"):
        assert cursors[name] == 0
