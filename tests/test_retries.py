"""`@transaction.atomic(retries=…)`: a transaction that has met another is run again, as if for the first time."""

import asyncio
import sqlite3

import pytest
from django.db import IntegrityError, OperationalError

import vinyl
from tests.aliases import database
from tests.kinds.models import Assorted
from tests.library.models import Author
from vinyl import transaction
from vinyl.transaction import retries
from vinyl.transaction.conflicts import is_conflict

pytestmark = pytest.mark.usefixtures("db")

# psycopg's IsolationLevel, which other engines do without.
SERIALIZABLE = 4


@pytest.fixture(autouse=True)
def delays(monkeypatch):
    """Record how long is waited, and do not wait."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(retries.time, "sleep", waited.append)
    monkeypatch.setattr(retries.asyncio, "sleep", sleep)
    return waited


class Cause(Exception):
    sqlstate = "40001"


def conflict():
    error = OperationalError("could not serialize access")
    error.__cause__ = Cause()
    return error


class Failing:
    """Raises these errors, one at a time, then nothing."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


async def names():
    return [name async for name in Author.vinyl.values_list("name", flat=True)]


async def test_a_function_is_called_again_after_a_conflict_and_writes_once(delays):
    fail = Failing(conflict(), conflict())

    @transaction.atomic(retries=2)
    async def write(name):
        author = await Author.vinyl.create(name=name)
        fail()
        return author

    assert (await write("Ann")).name == "Ann"
    assert await names() == ["Ann"]
    assert fail.calls == 3
    assert [0 <= delay <= longest for delay, longest in zip(delays, [0.02, 0.04], strict=True)] == [True, True]


async def test_each_delay_is_drawn_at_random_from_a_range_that_doubles_up_to_a_second(monkeypatch, delays):
    ranges = []

    def uniform(least, most):
        ranges.append((least, most))
        return drawn.pop(0)

    monkeypatch.setattr(retries.random, "uniform", uniform)
    expected = [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]
    drawn = [most / 3 for most in expected]
    fail = Failing(*(conflict() for _ in expected))

    @transaction.atomic(retries=len(expected))
    async def write():
        fail()

    await write()
    assert ranges == [(0, pytest.approx(most)) for most in expected]
    assert delays == [most / 3 for most in expected]


async def test_two_who_have_met_wait_for_different_times(delays):
    @transaction.atomic(retries=4)
    async def write(fail):
        fail()

    for _ in range(2):
        await write(Failing(*(conflict() for _ in range(4))))
    assert len(set(delays)) == len(delays) == 8


async def test_after_the_last_retry_the_error_passes_and_tells_the_number_of_attempts():
    fail = Failing(*(conflict() for _ in range(5)))

    @transaction.atomic(retries=2)
    async def write():
        await Author.vinyl.create(name="Ann")
        fail()

    with pytest.raises(OperationalError) as caught:
        await write()
    assert caught.value.__notes__ == ["The transaction was tried 3 times."]
    assert fail.calls == 3
    assert await names() == []


@pytest.mark.asynchronous
async def test_a_conflict_that_one_task_of_a_group_has_met_is_one():
    fail = Failing(conflict())

    async def insert(name):
        await Author.vinyl.create(name=name)
        if name == "Ben":
            fail()

    @transaction.atomic(retries=1)
    async def write():
        async with transaction.atomic() as tx, tx.task_group() as group:
            for name in ("Ann", "Ben"):
                group.create_task(insert(name))

    await write()
    assert sorted(await names()) == ["Ann", "Ben"]
    assert fail.calls == 2


@pytest.mark.parametrize(
    "error",
    [
        LookupError(),
        IntegrityError(),
        OperationalError("the server has gone away"),
        ExceptionGroup("two tasks", [conflict(), LookupError()]),
    ],
    ids=repr,
)
async def test_other_errors_are_not_worth_another_attempt(error, delays):
    fail = Failing(error)

    @transaction.atomic(retries=2)
    async def write():
        fail()

    with pytest.raises(type(error)):
        await write()
    assert (fail.calls, delays) == (1, [])


async def test_arguments_are_what_they_were_before_each_attempt():
    fail = Failing(conflict(), conflict())
    ann, ben, cas = [await Author.vinyl.create(name=name) for name in ("Ann", "Ben", "Cas")]
    new = Author.vinyl(name="New")

    @transaction.atomic(retries=2)
    async def write(first, others, *, added):
        first.name += "!"
        await first.update()
        for other in others:
            other.name += "?"
        await others[0].update(name=others[0].name)
        assert added.pk is None
        await added.insert()
        await others[1].delete()
        fail()

    await write(ann, [ben, cas], added=new)
    assert (ann.name, ben.name, cas.pk) == ("Ann!", "Ben?", None)
    assert sorted(await names()) == ["Ann!", "Ben?", "New"]
    assert new.pk in await Author.vinyl.values_list("pk", flat=True)


async def test_what_is_in_the_lists_and_dictionaries_of_an_argument_is_rewound_too():
    fail, seen = Failing(conflict()), []
    assorted = Assorted.vinyl(data={"seen": []})

    @transaction.atomic(retries=1)
    async def write(argument):
        seen.append(list(argument.data["seen"]))
        argument.data["seen"].append(1)
        fail()

    await write(assorted)
    assert seen == [[], []]


async def test_what_an_attempt_has_written_is_rewound_though_it_is_no_argument():
    fail = Failing(conflict())
    new, listed = Author.vinyl(name="New"), [Author.vinyl(name="Listed")]
    old = await Author.vinyl.create(name="Old")

    @transaction.atomic(retries=1)
    async def write():
        keys = (new.pk, listed[0].pk, old.pk is None, new._state.adding)
        assert keys == (None, None, False, True)
        await new.insert()
        await Author.vinyl.bulk_create(listed)
        await old.delete()
        fail()

    await write()
    assert sorted(await names()) == ["Listed", "New"]


