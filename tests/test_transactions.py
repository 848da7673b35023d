"""Transactions, with Django's rules and errors, in both modes."""

import asyncio

import pytest
from django.db import Error, IntegrityError, OperationalError
from django.db import connections as django_connections
from django.db import transaction as django_transaction

import vinyl
from tests.library.models import Author, Tag
from vinyl import transaction
from vinyl.lending.wrappers import wrapper_class_for

pytestmark = pytest.mark.usefixtures("db")


async def names():
    return [name async for name in Author.vinyl.values_list("name", flat=True)]


async def test_atomic_commits():
    async with transaction.atomic():
        await Author.vinyl(name="x").insert()
    assert await names() == ["x"]


async def test_an_exception_rolls_back_and_passes_as_itself():
    error = LookupError()
    with pytest.raises(LookupError) as caught:
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            raise error
    assert caught.value is error
    assert await names() == []


async def test_inner_blocks_roll_back_to_their_savepoint():
    async with transaction.atomic():
        await Author.vinyl(name="outer").insert()
        with pytest.raises(LookupError):
            async with transaction.atomic():
                await Author.vinyl(name="inner").insert()
                raise LookupError
        async with transaction.atomic():
            await Author.vinyl(name="second").insert()
    assert await names() == ["outer", "second"]


async def test_a_block_without_savepoint_rolls_back_all():
    with pytest.raises(transaction.TransactionManagementError):
        async with transaction.atomic():
            await Author.vinyl(name="outer").insert()
            with pytest.raises(LookupError):
                async with transaction.atomic(savepoint=False):
                    raise LookupError
            await Author.vinyl.count()
    assert await names() == []


async def test_after_an_error_of_the_database_the_block_can_only_be_rolled_back():
    tags = vinyl.manager(Tag)
    await tags.create(label="x")
    async with transaction.atomic():
        with pytest.raises(IntegrityError):
            await tags.create(label="x")
        with pytest.raises(transaction.TransactionManagementError, match="can't execute queries"):
            await tags.count()
        transaction.set_rollback(True)
    assert await tags.count() == 1


async def test_set_rollback_rolls_back_without_an_exception():
    async with transaction.atomic():
        await Author.vinyl(name="x").insert()
        assert transaction.get_rollback() is False
        transaction.set_rollback(True)
        assert transaction.get_rollback() is True
    assert await names() == []


async def test_the_rollback_flag_outside_of_a_block_is_djangos_error():
    with pytest.raises(transaction.TransactionManagementError, match="outside of an 'atomic' block"):
        transaction.set_rollback(True)
    with pytest.raises(transaction.TransactionManagementError, match="outside of an 'atomic' block"):
        transaction.get_rollback()


async def test_a_durable_block_cannot_be_nested():
    async with transaction.atomic(durable=True):
        await Author.vinyl(name="x").insert()
        with pytest.raises(RuntimeError, match="durable"):
            async with transaction.atomic(durable=True):
                pass
    assert await names() == ["x"]


async def test_one_object_can_be_entered_again():
    block = transaction.atomic()
    for name in ("a", "b"):
        async with block, block:
            await Author.vinyl(name=name).insert()
    assert await names() == ["a", "b"]


async def test_atomic_decorates_coroutine_functions():
    @transaction.atomic
    async def insert(name, fail=False):
        """Documented."""
        await Author.vinyl(name=name).insert()
        if fail:
            raise LookupError
        return name

    assert insert.__doc__ == "Documented."
    assert await insert("kept") == "kept"
    with pytest.raises(LookupError):
        await insert("undone", fail=True)
    assert await names() == ["kept"]


async def test_atomic_decorates_portable_functions_on_either_side():
    @transaction.atomic
    @vinyl.portable
    async def outside(name):
        await Author.vinyl(name=name).insert()
        raise LookupError

    @vinyl.portable
    @transaction.atomic(savepoint=False)
    async def inside(name):
        await Author.vinyl(name=name).insert()
        raise LookupError

    for function in (outside, inside):
        with pytest.raises(LookupError):
            await function("x")
    assert await names() == []


