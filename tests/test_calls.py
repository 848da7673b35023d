"""async_to_sync() in the bridge, and sync_to_async() within native_calls(): one thread, loop, task and context."""

import asyncio
import inspect
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context

import django.db
import pytest
from asgiref.local import Local
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.contrib.auth import aauthenticate, alogin
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import IntegrityError
from django.dispatch import Signal
from django.shortcuts import aget_object_or_404
from django.test import RequestFactory, override_settings

import vinyl
from tests.blocking import watched
from tests.kinds.models import User
from tests.library.models import Author, Book
from tests.settings import ENGINE
from vinyl import bridge, native_calls

pytestmark = [pytest.mark.asynchronous, pytest.mark.usefixtures("db")]

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Failure(Exception):
    """Raised by these tests only."""


def place():
    return threading.get_ident(), asyncio.current_task()


async def place_of_coroutine():
    return place()


# async_to_sync() in the bridge.


@pytest.mark.loops
async def test_a_coroutine_met_in_the_bridge_goes_on_in_the_same_task():
    assert await vinyl.run(async_to_sync(place_of_coroutine)) == place()
    assert await vinyl.run(async_to_sync(place_of_coroutine, force_new_loop=True)) == place()


async def test_the_other_side_waits_on_the_loop_which_is_free_meanwhile():
    async def wait():
        reached.set()
        await go_on.wait()
        return "waited"

    reached, go_on = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(vinyl.run(async_to_sync(wait)))
    await reached.wait()
    go_on.set()
    assert await task == "waited"


async def test_no_thread_and_no_loop_is_started_for_it():
    async def wait():
        await asyncio.sleep(0)
        return vinyl.is_async()

    with watched(threads=False):
        assert await vinyl.run(async_to_sync(wait)) is True


async def test_it_queries_in_the_transaction_of_who_calls_it():
    async def insert():
        await Author.vinyl(name="Ann").insert()
        raise Failure

    @vinyl.native
    @django.db.transaction.atomic
    def work():
        async_to_sync(insert)()

    with pytest.raises(Failure):
        await work()
    assert await Author.vinyl.count() == 0


async def test_an_error_is_the_very_same_object():
    async def fail():
        raise error

    error = Failure()
    with pytest.raises(Failure) as caught:
        await vinyl.run(async_to_sync(fail))
    assert caught.value is error


async def test_cancelling_reaches_the_coroutine_and_passes():
    async def wait():
        waits.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(type(sys.exception()))

    waits, seen = asyncio.Event(), []
    task = asyncio.create_task(vinyl.run(async_to_sync(wait)))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [asyncio.CancelledError]


async def test_context_variables_and_locals_of_asgirefs_are_shared_both_ways():
    async def change():
        before = variable.get(), local.value
        variable.set("coroutine")
        local.value = "coroutine"
        return before

    def work():
        variable.set("bridge")
        local.value = "bridge"
        return async_to_sync(change)(), variable.get(), local.value

    local = Local()
    assert await vinyl.run(work) == (("bridge", "bridge"), "coroutine", "coroutine")
    assert (variable.get(), local.value) == ("coroutine", "coroutine")


async def test_the_exception_that_is_handled_is_seen_by_the_coroutine():
    async def look():
        return sys.exception()

    def work():
        try:
            raise Failure
        except Failure as error:
            return async_to_sync(look)(), error

    try:
        raise KeyError("of the caller's")
    except KeyError:
        seen, error = await vinyl.run(work)
    assert seen is error
    assert seen.__context__ is None
    assert await vinyl.run(async_to_sync(look)) is None


async def test_ways_may_be_nested():
    async def inner():
        return bridge.active(), place()

    async def outer():
        with native_calls():
            return await sync_to_async(async_to_sync(inner))()

    assert await vinyl.run(async_to_sync(outer)) == (False, place())


async def test_portable_and_native_functions_can_be_given_to_it():
    @vinyl.portable
    async def portable():
        return vinyl.is_async(), await Author.vinyl.count()

    with pytest.warns(UserWarning, match="non-async-marked"):
        assert await vinyl.run(lambda: async_to_sync(portable)()) == (True, 0)
    made_outside = async_to_sync(vinyl.native(Author.objects.count))
    assert await vinyl.run(made_outside) == 0


