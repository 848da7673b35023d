"""VinylTestCase: fixtures that are awaited, callbacks that are, and a mode."""

import asyncio

import vinyl
from tests.users_tests.common import names, names_in_thread, names_of_django
from tests.users_tests.models import Author
from vinyl import transaction
from vinyl.test import VinylTestCase


class AwaitedTests(VinylTestCase):
    log = []

    @classmethod
    async def asyncSetUpTestData(cls):
        cls.ann = await Author.vinyl.create(name="Ann")

    def setUp(self):
        self.log.clear()

    def tearDown(self):
        assert self.log[-2:] == ["asyncTearDown", "cleanup"]
        assert names_of_django() == ["Ann"]

    async def asyncSetUp(self):
        self.bob = await Author.vinyl.create(name="Bob")
        self.loop = asyncio.get_running_loop()
        self.addAsyncCleanup(self.clean_up)
        self.log.append("asyncSetUp")

    async def asyncTearDown(self):
        self.log.append("asyncTearDown")

    async def clean_up(self):
        await self.bob.delete()
        self.log.append("cleanup")

    async def test_it_is_in_the_transaction_and_in_the_loop_of_the_test(self):
        assert await names() == await names_in_thread() == [self.ann.name, self.bob.name]
        assert asyncio.get_running_loop() is self.loop
        assert self.log == ["asyncSetUp"]

    def test_a_synchronous_test_has_it_too(self):
        assert names_of_django() == ["Ann", "Bob"]
        assert self.log == ["asyncSetUp"]

    async def test_a_block_may_be_entered(self):
        await self.enterAsyncContext(transaction.atomic())
        await self.enterAsyncContext(asyncio.timeout(20))

    async def test_callbacks_of_a_commit_are_awaited(self):
        async def callback():
            counts.extend(await asyncio.gather(Author.vinyl.count(), Author.vinyl.count()))

        counts = []
        async with self.captureOnCommitCallbacks(execute=True) as callbacks:
            async with transaction.atomic():
                await transaction.on_commit(callback)
                await transaction.on_commit(lambda: counts.append(Author.objects.count()))
            assert counts == []
        assert (counts, len(callbacks)) == ([2, 2, 2], 2)

    def test_callbacks_of_synchronous_code_are_captured_as_ever(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks, vinyl.sync_mode():
            transaction.on_commit(lambda: None)
        assert len(callbacks) == 1


class SynchronousModeTests(VinylTestCase):
    vinyl_async = False

    @classmethod
    def setUpTestData(cls):
        cls.ann = Author.vinyl.create(name="Ann")

    def test_the_sync_mode(self):
        assert Author.vinyl.get().name == "Ann"


class WithoutFixturesTests(VinylTestCase):
    def test_the_mode_is_put_back(self):
        assert vinyl.is_async()

    async def test_a_coroutine(self):
        assert await names() == []
