"""The process in which Django's tests run: `python -m tests.django_suite.child WAY FOLDER LABELS…`; see `children.py`.

It runs Django's own `runtests.py` of the folder, as a script and unmodified. WAY is one of

    bridge      all of it runs in vinyl's bridge, so that `django.db.connections` are vinyl's asynchronous connections
    plain       without vinyl, which is not even imported
    async       as bridge, and querysets are evaluated by vinyl as well and compared
    sync        as plain, and the same
"""

import asyncio
import runpy
import sys
from pathlib import Path
from typing import Any

from tests.django_suite import counting, recorder
from tests.django_suite.records import write


def main(way: str, folder: str, *labels: str) -> Any:
    sys.path.insert(0, folder)
    sys.argv = ["runtests.py", "--parallel=1", "--noinput", "--timing", *labels]
    script = str(Path(folder, "runtests.py"))
    counting.count_statements()
    if way in ("async", "sync"):
        recorder.Runner.result_class = recorder.ComparingResult
    if way in ("bridge", "async"):
        code = asyncio.run(in_bridge(script, compare=way == "async"))
    else:
        code = suite(script, compare=way == "sync")
    counting.report()
    write("count", "finished", 1)
    return code


async def in_bridge(script: str, *, compare: bool) -> Any:
    counting.count_waits()
    import vinyl
    from vinyl.scopes import close_sources

    loop = asyncio.get_running_loop()
    recorder.at_end.append(lambda: close_sources(loop))
    return await vinyl.run(suite, script, compare=compare)


def suite(script: str, *, compare: bool) -> Any:
    """Run the script to its end and return its status."""
    if compare:
        from tests.django_suite import wrapping

        wrapping.install()
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return end.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
