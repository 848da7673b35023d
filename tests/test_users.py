"""A model that takes the place of auth's users, and models of installed packages, which one cannot edit."""

import pytest
from django.contrib import auth
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.contrib.auth.models import User as SwappedUser
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from django.utils import timezone

import vinyl
from tests.kinds.models import User

pytestmark = pytest.mark.usefixtures("kinds", "contrib")


@pytest.fixture
def contrib():
    """Leave the tables of the packages as they were."""
    yield
    for model in (LogEntry, Group, Session):
        model.objects.all().delete()


def test_the_manager_of_a_swapped_model_is_refused():
    with pytest.raises(ImproperlyConfigured, match="takes a model that is neither abstract nor swapped"):
        vinyl.manager(SwappedUser)


def test_the_model_that_was_swapped_in_is_used_by_its_manager_or_by_vinyl_manager():
    assert auth.get_user_model() is User
    assert vinyl.manager(auth.get_user_model()) is User.vinyl
    assert type(User.objects).__name__ == "Users"


async def test_a_user_of_vinyl_is_authenticated_by_django():
    ann = User.vinyl(username="ann")
    ann.set_password("secret")
    await ann.insert()
    assert ann.check_password("secret")
    found = await vinyl.run(auth.authenticate, username="ANN", password="secret")
    assert found == ann
    assert await vinyl.run(auth.authenticate, username="ann", password="wrong") is None


async def test_a_password_that_is_written_is_told_to_the_validators_by_the_projects_class():
    ann = User.vinyl(username="ann")
    ann.set_password("secret")
    assert ann._password == "secret"
    await ann.insert()
    assert ann._password is None
    ann.set_password("other")
    await ann.update(password=ann.password)
    assert ann._password is None
    assert (await vinyl.run(lambda: User.objects.get())).check_password("other")


async def test_the_users_manager_of_the_project_works_by_run():
    ann = await vinyl.run(User.objects.create_user, "ann", password="secret")
    assert type(ann) is User
    assert (await User.vinyl.get(username="ann")).check_password("secret")


async def test_the_groups_and_permissions_of_a_user_are_awaited():
    ann = await User.vinyl.create(username="ann")
    editors = await vinyl.manager(Group).create(name="editors")
    add, change = (
        await vinyl.manager(Permission)
        .filter(content_type__app_label="kinds", codename__in=["add_page", "change_page"])
        .order_by("codename")
    )
    await ann.groups.add(editors)
    await editors.permissions.add(add)
    await ann.user_permissions.add(change)
    assert await editors.user_set.get() == ann
    ann = await User.vinyl.prefetch_related("groups__permissions").get()
    assert [permission.codename for group in ann.groups.all() for permission in group.permissions.all()] == ["add_page"]
    assert await vinyl.run(ann.has_perm, "kinds.add_page")
    assert await vinyl.run(ann.get_all_permissions) == {"kinds.add_page", "kinds.change_page"}
    assert not await vinyl.run(ann.has_perm, "kinds.delete_page")


async def test_a_user_of_vinyl_is_logged_in():
    ann = await User.vinyl.create(username="ann")
    request = RequestFactory().get("/")
    request.session, request.user = SessionStore(), AnonymousUser()
    await vinyl.run(auth.login, request, ann, "django.contrib.auth.backends.ModelBackend")
    await vinyl.run(request.session.save)
    assert (await User.vinyl.get()).last_login is not None
    stored = await vinyl.manager(Session).get(pk=request.session.session_key)
    assert stored.get_decoded()["_auth_user_id"] == str(ann.pk)


async def test_a_session_is_inserted_updated_and_deleted():
    sessions = vinyl.manager(Session)
    data = SessionStore().encode({"a": 1})
    session = await sessions(session_key="abc", session_data=data, expire_date=timezone.now()).insert()
    assert await vinyl.run(lambda: Session.objects.get().get_decoded()) == {"a": 1}
    await session.update(session_data=SessionStore().encode({"a": 2}))
    assert await vinyl.run(lambda: Session.objects.get().get_decoded()) == {"a": 2}
    assert await sessions.filter(expire_date__lt=timezone.now()).delete() == (1, {"sessions.Session": 1})


async def test_content_types_are_read():
    content_types = vinyl.manager(ContentType)
    found = await content_types.get(app_label="kinds", model="page")
    assert found.model_class().__name__ == "Page"
    assert await found.permission_set.count() == 4
    assert found == await vinyl.run(lambda: ContentType.objects.get_for_model(found.model_class()))


async def test_the_admins_log_is_written_and_read():
    ann = await User.vinyl.create(username="ann")
    of_users = await vinyl.manager(ContentType).get(app_label="kinds", model="user")
    log = vinyl.manager(LogEntry)
    entry = await log(
        user=ann, content_type=of_users, object_id=str(ann.pk), object_repr="ann", action_flag=ADDITION
    ).insert()
    assert (entry.is_addition(), entry.user, str(entry)) == (True, ann, "Added “ann”.")
    entry = await log.select_related("user", "content_type").get()
    assert (entry.user.username, entry.content_type.model) == ("ann", "user")
    assert (await vinyl.run(entry.get_edited_object)) == ann
    assert [each.pk for each in await (await User.vinyl.get()).logentry_set.all()] == [entry.pk]
    assert await ann.delete() == (2, {"admin.LogEntry": 1, "kinds.User": 1})
