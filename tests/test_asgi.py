"""A site that is served natively: synchronous views and middleware as they are, all in the loop's thread."""

import asyncio
import logging
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.signals import request_finished, request_started
from django.db import connection, connections, transaction
from django.http import FileResponse, Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template.response import SimpleTemplateResponse
from django.test import override_settings
from django.urls import path
from django.utils import translation
from django.views import View
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

import vinyl
from tests.blocking import watched
from tests.library.models import Author
from tests.server_connections import number_of, sleep, statements
from tests.settings import ENGINE
from vinyl import bridge
from vinyl.asgi import get_asgi_application

pytestmark = [pytest.mark.asynchronous, pytest.mark.usefixtures("db")]


class Failure(Exception):
    """Raised by these tests only."""


def here():
    """Where code runs: in the bridge, in which mode, in which thread."""
    return {
        "bridge": bridge.active(),
        "is_async": vinyl.is_async(),
        "thread": threading.get_ident(),
        "native": hasattr(connections["default"], "is_busy"),
    }


SOURCE = Path(__file__).read_bytes()
# What tests look at; emptied before each.
seen = []
events = {}


def sync_view(request):
    return JsonResponse({"authors": Author.objects.count(), **here()})


async def async_view(request):
    count = await Author.vinyl.count()
    return JsonResponse({"authors": count, "given": await sync_to_async(threading.get_ident)(), **here()})


async def opening_view(request):
    """Opens a connection of Django's in the request's thread."""

    def opened():
        Author.objects.count()
        return connections["default"]

    seen.append(await sync_to_async(opened)())
    return HttpResponse()


@vinyl.portable
async def portable_view(request):
    return JsonResponse({"authors": await Author.vinyl.count(), **here()})


@vinyl.native
def native_view(request):
    return sync_view(request)


class ClassView(View):
    async def get(self, request):
        return await async_view(request)


def insert(request, end):
    Author.objects.create(name="Ann")
    if end == "fail":
        raise Failure
    if end == "roll-back":
        transaction.set_rollback(True)
    return HttpResponse()


@vinyl.portable
async def insert_portably(request):
    await Author.vinyl(name="Ann").insert()
    raise Failure


def error(request, status):
    errors = {404: Http404(), 403: PermissionDenied(), 500: Failure("on purpose")}
    raise errors[status]


class RenderedLate(SimpleTemplateResponse):
    """A response whose rendering is awaited."""

    async def render(self):
        self.content = f"{await Author.vinyl.count()} authors, {vinyl.is_async()}"
        return self


def render_late(request):
    return RenderedLate("no template")


def count_visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    messages.info(request, f"visit {request.session['visits']}")
    shown = [str(message) for message in messages.get_messages(request)]
    return JsonResponse({"visits": request.session["visits"], "messages": shown, "user": str(request.user)})


def upload(request):
    file = request.FILES["file"]
    return JsonResponse({"size": file.size, "name": file.name, "sum": sum(file.read()), "text": request.POST["text"]})


def stream(request):
    def parts():
        try:
            for author in Author.objects.order_by("name").iterator(chunk_size=2):
                seen.append((f"made {author.name}", here()))
                yield author.name
        finally:
            # Queries as it is closed.
            seen.append(("closed", Author.objects.count()))

    return StreamingHttpResponse(parts())


async def stream_async(request):
    async def parts():
        async for author in Author.vinyl.order_by("name").iterator():
            seen.append((f"made {author.name}", here()))
            yield author.name

    return StreamingHttpResponse(parts())


def file_view(request):
    return FileResponse(open(__file__, "rb"))


def wait_for_database(request):
    with connection.cursor() as cursor:
        cursor.execute(sleep(60, request.GET["marker"]))
    return HttpResponse()


def wait_for_event(request):
    async def wait():
        events["waiting"].set()
        await events["go on"].wait()

    try:
        bridge.await_(wait())
    finally:
        seen.append("left")
    return HttpResponse("waited")


def meet(request):
    """Waits until three requests are here."""

    async def arrive():
        await events["barrier"].wait()

    bridge.await_(arrive())
    return HttpResponse()


def language(request):
    code = request.GET["code"]
    translation.activate(code)

    async def arrive():
        await events["barrier"].wait()

    bridge.await_(arrive())
    return HttpResponse(translation.get_language())


class AuthorSerializer(ModelSerializer):
    class Meta:
        model = Author
        fields = ["id", "name"]


class AuthorViewSet(ModelViewSet):
    queryset = Author.objects.order_by("id")
    serializer_class = AuthorSerializer
    authentication_classes = ()
    permission_classes = ()


router = SimpleRouter()
router.register("authors", AuthorViewSet)

