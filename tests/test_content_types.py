"""The rest of Django: content types, the admin, shortcuts, pages, generic views, and users who are of vinyl."""

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin import site
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import NestedObjects, get_deleted_objects, lookup_field, quote
from django.contrib.auth import alogin, authenticate, get_permission_codename, get_user_model
from django.contrib.auth.decorators import permission_required, user_passes_test
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.contrib.sitemaps import GenericSitemap
from django.core import paginator as pagination
from django.core.exceptions import SynchronousOnlyOperation
from django.core.paginator import EmptyPage, Paginator
from django.db import connections, transaction
from django.http import Http404, HttpResponse
from django.shortcuts import aget_list_or_404, aget_object_or_404, get_list_or_404, get_object_or_404
from django.test import Client, RequestFactory
from django.test.utils import override_settings
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.generic import DeleteView, DetailView, ListView, UpdateView

import vinyl
from tests.library.models import Author, Book, Branch, Cover, Loan, Member, NamedPlace, Place, Tag
from vinyl import ImplicitQuery, UnsupportedOperation

pytestmark = pytest.mark.usefixtures("shop")

Tags = vinyl.manager(Tag)
User = get_user_model()
Users = vinyl.manager(User)


@pytest.fixture
def shop(db):
    """Ann's books One, with a cover, and Two."""
    ann = Author.objects.create(name="Ann")
    one = Book.objects.create(author=ann, title="One", stock=5)
    Book.objects.create(author=ann, title="Two")
    Cover.objects.create(book=one, colour="red")


@pytest.fixture
def users(db):
    """Leave no users, groups and log entries behind."""
    yield
    for model in (LogEntry, User, Group):
        model.objects.all().delete()


# Content types


@pytest.mark.parametrize("concrete", [True, False], ids=["concrete", "proxy"])
async def test_the_content_type_of_an_instance_and_of_its_class_is_that_of_the_model(concrete):
    town = await Branch.vinyl.create(name="Town")
    ada = await Member.vinyl.create(name="Ada")
    named = await NamedPlace.vinyl.get(pk=town.pk)

    def types(each):
        return ContentType.objects.get_for_model(each, for_concrete_model=concrete)

    for instance, model in ((await Author.vinyl.get(), Author), (town, Branch), (ada, Member), (named, NamedPlace)):
        expected = await vinyl.run(types, model)
        assert await vinyl.run(types, instance) == await vinyl.run(types, type(instance)) == expected
        assert expected.model_class() is (Place if concrete and model is NamedPlace else model)


async def test_content_types_of_several_classes_are_asked_for_at_once():
    classes = [vinyl.manager(model).vinyl_class for model in (Author, Book)]
    found = await vinyl.run(ContentType.objects.get_for_models, *classes)
    assert [found[each].model for each in classes] == ["author", "book"]


class ContentTypesInDefault:
    def allow_migrate(self, db, app_label, **hints):
        return db == "default" or app_label != "contenttypes"


@pytest.mark.parametrize("everywhere", [True, False])
async def test_no_content_type_is_asked_of_a_database_that_the_routers_have_none_in(everywhere):
    def asks(execute, sql, params, many, context):
        asked.append("django_content_type" in sql)
        return execute(sql, params, many, context)

    ContentType.objects.clear_cache()
    asked = []
    with (
        override_settings(DATABASE_ROUTERS=[] if everywhere else [ContentTypesInDefault()]),
        vinyl.connections["other"].execute_wrapper(asks),
    ):
        ada = await Author.vinyl.using("other").create(name="Ada")
        await Book.vinyl.using("other").create(author=ada, title="Notes")
        assert [book.title for book in await Book.vinyl.using("other")] == ["Notes"]
    assert any(asked) is everywhere


async def test_a_content_type_of_vinyl_gives_its_objects():
    ann = await Author.vinyl.get()
    found = await vinyl.manager(ContentType).get(app_label="library", model="author")
    assert found.model_class() is Author
    assert await vinyl.run(found.get_object_for_this_type, pk=ann.pk) == ann
    assert await vinyl.run(get_content_type_for_model, ann) == found


# The admin


async def test_the_admins_urls_and_permissions_are_made_of_an_instance():
    ann = await Author.vinyl.get()
    name = f"admin:{ann._meta.app_label}_{ann._meta.model_name}_change"
    assert reverse(name, args=[quote(ann.pk)]) == reverse("admin:library_author_change", args=[ann.pk])
    assert get_permission_codename("change", ann._meta) == "change_author"
    assert ann._meta.label == "library.Author"
    assert ann._meta.verbose_name == "author"
    assert site.is_registered(ann._meta.model)


