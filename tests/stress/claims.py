"""What is claimed of vinyl, and is to be held against the bank when all is over.

Each claim is a function that yields what speaks against it; its docstring is the claim.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from django.db import connection

from tests.stress.audits import accounts_that_differ, sum_of_balances
from tests.stress.book import Outcome
from tests.stress.models import START, Entry
from tests.stress.soak import SETTLE_SECONDS, Soak
from tests.stress.transfers import ACCOUNTS

# What is done for the first time after the warm-up leaves some blocks behind (a module that is imported, an expression
# that is compiled), and so do ten connections that the pool has not closed yet, with more than a thousand each. A leak
# does not have one block but hundreds, those of a connection, a greenlet or a task with all that they refer to, and has
# them for each of thousands of transfers or cancellations.
BLOCKS = 20_000
# For what drivers allocate without Python. Without a leak it is less than half of that, which allocators cannot give
# back: most is needed when all tasks are told at once that the server is gone.
BYTES = 32 * 2**20
# Findings that are told of one claim.
TOLD = 5

# Queries for the number of connections but for the one that asks.
CONNECTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}


@dataclass(frozen=True)
class Verdict:
    """A claim, and what speaks against it."""

    claim: str
    findings: list[str]


class Evidence:
    """The soak, and the ledger as it is in the database."""

    def __init__(self, soak: Soak) -> None:
        self.soak = soak
        self.book = soak.book

    @cached_property
    def entered(self) -> Counter[int]:
        """How often each transfer is in the ledger, by its number."""
        return Counter(Entry.objects.values_list("number", flat=True))


def money_is_neither_made_nor_lost(evidence: Evidence) -> Iterator[str]:
    """The sum of all balances never changes"""
    auditor = evidence.soak.auditor
    yield from auditor.findings
    if not auditor.audits:
        yield "it was never audited"
    if (total := sum_of_balances()) != ACCOUNTS * START:
        yield f"in the end the balances come to {total:,}, not to {ACCOUNTS * START:,}"


def balances_are_those_of_the_ledger(evidence: Evidence) -> Iterator[str]:
    """Each balance is what the ledger says: a transfer is whole or absent"""
    yield from (f"that of account {key} is not" for key in accounts_that_differ())


def acknowledged_is_entered_once(evidence: Evidence) -> Iterator[str]:
    """What was acknowledged is in the ledger, and nothing twice"""
    for number in sorted(evidence.book.numbers(Outcome.ACKNOWLEDGED) - evidence.entered.keys()):
        yield f"transfer {number} was acknowledged, and is not in the ledger"
    for number, times in evidence.entered.items():
        if times > 1:
            yield f"transfer {number} is in the ledger {times} times"


def rolled_back_is_not_entered(evidence: Evidence) -> Iterator[str]:
    """What raised an error of its own is not in the ledger"""
    for number in sorted(evidence.book.numbers(Outcome.REFUSED) & evidence.entered.keys()):
        yield f"transfer {number} was refused, and is in the ledger"


def callbacks_are_called_once(evidence: Evidence) -> Iterator[str]:
    """on_commit() calls back once for what was acknowledged, and never for what is not in the ledger"""
    book = evidence.book
    for number, times in enumerate(book.calls):
        if book.outcomes[number] == Outcome.ACKNOWLEDGED and times != 1:
            yield f"the callback of transfer {number} was called {times} times"
        elif times > 1 or (times and number not in evidence.entered):
            outcome = Outcome(book.outcomes[number]).name
            yield f"the callback of transfer {number} was called {times} times; it is {outcome}, and in the ledger " + (
                f"{evidence.entered[number]} times"
            )
    if book.undone_calls:
        yield f"{book.undone_calls} callbacks of savepoints that were rolled back were called"


def attempts_begin_alike(evidence: Evidence) -> Iterator[str]:
    """Each attempt at a transfer begins with its instance as it was"""
    for number, attempt in Entry.objects.exclude(attempt=1).values_list("number", "attempt"):
        yield f"that of transfer {number} was taken for attempt {attempt}"


def errors_are_those_of_django(evidence: Evidence) -> Iterator[str]:
    """Who meets a fault is told by an OperationalError, and after it that the transaction is broken"""
    yield from (f"{number} × {error}" for error, number in evidence.book.unexpected.items())


def peace_is_peace(evidence: Evidence) -> Iterator[str]:
    """When the faults have ended nobody is stuck, and no transfer fails"""
    yield from (f"{where} has not come to an end" for where in evidence.soak.stuck)
    yield from evidence.soak.failures_in_peace


def pool_is_whole(evidence: Evidence) -> Iterator[str]:
    """The pool has no connection in use in the end, and nobody waits for one"""
    for name in ("pool_in_use", "requests_waiting"):
        if number := evidence.soak.statistics.get(name, -1):
            yield f"{name} is {number}"


def connections_are_closed(evidence: Evidence) -> Iterator[str]:
    """vinyl.close() leaves no connection on the server, no thread and no greenlet"""
    yield from (f"the thread {name!r} is left" for name in evidence.soak.threads)
    if evidence.soak.greenlets:
        yield f"{evidence.soak.greenlets} greenlets are left"
    deadline = time.monotonic() + SETTLE_SECONDS
    while (number := connections_on_the_server()) and time.monotonic() < deadline:
        time.sleep(0.05)
    if number:
        yield f"{number} connections are left"


def connections_on_the_server() -> int:
    """Return how many there are but for the one that asks. Those of SQLite are the threads."""
    if connection.vendor not in CONNECTIONS:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(CONNECTIONS[connection.vendor])
        return int(cursor.fetchone()[0])


def memory_is_flat(evidence: Evidence) -> Iterator[str]:
    """Memory after the warm-up is memory in the end"""
    first, last = evidence.soak.footprints
    if last.blocks - first.blocks > BLOCKS:
        yield f"there are {last.blocks - first.blocks:,} blocks more"
    if last.resident - first.resident > BYTES:
        yield f"it has grown by {(last.resident - first.resident) / 2**20:.1f} MB"


def nobody_complains(evidence: Evidence) -> Iterator[str]:
    """There is no warning, and nothing that was never awaited, retrieved or closed"""
    yield from (f"{number} × {complaint}" for complaint, number in evidence.soak.witness.complaints.items())


def there_was_something_to_survive(evidence: Evidence) -> Iterator[str]:
    """Each fault has befallen the bank, and transfers were made all the same"""
    if evidence.soak.faults.error is not None:
        yield f"the faults have ended early: {evidence.soak.faults.error!r}"
    yield from (f"nothing was {name}" for name, number in evidence.soak.faults.counts.items() if not number)
    survived = {Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.CANCELLED, Outcome.TIMED_OUT}
    yield from (f"no transfer is {each.name}" for each in survived if not evidence.book.count(each))
    if not evidence.book.count(Outcome.FAILED) + evidence.soak.witness.retries:
        yield "no transfer has failed, or was run again"
    if evidence.book.count(Outcome.RUNNING):
        yield f"{evidence.book.count(Outcome.RUNNING)} transfers have no end"


CLAIMS: list[Callable[[Evidence], Iterable[str]]] = [
    money_is_neither_made_nor_lost,
    balances_are_those_of_the_ledger,
    acknowledged_is_entered_once,
    rolled_back_is_not_entered,
    callbacks_are_called_once,
    attempts_begin_alike,
    errors_are_those_of_django,
    peace_is_peace,
    pool_is_whole,
    connections_are_closed,
    memory_is_flat,
    nobody_complains,
    there_was_something_to_survive,
]


def judged(soak: Soak) -> Iterator[Verdict]:
    evidence = Evidence(soak)
    for claim in CLAIMS:
        findings = list(claim(evidence))
        told = findings[:TOLD] + ([f"and {len(findings) - TOLD} more"] if len(findings) > TOLD else [])
        yield Verdict(claim.__doc__ or claim.__name__, told)
