"""django-debug-toolbar's SQL panel, which sees vinyl's asynchronous queries too.

    DEBUG_TOOLBAR_PANELS = [..., "vinyl.debug_toolbar.SQLPanel"]       instead of "debug_toolbar.panels.sql.SQLPanel"

The toolbar's own panel puts itself into the cursors of Django's connections of a thread. Those of the event loop's
thread are not used in the asynchronous mode, and would be the same for all requests. This one is also a wrapper around
each execution in the context of its request. https://django-debug-toolbar.readthedocs.io/
"""

import linecache
import os.path
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import debug_toolbar
from debug_toolbar.panels import sql
from debug_toolbar.panels.sql import tracking
from django.db import connections

from vinyl import bridge
from vinyl.common import whereabouts
from vinyl.lending import pins

_TOOLBAR = os.path.join(os.path.dirname(debug_toolbar.__file__), "")


class SQLPanel(sql.SQLPanel):
    """The toolbar's panel, with the queries of both modes; the times are from sending a statement to its answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._block = ExitStack()

    def enable_instrumentation(self) -> None:
        # The toolbar calls it in a thread of asgiref's, which hands the context variables on to the request's task.
        super().enable_instrumentation()
        for alias in connections:
            self._block.enter_context(pins.execute_wrapper(alias, self._recorded))

    def disable_instrumentation(self) -> None:
        self._block.close()
        super().disable_instrumentation()

    def record(self, **kwargs: Any) -> None:
        inside = bridge.current()
        if inside is not None:
            # The toolbar has found the frames of this side of the bridge only.
            places = whereabouts.lines(whereabouts.stack(inside.task))
            kwargs["stacktrace"] = [
                _shown(place) for place in reversed(places) if not place.filename.startswith(_TOOLBAR)
            ]
        super().record(**kwargs)

    def _recorded(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Execute, and have the toolbar's cursor record it."""
        if not tracking.allow_sql.get():
            # The toolbar shows the variables of a template, and wants no query for that.
            raise tracking.SQLQueryTriggered
        cursor = context["cursor"]
        recording_class = tracking.patch_cursor_wrapper_with_mixin(type(cursor), tracking.NormalCursorMixin)
        recording = recording_class(cursor.cursor, context["connection"], self)
        return recording._record(lambda sql, params: execute(sql, params, many, context), sql, params)


def _shown(place: whereabouts.Place) -> tuple[Any, ...]:
    """Return a line as the toolbar has it: with its code, and without local variables."""
    return (*place[:3], linecache.getline(place.filename, place.line).strip(), None)
