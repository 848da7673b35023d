"""Random calls of the public API: the same outcome in both modes, no error from the inside, and nothing left behind.

VINYL_TEST_EXAMPLES=5000 makes so many, other ones each time, or those of --hypothesis-seed=….
"""

import asyncio
import math
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
from django.core import exceptions
from django.core.management.color import no_style
from django.db import Error, connection
from django.db.transaction import TransactionManagementError
from django.db.utils import ConnectionDoesNotExist
from django.test import override_settings
from hypothesis import HealthCheck, given, settings

import vinyl
from tests import fuzzing
from tests.conftest import empty
from tests.library.models import Author, Book, Cover, Member, Place, Tag
from tests.misuse import Shop, all_rows, open_shop
from tests.worlds import Failed, Outcome, PlainWorld, VinylWorld, steady
from vinyl import transaction
from vinyl.conf import PoolOptions, deadline_of, pool_options, prepares_statements, uses_plans, verifies_plans

EXAMPLES = os.environ.get("VINYL_TEST_EXAMPLES")
repeatable = settings(
    max_examples=int(EXAMPLES or 300),
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# What the documentation names. Others are right where plain Django raises them too.
DOCUMENTED = (
    vinyl.VinylError,
    Error,
    ConnectionDoesNotExist,
    exceptions.FieldDoesNotExist,
    exceptions.FieldError,
    exceptions.ImproperlyConfigured,
    exceptions.MultipleObjectsReturned,
    exceptions.ObjectDoesNotExist,
    exceptions.ValidationError,
    Failed,
)

SOURCES = tuple(str(Path(package.__file__).parent) for package in (vinyl, django))

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*received a naive datetime"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]


def leave_keys_out() -> None:
    """Have the databases generate keys beyond those of the shop and those that calls name."""
    author = Author.objects.create(pk=1000)
    book = Book.objects.create(pk=1000, author=author)
    for model, values in ((Tag, {}), (Cover, {"book": book}), (Place, {}), (Member, {})):
        model._base_manager.create(pk=1000, **values)
    with connection.cursor() as cursor:
        # PostgreSQL's sequences do not follow keys that were given.
        for statement in connection.ops.sequence_reset_sql(no_style(), [Author, Book, Tag, Cover, Place, Member]):
            cursor.execute(statement)


class Worlds:
    """The worlds, and the tables that they have in common."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        leave_keys_out()
        shop = self.refill()
        self.in_async = VinylWorld(shop, runner)
        self.in_sync = VinylWorld(shop, None)
        self.plain = PlainWorld(shop)

    def refill(self) -> Shop:
        empty("default", "library")
        shop = open_shop()
        self.rows = all_rows()
        return shop

    def outcome(self, world, program) -> tuple[Outcome, str]:
        """Carry a program out; return what has come of it, and the tables, which are then as before."""
        outcome = world.outcome(program)
        rows = all_rows()
        if rows != self.rows:
            self.refill()
            # Without a block, what was executed before the call that has failed is committed.
            has_committed = program.target in fuzzing.CURSORS and program.block not in ("atomic", "savepoint")
            if outcome.error is not None and not (has_committed and program.chain):
                pytest.fail(f"{program} has failed, and has written: {outcome.error!r}")
        return outcome, steady(rows)

    def see_that_nothing_is_left(self) -> None:
        async def statistics():
            with pytest.raises(TransactionManagementError):
                transaction.get_rollback()
            return [vinyl.connections[alias].statistics()["pool_in_use"] for alias in vinyl.connections]

        assert self.runner.run(statistics()) == [0, 0]
        assert not connection.in_atomic_block
        assert connection.get_autocommit()


@pytest.fixture(scope="module")
def worlds(databases) -> Iterator[Worlds]:
    with asyncio.Runner() as runner:
        yield Worlds(runner)
    empty("default", "library")


def is_documented(error: Exception) -> bool:
    """Tell whether the error is of a kind that is named in the documentation, and says something."""
    if isinstance(error, TypeError | ValueError) and not isinstance(error, DOCUMENTED):
        return bool(str(error)) and is_raised_on_purpose(error)
    return isinstance(error, DOCUMENTED)


def is_raised_on_purpose(error: Exception) -> bool:
    """Tell whether a line of vinyl's or of Django's has raised the error, instead of having stumbled."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return last.filename.startswith(SOURCES) and (last.line or "").startswith("raise ")


@repeatable
@given(program=fuzzing.programs)
def test_a_call_has_the_same_outcome_in_both_modes_and_leaves_nothing_behind(worlds, program):
    in_async, rows_in_async = worlds.outcome(worlds.in_async, program)
    in_sync, rows_in_sync = worlds.outcome(worlds.in_sync, program)
    assert in_async.compared() == in_sync.compared()
    assert rows_in_async == rows_in_sync
    worlds.see_that_nothing_is_left()
    error = in_async.error
    if error is not None and not is_documented(error):
        plain, _ = worlds.outcome(worlds.plain, program)
        assert type(plain.error) is type(error), f"{error!r} is not documented, and plain Django gives {plain}"


@repeatable
@given(given_settings=fuzzing.pool_settings)
def test_the_settings_of_a_pool_are_refused_or_make_sense(given_settings):
    with override_settings(VINYL={"POOL": {"default": given_settings}}):
        try:
            options = pool_options("default", {})
        except exceptions.ImproperlyConfigured:
            return
    assert isinstance(options, PoolOptions)
    assert 0 <= options.min_size <= options.max_size >= 1
    assert min(options.timeout, options.max_lifetime) > 0 <= min(options.max_idle, options.max_waiting)


@repeatable
@given(given_settings=fuzzing.all_settings)
def test_all_settings_are_refused_or_make_sense(given_settings):
    questions = {
        pool_options: (lambda found: isinstance(found, PoolOptions), ("default", {})),
        deadline_of: (lambda found: found is None or 0 < found < math.inf, ("default",)),
        prepares_statements: (lambda found: isinstance(found, bool), ("default", {})),
        uses_plans: (lambda found: isinstance(found, bool), ()),
        verifies_plans: (lambda found: isinstance(found, bool), ()),
    }
    with override_settings(VINYL=given_settings):
        for ask, (makes_sense, args) in questions.items():
            try:
                found = ask(*args)
            except exceptions.ImproperlyConfigured:
                continue
            assert makes_sense(found)
