"""What transactions on MySQL and MariaDB send: the server is told of autocommit when it matters, and not before."""

import asyncio

import pytest
from django.db import connections

import vinyl
from tests.library.models import Author
from tests.modes import same
from vinyl import transaction

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

from vinyl.drivers.mysql.wire import Wire

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.usefixtures("db"), pytest.mark.asynchronous]

OFF, ON = "SET autocommit = 0", "SET autocommit = 1"


@pytest.fixture
def sent(monkeypatch):
    """The first words of what is sent to the server."""
    statements = []
    query = Wire.query

    def noted(self, sql, *args):
        statements.append(" ".join(sql.decode().split()[:4]))
        return query(self, sql, *args)

    monkeypatch.setattr(Wire, "query", noted)
    return statements


async def ready(sent):
    """Have a connection in the pool that is in autocommit, and forget what was sent for that."""
    await vinyl.connection.execute("SELECT 1")
    sent.clear()


async def select():
    return await vinyl.connection.execute("SELECT 2")


async def test_one_transaction_after_the_other_sends_only_its_commit(sent):
    await ready(sent)
    for _ in range(3):
        async with transaction.atomic():
            await select()
    assert sent == [OFF, *["SELECT 2", "COMMIT"] * 3]


async def test_a_statement_after_a_transaction_is_in_autocommit_again(sent):
    await ready(sent)
    async with transaction.atomic():
        await select()
    assert await vinyl.connection.execute("SELECT @@autocommit") == [(1,)]
    await select()
    assert sent == [OFF, "SELECT 2", "COMMIT", ON, "SELECT @@autocommit", "SELECT 2"]


async def test_a_transaction_without_statements_sends_nothing(sent):
    await ready(sent)
    with pytest.raises(ZeroDivisionError):
        async with transaction.atomic():
            raise ZeroDivisionError
    async with transaction.atomic():
        pass
    assert sent == []


async def test_what_was_not_committed_is_rolled_back_and_what_comes_next_is_not(sent):
    await ready(sent)
    with pytest.raises(ZeroDivisionError):
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            raise ZeroDivisionError
    await Author.vinyl(name="y").insert()
    assert [statement for statement in sent if not statement.startswith("INSERT")] == [OFF, "ROLLBACK", ON]
    await vinyl.close()
    assert await Author.vinyl.values_list("name", flat=True) == ["y"]


async def test_autocommit_that_is_switched_on_in_a_transaction_commits_it_as_mysqlclients_does():
    def written():
        wrapper = connections["default"]
        wrapper.ensure_connection()
        connection = wrapper.connection
        connection.autocommit(False)
        connection.query(b"INSERT INTO library_author (name) VALUES ('a')")
        connection.autocommit(True)
        connection.rollback()
        connection.query(b"START TRANSACTION")
        connection.query(b"INSERT INTO library_author (name) VALUES ('b')")
        connection.rollback()
        connection.query(b"SELECT name FROM library_author")
        names = connection.store_result().fetch_row(0)
        connection.query(b"DELETE FROM library_author")
        return names, connection.get_autocommit()

    async with vinyl.connection.hold():
        assert await same(written) == ((("a",),), True)


async def test_a_cancelled_transaction_leaves_a_connection_in_the_state_that_is_asked_for(sent):
    await ready(sent)

    async def insert():
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            await asyncio.Event().wait()

    for _ in range(3):
        task = asyncio.create_task(insert())
        while not any(statement.startswith("INSERT") for statement in sent):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await vinyl.connection.execute("SELECT @@autocommit") == [(1,)]
        assert not await Author.vinyl.exists()
        sent.clear()
    assert vinyl.connection.statistics()["pool_size"] == 1
