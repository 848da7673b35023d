# Made by tools/synchronous_stubs.py from vinyl/_typed/together.pyi.
from typing import TypeVar, overload

from vinyl._typed_sync.querysets import Results

R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
R5 = TypeVar("R5")

@overload
def gather(q1: Results[R1], /) -> tuple[list[R1]]:
    """Load several querysets, and give a list of their lists; awaited in the async mode."""

@overload
def gather(q1: Results[R1], q2: Results[R2], /) -> tuple[list[R1], list[R2]]:
    """Load several querysets, and give a list of their lists; awaited in the async mode."""

@overload
def gather(q1: Results[R1], q2: Results[R2], q3: Results[R3], /) -> tuple[list[R1], list[R2], list[R3]]:
    """Load several querysets, and give a list of their lists; awaited in the async mode."""

@overload
def gather(
    q1: Results[R1], q2: Results[R2], q3: Results[R3], q4: Results[R4], /
) -> tuple[list[R1], list[R2], list[R3], list[R4]]:
    """Load several querysets, and give a list of their lists; awaited in the async mode."""

@overload
def gather(
    q1: Results[R1], q2: Results[R2], q3: Results[R3], q4: Results[R4], q5: Results[R5], /
) -> tuple[list[R1], list[R2], list[R3], list[R4], list[R5]]:
    """Load several querysets, and give a list of their lists; awaited in the async mode."""

@overload
def gather(
    q1: Results[R1],
    q2: Results[R1],
    q3: Results[R1],
    q4: Results[R1],
    q5: Results[R1],
    q6: Results[R1],
    /,
    *querysets: Results[R1],
) -> list[list[R1]]:
    """Load several querysets, and give a list of their lists; awaited in the async mode."""
