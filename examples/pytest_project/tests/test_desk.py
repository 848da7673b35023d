"""Tests of pytest's kind, with `db` of pytest-django: each is in a transaction, which is rolled back."""

import asyncio

import pytest

import vinyl
from lending import desk
from lending.models import Loan
from tests.factories import make_book, make_loan
from vinyl import transaction


async def test_a_copy_is_lent(book):
    await desk.lend(book.pk, "Ann")
    assert await Loan.vinyl.filter(book=book, reader="Ann").exists()


async def test_no_more_is_lent_than_there_is(book, loan):
    await desk.lend(book.pk, "Bob")
    with pytest.raises(desk.NoneLeftError):
        await desk.lend(book.pk, "Cyd")
    assert [each.reader async for each in Loan.vinyl.order_by("id")] == ["Ann", "Bob"]


async def test_nothing_is_lent_if_the_block_fails(book):
    with pytest.raises(RuntimeError):
        async with transaction.atomic():
            await desk.lend(book.pk, "Ann")
            raise RuntimeError("The lights go out.")
    assert not await Loan.vinyl.exists()


async def test_a_letter_is_written_on_commit(book, vinyl_capture_on_commit_callbacks):
    async with vinyl_capture_on_commit_callbacks(execute=True):
        await desk.lend(book.pk, "Ann")
        assert desk.letters == []
    assert desk.letters == ["Ann has Kindred"]


@pytest.mark.django_db(transaction=True)
async def test_the_last_copy_goes_to_one_of_two():
    """Each task has a connection of its own here, and waits for the other's lock."""
    book = await vinyl.run(make_book, copies=1)
    outcomes = await asyncio.gather(*(desk.lend(book.pk, name) for name in ("Ann", "Bob")), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Loan", "NoneLeftError"]
    assert len(desk.letters) == 1


@pytest.mark.usefixtures("vinyl_sync_mode")
def test_the_sync_mode_is_in_the_transaction_too(book):
    make_loan(book=book, reader="Ann")
    assert Loan.vinyl.get(book=book).reader == "Ann"
