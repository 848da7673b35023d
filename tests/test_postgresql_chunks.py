"""Large results on PostgreSQL are worked on as they arrive: what comes of it is what would come of them as a whole."""

import asyncio

import psycopg
import pytest
from django.db import DataError, connections

import vinyl
from tests.library.models import Author
from tests.plans import ENOUGH
from tests.test_postgresql_statements import Connected
from vinyl.drivers import postgresql
from vinyl.drivers.postgresql import Statement, execute_in_chunks, is_idle
from vinyl.drivers.postgresql.chunks import CHUNK
from vinyl.loading import rows as loading

pytestmark = [
    pytest.mark.engine("postgresql"),
    pytest.mark.usefixtures("db"),
    pytest.mark.asynchronous,
    pytest.mark.session,
]

NUMBERS = Statement("SELECT number, number::text FROM generate_series(1, %s::int) AS number")
# Waits at its last row but one for whoever has the lock.
HELD_UP = Statement(
    "SELECT number, CASE WHEN number = 4999 THEN pg_advisory_xact_lock_shared(%s::bigint)::text END "
    "FROM generate_series(1, 5000) AS number"
)
FAILING = Statement("SELECT 1000 / (3000 - number) FROM generate_series(1, %s::int) AS number")
LOCK = 7_311_004


class Held:
    """A lock that statements wait for until it is let go."""

    async def __aenter__(self):
        self.block = vinyl.transaction.atomic()
        await self.block.__aenter__()
        await vinyl.connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])

    async def __aexit__(self, *exc_info):
        await self.block.__aexit__(None, None, None)


class Taken:
    """Takes rows, and tells when the first are there."""

    def __init__(self):
        self.rows = []
        self.sizes = []
        self.have_begun = asyncio.Event()

    def __call__(self, rows):
        self.rows += rows
        self.sizes.append(len(rows))
        self.have_begun.set()


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 10_000])
async def test_all_rows_are_taken_in_order_in_chunks(count, waits):
    async with Connected() as connection:
        for _ in range(4):
            taken = Taken()
            waits.clear()
            if not await execute_in_chunks(connection, NUMBERS, [count], taken):
                # The second time it is prepared, which this is not for.
                await postgresql.execute(connection, NUMBERS, [count])
                continue
            assert len(waits) == 1
            assert taken.rows == [(number, str(number)) for number in range(1, count + 1)]
            assert max(taken.sizes, default=0) <= CHUNK
            assert is_idle(connection)


async def test_rows_are_taken_while_the_server_makes_others():
    async with Connected() as connection:
        taken = Taken()
        async with Held():
            running = asyncio.create_task(execute_in_chunks(connection, HELD_UP, [LOCK], taken))
            await taken.have_begun.wait()
            assert 0 < len(taken.rows) < 4999
        assert await running
        assert len(taken.rows) == 5000


async def test_other_tasks_have_their_turns_though_all_rows_have_arrived():
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Connected() as connection:
        other = asyncio.create_task(count_turns())
        seen = []
        busy = asyncio.get_running_loop().time

        def take(rows):
            seen.append(turns)
            # As long as a turn may take.
            end = busy() + 0.004
            while busy() < end:
                pass

        assert await execute_in_chunks(connection, NUMBERS, [20 * CHUNK], take)
        other.cancel()
        assert len(seen) == 20
        assert len(set(seen)) == 20


async def test_an_error_of_who_takes_them_is_raised_once_all_was_read():
    async with Connected() as connection:

        def refuse(rows):
            raise LookupError("refused")

        with pytest.raises(LookupError, match="refused"):
            await execute_in_chunks(connection, NUMBERS, [5000], refuse)
        assert is_idle(connection)
        assert await vinyl.run(lambda: connection.execute("SELECT 1").fetchone()) == (1,)


async def test_an_error_in_the_middle_is_raised():
    async with Connected() as connection:
        taken = Taken()
        with pytest.raises(psycopg.errors.DivisionByZero):
            await execute_in_chunks(connection, FAILING, [5000], taken)
        assert 0 < len(taken.rows) < 3000
        assert is_idle(connection)


