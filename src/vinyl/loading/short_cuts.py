"""What Django's own converters do with the values that drivers nearly always give, without calling them.

A converter of Django's is known by the module and the name of its function. Its short cut is an expression that is true
to it for one type of value, and hands every other to the converter itself. So it need not know more than that type.

The texts are as converters.py says. This module must not know compilers or rows.
"""

import datetime
import json
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import JSONField
from django.db.models.expressions import Col


class Names:
    """Names for the objects that a generated function refers to: g0, g1, …, as they are asked for."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        # Functions of a connection, which find what the generated function calls b0, b1, ….
        self.finds: list[Callable[[Any], Any]] = []

    def of(self, ob: Any) -> str:
        self.objects.append(ob)
        return f"g{len(self.objects) - 1}"

    def bound(self, find: Callable[[Any], Any]) -> str:
        self.finds.append(find)
        return f"b{len(self.finds) - 1}"


# Of functions of Django's operations: the text for a value {0}, which the converter is called with by {1}.
_AWARE = "(None if {0} is None else {0}.replace(tzinfo={2}) if type({0}) is {3} and {0}.tzinfo is None else {1})"
_AS_IT_IS = "({0} if {0} is None or type({0}) is {2} else {1})"
_BOOLEAN = "({0} if {0} is None or type({0}) is {2} else {3}({0}, {0}) if type({0}) is {4} else {1})"
_OF_TEXT = "(None if {0} is None else {2}({0}) if type({0}) is {3} else {1})"

_BACKENDS = ("django.db.backends.sqlite3.operations", "django.db.backends.mysql.operations")


def shortened(names: Names, converter: Any, expression: Any, value: str, call: str) -> str:
    """Return the text of a converter's short cut, or `call` if there is none."""
    function: Any = getattr(converter, "__func__", None)
    if function is JSONField.from_db_value and type(expression) is Col and converter.__self__.decoder is None:
        return _OF_TEXT.format(value, call, names.of(_json), names.of(str))
    if getattr(function, "__module__", None) not in _BACKENDS:
        return call
    match function.__name__:
        case "convert_datetimefield_value" if settings.USE_TZ:
            timezone = names.bound(lambda connection: connection.timezone)
            return _AWARE.format(value, call, timezone, names.of(datetime.datetime))
        case "convert_datefield_value":
            return _AS_IT_IS.format(value, call, names.of(datetime.date))
        case "convert_timefield_value":
            return _AS_IT_IS.format(value, call, names.of(datetime.time))
        case "convert_booleanfield_value":
            return _BOOLEAN.format(value, call, names.of(bool), names.of({0: False, 1: True}.get), names.of(int))
        case "convert_uuidfield_value":
            return _OF_TEXT.format(value, call, names.of(_uuid), names.of(str))
    return call


_decode: Callable[[str], Any] = json.JSONDecoder().decode


def _json(text: str) -> Any:
    try:
        return _decode(text)
    except json.JSONDecodeError:
        # As Django does.
        return text


_set = object.__setattr__


def _uuid(text: str) -> uuid.UUID:
    digits = text.replace("-", "")
    if len(digits) != 32:
        return uuid.UUID(text)
    # uuid.UUID() looks for much else that a text might be.
    made = object.__new__(uuid.UUID)
    _set(made, "int", int(digits, 16))
    _set(made, "is_safe", uuid.SafeUUID.unknown)
    return made
