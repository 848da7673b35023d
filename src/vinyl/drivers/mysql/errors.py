"""Errors: the server's and asyncmy's as mysqlclient raises them, and those about settings.

Which class an error has is decided in mysqlclient's C layer, by the codes that its library knew when it was built; the
table here is that one.
"""

from collections.abc import Iterable

import asyncmy.errors
import MySQLdb
from django.core.exceptions import ImproperlyConfigured
from MySQLdb.constants import CR, ER

# Errors of a server that serves nobody at the moment, whatever it is asked: too many connections, being shut down, a
# Galera node that has lost its cluster or is still catching up with it.
UNAVAILABLE = (ER.CON_COUNT_ERROR, ER.SERVER_SHUTDOWN, ER.UNKNOWN_COM_ERROR)


def unsupported(alias: str, name: str, why: str) -> ImproperlyConfigured:
    """Return the error for an option that works in the synchronous mode only; `why` ends with the cure."""
    return ImproperlyConfigured(
        f"DATABASES[{alias!r}]['OPTIONS'][{name!r}] does not work in the asynchronous mode: {why}, or use this "
        "database in the synchronous mode only."
    )


def invalid(alias: str, name: str, value: object, choices: Iterable[str]) -> ImproperlyConfigured:
    """Return the error for an option that has a value which works in neither mode."""
    return ImproperlyConfigured(
        f"DATABASES[{alias!r}]['OPTIONS'][{name!r}] is {value!r}; it must be one of {', '.join(choices)}."
    )


def is_of_server(error: BaseException) -> bool:
    """Tell whether an error is the server's answer to a statement, after which the connection goes on as before."""
    if not isinstance(error, asyncmy.errors.MySQLError) or not error.args or not isinstance(error.args[0], int):
        return False
    code = error.args[0]
    return code > 0 and code not in UNAVAILABLE and not CR.MIN_ERROR <= code <= CR.MAX_ERROR


def translated(error: "asyncmy.errors.MySQLError") -> MySQLdb.MySQLError:
    """Return mysqlclient's error for one of asyncmy's."""
    if len(error.args) < 2 or not isinstance(error.args[0], int):
        # asyncmy's own, about what has arrived.
        return MySQLdb.InternalError(CR.UNKNOWN_ERROR, " ".join(map(str, error.args)))
    code, message = error.args[0], error.args[1]
    if code == 0:
        # asyncmy's for a connection that is closed.
        return MySQLdb.OperationalError(CR.SERVER_GONE_ERROR, "MySQL server has gone away")
    return error_class(code)(code, message)


def error_class(code: int) -> type[MySQLdb.MySQLError]:
    """Return the class that mysqlclient gives to an error of the server with this code."""
    return _CLASSES.get(code) or (MySQLdb.InternalError if code < 1000 else MySQLdb.OperationalError)


def _codes(*names: str) -> list[int]:
    # mysqlclient knows those that its C library knew when it was built.
    return [getattr(ER, name) for name in names if hasattr(ER, name)]


_CLASSES: dict[int, type[MySQLdb.MySQLError]] = {
    **dict.fromkeys(
        [
            CR.COMMANDS_OUT_OF_SYNC,
            *_codes(
                "DB_CREATE_EXISTS",
                "SYNTAX_ERROR",
                "PARSE_ERROR",
                "NO_SUCH_TABLE",
                "WRONG_DB_NAME",
                "WRONG_TABLE_NAME",
                "FIELD_SPECIFIED_TWICE",
                "INVALID_GROUP_FUNC_USE",
                "UNSUPPORTED_EXTENSION",
                "TABLE_MUST_HAVE_COLUMNS",
                "CANT_DO_THIS_DURING_AN_TRANSACTION",
            ),
        ],
        MySQLdb.ProgrammingError,
    ),
    **dict.fromkeys(
        _codes(
            "WARN_DATA_TRUNCATED",
            "WARN_DATA_OUT_OF_RANGE",
            "NO_DEFAULT",
            "PRIMARY_CANT_HAVE_NULL",
            "DATA_TOO_LONG",
            "DATETIME_FUNCTION_OVERFLOW",
        ),
        MySQLdb.DataError,
    ),
    **dict.fromkeys(
        _codes(
            "DUP_ENTRY",
            "DUP_UNIQUE",
            "NO_REFERENCED_ROW",
            "NO_REFERENCED_ROW_2",
            "ROW_IS_REFERENCED",
            "ROW_IS_REFERENCED_2",
            "CANNOT_ADD_FOREIGN",
            "NO_DEFAULT_FOR_FIELD",
            "BAD_NULL_ERROR",
        ),
        MySQLdb.IntegrityError,
    ),
    **dict.fromkeys(
        _codes("WARNING_NOT_COMPLETE_ROLLBACK", "NOT_SUPPORTED_YET", "FEATURE_DISABLED", "UNKNOWN_STORAGE_ENGINE"),
        MySQLdb.NotSupportedError,
    ),
}
