"""VinylManager: where it can stand, what it leaves alone, and what its instances are."""

import copy
import pickle
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.migrations.state import ModelState
from django.test import override_settings
from django.test.utils import isolate_apps

import vinyl
from tests.library import custom
from tests.library.models import (
    Author,
    BigBranch,
    Book,
    BookQuerySet,
    Branch,
    Cover,
    Letter,
    Member,
    NamedPlace,
    Parcel,
    Place,
    Stamped,
    Tag,
)
from vinyl import VinylManager, VinylModel

pytestmark = pytest.mark.usefixtures("db")

LIBRARY = list(apps.get_app_config("library").get_models())


class WordQuerySet(models.QuerySet):
    def long(self):
        return self.filter(label__length__gt=3)

    def how_many_long(self):
        return self.long().count()


class LongWords(VinylManager):
    def get_queryset(self):
        return super().get_queryset().filter(label__length__gt=3)


class Shouting(VinylModel):
    async def update(self, **values: Any) -> Any:
        return await super().update(**{name: value.upper() for name, value in values.items()})


with isolate_apps("tests.library"):
    models.CharField.register_lookup(models.functions.Length)

    class Word(models.Model):
        """The table of Tag, with managers of several kinds."""

        label = models.CharField(max_length=50, unique=True)

        vinyl = VinylManager.from_queryset(WordQuerySet)()
        long_ones = LongWords()
        loud = VinylManager(model=Shouting)

        class Meta:
            app_label = "library"
            db_table = "library_tag"


# Where it stands.


async def test_a_model_with_the_manager_is_written_and_read_by_it():
    ursula = Author.vinyl(name="Ursula")
    await ursula.insert()
    found = await Author.vinyl.get(name="Ursula")
    assert found == ursula
    assert type(found) is type(ursula) is Author.vinyl.vinyl_class


async def test_each_child_of_an_abstract_base_has_a_manager_of_its_own():
    await Letter.vinyl(text="Dear").insert()
    await Parcel.vinyl(weight=2.5).insert()
    assert Letter.vinyl is not Parcel.vinyl
    assert (Letter.vinyl.model, Parcel.vinyl.model) == (Letter, Parcel)
    assert isinstance(await Letter.vinyl.get(), Letter)
    assert isinstance(await Parcel.vinyl.get(), Parcel)


def test_an_abstract_model_has_no_manager():
    with pytest.raises(AttributeError, match="Stamped is abstract"):
        Stamped.vinyl  # noqa: B018


@pytest.mark.parametrize("model", [Place, Branch, BigBranch, NamedPlace])
async def test_children_grandchildren_and_proxies_inherit_the_manager_for_instances_of_their_own(model):
    await model.vinyl(name="Here").insert()
    assert model.vinyl.model is model
    assert model.vinyl is model.vinyl
    assert (await model.vinyl.get())._meta.model is model
    assert type(await model.vinyl.get()) is model.vinyl.vinyl_class


async def test_a_manager_read_from_the_vinyl_class_is_that_of_the_model():
    ob = Branch.vinyl()
    assert type(ob).vinyl is Branch.vinyl


@pytest.mark.parametrize("instance", [Author(), Author.vinyl()], ids=["of Django", "of vinyl"])
def test_the_manager_is_not_accessible_by_instances(instance):
    with pytest.raises(AttributeError, match="isn't accessible via Author instances"):
        instance.vinyl  # noqa: B018


# What it leaves alone.


@pytest.mark.parametrize("model", LIBRARY, ids=lambda model: model.__name__)
def test_the_managers_that_django_knows_are_the_same_as_without_vinyl(model):
    assert [manager.name for manager in model._meta.managers] == ["objects"]
    assert model._default_manager is model.objects
    expected = type(BookQuerySet.as_manager()) if model is Book else models.Manager
    assert type(model.objects).__name__ == expected.__name__
    assert type(model.objects.all()) is (BookQuerySet if model is Book else models.QuerySet)
    assert type(model._base_manager) is models.Manager
    assert type(model.objects.model()) is model


@pytest.mark.parametrize("model", LIBRARY, ids=lambda model: model.__name__)
def test_the_state_that_migrations_keep_of_a_model_has_nothing_of_vinyl(model):
    model.vinyl() if hasattr(model, "vinyl") else vinyl.manager(model)()
    state = ModelState.from_model(model)
    assert state.managers == []
    assert "vinyl" not in repr((state.fields, state.options, state.bases)).lower()


def test_the_registry_of_models_knows_no_vinyl_class():
    for model in LIBRARY:
        vinyl.manager(model)()
    assert list(apps.get_app_config("library").get_models()) == LIBRARY
    assert not [model for model in apps.get_models(include_auto_created=True) if issubclass(model, VinylModel)]
    assert not [field for field in Author._meta.get_fields() if issubclass(field.related_model or Author, VinylModel)]