urlpatterns = [
    path("sync/", sync_view),
    path("async/", async_view),
    path("opening/", opening_view),
    path("portable/", portable_view),
    path("native/", native_view),
    path("class/", ClassView.as_view()),
    path("insert/<end>/", insert),
    path("insert-portably/", insert_portably),
    path("error/<int:status>/", error),
    path("late/", render_late),
    path("visits/", count_visits),
    path("upload/", upload),
    path("stream/", stream),
    path("stream-async/", stream_async),
    path("file/", file_view),
    path("wait-for-database/", wait_for_database),
    path("wait-for-event/", wait_for_event),
    path("meet/", meet),
    path("language/", language),
    *router.urls,
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


# Middleware of each kind.


def note(name):
    seen.append((name, here()))


def synchronous(get_response):
    def middleware(request):
        note("synchronous")
        return get_response(request)

    return middleware


class Asynchronous:
    sync_capable = False
    async_capable = True

    def __init__(self, get_response):
        assert iscoroutinefunction(get_response)
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request):
        note("asynchronous")
        with vinyl.connection.execute_wrapper(self.count):
            return await self.get_response(request)

    def count(self, execute, *args):
        seen.append(("query", here()))
        return execute(*args)


class OfBothKinds:
    sync_capable = async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request):
        seen.append(("of both kinds", self.is_async))
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        note("process_view")

    def process_exception(self, request, exception):
        note("process_exception")
        return HttpResponse("handled", status=418) if str(exception) == "on purpose" else None


def path_to(function):
    return f"{__name__}.{function.__name__}"


@pytest.fixture
def site():
    """A function that gives a client of the site, with settings that differ from its own."""
    seen.clear()
    events.clear()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=MIDDLEWARE):
        yield client


def client(**settings):
    with override_settings(**settings):
        transport = httpx.ASGITransport(get_asgi_application(), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


class Request:
    """A request by hand: what is sent when, and when the client disconnects."""

    def __init__(self, path, query=""):
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", b"testserver")],
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
        }
        self.disconnected = asyncio.Event()
        self.sent = []
        self.received = False

    async def receive(self):
        if not self.received:
            self.received = True
            return {"type": "http.request", "body": b""}
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if message.get("body"):
            seen.append(("sent", message["body"].decode()))
        await asyncio.sleep(0)

    async def carry_out(self):
        await get_asgi_application()(self.scope, self.receive, self.send)


NATIVE = {"bridge": True, "is_async": False, "native": True}
ON_THE_LOOP = {"bridge": False, "is_async": True, "native": False}


@contextmanager
def atomic_requests():
    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    try:
        yield
    finally:
        connections.settings["default"]["ATOMIC_REQUESTS"] = False


# Views.


@pytest.mark.parametrize("name", ["sync", "native"])
async def test_a_synchronous_view_runs_in_the_bridge_in_the_thread_of_the_loop(site, name):
    async with site() as client:
        found = (await client.get(f"/{name}/")).json()
    assert found == {"authors": 0, "thread": threading.get_ident(), **NATIVE}


async def test_a_portable_view_is_awaited_on_the_loop(site):
    async with site() as client:
        found = (await client.get("/portable/")).json()
    assert found == {"authors": 0, "thread": threading.get_ident(), **ON_THE_LOOP}


@pytest.mark.parametrize("name", ["async", "class"])
async def test_an_asynchronous_view_is_awaited_on_the_loop_and_gives_to_threads_what_it_says(site, name):
    async with site() as client:
        found = (await client.get(f"/{name}/")).json()
    given = found.pop("given")
    assert found == {"authors": 0, "thread": threading.get_ident(), **ON_THE_LOOP}
    assert given != threading.get_ident()


@pytest.mark.parametrize("asked", ["setting", "block"])
async def test_an_asynchronous_view_gives_nothing_to_threads_with_native_calls(site, asked):
    async with site() as client:
        if asked == "setting":
            with override_settings(VINYL={"NATIVE_CALLS": True}):
                found = (await client.get("/async/")).json()
        else:
            with vinyl.native_calls():
                found = (await client.get("/async/")).json()
    assert found["given"] == threading.get_ident()


async def test_a_response_with_an_asynchronous_render_is_rendered_on_the_loop(site):
    async with site() as client:
        assert (await client.get("/late/")).text == "0 authors, True"


async def test_many_requests_wait_at_the_same_time_in_one_thread(site):
    events["barrier"] = asyncio.Barrier(20)
    async with site() as client:
        with watched(threads=False):
            responses = await asyncio.gather(*(client.get("/meet/") for _ in range(20)))
    assert [response.status_code for response in responses] == [200] * 20


