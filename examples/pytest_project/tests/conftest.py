"""Fixtures of both kinds. Each asks for `db`: what it writes is in the test's transaction, and rolled back with it."""

import pytest
import pytest_asyncio

from lending import desk
from lending.models import Loan
from tests.factories import make_book


@pytest.fixture
def book(db):
    """A book of which there are two copies."""
    return make_book(title="Kindred", copies=2)


@pytest_asyncio.fixture
async def loan(book):
    """A copy of it that Ann has."""
    return await Loan.vinyl.create(book=book, reader="Ann")


@pytest.fixture(autouse=True)
def _no_letters():
    desk.letters.clear()
