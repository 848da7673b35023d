"""The pool: bounded, fair, and whole again after every error and cancellation."""

import asyncio
import gc
import logging
import random
import re

import pytest

from vinyl import PoolClosed, PoolError, PoolTimeout, TooManyRequests
from vinyl.conf import PoolOptions
from vinyl.lending import pool

pytestmark = pytest.mark.asynchronous


class Failure(Exception):
    """Raised by these tests only."""


class Server:
    """What a pool connects to. Its connections are the numbers 1, 2, …; the pool's three callables are its methods."""

    def __init__(self):
        self.opened = []
        self.closed = []
        self.dead = set()
        self.errors = []
        self.opening = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.something_closed = asyncio.Event()

    async def open(self):
        self.opening.set()
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.opened.append(len(self.opened) + 1)
        return self.opened[-1]

    def close(self, number):
        assert number not in self.closed
        self.closed.append(number)
        self.something_closed.set()

    def check(self, number):
        return number not in self.dead


def pool_of(server, **options):
    return pool.Pool(
        "The pool",
        # Nobody waits so long unless the code is broken.
        PoolOptions(**{"timeout": 5, **options}),
        asyncio.get_running_loop(),
        open=server.open,
        close_member=server.close,
        check=server.check,
    )


def counts(pool, *names):
    statistics = pool.statistics()
    return tuple(statistics[name] for name in names)


async def lend(pool, number):
    """Borrow so many members at once."""
    return await asyncio.gather(*(pool.acquire() for _ in range(number)))


async def waiters(pool, number, log=None):
    """Start so many tasks that wait for a member; return when all of them wait."""

    async def wait(name):
        member = await pool.acquire()
        if log is not None:
            log.append(name)
        return member

    before = pool.statistics()["requests_waiting"]
    tasks = [asyncio.create_task(wait(name)) for name in range(number)]
    await turns()
    assert pool.statistics()["requests_waiting"] == before + number
    return tasks


async def turns(number=5):
    """Let all other tasks go on as far as they can."""
    for _ in range(number):
        await asyncio.sleep(0)


async def within_seconds(awaitable):
    """Wait for what happens at once unless the code is broken."""
    return await asyncio.wait_for(awaitable, 10)


# Lending.


async def test_nothing_is_opened_before_it_is_needed():
    server = Server()
    lazy = pool_of(server, min_size=2)
    await turns()
    assert lazy.take() is None
    assert server.opened == []


async def test_a_released_member_is_lent_again():
    server = Server()
    small = pool_of(server)
    for _ in range(3):
        member = await small.acquire()
        assert member.value == 1
        small.release(member, reusable=True)
    assert server.opened == [1]


async def test_take_lends_an_idle_member_without_waiting():
    small = pool_of(Server())
    member = await small.acquire()
    assert small.take() is None
    small.release(member, reusable=True)
    assert small.take() is member


async def test_there_are_never_more_members_than_max_size():
    async def use():
        member = await bounded.acquire()
        sizes.append(len(server.opened) - len(server.closed))
        await asyncio.sleep(0)
        bounded.release(member, reusable=True)

    server, sizes = Server(), []
    bounded = pool_of(server, max_size=3)
    await asyncio.gather(*(use() for _ in range(30)))
    assert max(sizes) == 3
    assert server.opened == [1, 2, 3]


async def test_the_member_used_last_is_lent_first():
    used = pool_of(Server())
    members = await lend(used, 3)
    for member in members:
        used.release(member, reusable=True)
    assert [used.take() for _ in range(3)] == members[::-1]


async def test_who_waits_longest_is_served_first():
    served = pool_of(Server(), max_size=1)
    member, log = await served.acquire(), []
    tasks = await waiters(served, 3, log)
    for task in tasks:
        served.release(member, reusable=True)
        assert await task is member
    assert log == [0, 1, 2]


