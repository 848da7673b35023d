"""The guest book, served twice from one source: natively by uvicorn, and by gunicorn in threads.

    python demo.py [--keep]

Both servers get the same visitor, who logs in, signs the book, uses the admin and streams an export. Then eight
reports are asked for at once, each of which waits half a second for the database, and the front page behind them. Each
line ends with the thread that the view ran in.

The database is a file of SQLite's that is gone afterwards, unless `GUESTBOOK_DATABASE` has another one. With --keep
both servers run on until Ctrl-C.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import django
import httpx
from django.core.management import call_command

HERE = Path(__file__).resolve().parent
SERVERS = {
    "natively, by uvicorn": "uvicorn guestbook.asgi:application --port {port} --lifespan off --log-level warning",
    "by WSGI, in 4 threads of gunicorn": (
        "gunicorn guestbook.wsgi:application --bind 127.0.0.1:{port} --threads 4 --log-level warning"
        " --no-control-socket"
    ),
}
# Fewer than the pool has connections, which is ten.
REPORTS = 8
SECONDS_AHEAD = 0.1
SECONDS_TO_START = 20


def fill_database():
    """Make the tables, and a guest who may use the admin, whose key is returned."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "guestbook.settings"
    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection

    call_command("migrate", verbosity=0)
    guest = User.objects.filter(username="ann").first() or User.objects.create_superuser("ann", password="secret")
    connection.close()
    return guest.pk


@contextmanager
def serving(command):
    """Run a server until the block ends, and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", *command.format(port=port).split()], cwd=HERE)
    try:
        wait_until_ready(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(process, port):
    """Return as soon as somebody answers at the port."""
    deadline = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit(f"The server did not answer within {SECONDS_TO_START} seconds.")


async def visit(client, guest):
    """Do what a guest does, and print how each request went."""
    await show("read the front page", client.get("/"))
    await client.get("/login/")
    await show("log in by the form", post(client, "/login/", username="ann", password="secret"))
    await show("sign the book by the form", post(client, "/sign/", text="It was lovely."))
    await show("see it", client.get("/"), "It was lovely.")
    await show("open the admin", client.get("/admin/guestbook/entry/"), "It was lovely.")
    await show(
        "add an entry there", post(client, "/admin/guestbook/entry/add/", guest=guest, text="Added by the staff.")
    )
    await show("stream the export", client.get("/export/"), "ann: Added by the staff.")


def post(client, path, **fields):
    """Send a form. Django takes the cookie's value for the token that the page has."""
    return client.post(path, data={"csrfmiddlewaretoken": client.cookies["csrftoken"], **fields})


async def show(what, request, text=""):
    """Print a line about a request, which has to succeed and show the text."""
    started = time.perf_counter()
    response = await request
    milliseconds = (time.perf_counter() - started) * 1000
    assert response.status_code in (200, 302), response
    assert text in response.text, response.text
    print(f"  {what:<28}{response.status_code}{milliseconds:>7.0f} ms   {response.headers['X-Thread']}")


async def crowd(client):
    """Ask for the reports at once, and for the front page after them; print who had to wait for whom."""
    started = time.perf_counter()
    reports = [asyncio.create_task(client.get("/report/")) for _ in range(REPORTS)]
    # By then they are under way, or wait for a thread.
    await asyncio.sleep(SECONDS_AHEAD)
    await show("read a page meanwhile", client.get("/"))
    responses = await asyncio.gather(*reports)
    seconds = time.perf_counter() - started
    assert {response.status_code for response in responses} == {200}
    threads = len({response.headers["X-Thread"] for response in responses})
    under_way = max(int(response.headers["X-Under-Way"]) for response in responses)
    # The front page may have been one of them.
    together = f"{min(under_way, REPORTS)} under way at a time, in {threads} thread{'s'[: threads - 1]}"
    at_once = f"{REPORTS} slow reports at once"
    print(f"  {at_once:<28}   {seconds:>7.2f} s    {together}\n")


async def use(url, guest):
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await visit(client, guest)
        await crowd(client)


def main(keep):
    """Serve and use the site by one server after the other; with `keep`, by both until Ctrl-C."""
    # Whatever ends the demo ends the servers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="guestbook-") as folder:
        os.environ.setdefault("GUESTBOOK_FOLDER", folder)
        guest = fill_database()
        for name, command in SERVERS.items():
            print(f"The guest book {name}")
            with serving(command) as url:
                asyncio.run(use(url, guest))
        if keep:
            leave_running()


def leave_running():
    """Leave both servers to whoever wants to look, until Ctrl-C."""
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        for name, command in SERVERS.items():
            print(f"{stack.enter_context(serving(command))}/  {name}")
        print("Log in as ann, with the password secret. Ctrl-C stops both.")
        signal.pause()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true", help="leave the servers running until Ctrl-C, to look at them")
    main(parser.parse_args().keep)