def test_atomic_decorates_functions_in_the_sync_mode():
    @transaction.atomic(using="default")
    def insert():
        Author.vinyl(name="x").insert()
        raise LookupError

    with vinyl.sync_mode():
        with pytest.raises(LookupError):
            insert()
        assert not Author.vinyl.exists()


async def test_on_commit_calls_back_after_the_commit_in_order():
    called = []

    async def asynchronous():
        called.append(("async", await Author.vinyl.count()))

    async with transaction.atomic():
        await transaction.on_commit(lambda: called.append("sync"))
        await transaction.on_commit(asynchronous)
        await Author.vinyl(name="x").insert()
        assert called == []
    assert called == ["sync", ("async", 1)]


async def test_callbacks_of_what_was_rolled_back_are_not_called():
    called = []
    async with transaction.atomic():
        with pytest.raises(LookupError):
            async with transaction.atomic():
                await transaction.on_commit(lambda: called.append("inner"))
                raise LookupError
        await transaction.on_commit(lambda: called.append("outer"))
    with pytest.raises(LookupError):
        async with transaction.atomic():
            await transaction.on_commit(lambda: called.append("undone"))
            raise LookupError
    assert called == ["outer"]


async def test_outside_of_a_transaction_on_commit_calls_at_once():
    called = []

    async def asynchronous():
        called.append(await Author.vinyl.count())

    await transaction.on_commit(lambda: called.append("now"))
    await transaction.on_commit(asynchronous)
    assert called == ["now", 0]


async def test_an_error_of_a_callback_is_raised_after_the_commit_unless_it_is_robust(caplog):
    def fail():
        raise LookupError

    with pytest.raises(LookupError):
        async with transaction.atomic():
            await Author.vinyl(name="kept").insert()
            await transaction.on_commit(fail, robust=True)
            await transaction.on_commit(fail)
    assert "on_commit()" in caplog.text
    assert await names() == ["kept"]
    async with transaction.atomic():
        await Author.vinyl(name="as usual").insert()
    assert await names() == ["kept", "as usual"]


async def test_a_callback_can_begin_a_transaction_of_its_own():
    async def callback():
        async with transaction.atomic():
            await Author.vinyl(name="by the callback").insert()

    async with transaction.atomic():
        await transaction.on_commit(callback)
    assert await names() == ["by the callback"]


async def test_savepoints_by_hand():
    async with transaction.atomic():
        await Author.vinyl(name="kept").insert()
        sid = await transaction.savepoint()
        await Author.vinyl(name="undone").insert()
        await transaction.savepoint_rollback(sid)
        sid = await transaction.savepoint()
        await Author.vinyl(name="too").insert()
        await transaction.savepoint_commit(sid)
    assert await names() == ["kept", "too"]


async def test_on_commit_takes_callables_only():
    with pytest.raises(TypeError, match="must be a callable"):
        await transaction.on_commit("no")


@pytest.mark.engine("postgresql", "mariadb", "mysql")
@pytest.mark.asynchronous
async def test_select_for_update_locks_the_row_until_the_transaction_ends():
    async def lock():
        async with transaction.atomic():
            await Author.vinyl.select_for_update().get(name="x")
            locked.set()
            await checked.wait()

    await Author.vinyl(name="x").insert()
    locked, checked = asyncio.Event(), asyncio.Event()
    locking = asyncio.create_task(lock())
    await locked.wait()
    async with transaction.atomic():
        assert await Author.vinyl.select_for_update(skip_locked=True) == []
    checked.set()
    await locking
    async with transaction.atomic():
        assert len(await Author.vinyl.select_for_update(skip_locked=True)) == 1


@pytest.mark.engine("postgresql", "mariadb", "mysql")
async def test_select_for_update_outside_of_a_transaction_is_djangos_error():
    with pytest.raises(transaction.TransactionManagementError, match="select_for_update"):
        await Author.vinyl.select_for_update().get(pk=1)


