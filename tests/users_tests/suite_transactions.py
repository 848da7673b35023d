"""TransactionTestCase and LiveServerTestCase: vinyl has connections of its own, which really commit."""

import asyncio
import json
from urllib.request import urlopen

from asgiref.sync import async_to_sync
from django.test import LiveServerTestCase, TransactionTestCase

import vinyl
from tests.users_tests.common import names, names_in_thread, names_of_django
from tests.users_tests.factories import AuthorFactory
from tests.users_tests.models import Author
from vinyl import transaction


class CommittedTests(TransactionTestCase):
    async def test_what_is_committed_is_seen(self):
        await Author.vinyl.create(name="Ann")
        await Author.objects.acreate(name="Bob")
        assert await names() == await names_in_thread() == ["Ann", "Bob"]
        assert vinyl.connection.statistics()["connections_num"] > 0

    async def test_the_tables_are_empty_again(self):
        assert await names() == []

    async def test_callbacks_of_a_commit_are_called(self):
        called = []
        async with transaction.atomic():
            await transaction.on_commit(lambda: called.append(1))
        assert called == [1]

    async def test_what_is_rolled_back_is_gone(self):
        async def fail():
            async with transaction.atomic():
                await Author.vinyl.create(name="Ann")
                raise ValueError

        await asyncio.gather(fail(), return_exceptions=True)
        assert await names() == []

    def test_a_loop_in_synchronous_code(self):
        AuthorFactory(name="Ann")
        assert asyncio.run(names()) == async_to_sync(names)() == ["Ann"]


class ServedTests(LiveServerTestCase):
    def get(self, path):
        with urlopen(self.live_server_url + path) as response:
            return json.load(response)["names"]

    def test_the_server_sees_what_factories_have_written_and_the_test_what_the_server_has(self):
        AuthorFactory(name="Ann")
        assert self.get("/asynchronous/?add=Bob") == ["Ann", "Bob"]
        assert self.get("/synchronous/") == names_of_django() == ["Ann", "Bob"]

    def test_the_tables_are_empty_again(self):
        assert self.get("/asynchronous/") == []
