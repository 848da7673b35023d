"""vinyl.deadline(): all database work of a block ends in time, whatever it waits for, and leaves nothing behind."""

import asyncio
import time

import pytest
from django.db import OperationalError, connections
from django.db import transaction as django_transaction
from django.test import override_settings

import vinyl
from tests.aliases import database
from tests.library.models import Author
from tests.proxy import black_hole
from tests.server_connections import own_number, sleep, statements
from tests.wholeness import SLOW
from vinyl import DeadlineExceeded, transaction
from vinyl.common import deadlines
from vinyl.drivers import watch
from vinyl.drivers.limits import StatementLimit

pytestmark = pytest.mark.usefixtures("db")

SERVERS = ("postgresql", "mariadb", "mysql")


# Loops count in whole milliseconds, so a timer may go off a little before its time.
TICK = 0.002


class Stopwatch:
    """Claims that the block ends between so many seconds, with room for a machine that is busy."""

    def __init__(self, at_least: float, at_most: float = 3.0) -> None:
        self.at_least, self.at_most = at_least, at_most

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *exc_info: object) -> None:
        assert self.at_least - TICK <= time.monotonic() - self.started < self.at_most


@pytest.fixture
def grace(monkeypatch):
    """Time for the server to react, on a machine that is busy."""
    monkeypatch.setattr(deadlines, "GRACE", 5.0)
    monkeypatch.setattr(watch, "GRACE", 5.0)


def outlast(seconds):
    """Let a deadline pass, in both modes."""
    time.sleep(seconds + 0.01)


async def whole(alias="default"):
    assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]
    assert vinyl.connections[alias].statistics().get("pool_in_use", 0) == 0


# What ends.


async def test_a_statement_ends_at_the_deadline():
    await whole()
    with Stopwatch(0.2), pytest.raises(DeadlineExceeded, match=r"0\.2 s has passed while a statement .* 'default'"):
        async with vinyl.deadline(0.2):
            await vinyl.connection.execute(SLOW)
    await whole()


@pytest.mark.loops
async def test_it_is_kept_on_each_loop():
    await whole()
    with Stopwatch(0.2), pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0.2), transaction.atomic():
            await vinyl.connection.execute(SLOW)
    await whole()


async def test_what_is_quick_enough_is_as_ever():
    async with vinyl.deadline(30):
        await Author.vinyl.create(name="x")
        assert await Author.vinyl.count() == 1


@pytest.mark.engine(*SERVERS)
async def test_the_statement_ends_on_the_server_too(marker):
    await whole()
    with pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0.1):
            await vinyl.connection.execute(sleep(30, marker))
    with Stopwatch(0, 1.0):
        while any(marker in statement for statement in (await statements()).values()):
            pass


@pytest.mark.session
@pytest.mark.engine(*SERVERS)
@pytest.mark.usefixtures("grace")
async def test_a_statement_is_cancelled_by_the_client_where_the_server_was_told_no_limit(monkeypatch):
    monkeypatch.setattr(StatementLimit, "tell", lambda *args: None)
    number = await own_number()
    with Stopwatch(0.2), pytest.raises(DeadlineExceeded):
        # In a transaction, since the sync mode closes the connection otherwise.
        async with vinyl.deadline(0.2), transaction.atomic():
            await vinyl.connection.execute(SLOW)
    # Cancelled, and not merely left alone by closing the connection.
    assert await own_number() == number


@pytest.mark.engine("mariadb", "mysql")
@pytest.mark.usefixtures("grace")
async def test_a_write_is_killed_for_which_the_limit_of_mysql_does_not_count():
    await Author.vinyl.create(name="x")
    number = await own_number()
    with Stopwatch(0.2), pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0.2), transaction.atomic():
            await vinyl.connection.execute("UPDATE library_author SET name = 'y' WHERE SLEEP(30) = 0")
    assert [author.name for author in await Author.vinyl.all()] == ["x"]
    # Killed, and not merely left alone by closing the connection.
    assert await own_number() == number


@pytest.mark.asynchronous
@pytest.mark.usefixtures("grace")
async def test_a_connection_whose_statement_ended_goes_on():
    await whole()
    opened, bad = (vinyl.connection.statistics()[name] for name in ("connections_num", "returns_bad"))
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            async with vinyl.deadline(0.05):
                await vinyl.connection.execute(SLOW)
    await whole()
    assert vinyl.connection.statistics()["connections_num"] == opened
    assert vinyl.connection.statistics()["returns_bad"] == bad


async def test_it_is_an_operational_error_and_no_conflict_to_be_met_again():
    calls = []

    @transaction.atomic(retries=3)
    async def long():
        calls.append(1)
        await vinyl.connection.execute(SLOW)

    with pytest.raises(OperationalError):
        async with vinyl.deadline(0.5):
            await vinyl.portable(long)()
    assert len(calls) == 1


