"""The mode of a request is how it is served: one code base of views, behind ASGI and behind WSGI.

    MIDDLEWARE = ["vinyl.middleware.VinylMiddleware", …]

Code that an event loop runs is in the async mode; what runs without one, in a thread of WSGI's or in one that Django's
ASGI handler gives to a synchronous view, is in the sync mode. In the bridge everything is synchronous anyway. With it
nobody has to call set_async().
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from vinyl.mode import as_served


class VinylMiddleware:
    """Middleware of both kinds, to be the first, since it is for those that come after it."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._awaited(request)
        with as_served():
            return _streamed(self.get_response(request))

    async def _awaited(self, request: Any) -> Any:
        with as_served():
            return _streamed(await self.get_response(request))


def _streamed(response: Any) -> Any:
    """Have what a response streams made in the same mode, though that is after the middleware has returned."""
    # A file asks nobody, and the server may know a faster way to send it.
    if response.streaming and getattr(response, "file_to_stream", None) is None:
        made = _parts_awaited if response.is_async else _parts
        response.streaming_content = made(response.streaming_content)
    return response


_END = object()


def _parts(iterator: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        with as_served():
            part: Any = next(iterator, _END)
        if part is _END:
            return
        yield part


async def _parts_awaited(iterator: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        with as_served():
            part: Any = await anext(iterator, _END)
        if part is _END:
            return
        yield part