async def test_who_comes_later_cannot_overtake():
    fair = pool_of(Server(), max_size=1)
    member = await fair.acquire()
    (waiter,) = await waiters(fair, 1)
    fair.release(member, reusable=True)
    # The waiter has not run yet, but the member is its already.
    assert fair.take() is None
    newcomer = asyncio.create_task(fair.acquire())
    assert await waiter is member
    assert not newcomer.done()
    fair.release(member, reusable=True)
    assert await newcomer is member


async def test_a_member_goes_straight_to_who_waits():
    direct = pool_of(Server(), max_size=1)
    member = await direct.acquire()
    (waiter,) = await waiters(direct, 1)
    direct.release(member, reusable=True)
    assert counts(direct, "pool_available", "pool_in_use", "requests_waiting") == (0, 1, 0)
    assert await waiter is member


async def test_a_slow_connect_blocks_nobody_else():
    server = Server()
    busy = pool_of(server, max_size=2)
    member = await busy.acquire()
    server.gate.clear()
    server.opening.clear()
    slow = asyncio.create_task(busy.acquire())
    await server.opening.wait()
    waiting = await waiters(busy, 2)
    for waiter in waiting:
        busy.release(member, reusable=True)
        assert await waiter is member
    assert not slow.done()
    server.gate.set()
    assert (await slow).value == 2


# Errors.


async def test_a_wait_ends_after_the_timeout_and_says_what_to_do():
    full = pool_of(Server(), max_size=2, timeout=0.01)
    members = await lend(full, 2)
    with pytest.raises(PoolTimeout, match=r"The pool had no connection free within 0\.01 s.*all 2.*Raise `max_size`"):
        await full.acquire()
    assert counts(full, "requests_waiting", "requests_errors") == (0, 1)
    full.release(members[0], reusable=True)
    assert full.take() is members[0]


@pytest.mark.parametrize(("size", "rest"), [(5, ""), (6, "\n    and 1 more")])
async def test_five_of_those_who_have_the_members_are_named(size, rest):
    full = pool_of(Server(), max_size=size, timeout=0.01)
    tasks = [asyncio.create_task(full.acquire(), name=f"holder {number}") for number in range(size)]
    await asyncio.wait(tasks)
    names = [task.get_name() for task in tasks]
    with pytest.raises(PoolTimeout) as caught:
        await full.acquire()
    _, *lines = str(caught.value).removesuffix(rest).split("\n")
    assert [re.fullmatch(r"    for 0\.\d s by task '(holder \d)'", line)[1] for line in lines] == names[:5]
    tasks.clear()
    gc.collect()
    with pytest.raises(PoolTimeout, match=f"by a task that is gone{rest}$"):
        await full.acquire()


async def test_a_member_released_after_the_timeout_goes_to_the_next_in_the_queue():
    def release():
        full.release(member, reusable=True)

    full = pool_of(Server(), max_size=1, timeout=0.01)
    member = await full.acquire()
    (waiter,) = await waiters(full, 1)
    # The timer ends the wait, and the member comes back before the waiter runs.
    next(iter(full._waiting)).add_done_callback(lambda _: release())
    with pytest.raises(PoolTimeout):
        await waiter
    assert full.take() is member


async def test_connecting_ends_after_the_timeout_and_frees_the_place():
    server = Server()
    server.gate.clear()
    frozen = pool_of(server, timeout=0.01)
    with pytest.raises(PoolTimeout, match=r"The pool could not connect within 0\.01 s.*server\s+reachable") as caught:
        await frozen.acquire()
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert counts(frozen, "pool_size", "connections_errors") == (0, 1)


async def test_a_timeout_of_the_server_is_not_the_pools():
    server = Server()
    server.errors.append(TimeoutError("of the server"))
    with pytest.raises(TimeoutError, match="of the server"):
        await pool_of(server).acquire()


async def test_only_max_waiting_callers_may_wait():
    busy = pool_of(Server(), max_size=1, max_waiting=2)
    member = await busy.acquire()
    waiting = await waiters(busy, 2)
    with pytest.raises(TooManyRequests, match=r"all its 1 connections in use and 2 callers\s+waiting.*`max_waiting`"):
        await busy.acquire()
    for waiter in waiting:
        busy.release(member, reusable=True)
        await waiter


