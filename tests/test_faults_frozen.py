"""Servers that have fallen silent, slow networks, requests out of order: who gives up leaves the pool whole."""

import asyncio
import random
import time

import pytest
from django.db import Error

import vinyl
from tests import server_connections, settings
from tests.aliases import counts
from tests.hops import Dropped, DroppedAt
from tests.library.models import Author
from tests.server_connections import own_number, sleep
from tests.wholeness import assert_answers_are_not_mixed_up
from vinyl import transaction

pytestmark = [pytest.mark.engine("postgresql", "mariadb", "mysql"), pytest.mark.asynchronous]

# Seconds that a slow machine may need for the rest; less than a driver's patience is by itself.
SLACK = 3


@pytest.fixture
def short_patience(monkeypatch):
    """Shorten the time that a server has to end a cancelled statement."""
    if settings.ENGINE == "postgresql":
        from vinyl.drivers.postgresql import connection as driver
    else:
        from vinyl.drivers.mysql import exchange as driver
    monkeypatch.setattr(driver, "CANCEL_TIMEOUT", 0.2)
    return 0.2


async def gone_from(proxy):
    await asyncio.to_thread(proxy.wait_until, lambda: proxy.connections == 0)


async def insert_author(alias, name):
    return await Author.vinyl.using(alias).create(name=name)


async def execute(alias, sql):
    return await vinyl.connections[alias].execute(sql)


async def test_while_a_server_is_frozen_all_others_are_served(proxy, proxied, marker):
    await own_number(proxied)
    proxy.freeze()
    frozen = [asyncio.create_task(execute(proxied, f"SELECT {n} /* {marker} */")) for n in range(20)]
    await asyncio.to_thread(proxy.wait_for, marker.encode())
    await assert_answers_are_not_mixed_up(50)
    await Author.vinyl.using("other").create(name="x")
    assert not any(task.done() for task in frozen)
    proxy.thaw()
    assert await asyncio.gather(*frozen) == [[(n,)] for n in range(20)]


@pytest.mark.loops
@pytest.mark.parametrize("again", [0, 3])
async def test_a_statement_that_is_cancelled_on_a_frozen_server_gives_up(proxy, proxied, short_patience, marker, again):
    await own_number(proxied)
    proxy.freeze()
    task = asyncio.create_task(execute(proxied, f"SELECT 1 /* {marker} */"))
    await asyncio.to_thread(proxy.wait_for, marker.encode())
    started = time.monotonic()
    task.cancel()
    for _ in range(again):
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < short_patience + SLACK
    assert counts(proxied, "pool_in_use", "pool_size", "returns_bad") == (0, 0, 1)
    # What connects to have the statement killed is cancelled, and ends with the next rounds of the loop.
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    proxy.thaw()
    await gone_from(proxy)
    await assert_answers_are_not_mixed_up(20, proxied)


async def test_a_transaction_that_is_cancelled_on_a_frozen_server_gives_up_once(proxy, proxied, short_patience, marker):
    async def insert_two():
        async with transaction.atomic(using=proxied):
            await insert_author(proxied, "x")
            async with transaction.atomic(using=proxied):
                proxy.freeze()
                await insert_author(proxied, marker)

    task = asyncio.create_task(insert_two())
    await asyncio.to_thread(proxy.wait_for, marker.encode())
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The rollbacks of both blocks do not wait for the server once more.
    assert time.monotonic() - started < short_patience + SLACK
    assert counts(proxied, "pool_in_use", "pool_size") == (0, 0)
    proxy.thaw()
    await gone_from(proxy)
    assert not await Author.vinyl.exists()
    await assert_answers_are_not_mixed_up(20, proxied)


@pytest.mark.direct
async def test_a_commit_that_is_cancelled_on_a_frozen_server_gives_up(proxy, proxied, short_patience):
    async def insert():
        async with transaction.atomic(using=proxied):
            await insert_author(proxied, "x")
            begun.set_result(await own_number(proxied))
            proxy.freeze()

    begun = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(insert())
    number = await begun
    await asyncio.to_thread(proxy.wait_for, b"COMMIT")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counts(proxied, "pool_in_use", "pool_size") == (0, 0)
    # The COMMIT is in the network, and arrives or does not.
    proxy.thaw()
    await server_connections.until_gone([number])
    assert await Author.vinyl.count() in (0, 1)


# Slow.


async def test_on_a_slow_network_each_statement_gets_its_own_answer_whatever_is_cancelled(proxy, proxied):
    async def cancelled(seconds):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await execute(proxied, sleep(0.05))

    moments = random.Random(0)
    await asyncio.gather(*(own_number(proxied) for _ in range(10)))
    proxy.delay = 0.005
    for _ in range(3):
        await asyncio.gather(*(cancelled(moments.uniform(0, 0.03)) for _ in range(5)))
        await assert_answers_are_not_mixed_up(20, proxied)
    assert counts(proxied, "returns_bad") == (0,)


# A request that overtakes the statement that it is to cancel.


async def assert_it_is_gone(marker):
    """Wait until the server does not run the statement any more."""
    async with asyncio.timeout(SLACK):
        while any(marker in statement for statement in (await server_connections.statements()).values()):
            pass


@pytest.mark.direct
async def test_a_statement_that_was_overtaken_by_its_cancellation_is_cancelled(proxy, proxied, marker):
    await own_number(proxied)
    proxy.hold_back(marker.encode())
    task = asyncio.create_task(execute(proxied, sleep(60, marker)))
    await asyncio.to_thread(proxy.wait_for, marker.encode())
    task.cancel()
    # One that was made to no effect.
    await asyncio.to_thread(proxy.wait_until, lambda: proxy.accepted > 1 == proxy.connections)
    proxy.let_through()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(SLACK):
            await task
    await assert_it_is_gone(marker)
    assert counts(proxied, "pool_in_use", "pool_size", "returns_bad") == (0, 1, 0)
    await assert_answers_are_not_mixed_up(20, proxied)


@pytest.mark.direct
async def test_a_statement_that_was_overtaken_when_its_coroutine_was_dropped_is_cancelled(proxy, proxied, marker):
    await own_number(proxied)
    proxy.hold_back(marker.encode())
    coroutine = execute(proxied, sleep(60, marker))
    coroutine.send(None)
    await asyncio.to_thread(proxy.wait_for, marker.encode())
    coroutine.close()
    await asyncio.to_thread(proxy.wait_until, lambda: proxy.accepted > 1)
    proxy.let_through()
    await gone_from(proxy)
    await assert_it_is_gone(marker)
    assert counts(proxied, "pool_in_use", "pool_size") == (0, 0)


@pytest.mark.direct
@pytest.mark.parametrize("before", range(4))
async def test_nothing_is_sent_after_a_statement_whose_coroutine_was_dropped(proxy, proxied, marker, before):
    async with transaction.atomic(using=proxied):
        # One of these has a plan, and the next is sent together with what prepares it on the server.
        for _ in range(before):
            await insert_author(proxied, "x")
        with pytest.raises(Dropped):
            await DroppedAt(insert_author(proxied, "y"), 1)
        with pytest.raises(Error):
            await insert_author(proxied, marker)
    await gone_from(proxy)
    assert not proxy.was_sent(marker.encode())
    assert not await Author.vinyl.exists()
