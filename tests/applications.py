"""A large application served natively: Wagtail, as it comes from the package registry: `python -m tests.applications`.

In a temporary folder Wagtail makes the project that it makes for everybody, on SQLite. Its editor then logs in over
HTTP, writes a page, publishes, reads and deletes it, and visits what the menus lead to. The server is uvicorn, in the
same event loop. At the end there must be no thread but those of SQLite's connections, and no error in the log.

Wagtail has an environment of its own: `make test-applications`.
"""

import asyncio
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.served import served

PAGES = [
    "/admin/pages/",
    "/admin/images/",
    "/admin/documents/",
    "/admin/snippets/",
    "/admin/reports/site-history/",
    "/admin/reports/locked/",
    "/admin/users/",
    "/admin/groups/",
    "/admin/sites/",
    "/admin/redirects/",
    "/admin/workflows/list/",
    "/admin/account/",
    "/django-admin/",
    "/search/?query=welcome",
]


class Log(logging.Handler):
    """Keeps what the site says of errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(self.format(record))


class Editor:
    """Somebody with a browser: keeps cookies, follows redirects, and sends forms with what is in them already."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def see(self, address: str) -> httpx.Response:
        response = await self._client.get(address)
        assert response.status_code == 200, f"{address} was answered by {response.status_code}"
        return response

    async def send(self, address: str, **fields: str) -> httpx.Response:
        page = await self.see(address)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        response = await self._client.post(page.url, data={**hidden, **fields}, headers={"Referer": str(page.url)})
        assert response.status_code == 200, f"{address} took the form with {response.status_code}"
        return response


def make_project(folder: Path) -> None:
    """Have Wagtail make its project, with tables and an editor."""
    programs = Path(sys.executable).parent
    subprocess.run([programs / "wagtail", "start", "bakery", folder], check=True, stdout=subprocess.DEVNULL)
    manage = [sys.executable, str(folder / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity=0"], check=True)
    environment = {**os.environ, "DJANGO_SUPERUSER_PASSWORD": "secret"}
    create = [*manage, "createsuperuser", "--noinput", "--username=ann", "--email=ann@example.com"]
    subprocess.run(create, check=True, env=environment, stdout=subprocess.DEVNULL)


async def use(application: Any) -> None:
    async with served(application) as url, httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=60) as client:
        editor = Editor(client)
        assert "Welcome to your new Wagtail site" in (await editor.see("/")).text
        assert "Sign in" in (await editor.see("/admin/")).text
        await editor.send("/admin/login/", username="ann", password="secret")
        assert "Dashboard" in (await editor.see("/admin/")).text
        for address in PAGES:
            await editor.see(address)
            print(f"    {address}")
        content = {"title": "Bread", "slug": "bread", "action-publish": "action-publish"}
        comments = {f"comments-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS")}
        added = await editor.send("/admin/pages/add/home/homepage/3/", **content, **comments)
        assert "published" in added.text
        print("    a page is written and published")
        assert (await editor.see("/bread/")).status_code == 200
        (number,) = re.findall(r"/admin/pages/(\d+)/edit/", added.text)[:1]
        assert "deleted" in (await editor.send(f"/admin/pages/{number}/delete/")).text
        assert (await client.get("/bread/")).status_code == 404
        print("    it is read and deleted")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="vinyl-wagtail-") as name:
        folder = Path(name)
        make_project(folder)
        sys.path.insert(0, name)
        os.environ["DJANGO_SETTINGS_MODULE"] = "bakery.settings.dev"
        os.chdir(name)
        from vinyl.asgi import get_asgi_application

        application = get_asgi_application()
        log = Log()
        logging.getLogger().addHandler(log)
        before = set(threading.enumerate())
        asyncio.run(use(application))
        others = [thread.name for thread in set(threading.enumerate()) - before if not thread.name.startswith("vinyl ")]
    for problem in [*log.records, *(f"a thread was started: {name}" for name in others)]:
        print(problem)
    print("failed" if log.records or others else "passed")
    return 1 if log.records or others else 0


if __name__ == "__main__":
    sys.exit(main())