async def test_if_it_comes_to_nothing_the_instances_are_as_before():
    new = Author.vinyl(name="New")

    @transaction.atomic(retries=1)
    async def write(author):
        author.name = "Newer"
        await author.insert()
        raise LookupError

    with pytest.raises(LookupError):
        await write(new)
    assert (new.name, new.pk, new._state.adding) == ("New", None, True)


async def test_callbacks_of_on_commit_are_called_once():
    fail, called = Failing(conflict()), []

    @transaction.atomic(retries=1)
    async def write():
        await transaction.on_commit(lambda: called.append(1))
        fail()

    await write()
    assert called == [1]


async def test_a_conflict_after_the_commit_is_not_worth_another_attempt():
    fail = Failing(conflict())
    new = Author.vinyl(name="New")

    @transaction.atomic(retries=1)
    async def write(author):
        await author.insert()
        await transaction.on_commit(fail)

    with pytest.raises(OperationalError):
        await write(new)
    assert await names() == ["New"]
    assert new.pk is not None


async def test_inside_of_another_block_the_conflict_passes_to_that():
    fail, outer_calls = Failing(conflict(), conflict()), []

    @transaction.atomic(retries=5)
    async def inner():
        fail()

    @transaction.atomic(retries=5)
    async def outer():
        outer_calls.append(1)
        await inner()

    async with transaction.atomic():
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                await inner()
    await outer()
    assert (len(outer_calls), fail.calls) == (2, 3)


async def test_synchronous_code_is_run_again_too():
    fail = Failing(conflict())

    def write():
        Author.vinyl.create(name="Ann")
        fail()

    if vinyl.is_async():
        await vinyl.run(transaction.atomic(retries=1)(write))
    else:
        with vinyl.sync_mode():
            transaction.atomic(retries=1)(write)()
    assert await names() == ["Ann"]
    assert fail.calls == 2


async def test_a_portable_function_is_run_again_in_each_mode():
    fail = Failing(conflict())

    @transaction.atomic(retries=1)
    @vinyl.portable
    async def write():
        await Author.vinyl.create(name="Ann")
        fail()

    await write()
    assert (await names(), fail.calls) == (["Ann"], 2)


async def test_retries_are_of_functions_and_have_a_number():
    with pytest.raises(TypeError, match=r"entered as a block, which cannot be run again\. Decorate a function"):
        async with transaction.atomic(retries=1):
            pass
    for wrong in (-1, 1.5, True, "3"):
        with pytest.raises(ValueError, match="Give the number of retries"):
            transaction.atomic(retries=wrong)


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql", "mariadb", "mysql")
async def test_two_tasks_that_lock_each_other_out_both_come_to_their_end():
    ann, ben = [await Author.vinyl.create(name=name) for name in ("Ann", "Ben")]
    both, attempts = asyncio.Barrier(2), []

    @transaction.atomic(retries=3)
    async def write(first, second, sign):
        attempts.append(sign)
        for key in (first, second):
            author = await Author.vinyl.select_for_update().get(pk=key)
            await author.update(name=author.name + sign)
            if len(attempts) <= 2 and key is first:
                await both.wait()

    await asyncio.gather(write(ann.pk, ben.pk, "!"), write(ben.pk, ann.pk, "?"))
    # More if the row that one waits for goes to the other again, who may come to it before the first has woken up.
    assert len(attempts) >= 3
    assert {"".join(sorted(name)) for name in await names()} == {"!?Ann", "!?Ben"}


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
async def test_of_two_serializable_transactions_that_read_each_others_row_one_is_run_again():
    ann, ben = [await Author.vinyl.create(name=name) for name in ("Ann", "Ben")]
    both, attempts = asyncio.Barrier(2), []

    async def write(read, written, sign):
        attempts.append(sign)
        name = (await authors.get(pk=read)).name
        if len(attempts) <= 2:
            await both.wait()
        await authors.filter(pk=written).update(name=name + sign)

    with database({"isolation_level": SERIALIZABLE}) as alias:
        authors = Author.vinyl.using(alias)
        retried = transaction.atomic(using=alias, retries=10)(write)
        await asyncio.gather(retried(ann.pk, ben.pk, "!"), retried(ben.pk, ann.pk, "?"))
        await vinyl.close()
    assert len(attempts) >= 3
    # As if one had come after the other.
    assert sorted(await names()) in (["Ann!", "Ann!?"], ["Ben?", "Ben?!"])


@pytest.mark.asynchronous
@pytest.mark.engine("sqlite")
async def test_who_finds_the_file_locked_tries_again_until_it_is_not(delays, monkeypatch):
    async def have():
        async with transaction.atomic():
            await Author.vinyl.create(name="first")
            has_it.set()
            await has_failed.wait()

    async def pause(seconds):
        delays.append(seconds)
        has_failed.set()
        await holder

    async def write():
        await Author.vinyl.using(alias).create(name="second")

    has_it, has_failed = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(retries.asyncio, "sleep", pause)
    with database({"timeout": 0.05, "transaction_mode": "IMMEDIATE"}) as alias:
        holder = asyncio.create_task(have())
        await has_it.wait()
        await transaction.atomic(using=alias, retries=3)(write)()
        await vinyl.close()
    assert len(delays) == 1
    assert await names() == ["first", "second"]


def test_a_busy_database_of_sqlite_is_a_conflict(tmp_path):
    first, second = (sqlite3.connect(tmp_path / "db", timeout=0, isolation_level=None) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        second.execute("BEGIN IMMEDIATE")
    error = OperationalError()
    error.__cause__ = caught.value
    assert is_conflict(error)
    first.close()
    second.close()
