"""pytest-django with pytest-asyncio: fixtures of each kind, each scope of the loop, and real commits."""

import asyncio

import pytest
import pytest_asyncio
from django.db import connection as django_connection

import vinyl
from tests.users_tests.common import names, names_in_thread, names_of_django
from tests.users_tests.factories import AuthorFactory
from tests.users_tests.models import Author
from vinyl import transaction

in_session = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def ann(db):
    return AuthorFactory(name="Ann")


@pytest_asyncio.fixture
async def bob(ann):
    return await Author.vinyl.create(name="Bob")


@pytest_asyncio.fixture(loop_scope="session")
async def cyd(ann):
    return await Author.vinyl.create(name="Cyd")


def test_a_synchronous_test_sees_what_fixtures_have_written(ann):
    with vinyl.sync_mode():
        assert Author.vinyl.get().name == "Ann"
    assert asyncio.run(names()) == ["Ann"]


@pytest.mark.asyncio
async def test_fixtures_of_both_kinds_are_seen(bob):
    assert await names() == await names_in_thread() == ["Ann", "Bob"]
    await Author.objects.acreate(name="Dan")
    assert await names() == ["Ann", "Bob", "Dan"]


@in_session
@pytest.mark.parametrize("time", range(3))
async def test_a_loop_of_the_session_sees_them_and_each_test_is_rolled_back(time, cyd, django_assert_num_queries):
    assert await names() == await names_in_thread() == ["Ann", "Cyd"]
    with django_assert_num_queries(3):
        await asyncio.gather(*(Author.vinyl.count() for _ in range(3)))
    async with transaction.atomic():
        await Author.vinyl.create(name="Dan")
    assert await names_in_thread() == ["Ann", "Cyd", "Dan"]


left = []


@in_session
async def test_a_task_may_be_left_in_a_block(ann):
    async def stay():
        async with transaction.atomic():
            await Author.vinyl.create(name="Bob")
            entered.set_result(None)
            await asyncio.Event().wait()

    entered = asyncio.get_running_loop().create_future()
    left.append(asyncio.create_task(stay()))
    await asyncio.wait([*left, entered], return_when=asyncio.FIRST_COMPLETED)
    assert entered.done()


@in_session
async def test_it_is_rolled_back_with_its_test_and_has_no_part_in_the_next(ann):
    assert await names() == ["Ann"]
    async with transaction.atomic():
        await Author.vinyl.create(name="Cyd")
        [task] = left
        task.cancel()
        with pytest.raises(transaction.TransactionManagementError, match="has lost its connection"):
            await task
    assert await names() == await names_in_thread() == ["Ann", "Cyd"]


@in_session
async def test_the_asynchronous_client_sees_them(ann, async_client):
    assert (await async_client.get("/asynchronous/?add=Bob")).json() == {"names": ["Ann", "Bob"]}
    assert (await async_client.get("/synchronous/")).json() == {"names": ["Ann", "Bob"]}


@in_session
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", range(2))
async def test_real_commits(time, django_capture_on_commit_callbacks):
    called = []
    async with transaction.atomic():
        await Author.vinyl.create(name="Ann")
        await transaction.on_commit(lambda: called.append(1))
    assert called == [1]
    await asyncio.gather(*(Author.vinyl.count() for _ in range(5)))
    # A database in memory that the threads share is locked for each other, with vinyl and without.
    if not django_connection.settings_dict["NAME"].startswith("file:"):
        assert await names_in_thread() == ["Ann"]
    assert vinyl.connection.statistics()["connections_num"] > 0


@in_session
async def test_without_the_mark_there_is_no_database():
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        await Author.vinyl.count()


@pytest.mark.django_db(databases=["other"])
@in_session
async def test_another_database():
    await Author.vinyl.using("other").create(name="Ann")
    with pytest.raises(AssertionError):
        await Author.vinyl.count()


@in_session
async def test_callbacks_of_a_commit_are_awaited(db, vinyl_capture_on_commit_callbacks):
    async def callback():
        called.append(await Author.vinyl.count())

    called = []
    async with vinyl_capture_on_commit_callbacks(execute=True) as callbacks:
        await transaction.on_commit(callback)
    assert (called, len(callbacks)) == ([0], 1)


@pytest.fixture
def dan(db, vinyl_sync_mode):
    return Author.vinyl.create(name="Dan")


def test_a_mode_for_a_test_and_its_fixtures(dan):
    assert Author.vinyl.get() == dan
    assert names_of_django() == ["Dan"]


def test_the_mode_is_put_back():
    assert vinyl.is_async()


@pytest.mark.usefixtures("vinyl_async_mode")
def test_the_async_mode():
    assert vinyl.is_async()
