"""pytest-django with anyio's plug-in."""

import asyncio

import pytest

from tests.users_tests.common import names, names_in_thread
from tests.users_tests.factories import AuthorFactory
from tests.users_tests.models import Author

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def ann(db):
    return AuthorFactory(name="Ann")


@pytest.fixture
async def bob(ann):
    return await Author.vinyl.create(name="Bob")


@pytest.mark.parametrize("time", range(2))
async def test_fixtures_of_both_kinds_are_seen_and_rolled_back(bob, time):
    assert await names() == await names_in_thread() == ["Ann", "Bob"]
    await asyncio.gather(*(Author.vinyl.create(name=f"{number}") for number in range(5)))
    assert await Author.vinyl.count() == 7


@pytest.mark.django_db(transaction=True)
async def test_real_commits():
    await Author.vinyl.create(name="Ann")
    assert await names() == ["Ann"]
