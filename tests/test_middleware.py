"""VinylMiddleware: one code base of views, in the mode that each kind of server calls for."""

import asyncio
import threading

import httpx
import pytest
from django.core.asgi import get_asgi_application as djangos_asgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path

import vinyl
from tests.library.models import Author
from vinyl import asgi, bridge, mode
from vinyl.middleware import VinylMiddleware

pytestmark = pytest.mark.usefixtures("db")


def here():
    return {"is_async": vinyl.is_async(), "bridge": bridge.active(), "own thread": threading.get_ident() != LOOP[0]}


# The thread that the tests run in.
LOOP = [threading.get_ident()]


@vinyl.portable
async def portable(request):
    return JsonResponse({"authors": await Author.vinyl.count(), **here()})


@vinyl.native
def native(request):
    return JsonResponse({"authors": Author.objects.count(), **here()})


def synchronous(request):
    with vinyl.transaction.atomic():
        return JsonResponse({"authors": Author.vinyl.count(), **here()})


async def asynchronous(request):
    async with vinyl.transaction.atomic():
        return JsonResponse({"authors": await Author.vinyl.count(), **here()})


def stream(request):
    def parts():
        yield str(Author.vinyl.count())
        yield f" {vinyl.is_async()}"

    return StreamingHttpResponse(parts())


async def stream_async(request):
    async def parts():
        yield str(await Author.vinyl.count())
        yield f" {vinyl.is_async()}"

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("portable/", portable),
    path("native/", native),
    path("synchronous/", synchronous),
    path("asynchronous/", asynchronous),
    path("stream/", stream),
    path("stream-async/", stream_async),
]


@pytest.fixture(autouse=True)
def _site():
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["vinyl.middleware.VinylMiddleware"]):
        yield


def by_wsgi(name):
    return Client().get(f"/{name}/")


def by_asgi(name, make):
    async def get():
        application = make()
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.get(f"/{name}/")

    LOOP[0] = threading.get_ident()
    return asyncio.run(get())


def by_djangos_asgi(name):
    return by_asgi(name, djangos_asgi_application)


def by_vinyls_asgi(name):
    return by_asgi(name, asgi.get_asgi_application)


SYNC = {"authors": 0, "is_async": False, "bridge": False, "own thread": False}
ASYNC = {**SYNC, "is_async": True}
NATIVE = {**SYNC, "bridge": True}


@pytest.mark.parametrize(
    ("serve", "name", "expected"),
    [
        (by_wsgi, "portable", SYNC),
        (by_wsgi, "native", SYNC),
        (by_wsgi, "synchronous", SYNC),
        (by_wsgi, "asynchronous", {**ASYNC, "own thread": True}),
        (by_djangos_asgi, "portable", ASYNC),
        (by_djangos_asgi, "native", NATIVE),
        (by_djangos_asgi, "synchronous", {**SYNC, "own thread": True}),
        (by_djangos_asgi, "asynchronous", ASYNC),
        (by_vinyls_asgi, "portable", ASYNC),
        (by_vinyls_asgi, "native", NATIVE),
        (by_vinyls_asgi, "synchronous", NATIVE),
        (by_vinyls_asgi, "asynchronous", ASYNC),
    ],
)
def test_a_view_is_in_the_mode_in_which_it_is_served(serve, name, expected):
    LOOP[0] = threading.get_ident()
    assert serve(name).json() == expected


@pytest.mark.parametrize(
    ("serve", "name", "expected"),
    [
        (by_wsgi, "stream", "0 False"),
        (by_djangos_asgi, "stream-async", "0 True"),
        (by_vinyls_asgi, "stream", "0 False"),
        (by_vinyls_asgi, "stream-async", "0 True"),
    ],
)
def test_what_is_streamed_is_in_the_same_mode(serve, name, expected):
    response = serve(name)
    assert (response.getvalue().decode() if serve is by_wsgi else response.text) == expected


@pytest.mark.parametrize("is_async", [False, True])
def test_the_mode_is_the_process_s_again_after_the_request(is_async):
    def get_response(request):
        assert mode._context.get() is mode.Mode.AS_SERVED
        return HttpResponse()

    async def get_response_async(request):
        return get_response(request)

    request = RequestFactory().get("/")
    if is_async:
        asyncio.run(VinylMiddleware(get_response_async)(request))
    else:
        VinylMiddleware(get_response)(request)
    assert vinyl.is_async()


def test_a_file_is_left_for_the_server_to_send():
    with open(__file__, "rb") as file:
        response = FileResponse(file)
        assert VinylMiddleware(lambda request: response)(None).file_to_stream is file


def test_a_block_wins_over_how_the_request_is_served():
    def get_response(request):
        with vinyl.async_mode():
            return HttpResponse(str(vinyl.is_async()))

    assert VinylMiddleware(get_response)(None).content == b"True"
