"""Who makes cursors in its own way, or has patched Django's, sees each statement: no planned one goes past it."""

import functools
from unittest import mock

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.utils.asyncio import async_unsafe

import vinyl
from tests.aliases import database
from tests.library.models import Author
from tests.own_cursors import base
from tests.plans import ENOUGH
from vinyl.common import originals
from vinyl.lending import scopes

pytestmark = pytest.mark.usefixtures("nothing_known", "db")


async def each_kind(alias="default"):
    """Query and write by plans."""
    author = await Author.vinyl(name="a").insert(using=alias)
    await Author.vinyl.using(alias).get(pk=author.pk)
    await Author.vinyl.using(alias).filter(pk=author.pk).update(name="b")
    await Author.vinyl.using(alias).filter(pk=author.pk).prefetch_related("books")
    return 5


async def test_the_cursors_of_a_backend_are_opened_for_planned_statements():
    with database(ENGINE="tests.own_cursors") as alias:
        for _ in range(ENOUGH):
            base.opened.clear()
            assert len(base.opened) == 0
            statements = await each_kind(alias)
            assert len(base.opened) >= statements
        await vinyl.close()


@pytest.mark.engine("postgresql")
async def test_the_cursors_of_a_factory_are_opened_for_planned_statements():
    from django.db.backends.postgresql.base import Cursor

    executed = []

    class Counting(Cursor):
        def execute(self, query, *args, **kwargs):
            executed.append(query)
            return super().execute(query, *args, **kwargs)

    with database({"cursor_factory": Counting}) as alias:
        for _ in range(ENOUGH):
            executed.clear()
            assert len(executed) == 0
            statements = await each_kind(alias)
            assert len(executed) >= statements
        await vinyl.close()


async def test_who_has_patched_djangos_cursors_sees_planned_statements():
    for _ in range(ENOUGH):
        await each_kind()
    executed = []
    original = CursorWrapper.execute

    @functools.wraps(original)
    def execute(self, sql, params=None):
        executed.append(sql)
        return original(self, sql, params)

    with mock.patch.object(CursorWrapper, "execute", execute):
        assert originals.cursors_are_patched()
        assert len(executed) == 0
        statements = await each_kind()
        assert len(executed) >= statements
    assert not originals.cursors_are_patched()


class Proxy:
    """What some tools put in place of a function: it says that it is one, and has its code."""

    def __init__(self, function):
        self.__wrapped__ = function

    __class__ = property(lambda self: type(self.__wrapped__))
    __code__ = property(lambda self: self.__wrapped__.__code__)


def made(name):
    return type("DatabaseWrapper", (BaseDatabaseWrapper,), {name: lambda self, *args: None})


def test_a_method_of_a_project_is_known_whatever_it_is_decorated_by():
    assert not originals.has_own_cursors(BaseDatabaseWrapper, {})
    for name in ("cursor", "_cursor", "make_cursor", "create_cursor", "_prepare_cursor"):
        cls = made(name)
        assert originals.has_own_cursors(cls, {})
        setattr(cls, name, async_unsafe(vars(cls)[name]))
        assert originals.has_own_cursors(cls, {})
        setattr(cls, name, Proxy(getattr(BaseDatabaseWrapper, name)))
        assert originals.has_own_cursors(cls, {})


@pytest.mark.engine("postgresql")
@pytest.mark.asynchronous
async def test_djangos_own_backends_are_native():
    assert scopes.source("default").native is not None
