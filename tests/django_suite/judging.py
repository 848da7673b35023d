"""What the outcomes of the tests through the bridge mean, beside those of the same tests without vinyl.

What fails both ways is not vinyl's doing; it is named, and counted as skipped, as is what differs by nature. What only
fails through the bridge is a failure.
"""

import re
from collections import Counter
from collections.abc import Iterable
from fnmatch import filter as matching
from fnmatch import fnmatchcase

from tests.__main__ import Outcome
from tests.django_suite.differences import COMPARISONS, DIFFERENCES
from tests.django_suite.records import Record


def labels_of(tests: dict[str, str]) -> list[str]:
    """Return what to tell Django's runner to have these tests run again."""
    return list(dict.fromkeys(_label(test) for test in tests))


def _label(test: str) -> str:
    # "setUpClass (basic.tests.ModelTest)"; a module that could not be imported is a test of unittest's own.
    if found := re.fullmatch(r"\w+ \((.+)\)", test):
        return found[1]
    return test.removeprefix("unittest.loader._FailedTest.")


def judge(bridge: Record, plain: Record, differences: dict[str, str] = DIFFERENCES) -> Outcome:
    """Print what failed through the bridge, by what it means, and return the counts."""
    outcome = Outcome(len(bridge.passed), 0, len(bridge.skipped), problems=[*bridge.problems, *plain.problems])
    differs = {test for test in bridge.failed if _reason(differences, test)}
    fails_anyway = bridge.failed.keys() & plain.failed.keys() - differs
    failed = bridge.failed.keys() - differs - fails_anyway
    outcome.failed = len(failed)
    outcome.skipped += len(differs) + len(fails_anyway)
    for test in sorted(fails_anyway):
        print(f"fails without vinyl as well: {test}")
    for test in sorted(differs):
        print(f"differs by nature: {test}: {_reason(differences, test)}")
    for test in sorted(failed):
        print(f"\nFAILED, though it passes without vinyl: {test}\n{bridge.failed[test]}")
    outcome.problems += _not_true(differences, bridge.passed, bridge.failed.keys())
    for count, what in (("waits", "no wait went through the event loop"), ("vinyl", "vinyl executed no statement")):
        if not bridge.counts[count]:
            outcome.problems.append(f"{what}, so nothing is proven")
    return outcome


def judge_comparisons(records: dict[str, Record], differences: dict[str, str] = COMPARISONS) -> Outcome:
    """Print what was compared in these ways and what differed; return the counts of the tests that have compared."""
    outcome = Outcome(problems=[problem for record in records.values() for problem in record.problems])
    differing: Counter[str] = Counter()
    for mode, record in records.items():
        print(f"{mode:<6}{_SUMMARY.format(differing=len(record.differences), **record.counts)}")
        if not record.counts["compared"]:
            outcome.problems.append(f"no queryset was compared ({mode}), so nothing is proven")
        for difference in record.differences:
            differing[difference["test"]] += 1
            if not _reason(differences, difference["test"]):
                print(_DIFFERENCE.format(mode=mode, **difference))
    for test in sorted(set().union(*(record.undetermined for record in records.values()))):
        print(f"not deterministic: {test}")
    alike = set().union(*(record.passed for record in records.values())) - differing.keys()
    by_nature = {test for test in differing if _reason(differences, test)}
    for test in sorted(by_nature):
        print(f"differs by nature: {test} ({differing[test]} querysets): {_reason(differences, test)}")
    outcome.passed, outcome.skipped = len(alike), len(by_nature)
    outcome.failed = len(differing) - len(by_nature)
    outcome.problems += _not_true(differences, alike, differing)
    return outcome


_SUMMARY = (
    "{compared:,} querysets compared, {differing:,} differ, {undetermined:,} are not deterministic; {not_compared:,} "
    "with errors after which nothing can be asked"
)
_DIFFERENCE = """
DIFFERS ({mode}): {test}
    {what}, {where}
    Django: {values[0]}
    vinyl:  {values[1]}
    query:  {query}"""


def _reason(list_of_differences: dict[str, str], test: str) -> str | None:
    return next((reason for pattern, reason in list_of_differences.items() if fnmatchcase(test, pattern)), None)


def _not_true(list_of_differences: dict[str, str], alike: Iterable[str], differing: Iterable[str]) -> list[str]:
    """Return a problem for each entry of which there were tests, but none differed."""
    return [
        f"differences.py lists {pattern}, but there is no difference"
        for pattern in list_of_differences
        if matching(alike, pattern) and not matching(differing, pattern)
    ]
