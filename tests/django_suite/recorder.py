"""The test runner that Django uses in the child process: its own, which also writes down how each test ends.

This module does not import vinyl, which is to be absent where Django is run without it.
"""

# ruff: noqa: N802 (the names are unittest's)

import unittest
from collections.abc import Callable
from typing import Any

from django.test.runner import DiscoverRunner
from django.test.utils import iter_test_cases  # type: ignore[attr-defined]

from tests.django_suite.packages import MEASURING_TIME
from tests.django_suite.records import write

# Called before the databases are removed.
at_end: list[Callable[[], None]] = []

# For comparing.py: the test that runs, or after which the set-up of a class runs; and whether it has compared anything.
current = "the first test"
compared = False


class Result(unittest.TextTestResult):
    """Writes each outcome to the record, and prints what it always prints."""

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        write("passed", test.id())

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        write("failed", test.id(), self.errors[-1][1])

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        write("failed", test.id(), self.failures[-1][1])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            found = self.failures if issubclass(err[0], test.failureException) else self.errors
            write("failed", test.id(), found[-1][1])

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        write("failed", test.id(), "It passed, though it is expected to fail.")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        write("skipped", test.id(), reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        write("skipped", test.id(), "expected to fail")


class ComparingResult(unittest.TextTestResult):
    """Writes down the tests that have compared anything, as passed, instead of how they end."""

    def startTest(self, test: Any) -> None:
        global current, compared
        current, compared = test.id(), False
        super().startTest(test)

    def stopTest(self, test: Any) -> None:
        global current
        super().stopTest(test)
        if compared:
            write("passed", test.id())
        current = f"between {test.id()} and the next test"


class Runner(DiscoverRunner):
    """Django's test runner, with one of the above."""

    result_class: Any = Result

    def get_resultclass(self) -> Any:
        return self.result_class

    def build_suite(self, *args: Any, **kwargs: Any) -> Any:
        suite = super().build_suite(*args, **kwargs)
        for test in iter_test_cases(suite):
            if test.id() in MEASURING_TIME:
                setattr(test, test._testMethodName, unittest.skip("measures times")(lambda: None))
        return suite

    def teardown_databases(self, old_config: Any, **kwargs: Any) -> None:
        for function in at_end:
            function()
        super().teardown_databases(old_config, **kwargs)
