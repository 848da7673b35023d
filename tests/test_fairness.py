"""Work that gives way leaves the garbage collector as it was, and has no full collection while it lasts."""

import asyncio
import gc
import threading

import pytest

import vinyl
from tests.library.models import Author
from tests.plans import ENOUGH
from vinyl import fairness
from vinyl.fairness import NEVER, full_collections_later, run_fairly
from vinyl.plans import lanes


@pytest.fixture(autouse=True)
def thresholds():
    """The collector's thresholds, which no test may leave otherwise."""
    before = gc.get_threshold()
    yield before
    after = gc.get_threshold()
    gc.set_threshold(*before)
    assert after == before


@pytest.fixture
def one_step_a_turn(monkeypatch):
    monkeypatch.setattr(fairness, "TURN", 0)


async def test_full_collections_wait_until_the_work_is_done(one_step_a_turn, thresholds):
    seen = []

    def work():
        for _ in range(3):
            seen.append(gc.get_threshold())
            yield

    await vinyl.run(run_fairly, work())
    # What fits into one turn is not worth it.
    assert seen == [thresholds, (*thresholds[:2], NEVER), (*thresholds[:2], NEVER)]
    assert gc.get_threshold() == thresholds


def test_work_that_fails_lets_them_go(one_step_a_turn, thresholds):
    def work():
        yield
        raise LookupError

    with pytest.raises(LookupError):
        run_fairly(work())
    assert gc.get_threshold() == thresholds


@pytest.mark.asynchronous
async def test_work_that_is_cancelled_lets_them_go(one_step_a_turn, thresholds):
    async def cancelled():
        asyncio.current_task().cancel()
        await vinyl.run(run_fairly, iter(range(9)))

    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(cancelled())
    assert gc.get_threshold() == thresholds


@pytest.mark.asynchronous
@pytest.mark.engine("postgresql")
async def test_a_large_result_of_a_plan_has_none(db, monkeypatch, thresholds):
    from vinyl.drivers.postgresql import chunks  # which is not installed for every engine

    await Author.vinyl.bulk_create([Author.vinyl(name=str(number)) for number in range(9)])
    for _ in range(ENOUGH):
        await Author.vinyl.all()
    monkeypatch.setattr(lanes, "SLICE", 1)
    monkeypatch.setattr(lanes, "TURN", 0)
    monkeypatch.setattr(chunks, "CHUNK", 1)
    monkeypatch.setattr(chunks, "TURN", 0)
    await seen_by_another(thresholds)
    # The second time it is loaded as it arrives.
    await seen_by_another(thresholds)


async def seen_by_another(thresholds):
    seen = set()

    async def look():
        while True:
            seen.add(gc.get_threshold()[2])
            await asyncio.sleep(0)

    looking = asyncio.ensure_future(look())
    assert len(await Author.vinyl.all()) == 9
    looking.cancel()
    assert NEVER in seen
    assert gc.get_threshold() == thresholds


def test_they_wait_for_the_last_of_those_who_overlap(thresholds):
    with full_collections_later:
        thread = threading.Thread(target=full_collections_later.__enter__)
        thread.start()
        thread.join()
    assert gc.get_threshold()[2] == NEVER
    full_collections_later.__exit__()
    assert gc.get_threshold() == thresholds


def test_they_are_not_put_off_for_ever(monkeypatch, thresholds):
    monkeypatch.setattr(fairness, "PATIENCE", 0)
    with full_collections_later:
        assert gc.get_threshold()[2] == NEVER
        gc.collect(0)
        assert gc.get_threshold() == thresholds
        with full_collections_later:
            assert gc.get_threshold() == thresholds
    assert gc.get_threshold() == thresholds


def test_nothing_is_left_among_the_collectors_callbacks():
    before = list(gc.callbacks)
    with full_collections_later:
        pass
    assert gc.callbacks == before


def test_thresholds_that_somebody_sets_meanwhile_stay():
    before = gc.get_threshold()
    with full_collections_later:
        gc.set_threshold(7, 8, 9)
    assert gc.get_threshold() == (7, 8, 9)
    gc.set_threshold(*before)
