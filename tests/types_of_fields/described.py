"""Values and errors as plain data, in which all that must be equal can be compared: type by type, all the way down."""

import re
from collections.abc import Awaitable
from hashlib import sha256
from typing import Any

from django.db.models import Model
from django.db.models.fields.files import FieldFile

# Longer ones are told apart by their hash, for the sake of who reads how two of them differ.
LONGEST = 300


def described(value: Any) -> Any:
    """Return a value with its type, and those of all that is in it."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return kind, [(described(key), described(content)) for key, content in value.items()]
    if isinstance(value, list | tuple):
        return kind, [described(content) for content in value]
    if isinstance(value, Model):
        return value._meta.label, described(value.pk)
    if isinstance(value, FieldFile):
        return kind, described(value.name)
    # By repr(), in which -0.0 is not 0.0, 1.50 not 1.5, and a moment not that of another time zone.
    return kind, _short(repr(bytes(value) if isinstance(value, memoryview) else value))


def _short(text: str) -> str:
    return text if len(text) < LONGEST else f"{text[:LONGEST]}… {sha256(text.encode('utf-8', 'replace')).hexdigest()}"


async def result_of(awaitable: Awaitable[Any]) -> Any:
    """Await and describe the result, or the error."""
    try:
        return described(await awaitable)
    except Exception as error:
        return described_error(error)


def described_error(error: BaseException) -> Any:
    """Return the class and the message of an error, and of that of the driver behind it."""
    behind = None if error.__cause__ is None else described_error(error.__cause__)
    return "error", f"{type(error).__module__}.{type(error).__qualname__}", _message(error), behind


def is_error(result: Any) -> bool:
    """Tell whether what result_of() has given is an error."""
    return bool(result[0] == "error")


def is_error_of_database(result: Any) -> bool:
    """Tell whether what result_of() has given is an error of the driver's or of the server's."""
    return is_error(result) and result[1].startswith("django.db.utils.")


def _message(error: BaseException) -> str:
    # PostgreSQL shows the row, which begins with its key, and the statement, which may have it.
    return _short(re.sub(r"(?<=Failing row contains \()\d+|\nLINE 1: .*\n *\^", "", str(error)))
