"""Beside Django: `objects`, forms, the admin and migrations work as without vinyl, in the same process."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django import forms
from django.core import serializers
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import call_command
from django.db import connection, connections, models, transaction
from django.test import Client, override_settings
from django.urls import reverse

import vinyl
from tests.kinds.models import User
from tests.library.models import Author, Book, BookQuerySet, Branch, Place, Shelf, Tag
from vinyl import VinylModel

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def book(db):
    ann = Author.objects.create(name="Ann")
    return Book.objects.create(author=ann, title="One", stock=5)


# objects


def test_objects_give_instances_and_querysets_of_django(book):
    queryset = Book.objects.select_related("author").prefetch_related("tags")
    assert type(queryset) is BookQuerySet
    assert type(queryset.get()) is Book
    assert type(queryset.get().author) is Author
    assert type(book.author.books.get()) is Book
    assert not isinstance(book.author.books.all(), vinyl.VinylQuerySet)


def test_objects_are_evaluated_implicitly_and_their_attributes_are_lazy(book):
    assert [each.title for each in Book.objects.all()] == ["One"]
    assert len(Book.objects.all()) == 1
    assert Book.objects.all()
    found = Book.objects.only("title").get()
    assert found.author.name == "Ann"
    assert found.stock == 5
    assert not hasattr(found, "cover")
    assert found.author.books.in_print()[0] == book


def test_instances_of_django_have_save_and_nothing_of_vinyl(book):
    book.stock = models.F("stock") + 1
    book.save()
    book.refresh_from_db()
    assert book.stock == 6
    assert not isinstance(book, VinylModel)
    assert not [name for name in ("insert", "update", "load", "refresh") if hasattr(book, name)]
    assert book.delete() == (1, {"library.Book": 1})


def test_repr_of_a_queryset_of_django_shows_its_results(book):
    assert repr(Book.objects.all()) == "<BookQuerySet [<Book: One>]>"


async def test_both_write_the_same_tables():
    ann = await Author.vinyl.create(name="Ann")
    plain = await vinyl.run(lambda: Author.objects.get(name="Ann"))
    assert plain == ann
    plain.name = "Anna"
    await vinyl.run(plain.save)
    await ann.refresh()
    assert ann.name == "Anna"


def test_instances_of_both_are_mixed_in_queries_and_relations(book):
    with vinyl.sync_mode():
        ann = Author.vinyl.get()
        assert Book.objects.get(author=ann) == Book.vinyl.get(author=book.author)
        assert Book.objects.filter(author__in=Author.vinyl.all()).count() == 1
        assert Book.vinyl.filter(author__in=Author.objects.all()).count() == 1
        plain = Book.objects.create(author=ann, title="Two")
        assert {plain, Book.vinyl.get(title="Two")} == {plain}
        assert list(Book.objects.all()) == list(Book.vinyl.all())


def test_instances_of_vinyl_are_serialized_as_those_of_django():
    with vinyl.sync_mode():
        branch = Branch.vinyl(name="Town").insert()
        shelf = Shelf.vinyl().insert()
    plain = [Branch.objects.get(), Shelf.objects.get(pk=shelf.pk)]
    assert serializers.serialize("json", [branch, shelf]) == serializers.serialize("json", plain)


# The guard


@pytest.mark.asynchronous
@pytest.mark.parametrize(
    "use",
    [
        lambda: Author.objects.count(),
        lambda: list(Author.objects.all()),
        lambda: Author(name="Bo").save(),
        lambda: transaction.atomic().__enter__(),
    ],
    ids=["count", "list", "save", "atomic"],
)
async def test_django_still_refuses_synchronous_queries_in_a_coroutine(use):
    await Author.vinyl.create(name="Ann")
    with pytest.raises(SynchronousOnlyOperation):
        use()
    assert await Author.vinyl.values_list("name", flat=True) == ["Ann"]


@pytest.mark.asynchronous
async def test_djangos_own_asynchronous_interface_works_beside_vinyl():
    await Author.vinyl.create(name="Ann")
    found, counted, count = await asyncio.gather(
        Author.objects.aget(name="Ann"), Author.vinyl.acount(), Author.objects.filter(name="Ann").acount()
    )
    assert (type(found), counted, count) == (Author, 1, 1)
    # The thread in which Django's queries ran has a connection of its own.
    await sync_to_async(connections.close_all)()


# Forms


class BookForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["author", "title", "stock", "tags"]


def test_a_model_form_validates_and_saves_instances_of_django(book):
    tag = Tag.objects.create(label="new")
    form = BookForm({"author": book.author.pk, "title": "Two", "stock": "3", "tags": [tag.pk]})
    assert form.is_valid(), form.errors
    saved = form.save()
    assert type(saved) is Book
    assert Book.objects.get(title="Two").tags.get() == tag
    form = BookForm({"author": book.author.pk, "title": "Three", "stock": "x"}, instance=book)
    assert list(form.errors) == ["stock", "tags"]


def test_a_model_form_refuses_what_breaks_a_constraint(book):
    tag = Tag.objects.create(label="new")
    form = BookForm({"author": book.author.pk, "title": "One", "stock": "3", "tags": [tag.pk]})
    assert not form.is_valid()
    assert "already exists" in str(form.errors)


# The admin


@pytest.fixture
def admin(db):
    """A client of the admin, whose user and log entries are rolled back."""
    with transaction.atomic():
        client = Client()
        client.force_login(User.objects.create_superuser("root"))
        yield client
        transaction.set_rollback(True)


def test_the_admin_lists_books(admin, book):
    page = admin.get(reverse("admin:library_book_changelist"))
    assert page.status_code == 200
    assert "One" in page.content.decode()
    assert type(page.context["cl"].queryset) is BookQuerySet


def test_the_admin_adds_a_book(admin, book):
    tag = Tag.objects.create(label="new")
    page = admin.get(reverse("admin:library_book_add"))
    assert "Ann" in page.content.decode()
    values = {"author": book.author.pk, "editor": book.author.pk, "title": "Two", "price": "3.50", "stock": "1"}
    published = {"published_0": "2001-02-03", "published_1": "04:05"}
    page = admin.post(reverse("admin:library_book_add"), {**values, **published, "tags": [tag.pk]})
    assert page.status_code == 302
    assert Book.objects.get(title="Two").tags.get() == tag


def test_the_admin_changes_a_book(admin, book):
    book.tags.add(tag := Tag.objects.create(label="new"))
    url = reverse("admin:library_book_change", args=[book.pk])
    assert "One" in admin.get(url).content.decode()
    values = {"author": book.author.pk, "editor": book.author.pk, "title": "Uno", "price": "1", "stock": "1"}
    page = admin.post(url, {**values, "tags": [tag.pk], "published_0": "2001-02-03", "published_1": "04:05"})
    assert page.status_code == 302
    book.refresh_from_db()
    assert (book.title, book.editor, book.published.year) == ("Uno", book.author, 2001)
    assert "Uno" in admin.get(reverse("admin:library_book_history", args=[book.pk])).content.decode()


def test_the_admin_deletes_a_book(admin, book):
    url = reverse("admin:library_book_delete", args=[book.pk])
    assert "Are you sure" in admin.get(url).content.decode()
    assert admin.post(url, {"post": "yes"}).status_code == 302
    assert not Book.objects.exists()


def test_the_admin_deletes_an_author_with_all_books_by_its_action(admin, book):
    values = {"action": "delete_selected", "_selected_action": [book.author.pk], "post": "yes"}
    assert admin.post(reverse("admin:library_author_changelist"), values).status_code == 302
    assert not Author.objects.exists()
    assert not Book.objects.exists()


# Migrations and checks


def test_makemigrations_finds_nothing_to_do(capsys):
    call_command("makemigrations", "--check", "--dry-run")
    assert capsys.readouterr().out == "No changes detected\n"


def test_makemigrations_finds_nothing_to_do_after_vinyl_was_used(capsys):
    with vinyl.sync_mode():
        Branch.vinyl.create(name="Town")
        vinyl.manager(Tag).create(label="new")
        Place.vinyl.select_related("branch").get()
    call_command("makemigrations", "--check", "--dry-run")
    assert capsys.readouterr().out == "No changes detected\n"


def test_the_system_checks_find_nothing():
    # Member has a constraint on an expression, which MariaDB is known not to have.
    known = [] if connection.features.supports_expression_indexes else ["models.W044"]
    with override_settings(SILENCED_SYSTEM_CHECKS=known):
        call_command("check", fail_level="WARNING")


def test_dumped_data_is_loaded_again(book, tmp_path):
    fixture = tmp_path / "library.json"
    call_command("dumpdata", "library", output=str(fixture))
    Book.objects.all().delete()
    Author.objects.all().delete()
    call_command("loaddata", str(fixture), verbosity=0)
    assert Book.objects.get(title="One").author.name == "Ann"