async def test_the_admin_shows_and_changes_what_vinyl_has_written():
    ann = await Author.vinyl.get()
    book = await Book.vinyl.create(author=ann, editor=ann, title="Three")
    tag = await Tags.create(label="new")

    def change():
        with transaction.atomic():
            client = Client()
            client.force_login(User.objects.create_superuser("root"))
            url = reverse("admin:library_book_change", args=[book.pk])
            assert "Three" in client.get(url).content.decode()
            values = {"author": ann.pk, "editor": ann.pk, "title": "Tres", "price": "1", "stock": "1", "tags": [tag.pk]}
            page = client.post(url, {**values, "published_0": "2001-02-03", "published_1": "04:05"})
            assert page.status_code == 302
            changed = Book.objects.get(pk=book.pk)
            transaction.set_rollback(True)
        return changed

    changed = await vinyl.run(change)
    assert (changed.title, changed) == ("Tres", book)


async def test_the_admins_log_has_entries_about_instances(users):
    ann, root = await Author.vinyl.get(), await Users.create(username="root", is_superuser=True)
    await vinyl.run(lambda: LogEntry.objects.log_actions(root.pk, [ann], CHANGE, [{"changed": {"fields": ["name"]}}]))
    entry = await vinyl.manager(LogEntry).select_related("user", "content_type").get()
    assert (entry.user, entry.object_repr, entry.get_change_message()) == (root, "Ann", "Changed name.")
    assert entry.get_admin_url() == reverse("admin:library_author_change", args=[ann.pk])
    assert await vinyl.run(entry.get_edited_object) == ann


async def test_the_admin_collects_what_depends_on_an_instance():
    ann = await Author.vinyl.get()
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)

    def collect(objects):
        collector = NestedObjects(using="default")
        collector.collect(objects)
        texts, counts, missing, protected = get_deleted_objects(objects, request, site)
        assert not missing
        return str(collector.nested()), dict(counts), protected, sum(str(text).count("One") for text in texts[1:])

    plain = await vinyl.run(lambda: collect([Author.objects.get()]))
    assert await vinyl.run(collect, [ann]) == plain
    assert plain[1] == {"authors": 1, "books": 2, "covers": 1}


async def test_the_admin_tells_what_protects_an_instance_from_deletion():
    one = await Book.vinyl.get(title="One")
    loan = await Loan.vinyl.create(book=one, member=await Member.vinyl.create(name="Ada"))

    def collect():
        collector = NestedObjects(using="default")
        collector.collect([one])
        return collector.protected

    assert await vinyl.run(collect) == {loan}


async def test_the_admin_looks_up_fields_of_instances():
    one = await Book.vinyl.get(title="One")
    assert lookup_field("title", one, site.get_model_admin(Book))[2] == "One"
    assert lookup_field("__str__", one, site.get_model_admin(Book))[2] == "One"


# Shortcuts


async def test_aget_object_or_404_takes_a_manager_and_a_queryset():
    for source in (Book.vinyl, Book.vinyl.all(), Book.vinyl.filter(stock=5), (await Author.vinyl.get()).books):
        one = await aget_object_or_404(source, title="One")
        assert type(one) is Book.vinyl.vinyl_class
        with pytest.raises(Http404, match="No Book matches the given query"):
            await aget_object_or_404(source, title="Six")


async def test_aget_list_or_404_takes_a_manager_and_a_queryset():
    for source in (Book.vinyl, Book.vinyl.all(), (await Author.vinyl.get()).books):
        assert [book.title for book in await aget_list_or_404(source, stock=5)] == ["One"]
        with pytest.raises(Http404, match="No Book matches the given query"):
            await aget_list_or_404(source, stock=6)


async def test_get_object_or_404_and_get_list_or_404_work_by_run():
    one = await vinyl.run(get_object_or_404, Book.vinyl, title="One")
    assert type(one) is Book.vinyl.vinyl_class
    assert await vinyl.run(get_list_or_404, Book.vinyl.all(), title="One") == [one]
    with pytest.raises(Http404):
        await vinyl.run(get_object_or_404, Book.vinyl.all(), title="Six")
    with pytest.raises(Http404):
        await vinyl.run(get_list_or_404, Book.vinyl, title="Six")


def test_in_the_sync_mode_get_object_or_404_and_get_list_or_404_work():
    with vinyl.sync_mode():
        one = get_object_or_404(Book.vinyl, title="One")
        assert type(one) is Book.vinyl.vinyl_class
        assert get_list_or_404(Book.vinyl.filter(stock=5)) == [one]
        with pytest.raises(Http404, match="No Book matches the given query"):
            get_object_or_404(Book.vinyl.all(), title="Six")
        with pytest.raises(Http404):
            get_list_or_404(Book.vinyl, title="Six")


@pytest.mark.asynchronous
async def test_get_list_or_404_cannot_query_in_a_coroutine_and_says_so():
    with pytest.raises(ImplicitQuery, match="await"):
        get_list_or_404(Book.vinyl)


# Pages


