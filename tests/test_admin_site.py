"""Django's admin, served natively over HTTP: nobody has told it of vinyl, and no thread is started for it."""

import re
import threading
from contextlib import contextmanager

import httpx
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import override_settings

import vinyl
from tests.blocking import watched
from tests.kinds.models import User
from tests.library.models import Author, Book
from tests.served import served
from tests.settings import ENGINE
from vinyl.asgi import get_asgi_application

pytestmark = [pytest.mark.asynchronous, pytest.mark.usefixtures("kinds")]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


class Visitor:
    """A browser without a screen: it keeps cookies, follows redirects, and sends forms with their hidden token."""

    def __init__(self, client):
        self.client = client

    async def see(self, address):
        response = await self.client.get(address)
        assert response.status_code == 200
        return response

    async def send(self, address, **fields):
        page = await self.see(address)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
        response = await self.client.post(page.url, data={"csrfmiddlewaretoken": token, **fields})
        assert response.status_code == 200
        return response.text


@contextmanager
def site_with_admin(**settings):
    """A site with all that the admin asks for; what it has logged is removed."""
    with override_settings(MIDDLEWARE=MIDDLEWARE, ALLOWED_HOSTS=["127.0.0.1"], **settings):
        yield
    LogEntry.objects.all().delete()
    Session.objects.all().delete()


@pytest.fixture
def _site():
    with site_with_admin():
        yield


@pytest.mark.usefixtures("_site")
async def test_the_admin_logs_in_lists_adds_changes_and_deletes():
    await vinyl.run(User.objects.create_superuser, "ann", password="secret")
    before = set(threading.enumerate())
    async with served(get_asgi_application()) as url, httpx.AsyncClient(base_url=url, follow_redirects=True) as client:
        visitor = Visitor(client)
        # Each connection of SQLite's has a thread.
        with watched(threads=ENGINE == "sqlite"):
            assert "Please enter the correct" in await visitor.send("/admin/", username="ann", password="wrong")
            assert "Site administration" in await visitor.send("/admin/", username="ann", password="secret")
            added = await visitor.send("/admin/library/author/add/", name="Ursula", born="1929-10-21")
            assert "was added successfully" in added
            author = await Author.vinyl.get(name="Ursula")
            assert "Ursula" in (await visitor.see("/admin/library/author/?q=")).text
            change = f"/admin/library/author/{author.pk}/change/"
            assert "was changed successfully" in await visitor.send(change, name="Ursula K.", born="1929-10-21")
            await Book.vinyl(author_id=author.pk, title="The Dispossessed").insert()
            delete = f"/admin/library/author/{author.pk}/delete/"
            assert "The Dispossessed" in (await visitor.see(delete)).text
            assert "was deleted successfully" in await visitor.send(delete, post="yes")
            assert "Recent actions" in (await visitor.see("/admin/")).text
    assert await Author.vinyl.count() == await Book.vinyl.count() == 0
    assert all(thread.name.startswith("vinyl ") for thread in set(threading.enumerate()) - before)
