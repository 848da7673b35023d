"""mysqlclient's converters of what is read, as asyncmy takes them.

asyncmy has one converter for each type of column, and decodes text by itself as mysqlclient does. What a converter of
mysqlclient's gets depends on the type too: text, or for most the bytes that have arrived. This module knows no
connection.
"""

from collections.abc import Callable, Mapping
from typing import Any

import MySQLdb.converters
from MySQLdb.constants import FIELD_TYPE

from vinyl.drivers.mysql.errors import unsupported

TEXT_TYPES = (
    FIELD_TYPE.STRING,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.VARCHAR,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.BLOB,
    FIELD_TYPE.JSON,
)
# Converters of these types get text from mysqlclient, those of others bytes.
READ_AS_TEXT = (
    FIELD_TYPE.DECIMAL,
    FIELD_TYPE.NEWDECIMAL,
    FIELD_TYPE.TIMESTAMP,
    FIELD_TYPE.DATETIME,
    FIELD_TYPE.TIME,
    FIELD_TYPE.DATE,
)
# MySQL 9's, which mysqlclient does not know by name.
VECTOR = 242


class Converter:
    """A converter that asyncmy gives the bytes that have arrived, and whose errors are raised by somebody else.

    asyncmy would stop reading in the middle of the answer, while mysqlclient has read it all. The errors are appended
    to `failures`.

    Where asyncmy does not take a type for text it decodes values as ASCII, unless their converter is one of those that
    it knows to read bytes. So this one is equal to the first of them.
    """

    def __init__(self, function: Callable[[Any], Any], takes_text: bool, failures: list[Exception]) -> None:
        self._function = function
        self._takes_text = takes_text
        self._failures = failures

    def __eq__(self, other: object) -> bool:
        return other is self or other is int

    def __hash__(self) -> int:
        return hash(int)

    def __call__(self, value: bytes) -> Any:
        try:
            return self._function(value.decode("ascii") if self._takes_text else value)
        except Exception as error:
            self._failures.append(error)
            return None


def decoders_for(alias: str, converters: Mapping[Any, Any], failures: list[Exception]) -> dict[int, Callable[..., Any]]:
    """Return asyncmy's converters for those that mysqlclient is given for the database `alias`."""
    decoders: dict[int, Callable[..., Any]] = {}
    for kind in {*MySQLdb.converters.conversions, *converters, VECTOR}.difference(TEXT_TYPES):
        if not isinstance(kind, int):
            continue
        # mysqlclient gives what has no converter as it has arrived.
        converter = converters.get(kind, bytes)
        if not callable(converter):
            raise unsupported(alias, "conv", "a converter must be a function. Use one")
        if converter is MySQLdb.converters.conversions.get(kind):
            # These raise no errors.
            decoders[kind] = converter
        else:
            takes_text = converter is str or (kind in READ_AS_TEXT and converter is not bytes)
            decoders[kind] = Converter(converter, takes_text, failures)
    return decoders