async def test_nothing_is_sent_after_the_deadline():
    with pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0):
            await Author.vinyl.create(name="x")
    assert await Author.vinyl.count() == 0


@pytest.mark.asynchronous
async def test_waiting_for_a_connection_ends_and_who_has_them_is_named():
    with (
        database() as alias,
        override_settings(VINYL={"POOL": {alias: {"max_size": 1}}}),
    ):
        leave, has_it = asyncio.Event(), asyncio.Event()

        async def hold():
            async with vinyl.connections[alias].hold():
                has_it.set()
                await leave.wait()

        holder = asyncio.create_task(hold(), name="the holder")
        await has_it.wait()
        with (
            Stopwatch(0.1),
            pytest.raises(DeadlineExceeded, match=r"(?s)waited for .*'the holder' at .*test_deadlines"),
        ):
            async with vinyl.deadline(0.1):
                await vinyl.connections[alias].execute("SELECT 1")
        leave.set()
        await holder
        await whole(alias)
        await vinyl.close()


@pytest.mark.asynchronous
@pytest.mark.engine(*SERVERS)
async def test_connecting_ends():
    with black_hole() as port, database(HOST="127.0.0.1", PORT=str(port)) as alias:
        with Stopwatch(0.2), pytest.raises(DeadlineExceeded, match="a connection to the database 'changed"):
            async with vinyl.deadline(0.2):
                await vinyl.connections[alias].execute("SELECT 1")
        statistics = vinyl.connections[alias].statistics()
        assert (statistics["pool_size"], statistics["requests_waiting"]) == (0, 0)


@pytest.mark.session
@pytest.mark.asynchronous
@pytest.mark.engine("postgresql", "sqlite")
async def test_a_stream_ends_at_its_next_chunk():
    await Author.vinyl.bulk_create([Author.vinyl(name=str(number)) for number in range(10)])
    names = []
    with pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0.2):
            async for author in Author.vinyl.iterator(chunk_size=2):
                names.append(author.name)
                outlast(0.1)
    assert 0 < len(names) < 10
    await whole()


# Transactions.


@pytest.mark.usefixtures("grace")
async def test_a_transaction_is_rolled_back_and_its_connection_goes_on():
    await whole()
    bad = vinyl.connection.statistics().get("returns_bad")
    with pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0.2), transaction.atomic():
            await Author.vinyl.create(name="x")
            await vinyl.connection.execute(SLOW)
    assert await Author.vinyl.count() == 0
    await whole()
    assert vinyl.connection.statistics().get("returns_bad") == bad


@pytest.mark.asynchronous
@pytest.mark.usefixtures("grace")
async def test_a_transaction_of_djangos_in_the_bridge_is_rolled_back_and_its_connection_goes_on():
    def write():
        with django_transaction.atomic(), connections["default"].cursor() as cursor:
            Author.objects.create(name="x")
            cursor.execute(SLOW)

    await whole()
    bad = vinyl.connection.statistics()["returns_bad"]
    with pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0.2):
            await vinyl.run(write)
    assert await Author.vinyl.count() == 0
    assert vinyl.connection.statistics()["returns_bad"] == bad


async def test_a_transaction_that_ends_after_the_deadline_is_not_committed():
    with pytest.raises(DeadlineExceeded, match="a transaction was open on the database 'default'"):
        async with vinyl.deadline(0.3), transaction.atomic():
            await Author.vinyl.create(name="x")
            outlast(0.3)
    assert await Author.vinyl.count() == 0
    await whole()


async def test_a_deadline_within_a_transaction_leaves_the_rest_of_it():
    async with transaction.atomic():
        await Author.vinyl.create(name="before")
        with pytest.raises(DeadlineExceeded):
            async with vinyl.deadline(0.1), transaction.atomic():
                await Author.vinyl.create(name="within")
                await vinyl.connection.execute(SLOW)
        await Author.vinyl.create(name="after")
    assert [author.name for author in await Author.vinyl.all()] == ["before", "after"]


async def test_a_statement_that_is_ended_leaves_its_transaction_fit_for_rollback_only():
    with pytest.raises(transaction.TransactionManagementError):
        async with transaction.atomic():
            await Author.vinyl.create(name="x")
            with pytest.raises(DeadlineExceeded):
                async with vinyl.deadline(0.1):
                    await vinyl.connection.execute(SLOW)
            await Author.vinyl.create(name="y")
    assert await Author.vinyl.count() == 0


