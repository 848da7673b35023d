"""Which errors mean that a transaction has met another, and would succeed if it were run again.

They are told by the codes of the drivers behind Django's errors; this module imports none of them.
"""

from django.db import Error

# https://www.postgresql.org/docs/current/errcodes-appendix.html: serialization failure, deadlock.
SQLSTATES = {"40001", "40P01"}
# https://mariadb.com/docs/server/reference/error-codes: deadlock, or refused by the other nodes of a cluster; a lock
# not got in time; a row changed since the transaction's snapshot.
MYSQL_CODES = {1213, 1205, 1020}
# https://www.sqlite.org/rescode.html, of which the last byte counts: busy, locked.
SQLITE_CODES = {5, 6}


def is_conflict(error: BaseException) -> bool:
    """Tell whether Django's error stands for a conflict of transactions.

    So does a group of errors, as a task group raises it, if one of them does and the others are of the database too:
    what it has told the other tasks since then.
    """
    if isinstance(error, BaseExceptionGroup):
        return _is_of_database(error) and any(map(is_conflict, error.exceptions))
    return isinstance(error, Error) and _has_code_of_conflict(error.__cause__)


def _is_of_database(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_of_database, error.exceptions))
    return isinstance(error, Error)


def _has_code_of_conflict(cause: BaseException | None) -> bool:
    # psycopg, and psycopg2.
    if getattr(cause, "sqlstate", None) in SQLSTATES or getattr(cause, "pgcode", None) in SQLSTATES:
        return True
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF in SQLITE_CODES:
        return True
    is_of_mysql = type(cause).__module__.startswith("MySQLdb")
    return is_of_mysql and cause is not None and cause.args[:1] != () and cause.args[0] in MYSQL_CODES