async def test_asynchronous_receivers_of_signals_are_awaited_on_the_loop():
    async def receiver(**kwargs):
        return asyncio.get_running_loop()

    signal = Signal()
    signal.connect(receiver)
    with watched(threads=False):
        # Django starts a task for each.
        assert await vinyl.run(signal.send, "sender") == [(receiver, asyncio.get_running_loop())]


async def test_in_a_running_loop_it_is_refused_as_ever():
    with pytest.raises(RuntimeError, match="same thread as an async event loop"):
        async_to_sync(place_of_coroutine)()


def test_outside_of_any_loop_it_runs_one_as_ever():
    async def add(number):
        return number + 1

    assert async_to_sync(add)(1) == 2
    assert async_to_sync(sync_to_async(lambda: threading.current_thread()))() is threading.current_thread()


# sync_to_async() within native_calls().


@pytest.mark.loops
async def test_without_native_calls_sync_to_async_has_its_thread():
    assert await sync_to_async(threading.get_ident)() != threading.get_ident()


@pytest.mark.loops
async def test_within_native_calls_it_runs_in_the_bridge_of_the_same_thread():
    with native_calls():
        assert await sync_to_async(lambda: (bridge.active(), threading.get_ident()))() == (True, threading.get_ident())
        with native_calls(False):
            assert await sync_to_async(threading.get_ident)() != threading.get_ident()
    assert await sync_to_async(threading.get_ident)() != threading.get_ident()


async def test_the_setting_makes_all_calls_native_unless_a_block_says_otherwise():
    with override_settings(VINYL={"NATIVE_CALLS": True}):
        assert await sync_to_async(bridge.active)() is True
        with native_calls(False):
            assert await sync_to_async(bridge.active)() is False


async def test_a_setting_that_is_neither_true_nor_false_is_refused():
    with override_settings(VINYL={"NATIVE_CALLS": "yes"}), pytest.raises(ImproperlyConfigured, match="NATIVE_CALLS"):
        await sync_to_async(len)("")


async def test_a_block_is_for_this_context_only():
    async def in_task():
        entered.set()
        await leave.wait()
        return await sync_to_async(bridge.active)()

    entered, leave = asyncio.Event(), asyncio.Event()
    with native_calls():
        task = asyncio.create_task(in_task())
        await entered.wait()
    leave.set()
    assert await task is True
    assert await sync_to_async(bridge.active)() is False


async def test_what_may_run_in_any_thread_keeps_it():
    with native_calls(), ThreadPoolExecutor(1, thread_name_prefix="own") as executor:
        assert await sync_to_async(threading.get_ident, thread_sensitive=False)() != threading.get_ident()
        call = sync_to_async(threading.current_thread, thread_sensitive=False, executor=executor)
        assert (await call()).name.startswith("own")


async def test_within_a_thread_sensitive_context_no_thread_is_started_either():
    with native_calls(), watched(threads=False):
        async with ThreadSensitiveContext():
            assert await sync_to_async(threading.get_ident)() == threading.get_ident()


async def test_it_takes_arguments_and_binds_as_ever():
    class Shelf:
        @sync_to_async
        def method(self, *args, **kwargs):
            return self, args, kwargs

    shelf = Shelf()
    with native_calls():
        assert await shelf.method(1, call=2, args=3) == (shelf, (1,), {"call": 2, "args": 3})


async def test_what_it_changes_in_the_context_is_there_afterwards():
    local = Local()

    def change():
        variable.set("changed")
        local.value = "changed"

    with native_calls():
        await sync_to_async(change)()
    assert (variable.get(), local.value) == ("changed", "changed")


async def test_in_a_context_that_it_is_given_it_leaves_the_callers_alone():
    if "context" not in inspect.signature(sync_to_async).parameters:
        pytest.skip("not on this asgiref")
    context = copy_context()
    with native_calls():
        await sync_to_async(lambda: variable.set("changed"), context=context)()
    assert (variable.get(), context[variable]) == ("unset", "changed")


async def test_the_exception_that_is_handled_is_seen_by_the_function():
    failure = Failure()
    with native_calls():
        try:
            raise failure
        except Failure:
            seen = await sync_to_async(sys.exception)()
        assert seen is failure
        assert await sync_to_async(sys.exception)() is None