def test_in_the_sync_mode_a_paginator_takes_a_queryset():
    with vinyl.sync_mode():
        pages = Paginator(Book.vinyl.all(), 1)
        assert (pages.count, pages.num_pages) == (2, 2)
        assert [book.title for page in pages for book in page] == ["One", "Two"]
        assert pages.page(2).object_list[0].title == "Two"
        assert pages.get_page("x").number == 1
        with pytest.raises(EmptyPage):
            pages.page(3)


async def test_a_paginator_takes_a_list_that_was_awaited_and_works_by_run_with_a_queryset():
    pages = Paginator(await Book.vinyl.all(), 1)
    assert [book.title for page in pages for book in page] == ["One", "Two"]
    page = await vinyl.run(lambda: list(Paginator(Book.vinyl.all(), 1).page(2)))
    assert [book.title for book in page] == ["Two"]


async def test_a_paginator_takes_a_queryset_that_was_awaited():
    books = Book.vinyl.all()
    await books
    pages = await vinyl.run(lambda: [list(page) for page in Paginator(books, 1)])
    assert [[book.title for book in page] for page in pages] == [["One"], ["Two"]]


@pytest.mark.asynchronous
@pytest.mark.skipif(not hasattr(pagination, "AsyncPaginator"), reason="not on Django 5, which has no AsyncPaginator")
async def test_an_asynchronous_paginator_takes_a_queryset():
    pages = pagination.AsyncPaginator(Book.vinyl.all(), 1)
    assert (await pages.acount(), await pages.anum_pages()) == (2, 2)
    page = await pages.apage(2)
    assert [book.title async for book in page] == ["Two"]
    assert [book.title for book in await page.aget_object_list()] == ["Two"]
    assert [book.title async for page in pages async for book in page] == ["One", "Two"]
    with pytest.raises(EmptyPage):
        await pages.apage(3)


@pytest.mark.asynchronous
@pytest.mark.skipif(not hasattr(pagination, "AsyncPaginator"), reason="not on Django 5, which has no AsyncPaginator")
async def test_an_asynchronous_paginator_takes_a_manager_of_a_relation_and_a_list():
    ann = await Author.vinyl.get()
    for source in (ann.books.all(), await Book.vinyl.all()):
        assert [
            book.title for book in await (await pagination.AsyncPaginator(source, 1).apage(1)).aget_object_list()
        ] == ["One"]


@pytest.mark.asynchronous
async def test_a_paginator_cannot_count_in_a_coroutine_and_says_so():
    with pytest.raises(SynchronousOnlyOperation, match="await"):
        Paginator(Book.vinyl.all(), 1).page(1)


# Generic views


def response(view, **kwargs):
    """Return the text of a generic view's answer."""
    request = RequestFactory().get("/", {"page": "1"})
    return view(request, **kwargs).render().content.decode()


def test_in_the_sync_mode_generic_views_take_a_queryset():
    class Books(ListView):
        queryset = Book.vinyl.select_related("author").prefetch_related("tags")
        paginate_by = 1

    class OneBook(DetailView):
        queryset = Book.vinyl.select_related("author")

    with vinyl.sync_mode():
        one = Book.vinyl.get(title="One")
        page = response(Books.as_view())
        assert "One by Ann" in page
        assert "page 1 of 2" in page
        assert "Two" not in page
        assert response(OneBook.as_view(), pk=one.pk) == "One by Ann\n"
        with pytest.raises(Http404):
            response(OneBook.as_view(), pk=0)
        # The queryset of the class is not kept: another request queries anew.
        one.update(title="Uno")
        assert "Uno by Ann" in response(Books.as_view())


async def test_a_generic_view_works_by_run():
    class Books(ListView):
        queryset = Book.vinyl.select_related("author").prefetch_related("tags")

    assert "Two by Ann" in await vinyl.run(response, Books.as_view())


async def test_a_generic_view_of_a_model_gives_instances_of_django():
    class Books(ListView):
        model = Book

    assert "One by Ann" in await vinyl.run(response, Books.as_view())


def test_in_the_sync_mode_a_delete_view_deletes_and_an_update_view_writes_by_update():
    class Delete(DeleteView):
        queryset = Author.vinyl.all()
        success_url = "/"

    class Update(UpdateView):
        queryset = Book.vinyl.all()
        fields = ["stock"]
        success_url = "/"

    class VinylUpdate(Update):
        def form_valid(self, form):
            self.object = form.save(commit=False).update()
            return HttpResponse(self.object.stock)

    with vinyl.sync_mode():
        one = Book.vinyl.get(title="One")
        request = RequestFactory().post("/", {"stock": "9"})
        with pytest.raises(UnsupportedOperation, match="save"):
            Update.as_view()(request, pk=one.pk)
        assert VinylUpdate.as_view()(request, pk=one.pk).content == b"9"
        assert one.refresh().stock == 9
        assert Delete.as_view()(request, pk=one.author_id).status_code == 302
        assert not Author.vinyl.exists()


