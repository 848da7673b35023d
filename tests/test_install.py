"""The canaries of what vinyl changes in Django and asgiref: exactly this, only where it must, and it can be undone."""

import asyncio
import inspect
import os
import subprocess
import sys
import threading
import unittest
from pathlib import Path

import django.db
import pytest
from asgiref.sync import AsyncToSync, SyncToAsync, async_to_sync, sync_to_async
from django.core.cache import caches
from django.core.exceptions import SynchronousOnlyOperation
from django.db.backends.base.creation import BaseDatabaseCreation
from django.db.backends.signals import connection_created
from django.db.models.signals import ModelSignal, post_delete, post_init, post_save, pre_init
from django.db.utils import ConnectionHandler, ConnectionRouter, load_backend
from django.dispatch import Signal
from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase
from django.utils.connection import BaseConnectionHandler

import vinyl
from tests.library.models import Author
from vinyl import _install
from vinyl.bridge import await_, spawn
from vinyl.lending import shared, wrappers

INHERITED = {
    (ConnectionHandler, "__getitem__"),
    (ConnectionHandler, "all"),
    (ModelSignal, "send"),
    (ModelSignal, "has_listeners"),
}
REPLACED = {
    (ConnectionRouter, "db_for_read"),
    (ConnectionRouter, "db_for_write"),
    (AsyncToSync, "__call__"),
    (SyncToAsync, "__call__"),
}
PATCHED = INHERITED | REPLACED
# Once there are tests.
OF_TESTS = {
    (TestCase, "_enter_atomics"),
    (TestCase, "_rollback_atomics"),
    (TransactionTestCase, "_post_teardown"),
    (BaseDatabaseCreation, "destroy_test_db"),
}


@pytest.fixture
def _uninstalled():
    _install.uninstall()
    yield
    _install.install()


def djangos_wrapper_class():
    return load_backend(django.db.connections.settings["default"]["ENGINE"]).DatabaseWrapper


# What is changed.


def test_everything_that_is_patched_is_named_here():
    patched = {
        (owner, name)
        for owner in (
            *(ConnectionHandler, BaseConnectionHandler, ConnectionRouter, ModelSignal, Signal),
            *(AsyncToSync, SyncToAsync),
        )
        for name, value in vars(owner).items()
        if getattr(value, "__module__", "").startswith("vinyl")
    }
    assert patched == PATCHED


def of_tests():
    """What is patched of what belongs to tests."""
    return {
        (owner, name)
        for owner in (SimpleTestCase, TransactionTestCase, TestCase, LiveServerTestCase, BaseDatabaseCreation)
        for name, value in vars(owner).items()
        if getattr(getattr(value, "__func__", value), "__globals__", {}).get("__name__", "").startswith("vinyl")
    }


def test_what_is_patched_of_tests_is_named_here_and_restored():
    assert of_tests() == OF_TESTS
    _install.uninstall()
    try:
        assert of_tests() == set()
        connection_created.send(None, connection=django.db.connections["default"])
        assert of_tests() == set()
    finally:
        _install.install()
    assert of_tests() == OF_TESTS


def test_tests_are_followed_once_django_has_imported_them_and_has_connected():
    script = """
import sys
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
import vinyl
from django.db import connection
connection.connect()
print("django.test" in sys.modules)
from django.test import TestCase
before = TestCase._enter_atomics.__func__
connection.connection = None
connection.connect()
print(TestCase._enter_atomics.__func__ is before)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(vinyl.__file__).parent.parent)}
    result = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"]


@pytest.mark.asynchronous
@pytest.mark.usefixtures("db")
async def test_a_test_that_runs_in_the_bridge_shares_nothing_and_leaves_the_pools_open():
    class InTheBridge(TestCase):
        def test(self):
            assert not shared.by_alias
            Author.objects.create(name="x")

    await Author.vinyl.count()
    connected = vinyl.connection.statistics()["connections_num"]

    result = await vinyl.run(unittest.TestSuite([InTheBridge("test")]).run, unittest.TestResult())
    assert result.wasSuccessful(), result
    assert vinyl.connection.statistics()["connections_num"] == connected
    assert await Author.vinyl.count() == 0


def test_what_is_patched_of_tests_is_called_by_django_as_ever():
    originals = {(owner, name): inspect.signature(vars(owner)[name].__wrapped__) for owner, name in OF_TESTS}
    assert {name: list(signature.parameters) for (_, name), signature in originals.items()} == {
        "_enter_atomics": ["cls"],
        "_rollback_atomics": ["cls", "atomics"],
        "_post_teardown": ["self"],
        "destroy_test_db": ["self", "old_database_name", "verbosity", "keepdb", "suffix"],
    }


def test_importing_vinyl_changes_this_and_uninstalling_restores_it_exactly():
    script = """