async def test_stop_iteration_becomes_a_runtime_error():
    with native_calls(), pytest.raises(RuntimeError, match="StopIteration"):
        await sync_to_async(next)(iter([]))


async def test_cancelling_raises_in_the_function_where_it_waits():
    def work():
        try:
            async_to_sync(wait)()
        finally:
            seen.append(type(sys.exception()))

    async def wait():
        waits.set()
        await asyncio.Event().wait()

    waits, seen = asyncio.Event(), []
    with native_calls():
        task = asyncio.create_task(sync_to_async(work)())
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert seen == [asyncio.CancelledError]


# Tasks that were started in a transaction.


def create(name):
    """Create an author and a book in a block, which waits in between."""
    with django.db.transaction.atomic():
        author = Author.objects.create(name=name)
        async_to_sync(asyncio.sleep)(0.01)
        assert Author.objects.get(pk=author.pk).name == name


async def create_in_tasks(*names):
    with native_calls():
        await asyncio.gather(*(sync_to_async(create)(name) for name in names))
    return sorted(await Author.vinyl.values_list("name", flat=True))


async def test_functions_of_tasks_follow_one_another_in_the_transaction_in_which_these_were_started():
    with pytest.raises(Failure):
        async with vinyl.transaction.atomic():
            assert await create_in_tasks("Ann", "Bea", "Cay") == ["Ann", "Bea", "Cay"]
            raise Failure
    assert not await Author.vinyl.exists()


async def test_so_do_those_of_tasks_that_a_coroutine_starts_which_is_met_in_the_bridge():
    @vinyl.native
    def work():
        with django.db.transaction.atomic():
            assert async_to_sync(create_in_tasks)("Ann", "Bea") == ["Ann", "Bea"]
            raise Failure

    with pytest.raises(Failure):
        await work()
    assert not await Author.vinyl.exists()


async def test_such_a_function_may_start_tasks_that_call_functions():
    def nested():
        return async_to_sync(create_in_tasks)("Ann", "Bea")

    with pytest.raises(Failure), native_calls():
        async with vinyl.transaction.atomic():
            async with asyncio.timeout(20):
                assert await asyncio.create_task(sync_to_async(nested)()) == ["Ann", "Bea"]
            raise Failure
    assert not await Author.vinyl.exists()


async def test_so_may_a_member_of_a_transaction_that_tasks_share():
    async def member(*names):
        await vinyl.run(async_to_sync(create_in_tasks), *names)

    async with asyncio.timeout(20), vinyl.transaction.atomic() as tx, tx.task_group() as group:
        group.create_task(member("Ann", "Bea"))
        group.create_task(member("Cay", "Dee"))
        group.create_task(create_in_tasks("Eve", "Fay"))
    assert await Author.vinyl.count() == 6


async def test_a_function_that_fails_leaves_the_transaction_to_the_others():
    def fail():
        raise Failure

    async with vinyl.transaction.atomic():
        with native_calls():
            results = await asyncio.gather(
                sync_to_async(create)("Ann"),
                sync_to_async(fail)(),
                sync_to_async(create)("Bea"),
                return_exceptions=True,
            )
    assert [type(each) for each in results] == [type(None), Failure, type(None)]
    assert await Author.vinyl.count() == 2


async def test_a_task_that_goes_on_after_the_transaction_has_a_connection_of_its_own():
    async def later():
        await ended.wait()
        with native_calls():
            await sync_to_async(create)("Ann")

    ended = asyncio.Event()
    with pytest.raises(Failure):
        async with vinyl.transaction.atomic():
            task = asyncio.create_task(later())
            raise Failure
    ended.set()
    await task
    assert await Author.vinyl.count() == 1


@pytest.mark.loops
async def test_what_a_coroutine_calls_is_in_the_transaction_of_the_code_that_waits_for_it():
    async def look():
        here = await Author.objects.acount(), await sync_to_async(bridge.active)()
        with native_calls(False):
            return *here, await sync_to_async(bridge.active)()

    @vinyl.native
    def work():
        assert async_to_sync(sync_to_async(bridge.active))() is False
        with django.db.transaction.atomic():
            Author.objects.create(name="Ann")
            return async_to_sync(look)()

    assert await work() == (1, True, False)


