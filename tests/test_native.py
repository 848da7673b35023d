"""@vinyl.native: synchronous code that is awaited where the mode is async, and is what it was where that is sync."""

import asyncio
import inspect
from functools import partial

import pytest
from asgiref.sync import iscoroutinefunction
from django.contrib.auth.decorators import login_required
from django.core.handlers.base import BaseHandler
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

import vinyl
from tests.library.models import Author
from vinyl import bridge

pytestmark = pytest.mark.usefixtures("db")


@vinyl.native
def first_name(default: str = "nobody") -> str:
    """Return the first author's name."""
    author = Author.objects.first()
    return default if author is None else author.name


@vinyl.native
@csrf_exempt
def view(request, pk=None):
    return HttpResponse(f"{Author.objects.count()} authors, bridge: {bridge.active()}")


class Shelf:
    """Native functions as methods of each kind."""

    name = "Ann"

    @vinyl.native
    def method(self, number=1):
        return Author.objects.filter(name=self.name).count() + number

    @classmethod
    @vinyl.native
    def of_class(cls):
        return Author.objects.filter(name=cls.name).count()

    @staticmethod
    @vinyl.native
    def static():
        return Author.objects.count()


def response_to(view, **kwargs):
    return view(RequestFactory().get("/"), **kwargs)


async def test_it_queries_by_django_s_manager_in_both_modes():
    assert await first_name() == "nobody"
    await Author.vinyl(name="Ann").insert()
    assert await first_name() == "Ann"


async def test_it_takes_part_in_the_transaction_of_who_calls_it():
    class Failure(Exception):
        pass

    with pytest.raises(Failure):
        async with vinyl.transaction.atomic():
            await Author.vinyl(name="Ann").insert()
            assert await first_name() == "Ann"
            raise Failure
    assert await first_name() == "nobody"


async def test_it_may_open_transactions_of_django_s():
    @vinyl.native
    @transaction.atomic
    def twice():
        Author.objects.create(id=1, name="Ann")
        Author.objects.create(id=1, name="Bob")

    with pytest.raises(IntegrityError):
        await twice()
    assert await first_name() == "nobody"


async def test_methods_bind_as_functions_do():
    await Author.vinyl(name="Ann").insert()
    assert await Shelf().method(2) == 3
    assert await Shelf.method(Shelf(), number=2) == 3
    assert [await Shelf.of_class(), await Shelf().of_class(), await Shelf.static()] == [1, 1, 1]


async def test_arguments_of_any_name_are_the_function_s():
    @vinyl.native
    def collect(*args, **kwargs):
        return args, kwargs

    names = {"natively": 1, "function": 2, "operation": 3, "self": 4}
    assert await collect(0, **names) == ((0,), names)
    assert await vinyl.run(collect.function, 0, **names) == ((0,), names)


async def test_native_functions_call_each_other_as_they_call_any_function():
    @vinyl.native
    def outer():
        return first_name(default="outer")

    assert await outer() == "outer"


def test_it_has_the_metadata_of_its_function():
    assert (first_name.__name__, first_name.__doc__) == ("first_name", "Return the first author's name.")
    assert str(inspect.signature(first_name)) == "(default: str = 'nobody') -> str"
    assert view.csrf_exempt
    assert repr(view) == f"<native {view.function!r}>"


def test_it_is_a_coroutine_function_unless_the_mode_is_sync():
    assert iscoroutinefunction(first_name)
    assert iscoroutinefunction(Shelf().method)
    with vinyl.sync_mode():
        assert not iscoroutinefunction(first_name)
        assert not iscoroutinefunction(Shelf().method)


@pytest.mark.asynchronous
async def test_inside_of_the_bridge_it_is_the_function():
    assert await vinyl.run(lambda: (iscoroutinefunction(first_name), first_name())) == (False, "nobody")


@pytest.mark.asynchronous
async def test_cancelling_raises_in_the_function_where_it_waits():
    @vinyl.native
    def wait():
        try:
            bridge.await_(forever())
        except asyncio.CancelledError as error:
            seen.append(error)
            raise

    async def forever():
        waits.set()
        await asyncio.Event().wait()

    waits, seen = asyncio.Event(), []
    task = asyncio.create_task(wait())
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(seen) == 1


# Views.


async def test_a_view_is_awaited_or_called_as_the_mode_is():
    is_async = vinyl.is_async()
    response = await response_to(view)
    assert response.content.decode() == f"0 authors, bridge: {is_async}"


def test_django_serves_it_synchronously_in_the_sync_mode():
    with vinyl.sync_mode():
        response = response_to(BaseHandler().make_view_atomic(view))
    assert response.content == b"0 authors, bridge: False"


async def test_decorators_below_are_part_of_the_synchronous_code():
    @vinyl.native
    @login_required
    @require_GET
    def own(request):
        raise AssertionError("nobody is logged in")

    request = RequestFactory().get("/")
    request.user = type("Nobody", (), {"is_authenticated": False})()
    response = await own(request)
    assert response.status_code == 302


class ByDispatch(View):
    @vinyl.native
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)

    def get(self, request):
        return view.function(request)


@method_decorator(vinyl.native, name="dispatch")
class ByDecorator(View):
    def get(self, request):
        return view.function(request)


@method_decorator([vinyl.native, csrf_exempt], name="get")
class ByHandler(View):
    def get(self, request):
        return view.function(request)


@pytest.mark.asynchronous
@pytest.mark.parametrize("cls", [ByDispatch, ByDecorator, ByHandler])
async def test_class_based_views_are_asynchronous_views_to_django(cls):
    as_view = cls.as_view()
    assert iscoroutinefunction(as_view)
    response = await response_to(as_view)
    assert response.content == b"0 authors, bridge: True"


@pytest.mark.parametrize("name", ["dispatch", "get"])
def test_class_based_views_that_are_made_in_the_sync_mode_are_synchronous(name):
    with vinyl.sync_mode():

        @method_decorator(vinyl.native, name=name)
        class InSync(View):
            def get(self, request):
                return view.function(request)

        as_view = InSync.as_view()
        assert not iscoroutinefunction(as_view)
        assert response_to(as_view).content == b"0 authors, bridge: False"


async def test_a_view_made_by_as_view_can_be_made_native():
    response = await response_to(vinyl.native(plain_view()))
    assert response.status_code == 200


def plain_view():
    class Plain(View):
        def get(self, request):
            return view.function(request)

    return Plain.as_view()


# What is refused.


async def coroutine_function(): ...


async def asynchronous_generator():
    yield


def generator():
    yield


@pytest.mark.parametrize(
    "function",
    [
        coroutine_function,
        partial(coroutine_function),
        asynchronous_generator,
        generator,
        vinyl.portable(coroutine_function),
        first_name,
        Author,
        12,
    ],
    ids=["coroutine function", "partial", "asynchronous generator", "generator", "portable", "native", "class", "none"],
)
def test_what_is_no_synchronous_function_is_refused(function):
    with pytest.raises(TypeError, match="synchronous function"):
        vinyl.native(function)
