"""What the server is told about a deadline: how long a statement may run; afterwards, what it may otherwise."""

import pytest
from django.test import override_settings

import vinyl
from tests import settings
from tests.aliases import database
from vinyl import transaction
from vinyl.drivers import limits

pytestmark = pytest.mark.usefixtures("db")

# What the server has been told, in milliseconds.
TOLD = {
    "postgresql": "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'",
    "mariadb": "SELECT @@max_statement_time * 1000",
    "mysql": "SELECT @@max_execution_time",
    "sqlite": "PRAGMA busy_timeout",
}[settings.ENGINE]
UNLIMITED = 30_000 if settings.ENGINE == "sqlite" else 0


async def told(alias="default"):
    [(value,)] = await vinyl.connections[alias].execute(TOLD)
    return float(value)


@pytest.mark.session
async def test_the_server_is_told_and_told_again_that_there_is_none():
    own = await told()
    assert own == UNLIMITED
    async with vinyl.deadline(10):
        assert 0 < await told() <= 20_000
        async with vinyl.deadline(1):
            assert 0 < await told() <= 2_000
        assert 5_000 < await told() <= 20_000
        async with transaction.atomic():
            assert 5_000 < await told() <= 20_000
            async with vinyl.deadline(1):
                assert 0 < await told() <= 2_000
    assert await told() == own
    async with transaction.atomic():
        assert await told() == own


async def tell_before_and_in_a_savepoint_that_is_rolled_back():
    async with vinyl.deadline(2):
        await vinyl.connection.execute("SELECT 1")
    with pytest.raises(LookupError):
        async with transaction.atomic():
            async with vinyl.deadline(20):
                await vinyl.connection.execute("SELECT 1")
            raise LookupError


@pytest.mark.session
async def test_what_was_told_in_a_savepoint_is_told_anew_after_its_rollback():
    async with transaction.atomic():
        await tell_before_and_in_a_savepoint_that_is_rolled_back()
        async with vinyl.deadline(20):
            assert 10_000 < await told() <= 40_000
        assert await told() == UNLIMITED
    with pytest.raises(LookupError):
        async with transaction.atomic():
            async with vinyl.deadline(2):
                await vinyl.connection.execute("SELECT 1")
            raise LookupError
    assert await told() == UNLIMITED


@pytest.mark.session
async def test_what_was_told_before_a_savepoint_is_taken_back_after_its_rollback():
    async with transaction.atomic():
        await tell_before_and_in_a_savepoint_that_is_rolled_back()
        assert await told() == UNLIMITED


@pytest.mark.session
async def test_what_the_server_was_being_told_as_it_was_cancelled_is_told_anew(monkeypatch):
    def ask(wrapper, sql):
        answer = asks(wrapper, sql)
        if sql.startswith(("SET", "PRAGMA busy_timeout =")) and not cancelled:
            cancelled.append(sql)
            raise KeyboardInterrupt
        return answer

    asks, cancelled = limits._ask, []
    monkeypatch.setattr(limits, "_ask", ask)
    with pytest.raises(KeyboardInterrupt):
        async with vinyl.deadline(2):
            await vinyl.connection.execute("SELECT 1")
    assert len(cancelled) == 1
    assert await told() == UNLIMITED


# How the project would set it, to a second.
OWN = {
    "postgresql": {"options": "-c statement_timeout=1000"},
    "mariadb": {"init_command": "SET max_statement_time = 1"},
    "mysql": {"init_command": "SET max_execution_time = 1000"},
    "sqlite": {"timeout": 1},
}[settings.ENGINE]


@pytest.mark.direct
async def test_what_the_project_has_set_is_not_exceeded():
    with database(OWN) as alias:
        assert await told(alias) == 1_000
        async with vinyl.deadline(30):
            assert await told(alias) == 1_000
            async with vinyl.deadline(0.5):
                assert 0 < await told(alias) <= 1_000
        assert await told(alias) == 1_000
        await vinyl.close()


@pytest.mark.asynchronous
@pytest.mark.session
async def test_a_default_is_told_once_for_many_statements(monkeypatch):
    asked = []

    def ask(wrapper, sql):
        asked.append(sql)
        return asks(wrapper, sql)

    asks = limits._ask
    monkeypatch.setattr(limits, "_ask", ask)
    with (
        database() as alias,
        override_settings(VINYL={"POOL": {alias: {"max_size": 1}}, "DEADLINE": {alias: 2}}),
    ):
        for _ in range(20):
            await vinyl.connections[alias].execute("SELECT 1")
        # What the project has set is asked for before.
        assert len(asked) == 2
        await vinyl.close()


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
async def test_behind_a_pooler_the_server_is_told_in_transactions_only():
    with database(DISABLE_SERVER_SIDE_CURSORS=True) as alias:
        async with vinyl.deadline(10):
            assert await told(alias) == 0
            async with transaction.atomic(using=alias):
                assert 5_000 < await told(alias) <= 20_000
            assert await told(alias) == 0
        await vinyl.close()
