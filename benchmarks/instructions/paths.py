"""The hot paths, and the process that runs them under valgrind: `python -m benchmarks.instructions.paths MARKERS`.

They run on the stub, so there is no server, no socket and no thread; rows are what a driver would have given. This
module counts nothing by itself: valgrind does, between the markers.
"""

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.instructions.markers import Markers

MANY = 1_000
SOME = 100
GROUPS = 50


BY_BRIDGE = "_by_bridge"


@dataclass(frozen=True)
class Path:
    """A hot path, whose operation has its name. It is run so many `times`; the database answers with so many `rows`.

    Queries that are planned go natively, as on PostgreSQL, or by way of the bridge, as on the other databases.
    """

    name: str
    title: str
    rows: int = 1
    times: int = 20

    @property
    def is_by_bridge(self) -> bool:
        return self.name.endswith(BY_BRIDGE)

    @property
    def operation(self) -> str:
        return self.name.removesuffix(BY_BRIDGE)

    @property
    def warm_up(self) -> int:
        """Python specialises code that has run several times, and caches are filled."""
        return 20 if self.rows == 1 else 3


REFERENCE = "reference"
IMPORT = "import_vinyl"
# Without an event loop; Django's own get() refuses to run in one.
SYNCHRONOUS = [
    Path(REFERENCE, "Django's own get(), synchronously"),
    Path("get_in_sync", "get() by primary key, in the sync mode"),
]
ASYNCHRONOUS = [
    Path("bridge", "a spawn() with one wait"),
    Path("pool", "a connection lent and released"),
    Path("build", "a queryset of two methods, built only"),
    Path("get", "get() by primary key"),
    Path("frozen_get", "the same, frozen"),
    Path("filter", f"{SOME} books by a column, in order", SOME, times=5),
    Path("fetch", f"{MANY:,} books as instances", MANY, times=3),
    Path("values", f"{MANY:,} books as dictionaries", MANY, times=3),
    Path("select_related", f"{SOME} books with their authors", SOME, times=5),
    Path("prefetch", f"{SOME} books, then their authors and publishers", SOME, times=5),
    Path("annotate", f"{GROUPS} groups of books, counted and averaged", GROUPS, times=5),
    Path("gather", "three queries of one book, gathered"),
    Path("insert", "one book inserted"),
    Path("bulk_insert", f"{SOME} books inserted at once", SOME, times=5),
    Path("update", "one column set by primary key"),
    Path("update_instance", "one column of an instance set"),
    Path("transaction", "get() and update() in a transaction"),
    Path(f"get{BY_BRIDGE}", "get() by way of the bridge"),
    Path(f"filter{BY_BRIDGE}", f"{SOME} books by a column, by way of the bridge", SOME, times=5),
    Path(f"fetch{BY_BRIDGE}", f"{MANY:,} books by way of the bridge", MANY, times=3),
    Path(f"prefetch{BY_BRIDGE}", "relations by way of the bridge", SOME, times=5),
    Path(f"insert{BY_BRIDGE}", "one book inserted by way of the bridge"),
    Path(f"update{BY_BRIDGE}", "one column set by way of the bridge"),
    Path(f"transaction{BY_BRIDGE}", "a transaction by way of the bridge"),
]
PATHS = {path.name: path for path in [Path(IMPORT, "import vinyl, after Django", times=1), *SYNCHRONOUS, *ASYNCHRONOUS]}


def main(library: str) -> None:
    """Import vinyl, then run each path, and have each counted by its name."""
    import django.db.models  # what a project has imported anyhow  # noqa: F401

    markers = Markers(library)
    with markers.counted(IMPORT):
        import vinyl  # noqa: F401
    set_up()
    from benchmarks.instructions import operations

    for path in SYNCHRONOUS:
        operation = getattr(operations, path.name)
        with answered(path):
            for _ in range(path.warm_up):
                operation()
            with markers.counted(path.name):
                for _ in range(path.times):
                    operation()
    asyncio.run(run(markers))


def set_up() -> None:
    """Set up Django, on the stub."""
    import django
    from django.conf import settings

    from benchmarks.stub import driver

    settings.configure(
        DATABASES={"default": {"ENGINE": "benchmarks.stub", "NAME": "stub", "CONN_MAX_AGE": None}},
        INSTALLED_APPS=["benchmarks"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()
    driver.register()


async def run(markers: Markers) -> None:
    from benchmarks.instructions.operations import Asynchronous

    operations = Asynchronous()
    for path in ASYNCHRONOUS:
        operation = getattr(operations, path.operation)
        await operations.go(by_bridge=path.is_by_bridge)
        with answered(path):
            for _ in range(path.warm_up):
                await operation()
            with markers.counted(path.name):
                for _ in range(path.times):
                    await operation()
    await operations.close()


@contextmanager
def answered(path: Path) -> Iterator[None]:
    """Have the stub answer with as many rows as the path reads, and the garbage collector wait until its end."""
    from benchmarks.stub import base

    base.rows = path.rows
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


if __name__ == "__main__":
    main(*sys.argv[1:])
