"""Whether statements go through cursors as Django makes them, or a project has put something of its own in between.

    has_own_cursors(wrapper_class, options)     a backend that makes its cursors in its own way, to set `search_path` or
                                                to count statements for example, or a class of cursors in OPTIONS
    cursors_are_patched()                       somebody has replaced CursorWrapper.execute(), as tools that trace
                                                statements do

Either wants to see each statement, so none may be sent past Django's cursors. What is Django's own is known by the file
that its code is from, since such tools may have come before vinyl. This module knows nothing of plans or connections.
"""

import os
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import django
from django.db.backends.utils import CursorWrapper

# Of a DatabaseWrapper, what is between a statement and the driver's cursor.
_MAKING_CURSORS = ("cursor", "_cursor", "make_cursor", "create_cursor", "_prepare_cursor")
# Options of psycopg and of mysqlclient.
_CLASSES_OF_CURSORS = ("cursor_factory", "cursorclass")
_FOLDER = os.path.join(os.path.dirname(django.__file__), "")


def _is_djangos(function: Any) -> bool:
    # Not isinstance(): proxies of functions say that they are one, and have the code of what they stand for.
    while type(function) is FunctionType and function.__code__.co_filename.startswith(_FOLDER):
        # Django's own are decorated, and others may be by the same decorator.
        if not hasattr(function, "__wrapped__"):
            return True
        function = function.__wrapped__
    return False


def _original(function: Any) -> Any:
    return function if _is_djangos(function) else None


# None where they were patched before.
_EXECUTE, _EXECUTEMANY = _original(CursorWrapper.execute), _original(CursorWrapper.executemany)


def has_own_cursors(wrapper_class: type[Any], options: Mapping[str, Any]) -> bool:
    """Tell whether a project's DatabaseWrapper class makes its cursors otherwise than one of Django's."""
    methods = (getattr(wrapper_class, name, None) for name in _MAKING_CURSORS)
    return any(map(options.get, _CLASSES_OF_CURSORS)) or not all(map(_is_djangos, methods))


def cursors_are_patched() -> bool:
    """Tell whether what Django's cursors execute is looked at by anybody, at the moment."""
    return CursorWrapper.execute is not _EXECUTE or CursorWrapper.executemany is not _EXECUTEMANY
