"""The process in which Django's tests run: `python -m tests.django_suite.child WAY FOLDER LABELS…`; see `children.py`.

It runs Django's own `runtests.py` of the folder, as a script and unmodified. WAY is one of

    bridge      all of it runs in vinyl's bridge, so that `django.db.connections` are vinyl's asynchronous connections
    plain       without vinyl, which is not even imported
    async       as bridge, and querysets are evaluated by vinyl as well and compared
    sync        as plain, and the same
    site        as bridge, and requests are answered by vinyl's handler; see `sites.py`
    plans       as async, and the calls that built a queryset are repeated, by plans
"""

import asyncio
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from tests.django_suite import counting, recorder
from tests.django_suite.records import write
from tests.private_pgbouncer import end_sessions


def main(way: str, folder: str, *labels: str) -> Any:
    sys.path.insert(0, folder)
    sys.argv = ["runtests.py", "--parallel=1", "--noinput", "--timing", *labels]
    script = str(Path(folder, "runtests.py"))
    counting.count_statements()
    if os.environ.get("VINYL_TEST_POOL_MODE"):
        databases = (f"test_vinyl_django_{os.environ['VINYL_DJANGO_RUN']}_{alias}" for alias in ("default", "other"))
        recorder.at_end.append(lambda: end_sessions(os.environ["VINYL_TEST_URL"], *databases))
    if way in ("async", "sync", "plans"):
        recorder.Runner.result_class = recorder.ComparingResult
    in_loop = way in ("bridge", "site", "async", "plans")
    code = asyncio.run(in_bridge(script, way)) if in_loop else suite(script, way)
    counting.report()
    write("count", "finished", 1)
    return code


async def in_bridge(script: str, way: str) -> Any:
    counting.count_waits()
    import vinyl
    from vinyl.lending.scopes import close_sources

    loop = asyncio.get_running_loop()
    recorder.at_end.append(lambda: close_sources(loop))
    if way == "site":
        from tests.django_suite import sites

        sites.install()
    # Coroutines of tests give synchronous code back to where the tests run.
    with vinyl.native_calls():
        return await vinyl.run(suite, script, way)


def suite(script: str, way: str) -> Any:
    """Run the script to its end and return its status."""
    if way == "plans":
        from tests.django_suite import replaying

        replaying.install()
    if way in ("async", "sync", "plans"):
        from tests.django_suite import wrapping

        wrapping.install()
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return end.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
