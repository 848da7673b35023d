"""Misuse of modes, event loops, blocks, connections and managers: an error that names what was meant."""

import asyncio

import pytest
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import models
from django.db.transaction import TransactionManagementError
from django.db.utils import ConnectionDoesNotExist
from django.test.utils import isolate_apps

import vinyl
from tests.library import custom
from tests.library.models import Author, Stamped
from tests.misuse import carried_out
from vinyl import ModeError, VinylManager, VinylModel, transaction


async def coroutine_function(*args):
    return 3


def function(*args):
    return 3


def generator_function():
    yield 3


async def asynchronous_generator_function():
    yield 3


class Mixin:
    """A class that is no model, and so cannot give one a manager."""

    vinyl = VinylManager()


# Calls that are refused at once, in each mode.

CALLS = {
    "a mode that is neither": (lambda: vinyl.set_async("no"), TypeError, r"True, for the async .*, not 'no'"),
    "a mode of nothing": (lambda: vinyl.set_async(None), TypeError, r"set_async\(\) takes True"),
    "portable of no function": (lambda: vinyl.portable(3), TypeError, r"decorates a coroutine function .*, not 3"),
    "portable of a class": (lambda: vinyl.portable(Author), TypeError, r"decorates a coroutine function"),
    "portable of a generator": (
        lambda: vinyl.portable(asynchronous_generator_function),
        TypeError,
        r"decorates a coroutine function",
    ),
    "portable of a plain function": (
        lambda: vinyl.portable(function)(),
        TypeError,
        r"<function function .*> gave 3, which cannot be awaited",
    ),
    "run of no function": (lambda: vinyl.run(None), TypeError, r"vinyl\.run\(\) takes a function .*, not None"),
    "run of a coroutine function": (
        lambda: vinyl.run(coroutine_function),
        TypeError,
        r"a synchronous function, not <function coroutine_function .*>: await what that gives",
    ),
    "atomic of a generator": (
        lambda: transaction.atomic(generator_function),
        TypeError,
        r"cannot decorate the generator function .* Open the block in the body",
    ),
    "atomic of an asynchronous generator": (
        lambda: transaction.atomic(asynchronous_generator_function),
        TypeError,
        r"cannot decorate the generator function",
    ),
    "atomic of no function": (lambda: transaction.atomic("default")(3), TypeError, r"decorates a function .*, not 3"),
    "execute_wrapper of no function": (
        lambda: vinyl.connection.execute_wrapper(3),
        TypeError,
        r"wrapper\(execute, sql, params, many, context\), not 3",
    ),
    "execute_wrapper of a coroutine function": (
        lambda: vinyl.connection.execute_wrapper(coroutine_function),
        TypeError,
        r"takes a synchronous function",
    ),
    "connections of an unknown alias": (lambda: vinyl.connections["nope"], ConnectionDoesNotExist, r"'nope' doesn't"),
    "connections of no alias": (lambda: vinyl.connections[3], TypeError, r"one of DATABASES, not 3"),
    "connections of a list": (
        lambda: vinyl.connections[["default"]],
        TypeError,
        r"one of DATABASES, not \['default'\]",
    ),
    "the rollback flag of an unknown alias": (
        lambda: transaction.get_rollback("nope"),
        ConnectionDoesNotExist,
        r"'nope' doesn't",
    ),
    "the rollback flag of no alias": (lambda: transaction.set_rollback(True, using=3), TypeError, r"not 3"),
    "the rollback flag without a block": (
        lambda: transaction.get_rollback(),
        TransactionManagementError,
        r"outside of an 'atomic' block",
    ),
    "a manager of no model": (lambda: vinyl.manager(3), ImproperlyConfigured, r"takes a model .*, not 3"),
    "a manager of a list": (lambda: vinyl.manager([]), ImproperlyConfigured, r"takes a model .*, not \[\]"),
    "a manager of an abstract model": (lambda: vinyl.manager(Stamped), ImproperlyConfigured, r"neither abstract"),
    "instances of a vinyl class": (
        lambda: VinylManager(model=Author.vinyl.vinyl_class),
        ImproperlyConfigured,
        r"takes a subclass of vinyl\.VinylModel, not <class",
    ),
    "the methods of a model": (
        lambda: VinylManager.from_queryset(Author),
        ImproperlyConfigured,
        r"takes a subclass of Django's QuerySet, not <class 'tests\.library\.models\.Author'>",
    ),
    "the methods of nothing": (
        lambda: VinylManager.from_queryset(None),
        ImproperlyConfigured,
        r"takes a subclass of Django's QuerySet",
    ),
    "a manager on a class that is no model": (
        lambda: Mixin.vinyl.all(),
        ImproperlyConfigured,
        r"This VinylManager stands on no model",
    ),
    "an instance of a class without a model": (lambda: VinylModel(), TypeError, r"VinylModel is no model"),
    "an instance of the project's class": (
        lambda: custom.Member(name="Cy"),
        TypeError,
        r"`vinyl = VinylManager\(model=Member\)` on the model, `Model\.vinyl\(…\)` makes",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), CALLS.values(), ids=CALLS)
