"""What became of each transfer, as far as who asked for it was told.

It knows nothing of the database, and of vinyl only its errors. Each transfer takes two bytes, so that what this book
remembers is not taken for something that vinyl forgets to give back.
"""

import asyncio
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

from django.db import InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError

from vinyl.errors import PoolError

# What Django says to those who go on in a transaction after an error in it of which others were told: another task of
# the transaction, or nobody, if a savepoint could not be rolled back.
BROKEN = "An error occurred in the current transaction."


class Outcome(IntEnum):
    """What a transfer ended with. One that was acknowledged is committed, one that was refused is not; of the others
    nobody was told.
    """

    ACKNOWLEDGED = 1
    REFUSED = 2
    CANCELLED = 3
    TIMED_OUT = 4
    FAILED = 5
    RUNNING = 0


@dataclass
class Book:
    """Outcomes and calls are by the number of the transfer; `longest` is how many seconds an acknowledged one took."""

    outcomes: bytearray = field(default_factory=bytearray)
    calls: bytearray = field(default_factory=bytearray)
    undone_calls: int = 0
    longest: float = 0.0
    looks: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    # The tasks that are in a transaction.
    inside: set["asyncio.Task[None] | None"] = field(default_factory=set)

    def begin(self) -> int:
        """Return the number of a new transfer."""
        self.outcomes.append(Outcome.RUNNING)
        self.calls.append(0)
        return len(self.outcomes) - 1

    def end(self, number: int, outcome: Outcome, seconds: float) -> None:
        self.outcomes[number] = outcome
        if outcome is Outcome.ACKNOWLEDGED:
            self.longest = max(self.longest, seconds)

    def call(self, number: int) -> None:
        """The callback of a transfer that is committed."""
        self.calls[number] += 1

    def call_undone(self) -> None:
        """The callback of a savepoint that was rolled back."""
        self.undone_calls += 1

    def note(self, error: BaseException) -> None:
        """Count an error, and those in it if it is a group."""
        for each in leaves(error):
            self.errors[kind(each)] += 1
            if not is_expected(each):
                self.unexpected[f"{type(each).__name__}: {each}"] += 1

    def count(self, outcome: Outcome) -> int:
        return self.outcomes.count(outcome)

    def numbers(self, outcome: Outcome) -> set[int]:
        return {number for number, each in enumerate(self.outcomes) if each == outcome}


def is_expected(error: BaseException) -> bool:
    """Tell whether it is what a lost connection, a server that is down or a conflict are to who uses Django.

    It is not that the pool has none to give: it has enough for all, unless it has lost them itself.
    """
    if isinstance(error, PoolError):
        return False
    is_broken = type(error) is TransactionManagementError and str(error).startswith(BROKEN)
    return is_broken or isinstance(error, OperationalError | InterfaceError)


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors of a group, and those of the groups in it; of an error that is none, itself."""
    if isinstance(error, BaseExceptionGroup):
        return list(itertools.chain.from_iterable(map(leaves, error.exceptions)))
    return [error]


def kind(error: BaseException) -> str:
    """Name an error by its class and by what its driver calls it; without that, by the end of its first line."""
    cause = error.__cause__
    arguments = getattr(cause, "args", ())
    code = arguments[0] if arguments and isinstance(arguments[0], int) else None
    name = getattr(cause, "sqlite_errorname", None) or code
    if name is None and getattr(cause, "sqlstate", None):
        name = type(cause).__name__
    if name is None:
        name = re.sub(r"\d+(\.\d+)*", "…", str(error).partition("\n")[0].rpartition(": ")[2].strip())
        return f"{type(error).__name__}: {name}"
    return f"{type(error).__name__} {name}"