async def test_cancelled_in_the_middle_the_statement_ends_and_the_connection_goes_on():
    async with Connected() as connection:
        taken = Taken()
        async with Held():
            running = asyncio.create_task(execute_in_chunks(connection, HELD_UP, [LOCK], taken))
            await taken.have_begun.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert is_idle(connection)
        again = Taken()
        assert await execute_in_chunks(connection, Statement(NUMBERS_AGAIN), [2], again)
        assert again.rows == [(1,), (2,)]


NUMBERS_AGAIN = "SELECT number FROM generate_series(1, %s::int) AS number"


async def test_cancelled_while_it_gives_way_the_statement_ends():
    async with Connected() as connection:
        running = asyncio.current_task()

        def cancel(rows):
            running.cancel()

        with pytest.raises(asyncio.CancelledError):
            await execute_in_chunks(connection, NUMBERS, [200_000], cancel)
        assert is_idle(connection) or connection.closed


async def test_in_a_transaction_that_has_to_begin_nothing_is_done():
    async with Connected() as connection:
        connection._autocommit = False
        assert not await execute_in_chunks(connection, NUMBERS, [5], Taken())
        await postgresql.execute(connection, NUMBERS, [5])
        taken = Taken()
        assert await execute_in_chunks(connection, Statement(NUMBERS_AGAIN), [5], taken)
        assert len(taken.rows) == 5


async def test_what_was_prepared_and_is_lost_is_left_to_the_other_way():
    async with Connected() as connection:
        for _ in range(2):
            await postgresql.execute(connection, NUMBERS, [5])
        await vinyl.run(connection.execute, "DEALLOCATE ALL")
        assert not await execute_in_chunks(connection, NUMBERS, [5], Taken())
        assert len((await postgresql.execute(connection, NUMBERS, [5])).rows()) == 5


@pytest.fixture
def in_chunks(monkeypatch):
    """The statements whose rows were worked on as they arrived: a list."""
    asked = []

    async def noted(connection, statement, params, take):
        is_done = await execute_in_chunks(connection, statement, params, take)
        if is_done:
            asked.append(statement)
        return is_done

    monkeypatch.setattr(postgresql, "execute_in_chunks", noted)
    return asked


@pytest.mark.usefixtures("nothing_known")
async def test_a_planned_query_whose_last_result_was_large_is_loaded_as_it_arrives(in_chunks):
    await Author.vinyl.bulk_create([Author(name=f"{number:05}") for number in range(3 * loading.SLICE)])

    def few(limit):
        return Author.vinyl.filter(name__lt=limit).order_by("name")

    expected = [f"{number:05}" for number in range(3 * loading.SLICE)]
    for _ in range(2 * ENOUGH):
        assert [author.name for author in await few("1")] == expected
    assert len(in_chunks) >= ENOUGH
    # One that is small again is not, from the next on.
    in_chunks.clear()
    for _ in range(ENOUGH):
        assert [author.name for author in await few("00002")] == expected[:2]
    assert len(in_chunks) == 1
    async with vinyl.transaction.atomic():
        for _ in range(ENOUGH):
            assert len(await few("1").values("name")) == len(expected)
            assert len(await few("1").prefetch_related("books")) == len(expected)


@pytest.mark.usefixtures("nothing_known")
async def test_what_cannot_be_converted_raises_djangos_error_in_a_large_result_too(in_chunks):
    await Author.vinyl.bulk_create([Author(name=f"{number:05}") for number in range(2 * loading.SLICE)])
    for _ in range(2 * ENOUGH):
        assert len(await Author.vinyl.filter(name__lt="1")) == 2 * loading.SLICE
    assert in_chunks
    await vinyl.connection.execute("UPDATE library_author SET born = 'infinity' WHERE name = '00700'")
    with pytest.raises(DataError):
        await Author.vinyl.filter(name__lt="1")
    assert connections["default"].vendor == "postgresql"
    assert len(await Author.vinyl.filter(name__lt="00100")) == 100