def test_asgiref_without_settings_is_left_alone():
    script = (
        "import asyncio, vinyl; from asgiref.sync import sync_to_async; print(asyncio.run(sync_to_async(len)('ab')))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "2\n"


# Django's asynchronous methods.


async def test_django_s_methods_are_on_vinyl_s_connections_and_in_its_transaction():
    with native_calls():
        with pytest.raises(Failure):
            async with vinyl.transaction.atomic():
                await Author.objects.acreate(name="Ann")
                assert await Author.vinyl.count() == 1
                assert await Author.objects.aget() == await Author.vinyl.get()
                raise Failure
        assert await Author.objects.acount() == 0


async def test_no_thread_is_started_for_django_s_methods():
    with native_calls():
        await Author.objects.acreate(name="Ann")
        with watched(threads=ENGINE == "sqlite"):
            author = await Author.objects.aget(name="Ann")
            author.name = "Bob"
            await author.asave()
            await author.arefresh_from_db()
            assert await Author.objects.filter(name="Bob").aexists()
            assert (await aget_object_or_404(Author, name="Bob")).pk == author.pk
            assert [found.pk async for found in Author.objects.all()] == [author.pk]
            await author.books.acreate(title="One")
            assert [book.title async for book in author.books.order_by("title")] == ["One"]
            book = await Book.objects.select_related("author").afirst()
            await book.tags.aadd(await book.tags.acreate(label="new"))
            assert (await Author.objects.abulk_create([Author(name="Cy"), Author(name="Di")]))[1].name == "Di"
            assert await Author.objects.aupdate(name="Eve") == 3
            assert await Author.objects.alast() is not None
            await author.adelete()


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_aiterator_reads_several_chunks(in_transaction):
    await Author.vinyl.bulk_create(Author(name=f"{number:03}") for number in range(25))
    for number in range(25):
        await Book.vinyl(author_id=(await Author.vinyl.get(name=f"{number:03}")).pk, title="One").insert()

    async def read():
        found = Author.objects.prefetch_related("books").order_by("name").aiterator(chunk_size=10)
        return [(author.name, [book.title for book in author.books.all()]) async for author in found]

    expected = [(f"{number:03}", ["One"]) for number in range(25)]
    with native_calls():
        if in_transaction:
            async with vinyl.transaction.atomic():
                assert await read() == expected
        else:
            assert await read() == expected
        names = [author.name async for author in Author.objects.order_by("name").aiterator(chunk_size=4)]
    assert names == [name for name, _ in expected]


async def test_an_aiterator_that_is_left_gives_its_connection_back():
    await Author.vinyl.bulk_create(Author(name=f"{number}") for number in range(5))
    with native_calls():
        stream = Author.objects.aiterator(chunk_size=2)
        async for _ in stream:
            break
        await stream.aclose()
        # Django leaves what it iterates over to Python's asynchronous generators to close.
        async with asyncio.timeout(10):
            while vinyl.connection.statistics()["pool_in_use"]:
                await asyncio.sleep(0)


async def test_errors_of_the_database_are_django_s():
    with native_calls():
        await Author.objects.acreate(id=1, name="Ann")
        with pytest.raises(IntegrityError):
            await Author.objects.acreate(id=1, name="Ann")
        with pytest.raises(Author.DoesNotExist):
            await Author.objects.aget(name="Bob")


async def test_queries_of_several_tasks_are_side_by_side():
    await Author.vinyl(name="Ann").insert()
    with native_calls():
        assert await asyncio.gather(*(Author.objects.acount() for _ in range(20))) == [1] * 20


async def test_django_s_guard_still_guards():
    with native_calls(), pytest.raises(SynchronousOnlyOperation):
        Author.objects.first()


@pytest.mark.usefixtures("kinds")
async def test_sessions_and_logins_are_native():
    with native_calls():
        user = await User.objects.acreate_user("ann", password="secret")
        # Passwords are hashed in a thread: Django says that any will do.
        with watched(threads=True):
            request = RequestFactory().get("/")
            request.session = SessionStore()
            assert await aauthenticate(request, username="ann", password="wrong") is None
            found = await aauthenticate(request, username="ann", password="secret")
            assert found == user
            await alogin(request, found)
            await request.session.aset("colour", "blue")
            await request.session.asave()
            again = SessionStore(request.session.session_key)
            assert await again.aget("colour") == "blue"
            await again.aflush()