import sys
from asgiref.sync import AsyncToSync, SyncToAsync
from django.db.models import Model, QuerySet, signals, sql
from django.db.models.manager import BaseManager
from django.db import connections, transaction, utils
from django.dispatch import Signal
from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase
from django.utils.connection import BaseConnectionHandler

owners = (utils.ConnectionHandler, utils.ConnectionRouter, BaseConnectionHandler, signals.ModelSignal, Signal,
          Model, QuerySet, sql.Query, BaseManager, transaction.Atomic, transaction, utils, signals,
          AsyncToSync, SyncToAsync)
before = [dict(vars(owner)) for owner in owners]
import vinyl
from vinyl import _install
def changed():
    return {f"{owner.__name__}.{name}" for owner, old in zip(owners, before) for name in {*old, *vars(owner)}
            if vars(owner).get(name) is not old.get(name)}
print(sorted(changed()))
_install.uninstall()
print(sorted(changed()))
_install.install()
print(sorted(changed()))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(vinyl.__file__).parent.parent)}
    result = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    patched = str(sorted(f"{owner.__name__}.{name}" for owner, name in PATCHED))
    assert result.stdout.splitlines() == [patched, "[]", patched]


@pytest.mark.usefixtures("_uninstalled")
def test_what_is_patched_was_inherited_by_django_and_is_again_after_uninstalling():
    assert ConnectionHandler.__getitem__ is BaseConnectionHandler.__getitem__
    assert ConnectionHandler.all is BaseConnectionHandler.all
    assert ModelSignal.send is Signal.send
    assert ModelSignal.has_listeners is Signal.has_listeners
    assert [name for owner, name in INHERITED if name in vars(owner)] == []


@pytest.mark.asynchronous
@pytest.mark.usefixtures("_uninstalled")
async def test_nothing_is_routed_while_uninstalled():
    wrapper = await spawn(lambda: django.db.connections["default"])
    assert type(wrapper) is djangos_wrapper_class()


@pytest.mark.asynchronous
@pytest.mark.usefixtures("_uninstalled")
async def test_asgiref_has_its_threads_while_uninstalled():
    async def in_another_loop():
        return threading.current_thread()

    assert await spawn(async_to_sync(in_another_loop)) is not threading.current_thread()
    with vinyl.native_calls():
        assert await sync_to_async(threading.current_thread)() is not threading.current_thread()


def test_asgiref_tells_which_calls_are_sensitive_to_threads_and_what_they_call():
    call = sync_to_async(len, thread_sensitive=False)
    assert (call._thread_sensitive, call.func) == (False, len)
    assert async_to_sync(spawn).awaitable is spawn


def test_installing_again_changes_nothing():
    before = [vars(owner)[name] for owner, name in PATCHED]
    _install.install()
    assert [vars(owner)[name] for owner, name in PATCHED] == before


@pytest.mark.usefixtures("_uninstalled")
def test_uninstalling_again_changes_nothing():
    _install.uninstall()
    assert ConnectionHandler.__getitem__ is BaseConnectionHandler.__getitem__


# Connections.


def test_in_synchronous_code_django_has_its_own_wrapper():
    wrapper = django.db.connections["default"]
    assert type(wrapper) is djangos_wrapper_class()
    assert django.db.connections["default"] is wrapper


@pytest.mark.loops
async def test_outside_of_the_bridge_django_has_its_own_wrapper_and_inside_the_scopes():
    async def awaited():
        return django.db.connections["default"]

    def inside():
        return django.db.connections["default"], await_(awaited()), django.db.connections["default"]

    own = django.db.connections["default"]
    assert type(own) is djangos_wrapper_class()
    scoped, outside_again, scoped_again = await vinyl.run(inside)
    assert isinstance(scoped, wrappers.ScopedWrapper)
    assert scoped_again is scoped
    assert outside_again is own
    assert django.db.connections["default"] is own


@pytest.mark.asynchronous
async def test_another_connection_handler_is_not_routed():
    handler = ConnectionHandler(django.db.connections.settings)
    wrapper = await vinyl.run(lambda: handler["default"])
    assert type(wrapper) is djangos_wrapper_class()


