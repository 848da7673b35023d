"""Django's admin in a browser, served natively: what somebody would do with it, style sheets and scripts included."""

import os
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import path

import vinyl
from tests.browser.chromium import NoBrowser, browser
from tests.kinds.models import User
from tests.library.models import Author
from tests.served import served
from tests.test_admin_site import site_with_admin
from vinyl.asgi import get_asgi_application

pytestmark = [pytest.mark.asynchronous, pytest.mark.usefixtures("kinds")]

urlpatterns = [path("admin/", admin.site.urls), path("static/<path:path>", serve, {"insecure": True})]


@pytest.fixture
def _site():
    with site_with_admin(ROOT_URLCONF=__name__):
        yield


@pytest.fixture
def keep(tmp_path):
    """Keep a picture in the folder that VINYL_TEST_SCREENSHOTS names, for whoever wants to look at it."""
    return Path(os.environ.get("VINYL_TEST_SCREENSHOTS", tmp_path), "admin.png").write_bytes


@pytest.mark.usefixtures("_site")
async def test_somebody_logs_in_adds_changes_and_deletes_an_author(keep):
    await vinyl.run(User.objects.create_superuser, "ann", password="secret")
    async with served(get_asgi_application()) as url:
        try:
            async with browser() as window:
                await use_admin(window, url, keep)
        except NoBrowser as error:
            pytest.fail(str(error), pytrace=False)
    assert await Author.vinyl.count() == 1


async def use_admin(window, url, keep):
    await window.open(f"{url}/admin/")
    await window.write("#id_username", "ann")
    await window.write("#id_password", "secret")
    await window.click("[type=submit]")
    assert "Site administration" in await window.text()
    for name in ("Ursula", "Octavia"):
        await window.open(f"{url}/admin/library/author/add/")
        await window.write("#id_name", name)
        # A script of the admin's: today.
        await window.click(".datetimeshortcuts a")
        assert await window.run("return document.querySelector('#id_born').value")
        await window.click("[name=_save]")
        assert f"The author “{name}” was added successfully." in await window.text()
    assert "2 authors" in await window.text()
    await window.click("#result_list tbody a")
    await window.write("#id_name", "Ursula K. Le Guin")
    await window.click("[name=_save]")
    assert "was changed successfully" in await window.text()
    keep(await window.photograph())
    await window.click("#result_list tbody a")
    await window.click(".deletelink")
    await window.click("#content [type=submit]")
    assert "was deleted successfully" in await window.text()
    assert "1 author" in await window.text()