async def test_no_thread_is_started(site):
    before = set(threading.enumerate())
    async with site() as client:
        with watched(threads=ENGINE == "sqlite"):
            for name in ("sync", "native", "portable", "visits", "stream", "stream-async", "file", "error/500", "sync"):
                await client.get(f"/{name}/")
    started = {thread.name for thread in set(threading.enumerate()) - before}
    assert all(name.startswith("vinyl ") for name in started)
    assert ENGINE == "sqlite" or not started


async def test_requests_have_contexts_of_their_own(site):
    events["barrier"] = asyncio.Barrier(2)
    async with site() as client:
        tasks = [asyncio.create_task(client.get("/language/", params={"code": code})) for code in ("de", "fr")]
        assert [(await task).text for task in tasks] == ["de", "fr"]


@pytest.mark.parametrize("status", [404, 403, 500])
async def test_errors_are_answered_as_by_django(site, status, caplog):
    caplog.set_level(logging.CRITICAL, "django.request")
    async with site() as client:
        assert (await client.get(f"/error/{status}/")).status_code == status


async def test_logging_is_done_in_the_thread_of_the_loop(site):
    class Handler(logging.Handler):
        def emit(self, record):
            seen.append((record.thread, record.levelname))

    logger, handler = logging.getLogger("django.request"), Handler()
    async with site() as client:
        # Django's set-up has configured logging anew.
        logger.addHandler(handler)
        try:
            await client.get("/error/404/")
            await client.get("/error/500/")
        finally:
            logger.removeHandler(handler)
    assert seen == [(threading.get_ident(), "WARNING"), (threading.get_ident(), "ERROR")]


# Middleware.


async def test_middleware_of_each_kind_surrounds_the_others(site):
    names = [path_to(function) for function in (synchronous, Asynchronous, OfBothKinds, Asynchronous, synchronous)]
    async with site(MIDDLEWARE=names) as client:
        with watched(threads=ENGINE == "sqlite"):
            assert (await client.get("/sync/")).json()["native"]
    assert [name for name, _ in seen] == [
        "synchronous",
        "asynchronous",
        "of both kinds",
        "asynchronous",
        "synchronous",
        "process_view",
        "query",
        "query",
    ]
    places = dict(seen)
    # Django asks it to be what it surrounds.
    assert places["of both kinds"] is True
    for name in ("synchronous", "process_view"):
        assert places[name] == {"thread": threading.get_ident(), **NATIVE}
    assert places["asynchronous"] == {"thread": threading.get_ident(), **ON_THE_LOOP}


async def test_middleware_of_both_kinds_is_synchronous_around_what_is(site):
    async with site(MIDDLEWARE=[path_to(OfBothKinds)]) as client:
        await client.get("/sync/")
    assert seen[0] == ("of both kinds", False)


async def test_exceptions_are_offered_to_middleware(site):
    async with site(MIDDLEWARE=[path_to(OfBothKinds)]) as client:
        assert (await client.get("/error/500/")).status_code == 418
    assert seen[-1] == ("process_exception", {"thread": threading.get_ident(), **NATIVE})


# Transactions.


@pytest.mark.parametrize(("end", "count"), [("commit", 1), ("fail", 0), ("roll-back", 0)])
async def test_atomic_requests_are_transactions(site, end, count, caplog):
    caplog.set_level(logging.CRITICAL, "django.request")
    with atomic_requests():
        async with site() as client:
            await client.get(f"/insert/{end}/")
    assert await Author.vinyl.count() == count


async def test_without_atomic_requests_what_was_written_stays(site, caplog):
    caplog.set_level(logging.CRITICAL, "django.request")
    async with site() as client:
        await client.get("/insert/fail/")
    assert await Author.vinyl.count() == 1


async def test_a_portable_view_takes_part_in_an_atomic_request(site, caplog):
    caplog.set_level(logging.CRITICAL, "django.request")
    with atomic_requests():
        async with site() as client:
            assert (await client.get("/insert-portably/")).status_code == 500
    assert await Author.vinyl.count() == 0


async def test_django_refuses_an_asynchronous_view_with_atomic_requests_as_ever(site, caplog):
    with atomic_requests():
        async with site() as client:
            assert (await client.get("/async/")).status_code == 500
    assert "You cannot use ATOMIC_REQUESTS with async views." in caplog.text


# Sessions, messages, uploads, REST framework.


async def test_sessions_and_messages_are_kept(site):
    async with site() as client:
        for visits in (1, 2):
            found = (await client.get("/visits/")).json()
            assert found == {"visits": visits, "messages": [f"visit {visits}"], "user": "AnonymousUser"}


@pytest.mark.parametrize("size", [10, 3_000_000], ids=["in memory", "on disk"])
async def test_files_are_uploaded(site, size):
    async with site() as client:
        response = await client.post("/upload/", files={"file": ("a.txt", b"a" * size)}, data={"text": "about"})
    assert response.json() == {"size": size, "name": "a.txt", "sum": size * ord("a"), "text": "about"}


