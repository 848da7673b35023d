"""Comments in statements that say which view and which trace they are of: SELECT … /*controller='book_list'*/

    VINYL = {"SQL_COMMENTS": True}                                  or a list of keys
    MIDDLEWARE = ["vinyl.sql_comments.middleware", …]               for `controller` and `route`

The server's log and its list of what runs show them. The format is sqlcommenter's: https://google.github.io/sqlcommenter/.
A key is there if it has a value:

    controller, route           the name of the view, and the pattern of its URL
    framework, db_driver        django:6.1.3, django.db.backends.postgresql
    traceparent                 the current span of OpenTelemetry's, else the header of the request

All values are percent-encoded, so nothing in them can end the comment. The wrapper is the innermost of the process, so
that others, and plans, see statements without comments. A statement that has one takes Django's lane: it is new each
time, so the server could not keep it prepared.
"""

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

import django
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created

from vinyl.common import process_wide
from vinyl.common.variables import temporarily
from vinyl.conf import sql_comments

_request: ContextVar[Any] = ContextVar("vinyl.request", default=None)
_TRACEPARENT = r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"


def middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have the statements of a request's view, and of the middleware below, say which view that is."""
    if iscoroutinefunction(get_response):

        async def respond(request: Any) -> Any:
            with temporarily(_request, request):
                return await get_response(request)

        return respond

    def respond_synchronously(request: Any) -> Any:
        with temporarily(_request, request):
            return get_response(request)

    return respond_synchronously


# What Django's sync_and_async_middleware() sets.
middleware.sync_capable = middleware.async_capable = True  # type: ignore[attr-defined]


def commented(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    """Execute with a comment at the end of the statement."""
    comment = _comment(context["connection"]) if isinstance(sql, str) else ""
    if comment:
        # The driver takes a percent sign for a placeholder where there are parameters.
        comment = comment.replace("%", "%%") if many or params is not None else comment
        text = sql.rstrip()
        end = ";" if text.endswith(";") else ""
        # On a line of its own, since the statement may end in a comment.
        sql = f"{text.removesuffix(end)}{chr(10) if '--' in text else ' '}/*{comment}*/{end}"
    return execute(sql, params, many, context)


def _comment(wrapper: Any) -> str:
    request = _request.get()
    match = getattr(request, "resolver_match", None)
    values = {
        "controller": getattr(match, "view_name", None) or getattr(match, "_func_path", None),
        "db_driver": wrapper.settings_dict["ENGINE"],
        "framework": f"django:{django.__version__}",
        "route": getattr(match, "route", None),
        "traceparent": _traceparent(request),
    }
    return ",".join(f"{key}='{quote(values[key], safe='')}'" for key in sql_comments() if values[key])


def _traceparent(request: Any) -> str | None:
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    header = "" if request is None else request.META.get("HTTP_TRACEPARENT", "")
    return header if re.fullmatch(_TRACEPARENT, header) else None


def _begin(*, connection: Any, **kwargs: Any) -> None:
    """Comment from the first connection on, if the settings say so."""
    if sql_comments():
        process_wide.add(commented, innermost=True)
        process_wide.attach(connection)


def _follow(*, setting: str, **kwargs: Any) -> None:
    """Follow override_settings() of tests; what is wrong with the settings is told by the next connection."""
    if setting == "VINYL":
        process_wide.remove(commented)
        with suppress(ImproperlyConfigured):
            if sql_comments():
                process_wide.add(commented, innermost=True)


def register() -> None:
    """Have the settings looked at as the first connection is made, in whichever mode. Again: nothing."""
    connection_created.connect(_begin)
    setting_changed.connect(_follow)
