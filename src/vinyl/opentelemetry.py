"""OpenTelemetry: a span for each statement, in both modes, and one for waiting for a connection.

    vinyl.opentelemetry.instrument()        where the process begins, as in an AppConfig's ready()

The names are those of the semantic conventions: https://opentelemetry.io/docs/specs/semconv/database/database-spans/.
No value of a statement is in a span: literals of its text are shown as `?`, and of an error there are its class and the
server's code, since its message may quote a row. Nothing imports this module but who wants it; it needs the extra
`django-vinyl[opentelemetry]`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from typing import Any

import django.db
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from vinyl.common import process_wide

_SCHEMA = "https://opentelemetry.io/schemas/1.30.0"
_SYSTEMS = {"oracle": "oracle.db"}
# Comments count as literals: what an apostrophe in one would begin is none.
_OTHERS = r"|--[^\n]*|/\*.*?\*/|\b\d+(?:\.\d+)?\b"
# What is quoted as a name stays. In PostgreSQL a backslash is one, but for E'…'; dollars quote a text there.
_LITERALS = re.compile(
    r"""(?P<name>"[^"]*"|`[^`]*`)|\be'(?:[^'\\]|''|\\.)*'|[a-z]*'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$""" + _OTHERS,
    re.IGNORECASE | re.DOTALL,
)
# In MySQL what double quotes stand around is a text, unless the server's sql_mode has ANSI_QUOTES.
_LITERALS_OF_MYSQL = re.compile(
    r"""(?P<name>`[^`]*`)|\#[^\n]*|[a-z]*'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*\"""" + _OTHERS,
    re.IGNORECASE | re.DOTALL,
)

_instrumentation: "_Instrumentation | None" = None


def instrument(*, tracer_provider: trace.TracerProvider | None = None) -> None:
    """Make a span for each statement from now on, by the global tracer provider or this one. Again: nothing.

    Its parent is the current span. It begins as the statement is sent and ends as its task goes on with the answer; it
    is an error if the statement fails or is cancelled. Waiting for a connection, if none is idle, has its own span.
    COMMIT and ROLLBACK have none, nor have the connections of other threads that were made before.
    """
    global _instrumentation
    if _instrumentation is None:
        _instrumentation = _Instrumentation(tracer_provider)
        process_wide.add(_instrumentation.execute)
        process_wide.waits.append(_instrumentation.wait)


def uninstrument() -> None:
    """Make no more spans. Without instrument(): nothing."""
    global _instrumentation
    if _instrumentation is not None:
        process_wide.remove(_instrumentation.execute)
        process_wide.waits.remove(_instrumentation.wait)
        _instrumentation = None


class _Instrumentation:
    def __init__(self, provider: trace.TracerProvider | None) -> None:
        self._tracer = trace.get_tracer("vinyl", metadata.version("django-vinyl"), provider, _SCHEMA)

    def execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Execute within a span."""
        wrapper = context["connection"]
        text, operation = _described(sql if isinstance(sql, str) else _text(sql, wrapper), wrapper.vendor)
        attributes: dict[str, Any] = {
            "db.system.name": _system(wrapper),
            "db.query.text": text,
            "db.operation.name": operation,
            **_server(wrapper.settings_dict),
        }
        if many and len(params) > 1:
            attributes |= {"db.operation.batch.size": len(params), "db.operation.name": f"BATCH {operation}"}
        with self._span(f"{operation} {attributes['db.namespace']}", SpanKind.CLIENT, attributes):
            return execute(sql, params, many, context)

    @contextmanager
    def wait(self, alias: str) -> Iterator[None]:
        """A span around waiting for a connection, or for a new one."""
        attributes = {"db.client.connection.pool.name": alias, **_server(django.db.connections.settings[alias])}
        with self._span("acquire connection", SpanKind.INTERNAL, attributes):
            yield

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: dict[str, Any]) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attributes(_failure(error))
                span.set_status(Status(StatusCode.ERROR))
                raise


def _failure(error: BaseException) -> dict[str, str]:
    attributes = {"error.type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")}
    cause = error.__cause__
    # psycopg's attribute; MySQL's errors begin with their number.
    code = getattr(cause, "sqlstate", None) or next(
        (arg for arg in getattr(cause, "args", ()) if type(arg) is int), None
    )
    return attributes if code is None else {**attributes, "db.response.status_code": str(code)}


def _system(wrapper: Any) -> str:
    vendor: str = wrapper.vendor
    if vendor == "mysql" and "MariaDB" in wrapper.connection.get_server_info():
        return "mariadb"
    return _SYSTEMS.get(vendor, vendor)


def _server(settings: dict[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"db.namespace": str(settings["NAME"])}
    if settings["HOST"]:
        attributes["server.address"] = settings["HOST"]
        if str(settings["PORT"]).isdecimal():
            attributes["server.port"] = int(settings["PORT"])
    return attributes


@lru_cache(maxsize=1000)
def _described(sql: str, vendor: str) -> tuple[str, str]:
    """Return the text without literals, and its first word."""
    literals = _LITERALS_OF_MYSQL if vendor == "mysql" else _LITERALS
    text = literals.sub(lambda found: found["name"] or "?", sql)
    return text, text.split(maxsplit=1)[0].upper() if text.strip() else ""


def _text(sql: Any, wrapper: Any) -> str:
    """Return what psycopg has for SQL as text."""
    return sql.decode() if isinstance(sql, bytes) else str(sql.as_string(wrapper.connection))