async def test_viewsets_of_rest_framework_are_served(site):
    async with site() as client:
        with watched(threads=ENGINE == "sqlite"):
            created = await client.post("/authors/", json={"name": "Ann"})
            address = f"/authors/{created.json()['id']}/"
            assert created.status_code == 201
            assert (await client.put(address, json={"name": "Bob"})).json()["name"] == "Bob"
            assert [author["name"] for author in (await client.get("/authors/")).json()] == ["Bob"]
            assert (await client.patch(address, json={"name": ""})).status_code == 400
            assert (await client.delete(address)).status_code == 204
            assert (await client.get(address)).status_code == 404


# Streams.


async def insert_authors():
    await Author.vinyl.bulk_create([Author(name=name) for name in "ABCDE"])


async def test_a_synchronous_stream_is_made_part_by_part_in_the_bridge(site):
    await insert_authors()
    with watched(threads=ENGINE == "sqlite"):
        await Request("/stream/").carry_out()
    assert [name if name != "sent" else f"sent {what}" for name, what in seen] == [
        *(f"{verb} {name}" for name in "ABCDE" for verb in ("made", "sent")),
        "closed",
    ]
    assert seen[0][1] == {"thread": threading.get_ident(), **NATIVE}
    assert seen[-1] == ("closed", 5)


async def test_an_asynchronous_stream_is_made_part_by_part_on_the_loop(site):
    await insert_authors()
    await Request("/stream-async/").carry_out()
    assert [name if name != "sent" else f"sent {what}" for name, what in seen] == [
        f"{verb} {name}" for name in "ABCDE" for verb in ("made", "sent")
    ]
    assert seen[0][1] == {"thread": threading.get_ident(), **ON_THE_LOOP}


async def test_a_file_is_streamed(site):
    async with site() as client:
        response = await client.get("/file/")
    assert response.content == SOURCE


async def test_a_stream_is_closed_when_the_client_disconnects(site):
    await insert_authors()
    request = Request("/stream/")

    async def send(message):
        if message.get("body"):
            request.disconnected.set()
            await asyncio.Event().wait()

    request.send = send
    await request.carry_out()
    assert [name for name, _ in seen] == ["made A", "closed"]
    await until_nothing_is_in_use()


async def until_nothing_is_in_use():
    async with asyncio.timeout(10):
        while vinyl.connection.statistics()["pool_in_use"]:
            await asyncio.sleep(0)


# Clients that disconnect.


async def test_a_client_that_disconnects_cancels_its_request(site):
    events.update({"waiting": asyncio.Event(), "go on": asyncio.Event()})
    request = Request("/wait-for-event/")
    task = asyncio.create_task(request.carry_out())
    async with asyncio.timeout(30):
        await events["waiting"].wait()
    request.disconnected.set()
    await task
    assert (seen, request.sent) == (["left"], [])


@pytest.mark.direct
@pytest.mark.engine("postgresql", "mariadb", "mysql")
async def test_a_client_that_disconnects_cancels_its_statement_on_the_server(site, marker):
    request = Request("/wait-for-database/", f"marker={marker}")
    task = asyncio.create_task(request.carry_out())
    await number_of(marker)
    request.disconnected.set()
    await task
    assert request.sent == []
    async with asyncio.timeout(10):
        while any(marker in statement for statement in (await statements()).values()):
            await asyncio.sleep(0.01)


# What surrounds a request.


async def test_signals_of_a_request_are_sent_once_each_in_the_thread_of_the_loop(site):
    def receive(name, **kwargs):
        seen.append((name, threading.get_ident(), bridge.active()))

    started, finished = partial(receive, "started"), partial(receive, "finished")
    request_started.connect(started)
    request_finished.connect(finished)
    try:
        async with site() as client:
            await client.get("/portable/")
    finally:
        request_started.disconnect(started)
        request_finished.disconnect(finished)
    assert seen == [("started", threading.get_ident(), True), ("finished", threading.get_ident(), True)]


async def test_connections_that_a_request_has_opened_in_its_thread_are_closed_with_it(site):
    async with site() as client:
        await client.get("/opening/")
    (opened,) = seen
    assert not hasattr(opened, "is_busy")
    assert opened.connection is None


async def test_other_protocols_are_refused_as_by_django():
    with pytest.raises(ValueError, match="only handle ASGI/HTTP"):
        await get_asgi_application()({"type": "websocket"}, None, None)


async def test_middleware_is_checked_as_by_django(site):
    def nothing(get_response):
        return None

    globals()["nothing"] = nothing
    with pytest.raises(ImproperlyConfigured, match="returned None"):
        site(MIDDLEWARE=[f"{__name__}.nothing"])