def test_the_manager_cannot_take_the_place_of_objects():
    with isolate_apps("tests.library"), pytest.raises(ImproperlyConfigured, match="cannot be named `objects`"):

        class Wrong(models.Model):
            objects = VinylManager()

            class Meta:
                app_label = "library"


# Models that cannot be edited.


async def test_a_model_whose_source_one_cannot_edit_is_used_by_vinyl_manager():
    groups = vinyl.manager(Group)
    async with vinyl.transaction.atomic():
        editors = await groups(name="editors").insert()
        assert isinstance(editors, Group)
        assert isinstance(editors, VinylModel)
        assert (await groups.filter(name="editors").aget()).natural_key() == ("editors",)
        vinyl.transaction.set_rollback(True)
    assert not await groups.filter(name="editors").exists()
    assert vinyl.manager(Group) is groups


@pytest.mark.parametrize("model", [Author, Book, Branch, NamedPlace, Letter, Member])
def test_vinyl_manager_gives_the_declared_or_inherited_one_where_there_is_one(model):
    assert vinyl.manager(model) is model.vinyl
    assert vinyl.manager(model.vinyl.vinyl_class) is model.vinyl


@pytest.mark.parametrize("not_a_model", [Stamped, object, Author(pk=1), "library.Author", None])
def test_vinyl_manager_refuses_what_is_no_model_with_a_table(not_a_model):
    with pytest.raises(ImproperlyConfigured, match="takes a model that is neither abstract nor swapped"):
        vinyl.manager(not_a_model)


# Querysets and managers of the project's own.


@pytest.fixture
def words(db):
    Tag.objects.bulk_create(Tag(label=label) for label in ("a", "long", "longer"))


@pytest.mark.usefixtures("words")
async def test_methods_of_the_projects_queryset_that_chain_can_be_chained():
    longer = Word.vinyl.long().order_by("-label").long()
    assert [word.label for word in await longer] == ["longer", "long"]
    assert isinstance(longer, WordQuerySet)
    assert await Word.vinyl.filter(label="a").long().count() == 0


@pytest.mark.usefixtures("words")
async def test_methods_of_the_projects_queryset_that_query_give_their_value():
    assert await Word.vinyl.how_many_long() == 2
    assert await Word.vinyl.exclude(label="long").how_many_long() == 1


@pytest.mark.usefixtures("words")
def test_methods_of_the_projects_queryset_that_query_give_their_value_at_once_in_the_sync_mode():
    with vinyl.sync_mode():
        assert Word.vinyl.how_many_long() == 2


@pytest.mark.usefixtures("words")
async def test_a_manager_class_of_the_projects_own_can_filter_what_it_gives():
    assert await Word.vinyl.count() == 3
    assert await Word.long_ones.count() == 2
    assert [word.label for word in await Word.long_ones.all()] == ["long", "longer"]
    assert await Word.long_ones.filter(label="a").first() is None


# Instances of a class of the project's own.


async def test_instances_have_the_methods_and_properties_of_the_projects_class():
    ada = Member.vinyl(name="Ada Byron")
    assert ada.initials == "AB"
    assert isinstance(ada, custom.Member)
    assert isinstance(ada, Member)
    await ada.insert()
    assert (await Member.vinyl.get()).initials == "AB"


async def test_an_insert_of_the_projects_own_runs_in_both_modes():
    ada = Member.vinyl(name="  Ada ")
    assert await ada.insert() is ada
    assert ada.was_inserted
    assert await Member.vinyl.values_list("name", flat=True) == ["Ada"]


def test_an_insert_of_the_projects_own_is_called_plainly_in_the_sync_mode():
    with vinyl.sync_mode():
        assert Member.vinyl(name=" Ada ").insert().was_inserted
        assert Member.vinyl.create(name=" Bo ").was_inserted
        assert [member.name for member in Member.vinyl.order_by("id")] == ["Ada", "Bo"]


@pytest.mark.parametrize("method", ["create", "get_or_create", "update_or_create", "acreate", "aget_or_create"])
async def test_what_creates_a_row_calls_the_projects_insert(method):
    made = await getattr(Member.vinyl, method)(name=" Ada ")
    ada = made if method.endswith("create") and "_or_" not in method else made[0]
    assert ada.was_inserted
    assert ada.name == "Ada"


@pytest.mark.usefixtures("words")
async def test_what_updates_a_row_calls_the_projects_update():
    word, created = await Word.loud.update_or_create(defaults={"label": "b"}, label="a")
    assert (word.label, created) == ("B", False)
    await word.update(label="c")
    assert await Word.vinyl.filter(label="C").exists()


@pytest.mark.parametrize("not_a_vinyl_model", [Author, object, "custom.Member", custom])
def test_the_class_of_the_instances_must_be_a_vinyl_model(not_a_vinyl_model):
    with pytest.raises(ImproperlyConfigured, match=r"takes a subclass of vinyl\.VinylModel"):
        VinylManager(model=not_a_vinyl_model)