async def test_the_pools_errors_share_a_base():
    assert all(issubclass(error, PoolError) for error in (PoolTimeout, TooManyRequests, PoolClosed))


async def test_a_failing_open_raises_its_error_and_frees_the_place():
    server = Server()
    server.errors.append(error := Failure())
    small = pool_of(server, max_size=1)
    with pytest.raises(Failure) as caught:
        await small.acquire()
    assert caught.value is error
    assert error.__notes__ == ["The pool could not open a connection."]
    assert counts(small, "pool_size", "requests_errors", "connections_errors") == (0, 1, 1)
    assert (await small.acquire()).value == 1


async def test_a_failing_open_wakes_the_next_waiter_who_opens():
    server = Server()
    server.gate.clear()
    server.errors.append(Failure())
    small = pool_of(server, max_size=1)
    opener = asyncio.create_task(small.acquire())
    await server.opening.wait()
    first, second = await waiters(small, 2)
    server.gate.set()
    with pytest.raises(Failure):
        await opener
    assert (await first).value == 1
    assert not second.done()
    small.release(first.result(), reusable=True)
    assert await second is first.result()


async def test_when_every_open_fails_every_waiter_is_told():
    server = Server()
    server.errors.extend(Failure() for _ in range(20))
    small = pool_of(server, max_size=2)
    outcomes = await asyncio.gather(*(small.acquire() for _ in range(20)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Failure] * 20
    assert counts(small, "pool_size", "requests_waiting") == (0, 0)


# Cancellation.


@pytest.mark.loops
async def test_a_cancelled_waiter_leaves_the_queue():
    small = pool_of(Server(), max_size=1)
    member = await small.acquire()
    first, second = await waiters(small, 2)
    first.cancel()
    await turns()
    assert counts(small, "requests_waiting") == (1,)
    small.release(member, reusable=True)
    assert await second is member
    assert first.cancelled()


@pytest.mark.loops
@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_a_waiter_cancelled_as_it_is_handed_a_member_hands_it_on(cancelled_first):
    small = pool_of(Server(), max_size=1)
    member = await small.acquire()
    first, second = await waiters(small, 2)
    # Both in one turn of the loop: neither task can run in between.
    if cancelled_first:
        first.cancel()
    small.release(member, reusable=True)
    if not cancelled_first:
        first.cancel()
    assert await second is member
    assert first.cancelled()
    small.release(member, reusable=True)
    assert counts(small, "pool_size", "pool_available", "pool_in_use") == (1, 1, 0)


@pytest.mark.loops
async def test_a_waiter_cancelled_as_it_may_open_gives_the_place_to_the_next():
    server = Server()
    small = pool_of(server, max_size=1)
    member = await small.acquire()
    first, second = await waiters(small, 2)
    small.release(member, reusable=False)
    first.cancel()
    assert (await second).value == 2
    assert first.cancelled()
    assert counts(small, "pool_size", "pool_in_use") == (1, 1)


@pytest.mark.loops
async def test_a_waiter_whose_time_is_up_as_it_is_handed_a_member_hands_it_on():
    small = pool_of(Server(), max_size=1)
    member = await small.acquire()

    async def impatient():
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            await small.acquire()

    limits = []
    first = asyncio.create_task(impatient())
    await turns()
    (second,) = await waiters(small, 1)
    limits[0].reschedule(0)
    small.release(member, reusable=True)
    with pytest.raises(TimeoutError):
        await first
    assert await second is member


@pytest.mark.loops
async def test_cancelling_who_connects_frees_the_place_for_the_next():
    server = Server()
    server.gate.clear()
    small = pool_of(server, max_size=1)
    opener = asyncio.create_task(small.acquire())
    await server.opening.wait()
    (waiter,) = await waiters(small, 1)
    opener.cancel()
    server.gate.set()
    assert (await waiter).value == 1
    assert opener.cancelled()
    assert counts(small, "pool_size", "pool_in_use", "connections_errors") == (1, 1, 1)


async def test_a_waiter_whose_coroutine_is_closed_leaves_the_queue():
    small = pool_of(Server(), max_size=1)
    member = await small.acquire()
    coroutine = small.acquire()
    coroutine.send(None)
    coroutine.close()
    small.release(member, reusable=True)
    assert counts(small, "pool_available", "requests_waiting") == (1, 0)


async def test_a_waiter_whose_coroutine_is_closed_as_it_is_handed_a_member_hands_it_on():
    small = pool_of(Server(), max_size=1)
    member = await small.acquire()
    coroutine = small.acquire()
    coroutine.send(None)
    small.release(member, reusable=True)
    coroutine.close()
    assert counts(small, "pool_available", "pool_in_use") == (1, 0)


# Replacing.


async def test_a_member_that_is_not_reusable_is_closed():
    server = Server()
    small = pool_of(server)
    small.release(await small.acquire(), reusable=False)
    assert server.closed == [1]
    assert counts(small, "pool_size", "returns_bad") == (0, 1)
    assert (await small.acquire()).value == 2


async def test_a_waiter_opens_another_in_the_place_of_a_bad_member():
    server = Server()
    small = pool_of(server, max_size=1)
    member = await small.acquire()
    (waiter,) = await waiters(small, 1)
    small.release(member, reusable=False)
    assert (await waiter).value == 2
    assert server.closed == [1]


async def test_a_member_whose_check_raises_is_replaced(caplog):
    def check(number):
        raise Failure("cannot tell")

    server = Server()
    checked = pool_of(server)
    checked.check = check
    checked.release(await checked.acquire(), reusable=True)
    assert (await checked.acquire()).value == 2
    assert (server.closed, counts(checked, "pool_in_use")) == ([1], (1,))
    assert "checking a connection failed" in caplog.text


async def test_a_member_that_fails_its_check_is_replaced():
    server = Server()
    small = pool_of(server)
    for member in await lend(small, 2):
        small.release(member, reusable=True)
    server.dead.add(2)
    assert small.take().value == 1
    server.dead.add(1)
    assert server.closed == [2]
    assert (await small.acquire()).value == 3
    assert counts(small, "connections_lost") == (1,)


async def test_a_member_that_fails_its_check_is_not_handed_to_who_waits():
    server = Server()
    small = pool_of(server, max_size=1)
    member = await small.acquire()
    (waiter,) = await waiters(small, 1)
    server.dead.add(1)
    small.release(member, reusable=True)
    assert (await waiter).value == 2
    assert server.closed == [1]
    assert counts(small, "connections_lost", "returns_bad", "pool_in_use") == (1, 0, 1)


async def test_a_member_older_than_max_lifetime_is_replaced_when_it_is_needed(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(pool, "monotonic", lambda: now)
    server = Server()
    small = pool_of(server, max_lifetime=60)
    small.release(await small.acquire(), reusable=True)
    now += 59
    member = small.take()
    assert member.value == 1
    small.release(member, reusable=True)
    now += 1
    assert small.take() is None
    assert server.closed == [1]


async def test_a_member_older_than_max_lifetime_is_closed_when_it_is_released(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(pool, "monotonic", lambda: now)
    server = Server()
    small = pool_of(server, max_lifetime=60)
    member = await small.acquire()
    now += 60
    small.release(member, reusable=True)
    assert server.closed == [1]
    # It did nothing wrong.
    assert counts(small, "pool_size", "returns_bad") == (0, 0)


@pytest.mark.loops
async def test_members_unused_for_max_idle_are_closed_but_min_size_is_kept():
    server = Server()
    idle = pool_of(server, min_size=1, max_idle=0.01)
    for member in await lend(idle, 3):
        idle.release(member, reusable=True)
    assert server.closed == []
    while len(server.closed) < 2:
        server.something_closed.clear()
        await within_seconds(server.something_closed.wait())
    # The one released last is the one that stays.
    assert server.closed == [1, 2]
    assert counts(idle, "pool_size", "pool_available") == (1, 1)
    assert idle.take().value == 3


async def test_members_in_use_are_not_trimmed():
    server = Server()
    idle = pool_of(server, max_idle=0.01)
    first, second = await lend(idle, 2)
    idle.release(first, reusable=True)
    await within_seconds(server.something_closed.wait())
    assert server.closed == [1]
    idle.release(second, reusable=True)
    assert idle.take() is second


async def test_a_closing_that_fails_is_logged_and_the_place_is_free(caplog):
    def close(number):
        raise Failure

    small = pool_of(server := Server(), max_size=1)
    small.close_member = close
    small.release(await small.acquire(), reusable=False)
    assert [(record.name, record.levelno) for record in caplog.records] == [("vinyl.pool", logging.ERROR)]
    assert (await small.acquire()).value == 2
    assert server.opened == [1, 2]


# Filling.


@pytest.mark.loops
async def test_once_one_was_needed_min_size_members_are_opened_in_the_background():
    server = Server()
    filled = pool_of(server, min_size=3)
    await filled.acquire()
    assert server.opened == [1]
    await turns(20)
    assert server.opened == [1, 2, 3]
    assert counts(filled, "pool_size", "pool_available", "pool_in_use") == (3, 2, 1)


@pytest.mark.loops
@pytest.mark.parametrize("suspends", [True, False])
async def test_the_pool_is_filled_again_after_its_members_were_lost(suspends):
    async def open_at_once():
        server.opened.append(len(server.opened) + 1)
        return server.opened[-1]

    server = Server()
    filled = pool_of(server, min_size=2)
    filled.open = server.open if suspends else open_at_once
    for size_so_far in (2, 4):
        member = await filled.acquire()
        await turns(20)
        assert len(server.opened) == size_so_far
        filled.release(member, reusable=False)
        filled.release(filled.take(), reusable=False)


async def test_a_failure_to_fill_is_logged_and_nobody_is_told(caplog):
    server = Server()
    filled = pool_of(server, min_size=2)
    member = await filled.acquire()
    server.errors.append(Failure("no more"))
    await turns(20)
    assert [record.getMessage() for record in caplog.records] == [
        "The pool: could not open a connection in advance: no more"
    ]
    assert counts(filled, "pool_size") == (1,)
    filled.release(member, reusable=True)


async def test_a_member_opened_in_advance_goes_to_who_waits():
    server = Server()
    filled = pool_of(server, min_size=2, max_size=2)
    await filled.acquire()
    server.gate.clear()
    (waiter,) = await waiters(filled, 1)
    server.gate.set()
    assert (await within_seconds(waiter)).value == 2


# Closing.


async def test_closing_closes_idle_members_at_once_and_lent_ones_as_they_are_released():
    server = Server()
    closing = pool_of(server)
    first, second = await lend(closing, 2)
    closing.release(first, reusable=True)
    closing.close()
    assert server.closed == [1]
    closing.release(second, reusable=True)
    assert server.closed == [1, 2]
    assert counts(closing, "pool_size", "pool_in_use") == (0, 0)


async def test_closing_tells_who_waits():
    closing = pool_of(Server(), max_size=1)
    member = await closing.acquire()
    waiting = await waiters(closing, 2)
    closing.close()
    for waiter in waiting:
        with pytest.raises(PoolClosed, match="closed while this query waited"):
            await waiter
    closing.release(member, reusable=True)
    assert counts(closing, "pool_size", "requests_waiting") == (0, 0)


async def test_closing_tells_who_connects_and_closes_what_was_opened():
    server = Server()
    server.gate.clear()
    closing = pool_of(server)
    opener = asyncio.create_task(closing.acquire())
    await server.opening.wait()
    closing.close()
    server.gate.set()
    with pytest.raises(PoolClosed, match="closed while this query connected"):
        await opener
    assert server.closed == server.opened == [1]
    assert counts(closing, "pool_size") == (0,)


async def test_a_member_handed_over_before_closing_still_arrives():
    server = Server()
    closing = pool_of(server, max_size=1)
    member = await closing.acquire()
    (waiter,) = await waiters(closing, 1)
    closing.release(member, reusable=True)
    closing.close()
    assert await waiter is member
    closing.release(member, reusable=True)
    assert server.closed == [1]


async def test_a_waiter_cancelled_as_the_pool_closes_hands_its_member_back():
    server = Server()
    closing = pool_of(server, max_size=1)
    member = await closing.acquire()
    (waiter,) = await waiters(closing, 1)
    closing.release(member, reusable=True)
    waiter.cancel()
    closing.close()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert server.closed == [1]
    assert counts(closing, "pool_size") == (0,)


async def test_a_closed_pool_lends_nothing():
    closed = pool_of(Server())
    closed.release(await closed.acquire(), reusable=True)
    closed.close()
    assert closed.take() is None
    with pytest.raises(PoolClosed, match="is closed"):
        await closed.acquire()


async def test_closing_ends_the_filling():
    server = Server()
    closing = pool_of(server, min_size=2)
    await closing.acquire()
    server.gate.clear()
    await turns()
    closing.close()
    server.gate.set()
    await turns()
    assert server.opened == [1]
    assert counts(closing, "pool_size") == (1,)


async def test_a_closed_pool_leaves_no_timer_behind():
    server = Server()
    closing = pool_of(server, max_idle=0.01)
    closing.release(await closing.acquire(), reusable=True)
    trimmer = closing._trimmer
    closing.close()
    assert trimmer.cancelled()


# Counting.


async def test_the_statistics_have_psycopg_pools_names_and_count_what_happened(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(pool, "monotonic", lambda: now)
    server = Server()
    counted = pool_of(server, min_size=0, max_size=2, max_waiting=1)
    server.gate.clear()
    opener = asyncio.create_task(lend(counted, 2))
    await turns()
    now += 0.5
    server.gate.set()
    first, second = await opener
    (waiter,) = await waiters(counted, 1)
    with pytest.raises(TooManyRequests):
        await counted.acquire()
    now += 2
    counted.release(first, reusable=True)
    assert await waiter is first
    now += 1
    counted.release(first, reusable=True)
    counted.release(second, reusable=False)
    assert counted.statistics() == {
        "pool_min": 0,
        "pool_max": 2,
        "pool_size": 1,
        "pool_available": 1,
        "pool_in_use": 0,
        "requests_waiting": 0,
        "requests_num": 4,
        "requests_queued": 1,
        "requests_wait_ms": 2000,
        "requests_errors": 1,
        "usage_ms": 2000 + 1000 + 3000,
        "returns_bad": 1,
        "connections_num": 2,
        "connections_ms": 2 * 500,
        "connections_errors": 0,
        "connections_lost": 0,
    }


@pytest.mark.loops
@pytest.mark.parametrize("seed", range(5))
async def test_the_pool_is_whole_after_a_random_storm(seed):
    async def use(chance):
        for _ in range(20):
            try:
                member = await storm.acquire()
            except Failure:
                continue
            in_use.add(member.value)
            assert len(in_use) <= 5
            try:
                await asyncio.sleep(0.0001 * chance.randrange(3))
                if chance.random() < 0.1:
                    server.dead.add(member.value)
            finally:
                in_use.remove(member.value)
                storm.release(member, reusable=chance.random() < 0.8)

    chance = random.Random(seed)
    server, in_use = Server(), set()
    storm = pool_of(server, min_size=2, max_size=5)
    tasks = [asyncio.create_task(use(random.Random(chance.random()))) for _ in range(50)]
    while running := [task for task in tasks if not task.done()]:
        if chance.random() < 0.3:
            chance.choice(running).cancel()
        if chance.random() < 0.1:
            server.errors.append(Failure())
        await asyncio.sleep(0.0001 * chance.randrange(5))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
    await turns(50)
    size, in_use_at_end, waiting = counts(storm, "pool_size", "pool_in_use", "requests_waiting")
    assert (in_use_at_end, waiting, in_use) == (0, 0, set())
    assert size <= 5
    assert len(server.opened) == len(server.closed) + size
