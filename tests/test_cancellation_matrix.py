"""A cancelled operation has been done or has not been done, never half, and leaves the pool and the server whole.

Each operation is ended, in each of these ways, at every place where it suspends: each statement, BEGIN, SAVEPOINT,
RELEASE, COMMIT and ROLLBACK included.
"""

from functools import partial
from math import ceil

import pytest
from django.test import override_settings

import vinyl
from tests.cancellable import OPERATIONS, connecting, querying
from tests.cancellable.operation import Operation
from tests.hops import CancelledAt, CancelledFrom, DroppedAt, ended_at_each_hop
from tests.wholeness import assert_answers_are_not_mixed_up, assert_nothing_runs, assert_pool_is_whole
from vinyl.lending.scopes import source
from vinyl.transaction import retries

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

WAYS = {
    "early": CancelledAt,
    "late": partial(CancelledAt, late=True),
    "twice": lambda awaitable, hop: CancelledAt(awaitable, hop, hop + 1),
    "again and again": CancelledFrom,
    "dropped": DroppedAt,
    "connecting": CancelledAt,
    "dropped, connecting": DroppedAt,
}
# Each way of using a connection. What these do to connect, the others do as well.
CONNECTING = [
    querying.Get,
    querying.Gather,
    querying.Stream,
    querying.Insert,
    connecting.Atomic,
    connecting.RunOfSynchronousCode,
    connecting.Hold,
    connecting.Cursor,
]


# Queries afterwards, for each operation.
ECHOES = 1000


def ways_of(operation):
    """Return the ways to end an operation."""
    return [
        way
        for way in WAYS
        if ("connecting" not in way or operation in CONNECTING) and ("dropped" not in way or operation.can_be_dropped)
    ]


def cases():
    for operation in OPERATIONS:
        for way in ways_of(operation):
            yield pytest.param(operation, way, id=f"{operation.__name__}, {way}")


@pytest.fixture(autouse=True)
def no_delays(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.0)


def checked(operation: type[Operation], way: str) -> type[Operation]:
    """Return the operation with the claims that are the same for all."""

    class Checked(operation):
        async def prepare(self):
            await super().prepare()
            if "connecting" in way:
                source("default").pool.drop_idle()

        async def check(self, *, finished):
            await assert_nothing_runs()
            await super().check(finished=finished)
            await assert_pool_is_whole()

    return Checked


@pytest.mark.parametrize(("operation", "way"), list(cases()))
async def test_an_operation_is_done_or_not_wherever_it_is_ended(operation, way):
    pool = {} if operation.pool_size is None else {"max_size": operation.pool_size}
    with override_settings(VINYL={"POOL": {"default": pool}}):
        await vinyl.connection.execute("SELECT 1")
        assert await ended_at_each_hop(checked(operation, way), WAYS[way]) > 0
        await assert_answers_are_not_mixed_up(ceil(ECHOES / len(ways_of(operation))))