async def test_a_call_is_refused_alike_in_both_modes(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("mode", [vinyl.async_mode, vinyl.sync_mode])
@pytest.mark.parametrize(("call", "kind", "message"), CALLS.values(), ids=CALLS)
def test_a_call_is_refused_where_no_event_loop_runs(db, mode, call, kind, message):
    with mode(), pytest.raises(kind, match=message):
        call()


@isolate_apps("tests.library")
def test_a_model_that_inherits_a_manager_from_a_class_that_is_no_model_is_told_where_to_put_it():
    class Heir(Mixin, models.Model):
        class Meta:
            app_label = "library"

    with pytest.raises(ImproperlyConfigured, match=r"but of no other class; .* call vinyl\.manager"):
        Heir.vinyl.get(pk=1)


def test_an_init_of_the_projects_is_called_with_what_the_model_takes():
    class Named(VinylModel):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.is_named = bool(self.name)

    manager = VinylManager(model=Named)
    manager.model = Author
    assert manager(name="Ann").is_named


def test_run_takes_a_portable_function_which_is_synchronous_in_there():
    portable = vinyl.portable(coroutine_function)
    assert carried_out("async", lambda: vinyl.run(portable)) == 3


# Aliases, wherever they are given.

BLOCKS = {
    "atomic()": lambda alias: transaction.atomic(using=alias),
    "hold()": lambda alias: vinyl.connections[alias].hold(),
    "cursor()": lambda alias: vinyl.connections[alias].cursor(),
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize(("alias", "kind"), [("nope", ConnectionDoesNotExist), (3, TypeError), ([3], TypeError)])
async def test_a_block_on_what_is_no_database_is_not_entered(db, block, alias, kind):
    with pytest.raises(kind):
        async with block(alias):
            pytest.fail("it was entered")


@pytest.mark.parametrize("call", ["savepoint", "on_commit"])
async def test_what_is_no_alias_is_not_taken_for_the_default_one(db, call):
    arguments = [function] if call == "on_commit" else []
    with pytest.raises(ConnectionDoesNotExist):
        await getattr(transaction, call)(*arguments, using="")


# Event loops.


def driven(awaitable):
    """Await without an event loop, as that of another library does."""
    return awaitable.__await__().send(None)


WITHOUT_LOOP = {
    "a query": lambda: driven(Author.vinyl.count()),
    "a queryset": lambda: driven(Author.vinyl.all()),
    "a stream": lambda: driven(Author.vinyl.iterator().__anext__()),
    "run()": lambda: driven(vinyl.run(function)),
    "a transaction": lambda: driven(transaction.atomic().__aenter__()),
    "a hold": lambda: driven(vinyl.connection.hold().__aenter__()),
    "statistics": lambda: vinyl.connection.statistics(),
    "the log of queries": lambda: vinyl.connection.queries,
    "close()": lambda: driven(vinyl.close()),
}


@pytest.mark.parametrize("use", WITHOUT_LOOP.values(), ids=WITHOUT_LOOP)
def test_where_no_event_loop_of_asyncio_runs_the_error_says_how_to_get_one(use):
    with pytest.raises(ModeError, match=r"no event loop of asyncio runs.* asyncio\.run\(\), or use the sync mode"):
        use()


IN_A_LOOP = {
    "a query": lambda: Author.vinyl.count(),
    "for": lambda: list(Author.vinyl.all()),
    "len()": lambda: len(Author.vinyl.all()),
    "an instance": lambda: Author.vinyl(name="x").insert(),
    "atomic()": lambda: transaction.atomic().__enter__(),
    "execute()": lambda: vinyl.connection.execute("SELECT 1"),
    "an await": lambda: driven(vinyl.portable(coroutine_that_queries)()),
}


async def coroutine_that_queries():
    return await Author.vinyl.get()


@pytest.mark.asynchronous
@pytest.mark.parametrize("use", IN_A_LOOP.values(), ids=IN_A_LOOP)
async def test_in_the_sync_mode_a_query_in_a_running_loop_is_refused_by_an_error_that_names_the_mode(db, use):
    with vinyl.sync_mode(), pytest.raises(ModeError, match=r"made in the sync mode .* vinyl\.async_mode\(\)") as raised:
        use()
    assert type(raised.value.__cause__) is SynchronousOnlyOperation


def test_gather_in_a_portable_function_is_refused_in_the_sync_mode(db):
    @vinyl.portable
    async def both():
        queries = [Author.vinyl.count(), Author.vinyl.count()]
        try:
            return await asyncio.gather(*queries)
        finally:
            for query in queries:
                query.close()

    with vinyl.sync_mode(), pytest.raises(ModeError, match="really suspends"):
        both()


@pytest.mark.asynchronous
@pytest.mark.parametrize("what", [3, None, function])
async def test_a_task_of_a_transaction_is_a_coroutine(db, what):
    async with transaction.atomic() as tx, tx.task_group() as group:
        with pytest.raises(TypeError, match=r"create_task\(\) of a task_group\(\) takes a coroutine, not "):
            group.create_task(what)
