"""The record shop, served asynchronously and synchronously from the same code, and compared.

    python demo.py [--db sqlite|postgresql|mariadb|mysql] [--keep]

It makes a database, fills it, starts uvicorn and gunicorn on it, calls every endpoint of both, checks that the answers
are equal, prints a table, and stops and removes all it has started. The exit status is 1 if anything differs.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import django
from django.db import connections
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo_parts.calls import script
from demo_parts.comparison import MODES, ROUNDS, Comparison, compare
from demo_parts.databases import ENGINES
from demo_parts.problem import Problem
from demo_parts.servers import Server, serve

console = Console(highlight=False)


def main() -> int:
    """Run the demo and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--db", choices=ENGINES, default="sqlite", help="the database (default: sqlite)")
    parser.add_argument("--keep", action="store_true", help="leave the servers running until Ctrl-C, to look at them")
    options = parser.parse_args()
    for request_to_end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(request_to_end, lambda number, frame: sys.exit(128 + number))
    try:
        return run(options.db, keep=options.keep)
    except Problem as problem:
        console.print("\n[bold red]The demo cannot go on.[/]")
        console.print(problem, markup=False, soft_wrap=True)
        if problem.log:
            console.print(f"\n{problem.log}", style="dim", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped. The servers and the database are gone.")
        return 130


def run(engine: str, *, keep: bool) -> int:
    """Make, fill, serve, compare, show; however that ends, clean up."""
    with tempfile.TemporaryDirectory(prefix="record-shop-") as folder, ENGINES[engine](Path(folder)) as database:
        console.print(f"[bold]The record shop[/] on {database}, served asynchronously and synchronously\n")
        try:
            fill_database(with_admin=keep)
            with serve(Path(folder)) as (asgi, wsgi):
                comparison = call_both(asgi, wsgi)
                show(comparison)
                if keep:
                    wait_for_visitors(asgi, wsgi)
                else:
                    # Whoever runs the demo with a server of theirs says how.
                    demo = os.environ.get("RECORD_SHOP_DEMO") or f"{from_here(sys.executable)} {from_here(__file__)}"
                    command = f"{demo} --db {engine} --keep"
                    console.print(f"To look at it in a browser:\n  [bold]{command}[/]", soft_wrap=True)
        finally:
            connections.close_all()
    return 0 if comparison.is_equal else 1


def from_here(path: str) -> str:
    """Return the path as one would type it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def fill_database(*, with_admin: bool) -> None:
    """Make the tables and some thousand rows."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    from demo_parts import stock

    with progress_bar() as bar:
        task = bar.add_task("Making the tables", total=None)
        stock.migrate()
        bar.update(task, description="Inserting rows")
        stock.fill(lambda total: bar.update(task, total=total), lambda rows: bar.advance(task, rows))
    if with_admin:
        stock.add_admin()


def call_both(asgi: Server, wsgi: Server) -> Comparison:
    """Call every endpoint of both servers, several times."""
    from demo_parts import stock

    untouched = stock.state()
    calls = script(*stock.in_stock(), stock.CUSTOMER, stock.TAG)

    def take_state() -> dict[str, int]:
        left = stock.state()
        stock.forget()
        if stock.state() != untouched:
            raise Problem(f"Cancelling the orders has not put everything back: {untouched} became {stock.state()}.")
        return left

    with progress_bar() as bar:
        task = bar.add_task("Calling endpoints", total=len(calls) * len(MODES) * ROUNDS)
        return compare({"async": asgi, "sync": wsgi}, calls, take_state, lambda: bar.advance(task))


def progress_bar() -> Progress:
    """Return a progress bar, which stays on the screen when it is full."""
    description = TextColumn("{task.description:<18}")
    return Progress(description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)


def show(comparison: Comparison) -> None:
    """Print the table, what it says, and what differs if anything does."""
    console.print()
    console.print(comparison.table())
    console.print(
        f"\nMilliseconds are medians of {ROUNDS - 1} calls, one after the other, as a client sees them. They tell what "
        "a call costs, not how many a server can carry; and much of it is Django's, which under ASGI runs its own "
        "middleware in threads. The call without queries shows how much.",
        style="dim",
    )
    if comparison.is_equal:
        console.print(f"[bold green]✓[/] All {len(comparison.rows)} answers are equal, and so is the data they left.\n")
        return
    for row in comparison.rows:
        if not row.is_equal:
            console.print(f"\n[bold red]✗[/] {row.call} differs:", soft_wrap=True)
            console.print("\n".join(list(row.differences())[:30]), markup=False, soft_wrap=True)
    if not comparison.leaves_equal_data:
        console.print(f"\n[bold red]✗[/] The data left behind differs: {comparison.states}", soft_wrap=True)
    console.print()


def wait_for_visitors(asgi: Server, wsgi: Server) -> None:
    """Leave the servers to whoever wants to look, until Ctrl-C."""
    console.print(f"The shop, asynchronously  [bold]{asgi.url}/[/]")
    console.print(f"      and synchronously   [bold]{wsgi.url}/[/]")
    console.print("The admin is at /admin/ of either: user admin, password admin. Ctrl-C stops both.")
    with suppress(KeyboardInterrupt):
        while True:
            for server in (asgi, wsgi):
                if server.process.poll() is not None:
                    raise Problem(f"{server.name} has ended by itself.", server.last_words())
            time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
