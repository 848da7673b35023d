"""What a request cost, told in the headers of its response, under both kinds of server."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

import vinyl


class Cost:
    """The queries of one request and the seconds spent on them; an execute wrapper as Django documents it."""

    def __init__(self) -> None:
        self.queries = 0
        self.in_database = 0.0
        self._started = perf_counter()

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        started = perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.queries += 1
            self.in_database += perf_counter() - started

    def tell(self, response: HttpResponse) -> HttpResponse:
        """Set the headers; a browser shows Server-Timing among the details of the request."""
        total = (perf_counter() - self._started) * 1000
        response["X-Queries"] = str(self.queries)
        response["X-Mode"] = "async" if vinyl.is_async() else "sync"
        response["Server-Timing"] = f"db;dur={self.in_database * 1000:.2f}, total;dur={total:.2f}"
        return response


@sync_and_async_middleware
def measure(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Count the queries of each request and set X-Queries, X-Mode and Server-Timing.

    Under ASGI Django runs synchronous views, such as the admin's, in a thread, whose queries are not vinyl's and are
    not counted.
    """

    async def awaited(request: HttpRequest) -> HttpResponse:
        cost = Cost()
        with vinyl.connection.execute_wrapper(cost):
            response = await get_response(request)
        return cost.tell(response)

    def called(request: HttpRequest) -> HttpResponse:
        cost = Cost()
        with vinyl.connection.execute_wrapper(cost):
            response = get_response(request)
        return cost.tell(response)

    return awaited if iscoroutinefunction(get_response) else called
