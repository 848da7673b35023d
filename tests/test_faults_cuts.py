"""Connections that are cut in the middle: of an answer, a greeting, a write, a transaction.

The caller gets Django's error, once, and nothing is sent a second time behind the caller's back: the server may have
done it. Only a connection that is found to be cut before anything was sent on it is replaced in silence.
"""

import asyncio
import contextlib

import pytest
from django.db import OperationalError

import vinyl
from tests import server_connections
from tests.aliases import counts, through
from tests.library.models import Author
from tests.server_connections import own_number, sleep
from tests.wholeness import assert_answers_are_not_mixed_up
from vinyl import transaction

pytestmark = pytest.mark.engine("postgresql", "mariadb", "mysql")

# Some 300 KB: many packets, and many pieces of what TCP gives.
LARGE = " UNION ALL ".join(f"SELECT {number}, REPEAT('x', 1000)" for number in range(300))


@pytest.mark.asynchronous
async def test_idle_connections_that_were_cut_are_replaced_before_they_are_lent(proxy, proxied):
    await asyncio.gather(*(own_number(proxied) for _ in range(3)))
    proxy.cut()
    await assert_answers_are_not_mixed_up(20, proxied)
    assert counts(proxied, "connections_lost", "returns_bad", "requests_errors") == (3, 0, 0)


@pytest.mark.direct
@pytest.mark.loops
@pytest.mark.parametrize("number", [0, 5, 5000])
async def test_an_answer_that_is_cut_raises_and_the_next_statement_gets_its_own(proxy, proxied, number):
    before = await own_number(proxied)
    proxy.cut_after(number)
    with pytest.raises(OperationalError):
        await vinyl.connections[proxied].execute(LARGE)
    assert counts(proxied, "pool_in_use", "pool_size", "returns_bad") == (0, 0, 1)
    assert await own_number(proxied) != before
    await assert_answers_are_not_mixed_up(20, proxied)


@pytest.mark.engine("mysql")
@pytest.mark.loops
@pytest.mark.parametrize("number", [5, 5000])
async def test_an_answer_that_is_cut_in_the_middle_of_tls_raises(proxy, number):
    with through(proxy, {"ssl_mode": "REQUIRED"}) as alias:
        await test_an_answer_that_is_cut_raises_and_the_next_statement_gets_its_own(proxy, alias, number)


@pytest.mark.asynchronous
@pytest.mark.engine("mysql")
@pytest.mark.parametrize("number", [100, 500, 1500])
async def test_a_greeting_that_is_cut_in_the_middle_of_tls_raises(proxy, number):
    with through(proxy, {"ssl_mode": "REQUIRED"}) as alias:
        await test_a_greeting_that_is_cut_raises_and_the_place_is_free(proxy, alias, number)


@pytest.mark.asynchronous
@pytest.mark.parametrize("number", [1, 100, 50_000])
async def test_a_queryset_whose_answer_is_cut_raises_and_can_be_loaded_again(proxy, proxied, number):
    await Author.vinyl.bulk_create([Author.vinyl(name="x" * 100) for _ in range(1000)])
    authors = Author.vinyl.using(proxied).all()
    await own_number(proxied)
    proxy.cut_after(number)
    with pytest.raises(OperationalError):
        await authors
    assert len(await authors) == 1000


@pytest.mark.asynchronous
@pytest.mark.parametrize("number", [0, 1, 5, 20])
async def test_a_greeting_that_is_cut_raises_and_the_place_is_free(proxy, proxied, number):
    proxy.cut_after(number)
    with pytest.raises(OperationalError):
        await own_number(proxied)
    assert counts(proxied, "pool_size", "connections_errors") == (0, 1)
    await assert_answers_are_not_mixed_up(20, proxied)


@pytest.mark.parametrize("number", [0, 1, 5])
async def test_a_write_whose_answer_is_cut_is_done_once_and_raises(proxy, proxied, number):
    await own_number(proxied)
    proxy.cut_after(number)
    with pytest.raises(OperationalError):
        await vinyl.connections[proxied].execute("INSERT INTO library_author (name) VALUES ('x')")
    assert await Author.vinyl.count() == 1


@pytest.mark.asynchronous
async def test_a_write_that_is_cut_before_it_reaches_the_server_is_not_sent_again(proxy, proxied, marker):
    await own_number(proxied)
    proxy.freeze()
    insert = asyncio.create_task(insert_author(proxied, marker))
    await asyncio.to_thread(proxy.wait_for, marker.encode())
    proxy.cut()
    proxy.thaw()
    with pytest.raises(OperationalError):
        await insert
    await assert_answers_are_not_mixed_up(20, proxied)
    assert not await Author.vinyl.exists()


async def insert_author(alias, name):
    return await Author.vinyl.using(alias).create(name=name)


@pytest.mark.asynchronous
async def test_instances_that_are_inserted_through_cuts_are_there_at_most_once(proxy, proxied):
    # In greetings and in answers, since what is left of one is cut from the next.
    succeeded, attempts = set(), range(0, 1000, 20)
    for number in attempts:
        proxy.cut_after(number)
        with contextlib.suppress(OperationalError):
            await insert_author(proxied, str(number))
            succeeded.add(str(number))
    proxy.cut_after(None)
    names = await Author.vinyl.values_list("name", flat=True)
    assert len(names) == len(set(names))
    assert succeeded <= set(names)
    assert 0 < len(succeeded) < len(attempts)


@pytest.mark.parametrize("number", [0, 1])
async def test_a_commit_whose_answer_is_cut_raises_and_calls_no_callback(proxy, proxied, number):
    called = []
    with pytest.raises(OperationalError):
        async with transaction.atomic(using=proxied):
            await insert_author(proxied, "x")
            await insert_author(proxied, "y")
            await transaction.on_commit(lambda: called.append(number), using=proxied)
            proxy.cut_after(number)
    assert called == []
    # It is done as a whole, though nobody could be told.
    assert await Author.vinyl.count() == 2


@pytest.mark.parametrize("number", [0, 1])
async def test_a_function_with_retries_is_not_called_again_when_its_connection_is_cut(proxy, proxied, number):
    @transaction.atomic(using=proxied, retries=3)
    async def insert():
        calls.append(number)
        await insert_author(proxied, "x")
        proxy.cut_after(number)

    calls = []
    with pytest.raises(OperationalError):
        await vinyl.portable(insert)()
    assert calls == [number]
    assert await Author.vinyl.count() == 1


async def test_a_transaction_that_is_cut_between_two_statements_leaves_nothing(proxy, proxied):
    with pytest.raises(OperationalError):
        async with transaction.atomic(using=proxied):
            await insert_author(proxied, "x")
            proxy.cut()
            await insert_author(proxied, "y")
    assert not await Author.vinyl.exists()
    assert await own_number(proxied)


@pytest.mark.asynchronous
async def test_statements_that_are_all_cut_at_once_each_raise_once(proxy, proxied, marker):
    tasks = [asyncio.create_task(execute(proxied, sleep(60, f"{marker}{n}"))) for n in range(5)]
    numbers = [await server_connections.number_of(f"{marker}{n}") for n in range(5)]
    proxy.cut()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [OperationalError] * 5
    assert counts(proxied, "pool_in_use", "pool_size") == (0, 0)
    await assert_answers_are_not_mixed_up(20, proxied)
    # The server does not look whether somebody is still there.
    await server_connections.end(*numbers)


async def execute(alias, sql):
    return await vinyl.connections[alias].execute(sql)
