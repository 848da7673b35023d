"""What a process of its own does for tests.test_faults_processes: `python -m tests.processes NAME DATABASES`.

Each function here may be named. It prints JSON, and its last line is the numbers of the connections that it has made,
as far as the server gives any. The databases are the test's, by alias.
"""

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import sys
import warnings

import django

django.setup()

from django.db import connections

import vinyl
from tests import settings
from tests.library.models import Author
from tests.server_connections import number_of, own_number, sleep, until_gone
from vinyl import transaction

MARKER = f"process {os.getpid()}"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def number(alias="default"):
    return 0 if settings.ENGINE == "sqlite" else await own_number(alias)


async def in_a_transaction(begun):
    """Write, and wait for a statement that takes long; say so as it is executed."""

    def note(execute, *args):
        begun.set_result(found)
        return execute(*args)

    async with transaction.atomic():
        await Author.vinyl(name="in a transaction").insert()
        found = await number()
        with vinyl.connection.execute_wrapper(note):
            await vinyl.connection.execute(ENDLESS if settings.ENGINE == "sqlite" else sleep(60, MARKER))


async def is_running(begun):
    """Wait until in_a_transaction() waits for its statement."""
    found = await begun
    if settings.ENGINE != "sqlite":
        await number_of(MARKER)
    return found


def say(value):
    print(json.dumps(value), flush=True)


# Event loops.


def loop_closed_without_its_connections():
    loop = asyncio.new_event_loop()
    say(loop.run_until_complete(number()))
    loop.close()


def loop_closed_without_its_connections_and_another():
    async def look():
        found = await number()
        if settings.ENGINE != "sqlite":
            await until_gone([first])
        return found

    loop = asyncio.new_event_loop()
    first = loop.run_until_complete(number())
    loop.close()
    say([first, asyncio.run(look())])


def loop_ended_while_tasks_query():
    async def main():
        begun = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(in_a_transaction(begun))
        say(await is_running(begun))
        assert not task.done()

    asyncio.run(main())


# Ends.


def exit_at_once_in_a_transaction():
    async def main():
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            say(await number())
            os._exit(3)

    asyncio.run(main())


def exit_in_a_transaction():
    async def main():
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            say(await number())
            sys.exit(3)

    asyncio.run(main())


def exit_while_another_task_queries():
    async def main():
        begun = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(in_a_transaction(begun))
        say(await is_running(begun))
        assert not task.done()
        sys.exit(3)

    asyncio.run(main())


def interrupt_in_a_statement():
    # A process in the background of a shell ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def interrupt(begun):
        say(await is_running(begun))
        signal.raise_signal(signal.SIGINT)

    async def main():
        begun = asyncio.get_running_loop().create_future()
        interrupting = asyncio.create_task(interrupt(begun))
        try:
            await in_a_transaction(begun)
        finally:
            await interrupting

    asyncio.run(main())


# Forks.


async def child():
    """What a child does: queries of its own, side by side and in a transaction."""
    async with transaction.atomic():
        await Author.vinyl(name="child").insert()
    # A parent may be writing there.
    assert await Author.vinyl.using("other").count() == 0
    return await asyncio.gather(*(number() for _ in range(3)))


def run_child(mine):
    theirs = asyncio.run(child())
    assert set(theirs).isdisjoint(mine) or settings.ENGINE == "sqlite"


def exit_of_a_child(mine):
    """Fork, and have the child query and end with all that Python does at its end."""
    pid = os.fork()
    if not pid:
        run_child(mine)
        # What asyncio has to say about the parent's loop and its tasks, which the child cannot end.
        warnings.simplefilter("ignore", ResourceWarning)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def fork_while_connections_are_idle():
    async def parent():
        return sorted(await asyncio.gather(*(number() for _ in range(3))))

    loop = asyncio.new_event_loop()
    mine = loop.run_until_complete(parent())
    exit_of_a_child(mine)
    assert loop.run_until_complete(parent()) == mine
    loop.run_until_complete(vinyl.close())
    loop.close()
    say(mine)


def fork_while_the_loop_pauses_in_a_transaction():
    async def parent():
        async with transaction.atomic(using="other"):
            await Author.vinyl.using("other").create(name="parent")
            begun.set_result(await number("other"))
            await going_on
            await Author.vinyl.using("other").create(name="parent")
            assert await number("other") == mine

    loop = asyncio.new_event_loop()
    begun, going_on = loop.create_future(), loop.create_future()
    task = loop.create_task(parent())
    mine = loop.run_until_complete(begun)
    exit_of_a_child([mine])
    going_on.set_result(None)
    loop.run_until_complete(task)
    loop.run_until_complete(vinyl.close())
    loop.close()
    say(mine)


async def run_child_and_wait(*mine):
    """Fork as multiprocessing does, in the middle of the loop."""
    process = multiprocessing.get_context("fork").Process(target=run_child, args=(mine,))
    process.start()
    while process.exitcode is None:
        await asyncio.sleep(0.01)
    assert process.exitcode == 0


def fork_in_a_transaction():
    async def main():
        # On the other database, since SQLite has one writer at a time.
        async with transaction.atomic(using="other"):
            await Author.vinyl.using("other").create(name="parent")
            mine = await number("other")
            await run_child_and_wait(mine)
            assert await number("other") == mine
            await Author.vinyl.using("other").create(name="parent")
        say(mine)

    asyncio.run(main())


def fork_while_the_loop_queries():
    async def echo(over):
        answers = 0
        while not over.is_set():
            assert await vinyl.connections["other"].execute("SELECT %s", [answers]) == [(answers,)]
            answers += 1
        return answers

    async def main():
        begun, over = asyncio.get_running_loop().create_future(), asyncio.Event()
        waiting = asyncio.create_task(in_a_transaction(begun))
        echoing = [asyncio.create_task(echo(over)) for _ in range(3)]
        mine = await is_running(begun)
        if settings.ENGINE == "sqlite":
            # It has one writer at a time.
            waiting.cancel()
            await asyncio.wait([waiting])
        await run_child_and_wait(mine)
        over.set()
        assert all(await asyncio.gather(*echoing))
        assert waiting.done() == (settings.ENGINE == "sqlite")
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        say(mine)

    asyncio.run(main())


if __name__ == "__main__":
    # SQLite's connections have threads, and forking is deprecated where there are any.
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    for alias, name in json.loads(sys.argv[2]).items():
        connections.settings[alias]["NAME"] = name
    globals()[sys.argv[1]]()