@pytest.mark.asynchronous
async def test_with_in_the_async_mode_names_async_with():
    with pytest.raises(vinyl.ModeError, match=r"async with transaction\.atomic"), transaction.atomic():
        pass


@pytest.mark.asynchronous
async def test_async_with_in_the_sync_mode_names_with():
    with vinyl.sync_mode(), pytest.raises(vinyl.ModeError, match=r"`with transaction\.atomic"):
        async with transaction.atomic():
            pass


@pytest.mark.asynchronous
async def test_djangos_atomic_inside_run_is_the_same_transaction():
    def code():
        with django_transaction.atomic():
            Author.objects.create(name="inner")
            raise LookupError

    async with transaction.atomic():
        await Author.vinyl(name="outer").insert()
        with pytest.raises(LookupError):
            await vinyl.run(code)
    assert await names() == ["outer"]


@pytest.mark.asynchronous
async def test_transactions_of_several_tasks_run_side_by_side():
    async def insert(name):
        async with transaction.atomic():
            await Author.vinyl(name=name).insert()
            if int(name) % 2:
                raise LookupError

    results = await asyncio.gather(*(insert(str(number)) for number in range(20)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LookupError] * 10
    assert sorted(await names(), key=int) == [str(number) for number in range(0, 20, 2)]


async def test_a_connection_closed_inside_a_block_loses_the_block_and_nothing_else():
    # Django closes mysqlclient's cursor on the way, and lets the error of that pass as it is.
    lost = (Error, django_connections["default"].Database.OperationalError)
    async with transaction.atomic():
        await Author.vinyl(name="lost").insert()
        await vinyl.run(lambda: django_connections["default"].close())
        with pytest.raises(lost):
            await Author.vinyl.count()
    assert await names() == []
    async with transaction.atomic():
        await Author.vinyl(name="kept").insert()
    assert await names() == ["kept"]


@pytest.fixture
def lost_at_the_end(monkeypatch):
    """Connections are lost when their transaction has ended, on the way back to autocommit."""
    wrapper_class = wrapper_class_for(type(django_connections["default"]))
    set_autocommit = wrapper_class._set_autocommit

    def lose_connection(self, autocommit):
        if autocommit and self.source is not None:
            self.driver.terminate(self.connection)
            raise OperationalError("server has gone away")
        set_autocommit(self, autocommit)

    monkeypatch.setattr(wrapper_class, "_set_autocommit", lose_connection)


@pytest.mark.asynchronous
@pytest.mark.usefixtures("lost_at_the_end")
async def test_a_connection_lost_after_the_rollback_does_not_hide_what_has_ended_the_block():
    async def write(then):
        async with transaction.atomic():
            await Author.vinyl(name="x").insert()
            await then()

    async def fail():
        raise LookupError

    with pytest.raises(LookupError):
        await write(fail)
    written = asyncio.Event()

    async def wait():
        written.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(write(wait))
    await written.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert vinyl.connection.statistics()["returns_bad"] == 2
    assert await names() == []


@pytest.mark.asynchronous
@pytest.mark.usefixtures("lost_at_the_end")
async def test_a_connection_lost_after_the_commit_takes_nothing_with_it():
    seen = []

    async def look():
        seen.append(await names())

    async with transaction.atomic():
        await Author.vinyl(name="x").insert()
        await transaction.on_commit(look)
    assert seen == [["x"]]


@pytest.mark.asynchronous
async def test_a_connection_lost_before_the_end_of_a_transaction_without_atomic_is_an_error():
    def write():
        django_transaction.set_autocommit(False)
        Author.objects.create(name="x")
        wrapper = django_connections["default"]
        wrapper.driver.terminate(wrapper.connection)
        django_transaction.set_autocommit(True)

    with pytest.raises(Error):
        await vinyl.run(write)
    assert await names() == []
