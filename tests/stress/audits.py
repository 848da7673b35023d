"""Audits of the bank by plain Django, synchronously: `Account.objects`, on Django's own connection of the thread.

A single statement sees one state of the database, so the books must balance at every moment.
"""

import threading
from typing import Any

from django.db import Error, connections
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from tests.stress.models import START, Account, Entry
from tests.stress.transfers import ACCOUNTS

PAUSE = 1.0


def sum_of_balances() -> int:
    total: int | None = Account.objects.aggregate(total=Sum("balance"))["total"]
    return total or 0


def accounts_that_differ() -> list[int]:
    """Return the keys of the accounts whose balance is not what the ledger says."""
    by_ledger = START + _total("target") - _total("source")
    return list(Account.objects.exclude(balance=by_ledger).values_list("pk", flat=True))


def _total(side: str) -> Coalesce:
    entries: QuerySet[Any, Any] = Entry.objects.filter(**{side: OuterRef("pk")}).order_by().values(side)
    return Coalesce(Subquery(entries.annotate(total=Sum("amount")).values("total")), 0)


class Auditor(threading.Thread):
    """Audits now and then, in a thread of its own, until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(name="auditor")
        self.audits = 0
        # What was tried while the server was down, or its connection was killed.
        self.in_vain = 0
        self.findings: list[str] = []
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(PAUSE):
            try:
                self.audit()
            except Error:
                self.in_vain += 1
            finally:
                connections.close_all()

    def audit(self) -> None:
        total, differing = sum_of_balances(), accounts_that_differ()
        self.audits += 1
        if total != ACCOUNTS * START:
            self.findings.append(f"audit {self.audits}: the balances came to {total:,}, not to {ACCOUNTS * START:,}")
        if differing:
            self.findings.append(f"audit {self.audits}: {len(differing)} accounts were not as in the ledger")

    def stop(self) -> None:
        self._is_over.set()
        self.join()
