"""Django's TestCase: vinyl is in the test's transaction, from whichever thread, and all is rolled back."""

import asyncio
import time

from asgiref.sync import async_to_sync
from django.db import IntegrityError, connection, connections
from django.test import TestCase, override_settings

import vinyl
from tests.users_tests.common import add, names, names_in_thread, names_of_django, slow
from tests.users_tests.factories import AuthorFactory
from tests.users_tests.models import Author
from vinyl import transaction


class SynchronousTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = AuthorFactory(name="Ann")
        cls.bob = async_to_sync(add)(name="Bob")

    def test_each_reads_what_the_other_has_written(self):
        async_to_sync(add)(name="Cyd")
        Author.objects.create(name="Dan")
        assert names_of_django() == async_to_sync(names)() == ["Ann", "Bob", "Cyd", "Dan"]

    def test_the_test_before_was_rolled_back(self):
        assert names_of_django() == async_to_sync(names)() == ["Ann", "Bob"]

    def test_the_sync_mode_is_in_the_transaction_too(self):
        with vinyl.sync_mode():
            Author.vinyl.create(name="Cyd")
            with transaction.atomic():
                assert Author.vinyl.count() == 3
        assert async_to_sync(names)() == ["Ann", "Bob", "Cyd"]

    def test_an_asynchronous_view_sees_it(self):
        response = self.client.get("/asynchronous/?add=Cyd")
        assert response.json() == self.client.get("/synchronous/").json() == {"names": ["Ann", "Bob", "Cyd"]}

    def test_what_is_made_for_the_class_is_copied_for_each_test(self):
        assert self.bob.pk == type(self).__dict__["bob"].data.pk
        assert self.bob is not type(self).__dict__["bob"].data


class AsynchronousTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ann = AuthorFactory(name="Ann")

    async def test_each_reads_what_the_other_has_written(self):
        assert await names() == ["Ann"]
        await Author.vinyl.create(name="Bob")
        assert await names_in_thread() == await names() == ["Ann", "Bob"]
        await Author.objects.acreate(name="Cyd")
        assert await names() == ["Ann", "Bob", "Cyd"]

    async def test_the_test_before_was_rolled_back(self):
        assert await names() == ["Ann"]

    async def test_views_of_both_kinds_see_it(self):
        response = await self.async_client.get("/asynchronous/?add=Bob")
        assert response.json() == {"names": ["Ann", "Bob"]}
        assert (await self.async_client.get("/synchronous/")).json() == {"names": ["Ann", "Bob"]}

    async def test_gathered_queries_share_the_connection(self):
        await asyncio.gather(*(Author.vinyl.create(name=f"{number}") for number in range(10)))
        counts = await asyncio.gather(*(Author.vinyl.count() for _ in range(10)), names_in_thread())
        assert counts[:-1] == [11] * 10
        everybody, anns = await vinyl.gather(Author.vinyl.all(), Author.vinyl.filter(name="Ann"))
        assert (len(everybody), len(anns)) == (11, 1)

    async def test_blocks_of_several_tasks_do_not_mix(self):
        async def add_in_block(number):
            async with transaction.atomic():
                await Author.vinyl.create(name=f"{number}")
                await asyncio.sleep(0)
                if number % 2:
                    raise ValueError

        await asyncio.gather(*(add_in_block(number) for number in range(10)), return_exceptions=True)
        assert sorted(await names()) == ["0", "2", "4", "6", "8", "Ann"]

    async def test_an_error_in_a_block_undoes_the_block(self):
        with self.assertRaises(IntegrityError):
            async with transaction.atomic():
                await Author.vinyl.create(name="Bob")
                await Author.vinyl.create(name="Ann")
        assert await names() == ["Ann"]

    async def test_another_tasks_transaction_is_refused_as_ever(self):
        async with transaction.atomic():
            with self.assertRaises(vinyl.OwnershipError):
                await asyncio.create_task(names())
        async with vinyl.connection.hold():
            with self.assertRaises(vinyl.OwnershipError):
                await asyncio.create_task(names())
        assert await asyncio.create_task(names()) == ["Ann"]

    async def test_tasks_of_a_transaction_share_it(self):
        async with transaction.atomic() as tx, tx.task_group() as group:
            tasks = [group.create_task(Author.vinyl.create(name=f"{number}")) for number in range(3)]
        assert len({task.result().pk for task in tasks}) == 3
        assert await Author.vinyl.count() == 4

    async def test_durable_and_retried_blocks_work(self):
        @transaction.atomic(durable=True, retries=2)
        async def add_bob():
            return await Author.vinyl.create(name="Bob")

        await add_bob()
        assert await names() == ["Ann", "Bob"]

    async def test_coroutines_that_an_operation_awaits_may_gather(self):
        async def count_twice():
            counts.extend(await asyncio.gather(Author.vinyl.count(), Author.vinyl.count()))

        def operation():
            Author.objects.create(name="Bob")
            vinyl.mode.finish(count_twice())

        counts = []
        await asyncio.wait_for(vinyl.run(operation), 5)
        assert counts == [2, 2]

    async def test_a_stream_and_what_is_left_of_it(self):
        await Author.vinyl.bulk_create([Author(name=f"{number}") for number in range(300)])
        seen = 0
        async for _ in Author.vinyl.iterator(chunk_size=20):
            seen += 1
            if seen == 50:
                break
        assert await Author.vinyl.count() == 301
        async with vinyl.connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
            assert tuple(await cursor.fetchone()) == (1,)

    async def test_queries_are_counted(self):
        with self.assertNumQueries(3):
            await Author.vinyl.count()
            await asyncio.gather(Author.vinyl.count(), Author.vinyl.count())
        with self.assertRaises(AssertionError), self.assertNumQueries(2):
            await Author.vinyl.count()

    async def test_queries_are_logged(self):
        with override_settings(DEBUG=True):
            before = len(vinyl.connection.queries)
            await Author.vinyl.count()
            assert len(vinyl.connection.queries) == before + 1
            assert "COUNT" in vinyl.connection.queries[-1]["sql"]

    async def test_wrappers_of_both_see_the_statements(self):
        def see(execute, sql, params, many, context):
            seen.append(sql)
            return execute(sql, params, many, context)

        seen = []
        with connection.execute_wrapper(see), vinyl.connection.execute_wrapper(see):
            await Author.vinyl.count()
        await Author.vinyl.count()
        assert len(seen) == 2

    async def test_callbacks_of_a_commit_are_captured(self):
        called = []
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            async with transaction.atomic():
                await transaction.on_commit(lambda: called.append(1))
            assert called == []
        assert (called, len(callbacks)) == ([1], 1)

    async def test_a_cancelled_statement_ends_with_its_block(self):
        started = time.monotonic()
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.2), transaction.atomic():
                await vinyl.connection.execute(slow())
        with self.assertRaises(vinyl.DeadlineExceeded):
            async with vinyl.deadline(0.2), transaction.atomic():
                await vinyl.connection.execute(slow())
        assert time.monotonic() - started < 20
        assert await names() == ["Ann"]

    async def test_a_block_whose_coroutine_is_dropped_is_rolled_back(self):
        async def block():
            async with transaction.atomic():
                await Author.vinyl.create(name="Bob")
                await Stop()

        class Stop:
            def __await__(self):
                yield

        coroutine = block()
        future = asyncio.ensure_future(step(coroutine))
        await future
        assert await names() == ["Ann"]

    async def test_the_loop_goes_on_while_a_statement_runs(self):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.3), transaction.atomic():
                await vinyl.connection.execute(slow())
        ticking.cancel()
        assert ticks > 5

    async def test_no_pool_is_used(self):
        await names()
        assert vinyl.connection.statistics()["connections_num"] == 0

    async def test_a_database_that_the_test_does_not_use_is_refused(self):
        with self.assertRaises(AssertionError):
            await Author.vinyl.using("other").count()


class SeveralDatabasesTests(TestCase):
    databases = ("default", "other")

    async def test_each_has_a_transaction(self):
        await Author.vinyl.create(name="Ann")
        await Author.vinyl.using("other").create(name="Bob")
        async with transaction.atomic(), transaction.atomic(using="other"):
            await Author.vinyl.using("other").create(name="Cyd")
        assert await Author.vinyl.count() == 1
        assert await Author.vinyl.using("other").count() == 2

    async def test_each_is_rolled_back(self):
        assert await Author.vinyl.count() == await Author.vinyl.using("other").count() == 0

    def test_the_wrapper_of_the_thread_is_as_ever_outside_of_a_coroutine(self):
        assert not isinstance(connections["default"], vinyl.lending.shared.SharedWrapper)


async def step(coroutine):
    """Run a coroutine until it waits for nothing in particular, and drop it there."""
    while (waiting := coroutine.send(None)) is not None:
        waiting._asyncio_future_blocking = False
        await waiting
    coroutine.close()