async def test_a_sitemap_takes_a_queryset(monkeypatch):
    monkeypatch.setattr(Book, "get_absolute_url", lambda self: f"/books/{self.title}/", raising=False)
    sitemap = GenericSitemap({"queryset": Book.vinyl.all(), "date_field": "changed"})

    class Site:
        domain = "example.org"

    urls = await vinyl.run(sitemap.get_urls, site=Site(), protocol="https")
    assert [url["location"] for url in urls] == ["https://example.org/books/One/", "https://example.org/books/Two/"]


# Users


def request_of(user):
    request = RequestFactory().get("/")
    request.session = SessionStore()
    request.user = user
    return request


async def test_the_user_of_a_request_is_equal_to_one_of_vinyl(users):
    ada = await Users.create(username="ada")
    plain = await vinyl.run(User.objects.get)
    request = request_of(SimpleLazyObject(lambda: plain))
    assert request.user == ada
    assert ada == request.user
    assert {ada: 1}[request.user] == 1
    assert await Users.filter(pk=request.user.pk, logentry=None).count() == 1
    entries = vinyl.manager(LogEntry)
    await entries(user=request.user, object_id="1", object_repr="One", action_flag=CHANGE).insert()
    assert await entries.filter(user=request.user).count() == await entries.filter(user=ada).count() == 1


async def test_a_user_of_vinyl_passes_tests_and_has_permissions(users):
    permission = await vinyl.manager(Permission).get(codename="change_author", content_type__app_label="library")
    group = await vinyl.manager(Group).create(name="staff")
    await group.permissions.add(permission)
    ada = await Users.create(username="ada", is_staff=True)
    await ada.groups.add(group)
    ada = await Users.get()

    @user_passes_test(lambda user: user.is_authenticated and user.is_staff)
    def staff_only(request):
        return "staff"

    assert staff_only(request_of(ada)) == "staff"
    assert await vinyl.run(ada.has_perm, "library.change_author")
    assert not await vinyl.run(ada.has_perm, "library.delete_author")
    assert await vinyl.run(ada.has_module_perms, "library")
    assert (
        await vinyl.run(permission_required("library.change_author")(lambda request: "may"), request_of(ada)) == "may"
    )
    assert await vinyl.run(lambda: list(User.objects.with_perm("library.change_author", backend=BACKEND))) == [ada]


BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.mark.asynchronous
async def test_a_user_of_vinyl_is_asked_for_permissions_by_djangos_asynchronous_names(users):
    permission = await vinyl.manager(Permission).get(codename="change_author", content_type__app_label="library")
    ada = await Users.create(username="ada")
    await ada.user_permissions.add(permission)
    ada = await Users.get()
    assert await ada.ahas_perm("library.change_author")
    assert not await ada.ahas_perm("library.delete_author")
    assert await ada.aget_all_permissions() == {"library.change_author"}
    # Those of groups are asked for by `objects`, in a thread, which has a connection of Django's own.
    await sync_to_async(connections.close_all)()


async def test_a_password_that_vinyl_has_written_authenticates(users):
    ada = Users(username="ada")
    ada.set_password("secret")
    await ada.insert()
    request = request_of(None)
    assert await vinyl.run(authenticate, request, username="ada", password="secret") == ada
    assert await vinyl.run(authenticate, request, username="ada", password="wrong") is None
    ada = await Users.get()
    assert ada.check_password("secret")
    assert not ada.check_password("wrong")


@pytest.mark.asynchronous
async def test_a_user_of_vinyl_is_logged_in_by_alogin(users):
    ada = await Users.create(username="ada")
    request = request_of(None)
    try:
        await alogin(request, ada, backend=BACKEND)
    finally:
        # Receivers run in a thread, which has a connection of Django's own.
        await sync_to_async(connections.close_all)()
    assert request.user is ada
    assert (await Users.get()).last_login is not None


HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]


async def test_checking_a_password_of_a_user_of_vinyl_writes_it_anew_if_the_hasher_has_changed(users):
    ada = Users(username="ada")
    ada.set_password("secret")
    await ada.insert()
    with override_settings(PASSWORD_HASHERS=HASHERS):
        assert await vinyl.run(ada.check_password, "secret")
    assert (await Users.get()).password.startswith("pbkdf2")


@pytest.mark.asynchronous
async def test_acheck_password_of_a_user_of_vinyl_writes_it_anew_if_the_hasher_has_changed(users):
    ada = Users(username="ada")
    ada.set_password("secret")
    await ada.insert()
    with override_settings(PASSWORD_HASHERS=HASHERS):
        assert await ada.acheck_password("secret")
    assert (await Users.get()).password.startswith("pbkdf2")