@pytest.mark.asynchronous
async def test_a_turn_in_a_shared_transaction_is_waited_for_until_the_deadline():
    has_it, leave = asyncio.Event(), asyncio.Event()

    async def keep():
        async with transaction.atomic():
            has_it.set()
            await leave.wait()

    async def wait():
        await has_it.wait()
        with pytest.raises(
            DeadlineExceeded, match="a turn was waited for in the transaction on the database 'default'"
        ):
            async with vinyl.deadline(0.05):
                await Author.vinyl.count()
        leave.set()

    async with transaction.atomic() as tx, tx.task_group() as group:
        group.create_task(keep())
        group.create_task(wait())


@pytest.mark.asynchronous
async def test_a_shared_transaction_is_rolled_back_after_the_deadline():
    with pytest.raises(ExceptionGroup):
        async with vinyl.deadline(0.1), transaction.atomic() as tx, tx.task_group() as group:
            group.create_task(Author.vinyl.create(name="x"))
            group.create_task(vinyl.connection.execute(SLOW))
    assert await Author.vinyl.count() == 0
    await whole()


# Which deadline counts.


async def test_the_earliest_counts():
    with Stopwatch(0.1), pytest.raises(DeadlineExceeded, match=r"of 0\.1 s"):
        async with vinyl.deadline(0.1), vinyl.deadline(30):
            await vinyl.connection.execute(SLOW)
    with Stopwatch(0.1), pytest.raises(DeadlineExceeded, match=r"of 0\.1 s"):
        async with vinyl.deadline(30), vinyl.deadline(0.1):
            await vinyl.connection.execute(SLOW)
    with Stopwatch(0.1), pytest.raises(DeadlineExceeded, match=r"of 0\.1 s"):
        async with vinyl.deadline(0.1), vinyl.deadline(None):
            await vinyl.connection.execute(SLOW)


async def test_after_the_block_there_is_none():
    async with vinyl.deadline(0.05):
        pass
    outlast(0.05)
    await whole()


@pytest.mark.asynchronous
async def test_tasks_inherit_it():
    await whole()
    with pytest.raises(DeadlineExceeded):
        async with vinyl.deadline(0.1):
            await asyncio.create_task(vinyl.connection.execute(SLOW))


@pytest.mark.asynchronous
async def test_what_else_the_block_waits_for_is_not_bounded():
    async with vinyl.deadline(0.01):
        await asyncio.sleep(0.05)


@pytest.mark.asynchronous
async def test_a_cancellation_stays_one():
    def note(execute, *args):
        started.set()
        return execute(*args)

    async def long():
        async with vinyl.deadline(30):
            await vinyl.connection.execute(SLOW)

    started = asyncio.Event()
    with vinyl.connection.execute_wrapper(note):
        task = asyncio.create_task(long())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await whole()


@pytest.mark.asynchronous
async def test_synchronous_code_in_the_bridge_has_it_too():
    def long():
        with vinyl.deadline(0.1), connections["default"].cursor() as cursor:
            cursor.execute(SLOW)

    with pytest.raises(DeadlineExceeded):
        await vinyl.run(long)
    await whole()


@pytest.mark.asynchronous
async def test_an_alias_may_have_a_default_which_a_block_replaces():
    with database() as alias, override_settings(VINYL={"DEADLINE": {alias: 0.1}}):
        connection = vinyl.connections[alias]
        for _ in range(2):
            with Stopwatch(0.1), pytest.raises(DeadlineExceeded):
                await connection.execute(SLOW)
        async with vinyl.deadline(0.3):
            with Stopwatch(0.25), pytest.raises(DeadlineExceeded):
                await connection.execute(SLOW)
        async with vinyl.deadline(None):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await connection.execute(SLOW)
            # Connecting may take longer than the default.
            await whole(alias)
        await vinyl.close()


async def test_queries_are_counted_as_ever():
    executed = []

    def note(execute, sql, params, many, context):
        executed.append(sql)
        return execute(sql, params, many, context)

    with vinyl.connection.execute_wrapper(note):
        async with vinyl.deadline(10):
            await Author.vinyl.count()
    assert len(executed) == 1


# Mistakes.


@pytest.mark.parametrize("seconds", [-1, "5", True, float("nan"), float("inf"), [1]])
def test_nonsense_is_refused(seconds):
    with pytest.raises(ValueError, match="Give a number of seconds, 0 or more, or None"):
        vinyl.deadline(seconds)


async def test_a_block_is_entered_once():
    block = vinyl.deadline(5)
    async with block:
        pass
    with pytest.raises(TypeError, match="entered twice"):
        async with block:
            pass


@pytest.mark.asynchronous
async def test_the_form_is_that_of_the_mode():
    with pytest.raises(vinyl.ModeError, match="async with deadline"), vinyl.deadline(1):
        pass
    with vinyl.sync_mode(), pytest.raises(vinyl.ModeError, match="Use `with deadline"):
        async with vinyl.deadline(1):
            pass
