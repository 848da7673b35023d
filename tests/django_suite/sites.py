"""Vinyl's ASGI handler in the place of Django's, for the tests that make requests.

The tests run in the bridge, and so does what their synchronous client asks for, by the synchronous chain that vinyl's
handler has too. Here the other two ways are replaced: the application that tests of ASGI speak to, and the handler of
the asynchronous client. Calls are native, since a test's transaction is on vinyl's connection.
"""

from typing import Any

import django.core.asgi
import django.test.client
from django.test.client import AsyncClientHandler

from tests.django_suite.counting import counts
from vinyl import asgi


class Handler(asgi.SynchronousChain, AsyncClientHandler):
    """The handler of the asynchronous client, with the synchronous chain in the bridge."""


def install() -> None:
    """Put vinyl's handlers in the places of Django's, and count the responses that they get."""
    counts.update(responses=0)
    django.core.asgi.get_asgi_application = asgi.get_asgi_application
    vars(django.test.client).update(AsyncClientHandler=Handler)
    get_response = asgi.SynchronousChain.get_response_async

    async def counted(self: Any, request: Any) -> Any:
        counts["responses"] += 1
        return await get_response(self, request)

    asgi.SynchronousChain.get_response_async = counted  # type: ignore[method-assign]