@pytest.mark.asynchronous
async def test_the_handler_of_caches_is_untouched():
    cache = caches["default"]
    assert await vinyl.run(lambda: caches["default"]) is cache
    assert type(caches).__getitem__ is BaseConnectionHandler.__getitem__


@pytest.mark.asynchronous
async def test_an_unknown_alias_is_djangos_error_inside_too():
    with pytest.raises(django.db.connections.exception_class, match="The connection 'unknown' doesn't exist"):
        await vinyl.run(lambda: django.db.connections["unknown"])


@pytest.mark.asynchronous
async def test_djangos_guard_still_guards():
    with pytest.raises(SynchronousOnlyOperation):
        Author.objects.first()
    await vinyl.run(lambda: None)
    with pytest.raises(SynchronousOnlyOperation):
        Author.objects.first()
    assert "DJANGO_ALLOW_ASYNC_UNSAFE" not in os.environ


def test_no_module_of_vinyl_sets_djangos_switch_for_unsafe_code():
    sources = Path(vinyl.__file__).parent.rglob("*.py")
    assert [source.name for source in sources if "DJANGO_ALLOW_ASYNC_UNSAFE" in source.read_text()] == []


# Signals.


@pytest.fixture
def received():
    """The signals of models that were received, and their senders."""
    signals = {"pre_init": pre_init, "post_init": post_init, "post_save": post_save, "post_delete": post_delete}
    log, receivers = [], []
    for name, signal in signals.items():

        def receiver(sender, name=name, **kwargs):
            log.append((name, sender))

        receivers.append(receiver)
        signal.connect(receiver)
    yield log
    for signal, receiver in zip(signals.values(), receivers, strict=True):
        signal.disconnect(receiver)


@pytest.mark.usefixtures("db")
def test_signals_of_django_models_are_sent_as_ever(received):
    author = Author.objects.create(name="Ann")
    author.delete()
    assert received == [(name, Author) for name in ("pre_init", "post_init", "post_save", "post_delete")]


@pytest.mark.asynchronous
@pytest.mark.usefixtures("db")
async def test_signals_of_django_models_are_sent_inside_the_bridge_too(received):
    author = await vinyl.run(Author.objects.create, name="Ann")
    await vinyl.run(author.delete)
    assert received == [(name, Author) for name in ("pre_init", "post_init", "post_save", "post_delete")]


def test_no_signal_is_sent_while_muted_and_has_listeners_says_so(received):
    assert post_save.has_listeners(Author)
    with _install.muted():
        Author(name="Ann")
        assert not post_save.has_listeners(Author)
        assert post_save.send(Author) == []
    assert received == []
    assert post_save.has_listeners(Author)
    Author(name="Ann")
    assert received == [("pre_init", Author), ("post_init", Author)]


def test_signals_are_sent_again_after_an_error_while_muted(received):
    with pytest.raises(KeyError), _install.muted():
        raise KeyError
    Author(name="Ann")
    assert received == [("pre_init", Author), ("post_init", Author)]


def test_muting_nests(received):
    with _install.muted():
        with _install.muted():
            pass
        Author(name="Ann")
    assert received == []


@pytest.mark.loops
async def test_muting_is_for_this_context_only(received):
    async def make():
        await unmuted.wait()
        Author(name="Ann")

    unmuted = asyncio.Event()
    task = asyncio.create_task(make())
    with _install.muted():
        unmuted.set()
        await task
    assert received == [("pre_init", Author), ("post_init", Author)]


async def test_no_signal_is_sent_with_a_vinyl_class_as_the_sender(received):
    author = Author.vinyl(name="Ann")
    assert type(author) is not Author
    assert received == []


@pytest.mark.usefixtures("db")
async def test_writing_with_vinyl_sends_no_signal(received):
    author = await Author.vinyl(name="Ann").insert()
    await author.update(name="Bob")
    await author.delete()
    assert received == []


def test_signals_that_are_not_of_models_are_untouched():
    def receiver(**kwargs):
        return "received"

    signal = Signal()
    signal.connect(receiver)
    with _install.muted():
        assert signal.send("sender") == [(receiver, "received")]
        assert signal.has_listeners("sender")


@pytest.mark.usefixtures("db")
async def test_the_connections_that_were_used_are_listed_inside_the_bridge():
    def used():
        return [connection.alias for connection in django.db.connections.all(initialized_only=True)]

    await vinyl.connection.execute("SELECT 1")
    assert "default" in await vinyl.run(used)
    assert {connection.alias for connection in django.db.connections.all()} == {"default", "other"}
