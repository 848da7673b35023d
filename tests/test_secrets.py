"""A password is in no message, no log, no statistics, and in no repr() of what has to do with a connection.

Whether connecting works or fails, and wherever it fails. A message is all that a traceback shows: the errors that the
error comes from, and their notes, as well.
"""

import asyncio
import os
import socket
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.test import override_settings

import vinyl
from tests import settings
from tests.modes import database, pretending
from tests.secrecy import assert_is_told_to_nobody
from vinyl import PoolTimeout, transaction

pytestmark = [pytest.mark.engine("postgresql", "mariadb", "mysql"), pytest.mark.usefixtures("db")]

# Made as the tests run, so that no line of source has it.
PASSWORD = uuid.uuid4().hex
USER = f"vinyl_secret_{os.getpid()}"


@pytest.fixture(scope="module")
def login(databases):
    """The settings of a user who has the password."""
    if settings.ENGINE == "postgresql":
        user, create = USER, f"CREATE USER {USER} PASSWORD %s"
    else:
        user, create = f"{USER}@'%%'", f"CREATE USER {USER}@'%%' IDENTIFIED BY %s"
    with connections["default"].cursor() as cursor:
        cursor.execute(create, [PASSWORD])
        if settings.ENGINE != "postgresql":
            cursor.execute(f"GRANT ALL ON {connections['default'].settings_dict['NAME']}.* TO {user}", [])
    yield {"USER": USER, "PASSWORD": PASSWORD}
    with connections["default"].cursor() as cursor:
        cursor.execute(f"DROP USER {user}", [])


async def test_who_is_connected_does_not_tell_the_password(login, log):
    with database(**login) as alias:
        assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]
        async with transaction.atomic(using=alias):
            await vinyl.connections[alias].execute("SELECT 1")
            assert_is_told_to_nobody(PASSWORD, alias, log)
        assert "SELECT 1" in log.text
        with pytest.raises(Exception, match="nowhere") as caught:
            await vinyl.connections[alias].execute("SELECT x FROM nowhere")
        assert_is_told_to_nobody(PASSWORD, alias, log, caught.value)
        await vinyl.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


REFUSED = {
    "unknown user": lambda: {"USER": "nobody_of_vinyl"},
    "unknown database": lambda: {"NAME": "nowhere"},
    "unknown host": lambda: {"HOST": "nowhere.invalid"},
    "nobody listens": lambda: {"HOST": "127.0.0.1", "PORT": free_port()},
    "no socket": lambda: {"HOST": "/nowhere"},
    "unknown option": lambda: {"options": {"nonsense": 1}},
    "no such certificate": lambda: {
        "options": {"sslmode": "verify-full", "sslrootcert": "/nowhere"}
        if settings.ENGINE == "postgresql"
        else {"ssl": {"ca": "/nowhere"}, "ssl_mode": "VERIFY_IDENTITY"}
    },
}


@pytest.mark.parametrize("why", REFUSED)
async def test_who_is_refused_does_not_tell_the_password(why, login, log):
    with database(**{**login, **REFUSED[why]()}) as alias:
        with pytest.raises((DatabaseError, ImproperlyConfigured, TypeError)) as caught:
            await vinyl.connections[alias].execute("SELECT 1")
        assert_is_told_to_nobody(PASSWORD, alias, log, caught.value)


@pytest.mark.asynchronous
async def test_a_server_that_talks_nonsense_is_not_told_about(login, log):
    async def speak(reader, writer):
        writer.write(b"nonsense" * 100)
        await reader.read()

    async with pretending(speak, **login) as alias:
        with pytest.raises((DatabaseError, ImproperlyConfigured, TypeError)) as caught:
            await vinyl.connections[alias].execute("SELECT 1")
        assert_is_told_to_nobody(PASSWORD, alias, log, caught.value)


@pytest.mark.loops
async def test_who_waits_for_a_server_in_vain_does_not_tell_the_password(login, log):
    async def silent(reader, writer):
        said.set()
        await reader.read()

    said = asyncio.Event()
    async with pretending(silent, **login) as alias:
        with override_settings(VINYL={"POOL": {alias: {"timeout": 0.1}}}):
            waiting = asyncio.create_task(vinyl.connections[alias].execute("SELECT 1"))
            await said.wait()
            assert_is_told_to_nobody(PASSWORD, alias, log)
            with pytest.raises(PoolTimeout, match="could not connect") as caught:
                await waiting
            assert_is_told_to_nobody(PASSWORD, alias, log, caught.value)


@pytest.mark.asynchronous
async def test_who_waits_for_a_connection_in_vain_does_not_tell_the_password(login, log):
    async def hold():
        async with vinyl.connections[alias].hold():
            holds.set()
            await over.wait()

    holds, over = asyncio.Event(), asyncio.Event()
    with database(**login) as alias, override_settings(VINYL={"POOL": {alias: {"max_size": 1, "timeout": 1}}}):
        holder = asyncio.create_task(hold())
        await holds.wait()
        with pytest.raises(PoolTimeout, match=r"In use:\n.* in hold") as caught:
            await vinyl.connections[alias].execute("SELECT 1")
        assert_is_told_to_nobody(PASSWORD, alias, log, caught.value)
        over.set()
        await holder
