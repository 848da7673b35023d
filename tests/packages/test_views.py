"""REST framework, adrf, django-ninja, strawberry: asynchronous views that use vinyl, by their URLs."""

import json
import threading

import pytest
from django.db.backends.utils import CursorWrapper
from django.test import AsyncClient

import vinyl
from tests.library.models import Author, Book

pytestmark = [pytest.mark.asynchronous, pytest.mark.usefixtures("db")]


@pytest.fixture
def book():
    return Book.objects.create(title="Emma", author=Author.objects.create(name="Jane"))


@pytest.fixture
def client(monkeypatch):
    """A client whose requests query in the event loop's thread only, to none of which work is handed over."""
    execute = CursorWrapper.execute

    def in_the_loops_thread(self, *args, **kwargs):
        assert threading.current_thread() is threading.main_thread()
        return execute(self, *args, **kwargs)

    monkeypatch.setattr(CursorWrapper, "execute", in_the_loops_thread)
    return AsyncClient()


async def test_a_view_of_adrf_gives_instances_and_what_is_loaded_with_them(client, book):
    response = await client.get("/adrf/books/")
    assert response.json() == [{"title": "Emma", "author": {"id": book.author_id, "name": "Jane"}}]


async def test_a_viewset_of_adrf_lists_and_creates(client, book):
    response = await client.post("/adrf/authors/", {"name": "Anne"})
    assert response.status_code == 201, response.content
    response = await client.get("/adrf/authors/")
    assert [author["name"] for author in response.json()] == ["Anne", "Jane"]


async def test_a_viewset_of_rest_framework_runs_in_the_bridge(client, book):
    response = await client.post("/rest/authors/", {"name": "Anne"})
    assert response.status_code == 201, response.content
    response = await client.get("/rest/authors/")
    assert [author["name"] for author in response.json()] == ["Anne", "Jane"]


async def test_django_ninja_gives_instances_and_inserts(client, book):
    response = await client.get("/ninja/books")
    assert response.json() == [{"title": "Emma", "author": {"id": book.author_id, "name": "Jane"}}]
    response = await client.post("/ninja/authors", {"name": "Anne"}, content_type="application/json")
    assert response.json() == {"id": (await Author.vinyl.get(name="Anne")).pk, "name": "Anne"}


async def query(client, text):
    response = await client.post("/graphql/", {"query": text}, content_type="application/json")
    return json.loads(response.content)


async def test_strawberry_gives_instances_and_what_is_loaded_with_them(client, book):
    assert await query(client, "{ books { title author { name } } }") == {
        "data": {"books": [{"title": "Emma", "author": {"name": "Jane"}}]}
    }
    assert await query(client, 'mutation { addAuthor(name: "Anne") { name } }') == {
        "data": {"addAuthor": {"name": "Anne"}}
    }
    assert await Author.vinyl.filter(name="Anne").exists()
    assert vinyl.is_async()
