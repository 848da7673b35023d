"""A pytest plug-in that counts the tests of a run and writes the counts where `python -m tests` reads them.

The file named by VINYL_TEST_REPORT then holds `{"passed": 3, "failed": 0, "skipped": {"tests/test_x.py::test_y": "not
on sqlite"}, "tried_again": []}`. A test counts once, by the worst of its phases; so does a module that cannot be
collected. A test that is expected to fail counts as skipped, and one that pytest-rerunfailures tried again by how it
went then. Under pytest-xdist only the controller counts.
"""

import json
import os
from pathlib import Path

import pytest


class Counts:
    """The outcome of each test and of each module that was not collected, by node id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed: set[str] = set()
        self.failed: set[str] = set()
        self.skipped: dict[str, str] = {}
        self.tried_again: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed and report.when == "call":
            self.passed.add(report.nodeid)
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]
            self.tried_again.add(report.nodeid)
        self._add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._add(report)

    def _add(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.skipped:
            self.skipped[report.nodeid] = reason(report)

    def pytest_sessionfinish(self) -> None:
        skipped = {test: reason for test, reason in self.skipped.items() if test not in self.failed}
        passed = self.passed - self.failed - skipped.keys()
        tried_again = sorted(self.tried_again & passed)
        counts = {"passed": len(passed), "failed": len(self.failed), "skipped": skipped, "tried_again": tried_again}
        self.path.write_text(json.dumps(counts), encoding="utf-8")


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Say why a test was skipped, in the words of whoever skipped it."""
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_configure(config: pytest.Config) -> None:
    path = os.environ.get("VINYL_TEST_REPORT")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Counts(Path(path)), "vinyl-counts")
