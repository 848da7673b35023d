"""Several statements in one round trip, by libpq's pipeline mode.

    results = yield from exchange(pgconn, [send, …])     each `send` calls one of pgconn's functions of that name

The results are in the order of what was sent. All is sent before the one Sync message, so after the first that fails
the server skips the rest, whose results say PIPELINE_ABORTED; and outside of a transaction all are done, or none.

The generator is one of psycopg's kind. Whoever leaves it before its end has to resume it or to close the connection,
which is in pipeline mode until then, and ACTIVE.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any

from psycopg import generators
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

Send = Callable[[], None]
FATAL_ERROR, PIPELINE_SYNC = ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_SYNC


def exchange(pgconn: Any, sends: Iterable[Send]) -> Generator[Any, Any, list[Any]]:
    """Send it all, and return the results, one for each."""
    pgconn.enter_pipeline_mode()
    failure: Exception | None = None
    try:
        for send in sends:
            send()
    except Exception as error:
        # What was sent before has to be answered first.
        failure = error
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    results: list[Any] = []
    while True:
        answers = yield from generators.fetch_many(pgconn)
        if answers and answers[0].status == PIPELINE_SYNC:
            break
        results += answers
    pgconn.exit_pipeline_mode()
    if failure is not None:
        raise failure
    return results


def check(results: Iterable[Any], encoding: str) -> None:
    """Raise the error of the result that has failed, if any has."""
    for result in results:
        if result.status == FATAL_ERROR:
            raise error_from_result(result, encoding=encoding)