# Databases.


@pytest.mark.parametrize("on_other", [lambda: Author.vinyl.using("other"), lambda: Author.vinyl.db_manager("other")])
async def test_another_database_is_used_where_it_is_named(on_other):
    ann = await on_other().create(name="Ann")
    assert ann._state.db == "other"
    assert await on_other().count() == 1
    assert await Author.vinyl.count() == 0
    await (await on_other().get()).update(name="Anna")
    assert await on_other().filter(name="Anna").exists()
    await ann.delete()
    assert await on_other().count() == 0


async def test_an_instance_is_written_to_the_database_that_is_named():
    ann = await Author.vinyl(name="Ann").insert(using="other")
    assert ann._state.db == "other"
    assert await Author.vinyl.using("other").count() == 1
    assert await Author.vinyl.count() == 0


class Router:
    """Sends everything to the other database, and remembers what it was asked about."""

    def __init__(self) -> None:
        self.seen: set[Any] = set()

    def db_for_read(self, model: Any, **hints: Any) -> str:
        self.seen.add(model)
        return "other"

    db_for_write = db_for_read


async def test_the_projects_routers_choose_the_database_and_see_the_django_model():
    router = Router()
    with override_settings(DATABASE_ROUTERS=[router]):
        ann = await Author.vinyl(name="Ann").insert()
        await Author.vinyl.create(name="Bo")
        await ann.update(name="Anna")
        await ann.refresh()
        await Author.vinyl.filter(name="Bo").update(born=None)
        await Book.vinyl(author_id=ann.pk, title="One").insert()
        await (await Book.vinyl.get()).load("author", "tags")
        await ann.books.all().delete()
        await (await Author.vinyl.get(name="Bo")).delete()
    assert await Author.vinyl.count() == 0
    assert await Author.vinyl.using("other").values_list("name", flat=True) == ["Anna"]
    assert {Author, Book} <= router.seen
    assert not [model for model in router.seen if issubclass(model, VinylModel)]


async def test_the_routers_see_the_django_model_where_an_object_is_assigned_to_a_relation():
    router = Router()
    with override_settings(DATABASE_ROUTERS=[router]):
        Book.vinyl().author = Author.vinyl()
        Book.vinyl().cover = Cover.vinyl()
        book = await (await Author.vinyl.create(name="Ann")).books.create(title="One")
        await book.tags.create(label="new")
    assert not [model for model in router.seen if issubclass(model, VinylModel)]


# What instances are.


async def test_an_instance_passes_for_one_of_the_django_model():
    ann = await Author.vinyl(name="Ann").insert()
    plain = await vinyl.run(lambda: Author.objects.get())
    assert isinstance(ann, Author)
    assert type(ann).__name__ == "Author"
    assert ann == plain
    assert plain == ann
    assert hash(ann) == hash(plain)
    assert (str(ann), repr(ann)) == ("Ann", "<Author: Ann>")
    assert ann._meta is Author._meta
    assert type(ann).DoesNotExist is Author.DoesNotExist


def test_instances_that_are_not_inserted_are_equal_only_to_themselves():
    ann = Author.vinyl(name="Ann")
    assert ann in [ann]
    assert ann != Author.vinyl(name="Ann")
    assert ann != Author(name="Ann")


COPIES = [copy.copy, copy.deepcopy, lambda instance: pickle.loads(pickle.dumps(instance))]


@pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
async def test_a_copied_or_pickled_instance_is_of_the_vinyl_class(copied):
    ann = await Author.vinyl(name="Ann").insert()
    twin = copied(ann)
    assert twin is not ann
    assert type(twin) is type(ann)
    assert (twin.pk, twin.name, twin._state.db, twin._state.adding) == (ann.pk, "Ann", "default", False)
    await twin.update(name="Anna")
    assert (ann.name, await Author.vinyl.values_list("name", flat=True)) == ("Ann", ["Anna"])


@pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
async def test_a_copy_has_what_was_loaded_and_lacks_what_was_not(copied):
    ann = await Author.vinyl.create(name="Ann")
    await Book.vinyl.create(author=ann, title="One")
    book = copied(await Book.vinyl.select_related("author").defer("stock").get())
    assert book.author == ann
    assert type(book.author) is type(ann)
    with pytest.raises(vinyl.UnloadedAttribute, match="stock"):
        book.stock  # noqa: B018


@pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_a_copy_of_an_instance_of_the_projects_class_is_of_that_class(copied):
    assert copied(Member.vinyl(name="Ada Byron")).initials == "AB"


@pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_a_copy_of_an_instance_of_a_models_second_manager_is_of_that_managers_class(copied):
    loud = VinylManager(model=Shouting)
    loud.model = Author
    assert isinstance(copied(loud(name="Ann")), Shouting)
