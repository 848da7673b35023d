"""A site that is served natively: synchronous views and middleware as they are, without a thread.

    # asgi.py of a project
    from vinyl.asgi import get_asgi_application

    application = get_asgi_application()

Django's ASGI handler runs each synchronous view or middleware in a thread. This one calls the synchronous chain, as
WSGI does, in the bridge: one greenlet for each request, all in the thread of the event loop. Where the chain meets an
asynchronous view or middleware, that is awaited on the loop. What it queries by `Model.objects` waits on the loop as
well. A client that disconnects cancels its request, and its statement on the server.

What the project itself gives to threads, by sync_to_async() in asynchronous views, stays there: see native_calls().
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import Any

import django
from asgiref.sync import SyncToAsync, async_to_sync, iscoroutinefunction, sync_to_async
from django.core.handlers import asgi, base
from django.db import close_old_connections

from vinyl import calls
from vinyl.lending.scopes import run

# What the project has asked for with native_calls(), while Django's part of the handler makes native ones.
_requested: ContextVar[bool | None] = ContextVar("vinyl.asgi.requested", default=None)


def get_asgi_application() -> "ASGIHandler":
    """Set Django up and return the ASGI application, as Django's function of this name does."""
    django.setup(set_prefix=False)
    return ASGIHandler()


class SynchronousChain(base.BaseHandler):
    """What a handler needs to get its responses from the synchronous chain of middleware and views, in the bridge."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Make the synchronous chain, whatever Django's handler asks for: it is what runs in the bridge."""
        super().load_middleware(is_async=False)

    def adapt_method_mode(
        self,
        is_async: bool,
        method: Any,
        method_is_async: bool | None = None,
        debug: bool = False,
        name: str | None = None,
    ) -> Any:
        """Adapt as Django does, but what asynchronous middleware is to await without a thread."""
        adapted = super().adapt_method_mode(is_async, method, method_is_async, debug, name)
        return _awaited(method) if isinstance(adapted, SyncToAsync) else adapted

    def check_response(self, response: Any, callback: Any, name: str | None = None) -> None:
        """Check as Django does; a response with an asynchronous render(), which comes next, is awaited for it."""
        super().check_response(response, callback, name)
        if iscoroutinefunction(getattr(response, "render", None)):
            response.render = async_to_sync(response.render)

    async def get_response_async(self, request: Any) -> Any:
        """Get the response from the chain, in one run of the bridge."""
        with calls.given(_requested.get()):
            return await run(self.get_response, request)


class ASGIHandler(SynchronousChain, asgi.ASGIHandler):
    """Django's handler, with the synchronous chain in the bridge."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request. What Django's handler gives to a thread, such as signals, runs in the bridge."""
        _requested.set(calls.requested())
        try:
            with calls.native_calls():
                await super().handle(scope, receive, send)
        finally:
            await _close_connections_of_thread()

    async def send_response(self, response: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        """Send a response. One that streams synchronously is asked for its next part, in the bridge, as one is sent."""
        with calls.given(_requested.get()):
            if response.streaming and not response.is_async:
                response.streaming_content = _parts(response.streaming_content)
            await super().send_response(response, send)


def _awaited(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        return await run(method, *args, **kwargs)

    return awaited


_END = object()


async def _parts(iterator: Iterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        part: Any = await run(next, iterator, _END)
        if part is _END:
            return
        yield part


async def _close_connections_of_thread() -> None:
    """Close what the project's own calls have opened in the request's thread, if it has one, as Django does."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None and context in SyncToAsync.context_to_thread_executor:
        with calls.native_calls(False):
            await sync_to_async(close_old_connections)()
