"""Related managers of all kinds; generic keys that are assigned before content types were ever looked up."""

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.contenttypes.prefetch import GenericPrefetch
from django.db import connection, models
from django.db.models import Prefetch
from django.test.utils import isolate_apps

import vinyl
from tests.library.models import Author, Book, Note, Tag
from vinyl import UnloadedAttribute, VinylManager, VinylModel, VinylQuerySet
from vinyl.faces.queryset import as_vinyl

pytestmark = pytest.mark.usefixtures("db")


class Latest(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(year__gt=2000)

    def years(self):
        return sorted(membership.year for membership in self.all())


with isolate_apps("tests.library", "django.contrib.contenttypes"):

    class Person(models.Model):
        name = models.CharField(max_length=20)

        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    class Club(models.Model):
        name = models.CharField(max_length=20)
        members = models.ManyToManyField(Person, through="Membership", related_name="clubs")

        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    class Membership(models.Model):
        person = models.ForeignKey(Person, models.CASCADE, related_name="memberships")
        club = models.ForeignKey(Club, models.CASCADE, related_name="memberships")
        year = models.IntegerField(default=1999)

        objects = models.Manager()
        latest = Latest()
        vinyl = VinylManager()

        class Meta:
            app_label = "library"
            ordering = ("year",)


@pytest.fixture
def clubs(db):
    with connection.schema_editor() as editor:
        for model in (Person, Club, Membership):
            editor.create_model(model)
    yield
    with connection.schema_editor() as editor:
        for model in (Membership, Club, Person):
            editor.delete_model(model)


@pytest.mark.usefixtures("clubs")
async def test_a_relation_with_a_model_of_its_own_is_written_by_its_manager():
    ann, bo = await Person.vinyl.create(name="Ann"), await Person.vinyl.create(name="Bo")
    club = await Club.vinyl.create(name="Chess")
    await club.members.add(ann, through_defaults={"year": 2001})
    cy = await club.members.create(name="Cy", through_defaults={"year": 2002})
    assert isinstance(cy, VinylModel)
    _, created = await club.members.get_or_create(name="Di", defaults={}, through_defaults={"year": 2003})
    assert created
    assert [membership.year for membership in await club.memberships.all()] == [2001, 2002, 2003]
    await club.members.set([ann, bo], through_defaults={"year": 2004})
    assert await club.memberships.values_list("person__name", "year") == [("Ann", 2001), ("Bo", 2004)]
    await club.members.remove(ann)
    assert [person.name for person in await club.members.all()] == ["Bo"]
    assert [each.name for each in await bo.clubs.all()] == ["Chess"]
    await bo.clubs.clear()
    assert not await club.members.exists()


@pytest.mark.usefixtures("clubs")
async def test_a_related_manager_by_another_manager_gives_what_that_one_gives():
    ann = await Person.vinyl.create(name="Ann")
    club = await Club.vinyl.create(name="Chess")
    for year in (1990, 2001, 2010):
        await Membership.vinyl.create(person=ann, club=club, year=year)
    latest = ann.memberships(manager="latest")
    assert [membership.year for membership in await latest.all()] == [2001, 2010]
    assert all(isinstance(membership, VinylModel) for membership in await latest.all())
    assert await latest.years() == [2001, 2010]
    assert await latest.count() == 2
    made = await latest.create(club=club, year=2020)
    assert (made.person, isinstance(made, VinylModel)) == (ann, True)
    assert await ann.memberships(manager="vinyl").count() == 4
    with pytest.raises(AttributeError):
        ann.memberships(manager="unknown")


async def test_a_many_to_many_relation_by_another_manager():
    tag = await vinyl.manager(Tag).create(label="new")
    ann = await Author.vinyl.create(name="Ann")
    book = await Book.vinyl.create(author=ann, title="One", stock=1)
    await book.tags.add(tag)
    assert [each.title for each in await tag.books(manager="objects").in_print()] == ["One"]
    assert await tag.books(manager="vinyl").count() == 1


async def test_what_was_prefetched_is_iterated_without_a_query():
    ann = await Author.vinyl.create(name="Ann")
    for title in ("One", "Two"):
        await ann.books.create(title=title)
    twos = Prefetch("books", Book.vinyl.filter(title="Two"), to_attr="twos")
    loaded = await Author.vinyl.prefetch_related("books", twos).get()
    with vinyl.connection.execute_wrapper(lambda *args: pytest.fail("a query was executed")):
        assert [book.title for book in loaded.books.all()] == ["One", "Two"]
        assert len(loaded.books.all()) == 2
        assert loaded.books.all()[1].title == "Two"
        assert [book.title for book in loaded.twos] == ["Two"]
        assert loaded.twos[0].author == loaded
    assert [book.title for book in await loaded.books.all()] == ["One", "Two"]
    assert [book.title for book in await loaded.books.filter(title="One")] == ["One"]


async def test_generic_prefetch_takes_a_queryset_for_each_model():
    ann = await Author.vinyl.create(name="Ann")
    book = await ann.books.create(title="One")
    for about in (ann, book):
        await Note.vinyl.create(about=about, text=str(about))
    for books, authors in (
        (Book.vinyl.select_related("author"), Author.vinyl.only("name")),
        (Book.objects.select_related("author"), Author.objects.only("name")),
    ):
        lookup = GenericPrefetch("about", [books, authors])
        first, second = await Note.vinyl.order_by("id").prefetch_related(lookup)
        assert (first.about.name, second.about.author.name) == ("Ann", "Ann")
        assert isinstance(first.about, VinylModel)
        assert isinstance(second.about, VinylModel)


# A generic key is assigned before anything has looked up content types.


async def test_an_object_is_assigned_to_a_generic_key_though_its_content_type_is_not_known_yet():
    ann = await Author.vinyl.create(name="Ann")
    ContentType.objects.clear_cache()
    note = Note.vinyl(about=ann, text="good")
    assert note.about is ann
    assert note.object_id == ann.pk
    await note.insert()
    assert note.about is ann
    assert note.content_type_id is not None
    assert (await Note.vinyl.prefetch_related("about").get()).about == ann


async def test_update_and_bulk_create_complete_such_keys():
    ann, bo = await Author.vinyl.create(name="Ann"), await Author.vinyl.create(name="Bo")
    note = await Note.vinyl.create(about=ann, text="good")
    ContentType.objects.clear_cache()
    note.about = bo
    assert note.about is bo
    await note.update()
    ContentType.objects.clear_cache()
    await Note.vinyl.bulk_create([Note.vinyl(about=bo, text="bad")])
    assert [note.about.name for note in await Note.vinyl.prefetch_related("about")] == ["Bo", "Bo"]


async def test_an_object_that_is_not_inserted_yet_is_assigned_and_refused_at_insert():
    ContentType.objects.clear_cache()
    bo = Author.vinyl(name="Bo")
    note = Note.vinyl(about=bo, text="good")
    with pytest.raises(ValueError, match="unsaved related object"):
        await note.insert()
    await bo.insert()
    note.about = bo
    await note.insert()
    assert note.object_id == bo.pk


async def test_such_a_key_can_be_assigned_anew():
    ann = await Author.vinyl.create(name="Ann")
    ContentType.objects.clear_cache()
    note = Note.vinyl(about=ann, text="good")
    note.about = None
    assert note.about is None
    assert note.object_id is None
    note.about = ann
    note.object_id = ann.pk + 1
    note.content_type = ContentType(pk=7)
    with pytest.raises(UnloadedAttribute):
        _ = note.about


def test_the_field_is_djangos_generic_key():
    assert isinstance(Note._meta.get_field("about"), GenericForeignKey)


# Methods that Django adds to models, and that query.


async def test_neighbours_are_found_and_are_of_vinyl():
    ann = await Author.vinyl.create(name="Ann")
    one, two, three = [await ann.books.create(title=title, stock=stock) for stock, title in enumerate(("1", "2", "3"))]
    assert await one.get_next_by_changed() == two
    assert await three.get_previous_by_changed(stock__lt=1) == one
    found = await two.get_next_by_changed()
    assert isinstance(found, VinylModel)
    await found.update(title="4")
    with pytest.raises(Book.DoesNotExist):
        await three.get_next_by_changed()


async def test_prefetches_that_a_default_manager_brings_along_give_instances_of_vinyl():
    ann = await Author.vinyl.create(name="Ann")
    await ann.books.create(title="One")
    queryset = as_vinyl(Author.objects.prefetch_related(Prefetch("books", Book.objects.all()), "edited"))
    (loaded,) = await queryset
    assert isinstance(loaded.books.all(), VinylQuerySet)
    assert isinstance(loaded.books.all()[0], VinylModel)
