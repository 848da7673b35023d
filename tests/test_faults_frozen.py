"""Servers that have fallen silent, and slow networks: others are served, and who gives up leaves the pool whole."""

import asyncio
import random
import time

import pytest

import vinyl
from tests import server_connections, settings
from tests.aliases import counts
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
