"""Who waits in vain for a connection is told who has them, and at which line of the project's code."""

import asyncio
import inspect
import re

import pytest
from django.db import transaction as django_transaction
from django.test import override_settings

import vinyl
from tests.library.models import Author
from vinyl import PoolTimeout, transaction
from vinyl.bridge import await_
from vinyl.common import whereabouts

pytestmark = [pytest.mark.usefixtures("db", "one_connection"), pytest.mark.asynchronous]


@pytest.fixture
def one_connection():
    with override_settings(VINYL={"POOL": {"default": {"max_size": 1, "timeout": 0.05}}}):
        yield


class Hold:
    """What a holder waits for while it has a connection."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.over = asyncio.Event()


def place(function, text):
    """The line of a function that has this text, as a message names it."""
    lines, first = inspect.getsourcelines(function)
    number = first + next(number for number, line in enumerate(lines) if text in line)
    return f'at "{__file__}", line {number}, in {function.__name__}'


async def message_while(holder, hold):
    """What is said to who wants a connection while the holder has the only one."""
    task = asyncio.create_task(holder, name="the holder")
    await hold.begun.wait()
    with pytest.raises(PoolTimeout) as caught:
        await Author.vinyl.count()
    hold.over.set()
    await task
    return str(caught.value)


async def test_a_timeout_names_the_task_in_a_transaction_and_its_line():
    hold = Hold()

    async def holder():
        async with transaction.atomic():
            await Author.vinyl.count()
            hold.begun.set()
            await asyncio.wait_for(hold.over.wait(), 5)

    said = await message_while(holder(), hold)
    expected = f"task 'the holder' {place(holder, 'wait_for')}"
    assert re.search(rf"In use:\n    for 0\.\d s by {re.escape(expected)}$", said), said


async def test_a_timeout_names_the_line_of_synchronous_code_in_the_bridge():
    hold = Hold()

    def holder():
        with django_transaction.atomic():
            Author.objects.count()
            hold.begun.set()
            await_(hold.over.wait())

    assert (await message_while(vinyl.run(holder), hold)).endswith(place(holder, "await_"))


async def test_a_task_that_waits_for_what_it_holds_itself_is_told_its_own_line():
    async def nested():
        async with vinyl.connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
            await Author.vinyl.count()

    with pytest.raises(PoolTimeout) as caught:
        await asyncio.create_task(nested(), name="the holder")
    assert str(caught.value).endswith(f"by task 'the holder' {place(nested, 'count')}")


async def test_a_task_of_nobody_elses_code_is_named_without_a_line():
    task = asyncio.create_task(asyncio.sleep(5), name="sleeper")
    await asyncio.sleep(0)
    assert whereabouts.of_task(task) == "task 'sleeper'"
    task.cancel()
