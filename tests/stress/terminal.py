"""What somebody at a terminal sees of a soak: a line that changes while it runs, then figures and verdicts."""

import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Mapping

from tests.stress.book import Outcome
from tests.stress.claims import Verdict
from tests.stress.soak import Soak
from tests.stress.tellers import TELLERS
from tests.stress.transfers import ACCOUNTS

# Seconds from one line to the next where lines cannot change.
PAUSE = 5.0
WIDTH = 120


class Progress:
    """Shows how far a soak is."""

    def __init__(self) -> None:
        self._next = time.monotonic() + PAUSE

    def __call__(self, soak: Soak) -> None:
        if sys.stdout.isatty():
            columns = shutil.get_terminal_size().columns
            print(f"\r{line(soak)[: columns - 1]}\x1b[K", end="", flush=True)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + PAUSE
            print(line(soak), flush=True)

    def end(self) -> None:
        if sys.stdout.isatty():
            print("\r\x1b[K", end="")


def line(soak: Soak) -> str:
    book = soak.book
    cancelled = book.count(Outcome.CANCELLED) + book.count(Outcome.TIMED_OUT)
    return (
        f"{soak.phase:14}   {book.count(Outcome.ACKNOWLEDGED):7,} transfers   {cancelled:5,} cancelled"
        f"   {soak.witness.retries:4,} retried   {book.count(Outcome.FAILED):5,} failed"
        f"   {sum(soak.faults.counts.values()):4,} faults   {soak.auditor.audits:3,} audits"
    )


def figures(soak: Soak) -> str:
    book, statistics = soak.book, soak.statistics
    acknowledged = book.count(Outcome.ACKNOWLEDGED)
    first, last = soak.footprints
    rows = {
        "transfers": f"{acknowledged:,} acknowledged, {acknowledged / soak.under_fire:,.0f} a second, by {TELLERS} "
        f"tasks between {ACCOUNTS:,} accounts; the longest took {book.longest:.1f} s",
        "others": f"{book.count(Outcome.CANCELLED):,} cancelled, {book.count(Outcome.TIMED_OUT):,} timed out, "
        f"{book.count(Outcome.REFUSED):,} refused on purpose, {book.count(Outcome.FAILED):,} failed; "
        f"{soak.witness.retries:,} attempts more after a conflict; {book.looks:,} looks at the accounts",
        "faults": counted(soak.faults.counts),
        "errors": counted(book.errors),
        "remarks": counted(soak.witness.remarks),
        "connections": f"{statistics['connections_num']:,} opened, {statistics['connections_errors']:,} of these in "
        f"vain; {statistics['returns_bad']:,} given back broken, {statistics['connections_lost']:,} lost while idle",
        "memory": f"{first} after the warm-up; {last} in the end",
        "audits": f"{soak.auditor.audits:,}, and {soak.auditor.in_vain:,} in vain",
    }
    return "\n".join(row(name, text) for name, text in rows.items())


def counted(counts: Mapping[str, int]) -> str:
    """Write counts down, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} × {what}" for what, number in ordered) or "none"


def row(name: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{name:<13}", subsequent_indent=" " * 13)


def verdicts(judged: Iterable[Verdict]) -> str:
    lines = []
    for verdict in judged:
        lines.append(f"{'FAILED' if verdict.findings else 'passed'}  {verdict.claim}")
        lines += [f"        {finding}" for finding in verdict.findings]
    return "\n".join(lines)
