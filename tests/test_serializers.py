"""Serializers: Django's, those of Django REST framework, JSON, pickle and signing read instances of vinyl."""

import datetime as dt
import json
import pickle

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core import serializers, signing
from django.core.cache import caches
from django.core.exceptions import SynchronousOnlyOperation
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Prefetch
from django.forms import model_to_dict
from django.http import JsonResponse
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import PrimaryKeyRelatedField

import vinyl
from tests.library import api
from tests.library.models import Author, BigBranch, Book, Cover, Member, Note, Shelf, Tag
from vinyl import ImplicitQuery, UnloadedAttribute, UnsupportedOperation

pytestmark = pytest.mark.usefixtures("shop")

Tags = vinyl.manager(Tag)
TAGS = Prefetch("tags", Tags.order_by("label"))
# The same for querysets of Django.
PLAIN_TAGS = Prefetch("tags", Tag.objects.order_by("label"))
FORMATS = ["json", "jsonl", "python", "xml"]


@pytest.fixture
def shop(db):
    """Ann's books One, which has two tags and a red cover, and Two."""
    ann = Author.objects.create(name="Ann", born=dt.date(1929, 10, 21))
    one = Book.objects.create(
        author=ann, editor=ann, title="One", stock=5, published=dt.datetime(2001, 2, 3, tzinfo=dt.UTC)
    )
    Book.objects.create(author=ann, title="Two")
    one.tags.set([Tag.objects.create(label=label) for label in ("new", "red")])
    Cover.objects.create(book=one, colour="red")
    Note.objects.create(about=one, text="good")


# Django's


@pytest.mark.parametrize("form", FORMATS)
async def test_instances_are_serialized_as_those_of_django(form, no_queries):
    await BigBranch.vinyl.create(name="City", seats=90, floors=3)
    await Shelf.vinyl.create(width=3)
    loaded = [
        *await Author.vinyl.all(),
        *await Book.vinyl.prefetch_related(TAGS),
        *await BigBranch.vinyl.all(),
        *await Shelf.vinyl.all(),
        *await Note.vinyl.all(),
    ]
    with no_queries():
        text = serializers.serialize(form, loaded)
    querysets = [
        Author.objects,
        Book.objects.prefetch_related(PLAIN_TAGS),
        BigBranch.objects,
        Shelf.objects,
        Note.objects,
    ]
    plain = await vinyl.run(
        lambda: serializers.serialize(form, [each for queryset in querysets for each in queryset.all()])
    )
    assert text == plain


@pytest.mark.parametrize("form", FORMATS)
async def test_what_was_serialized_is_deserialized_to_instances_of_django(form):
    one = await Book.vinyl.prefetch_related(TAGS).get(title="One")
    text = serializers.serialize(form, [one])
    await one.delete()

    def restore():
        (found,) = serializers.deserialize(form, text)
        assert type(found.object) is Book
        found.save()

    await vinyl.run(restore)
    again = await Book.vinyl.prefetch_related(TAGS).get(title="One")
    assert (again.stock, {tag.label for tag in again.tags.all()}) == (5, {"new", "red"})


@pytest.mark.parametrize("form", FORMATS)
async def test_a_queryset_that_was_awaited_is_serialized(form, no_queries):
    books = Book.vinyl.prefetch_related(TAGS)
    await books
    with no_queries():
        assert serializers.serialize(form, books, fields=["title", "tags"]) == (
            serializers.serialize(form, list(books), fields=["title", "tags"])
        )


async def test_many_to_many_that_was_not_prefetched_is_serialized_by_run():
    books = await Book.vinyl.all()
    values = await vinyl.run(serializers.serialize, "python", books)
    assert [len(value["fields"]["tags"]) for value in values] == [2, 0]


async def test_a_queryset_that_is_not_loaded_is_serialized_by_run():
    values = await vinyl.run(serializers.serialize, "python", Book.vinyl.all())
    assert [value["fields"]["title"] for value in values] == ["One", "Two"]


@pytest.mark.asynchronous
@pytest.mark.parametrize("form", FORMATS)
async def test_a_serializer_that_would_query_in_a_coroutine_says_so(form):
    with pytest.raises(ImplicitQuery, match="await"):
        serializers.serialize(form, Book.vinyl.all())
    with pytest.raises(SynchronousOnlyOperation, match="await"):
        serializers.serialize(form, await Book.vinyl.all())


@pytest.mark.parametrize("form", FORMATS)
async def test_deferred_fields_are_not_serialized_as_something_else(form, no_queries):
    ann = await Author.vinyl.only("name").get()
    with no_queries():
        with pytest.raises(UnloadedAttribute, match=r"Author\.born"):
            serializers.serialize(form, [ann])
        assert "Ann" in str(serializers.serialize(form, [ann], fields=["name"]))


async def test_natural_keys_are_made_of_loaded_relations(no_queries):
    await vinyl.run(ContentType.objects.clear_cache)
    note = await Note.vinyl.select_related("content_type").get()
    with no_queries():
        (value,) = serializers.serialize("python", [note], use_natural_foreign_keys=True)
    assert value["fields"]["content_type"] == ("library", "book")
    note = await Note.vinyl.get()
    with pytest.raises(UnloadedAttribute, match=r"Note\.content_type"):
        serializers.serialize("python", [note], use_natural_foreign_keys=True)


async def test_natural_keys_of_instances_are_those_of_django(no_queries):
    permission = await vinyl.manager(Permission).select_related("content_type").order_by("pk").first()
    user = vinyl.manager(get_user_model())(username="ada")
    with no_queries():
        assert (user.natural_key(), vinyl.manager(Group)(name="staff").natural_key()) == (("ada",), ("staff",))
        key = permission.natural_key()
    assert await vinyl.run(lambda: Permission.objects.get_by_natural_key(*key)) == permission


# Django REST framework


def rest(serializer, *args, **kwargs):
    """Serialize right here, in the coroutine: nothing can wait."""
    return serializer(*args, **kwargs).data


async def test_rest_serializers_read_instances(no_queries):
    one = await Book.vinyl.prefetch_related(TAGS).get(title="One")
    with no_queries():
        data = rest(api.BookSerializer, one)
        assert data == {
            "title": "One",
            "price": "10.00",
            "author": one.author_id,
            "tags": [tag.pk for tag in one.tags.all()],
        }
        assert json.loads(JSONRenderer().render(data)) == data
    assert data == await vinyl.run(
        lambda: rest(api.BookSerializer, Book.objects.prefetch_related(PLAIN_TAGS).get(title="One"))
    )


async def test_rest_serializers_read_many_instances_and_awaited_querysets(no_queries):
    books = Book.vinyl.prefetch_related(TAGS)
    loaded = await books
    with no_queries():
        data = rest(api.BookSerializer, loaded, many=True)
        assert data == rest(api.BookSerializer, books, many=True)
        assert [each["title"] for each in data] == ["One", "Two"]
    assert data == await vinyl.run(
        lambda: rest(api.BookSerializer, Book.objects.prefetch_related(PLAIN_TAGS), many=True)
    )


async def test_nested_rest_serializers_read_loaded_relations(no_queries):
    books = await Book.vinyl.select_related("author", "cover").prefetch_related(TAGS)
    ann = {"name": "Ann", "born": "1929-10-21"}
    with no_queries():
        assert rest(api.NestedBookSerializer, books, many=True) == [
            {"title": "One", "author": ann, "tags": [{"label": "new"}, {"label": "red"}], "colour": "red"},
            {"title": "Two", "author": ann, "tags": [], "colour": None},
        ]


async def test_rest_serializers_read_loaded_reverse_relations(no_queries):
    authors = await Author.vinyl.prefetch_related("books")
    with no_queries():
        assert rest(api.BooksOfAuthorSerializer, authors, many=True) == [{"name": "Ann", "books": ["One", "Two"]}]


async def test_rest_serializers_with_depth_read_loaded_relations(no_queries):
    cover = (
        await Cover.vinyl.select_related("book__author")
        .prefetch_related(Prefetch("book__tags", Tags.order_by("label")), "book__editor")
        .get()
    )
    with no_queries():
        data = rest(api.DeepCoverSerializer, cover)
    assert (data["book"]["title"], data["book"]["author"]["name"], data["book"]["editor"]["name"]) == (
        "One",
        "Ann",
        "Ann",
    )
    assert [tag["label"] for tag in data["book"]["tags"]] == ["new", "red"]
    plain = Cover.objects.prefetch_related(Prefetch("book__tags", Tag.objects.order_by("label")))
    assert data == await vinyl.run(lambda: rest(api.DeepCoverSerializer, plain.get()))


async def test_rest_serializers_say_what_was_not_loaded(no_queries):
    books = await Book.vinyl.prefetch_related(TAGS)
    with no_queries(), pytest.raises(UnloadedAttribute, match=r"Book\.author .*select_related\('author'\)"):
        rest(api.NestedBookSerializer, books, many=True)
    one = await Book.vinyl.select_related("author").prefetch_related(TAGS).get(title="One")
    with no_queries(), pytest.raises(UnloadedAttribute, match=r"Book\.cover .*load\('cover'\)"):
        rest(api.NestedBookSerializer, one)
    ann = await Author.vinyl.only("name").get()
    with no_queries(), pytest.raises(UnloadedAttribute, match=r"Author\.born"):
        rest(api.AuthorSerializer, ann)


async def test_rest_serializers_read_what_was_not_prefetched_by_run():
    books = Book.vinyl.select_related("author", "cover")
    for source in (books, await books.all()):
        data = await vinyl.run(rest, api.NestedBookSerializer, source, many=True)
        assert [(each["author"]["name"], len(each["tags"]), each["colour"]) for each in data] == [
            ("Ann", 2, "red"),
            ("Ann", 0, None),
        ]
    assert await vinyl.run(rest, api.AuthorSerializer, Author.vinyl, many=True) == [
        {"name": "Ann", "born": "1929-10-21"}
    ]


@pytest.mark.asynchronous
async def test_rest_serializers_cannot_query_in_a_coroutine_and_say_so():
    one = await Book.vinyl.get(title="One")
    for serializer, value, many in (
        (api.BookSerializer, one, False),
        (api.AuthorSerializer, Author.vinyl.all(), True),
        (api.AuthorSerializer, Author.vinyl, True),
        (api.BooksOfAuthorSerializer, await Author.vinyl.get(), False),
    ):
        with pytest.raises(ImplicitQuery, match="await"):
            rest(serializer, value, many=many)


async def test_a_rest_serializer_validates_and_its_data_is_written_by_update_and_insert():
    ann = await Author.vinyl.get()
    serializer = api.AuthorSerializer(ann, {"name": "Anna"}, partial=True)
    assert serializer.is_valid(), serializer.errors
    await ann.update(**serializer.validated_data)
    serializer = api.AuthorSerializer(data={"name": "Bo", "born": "2001-02-03"})
    serializer.is_valid(raise_exception=True)
    await Author.vinyl(**serializer.validated_data).insert()
    assert await Author.vinyl.values_list("name", flat=True) == ["Anna", "Bo"]


async def test_save_of_a_rest_serializer_says_what_to_do_instead():
    ann = await Author.vinyl.get()
    serializer = api.AuthorSerializer(ann, {"name": "Anna"}, partial=True)
    assert serializer.is_valid()
    with pytest.raises(UnsupportedOperation, match=r"Author has no save\(\) in vinyl.*insert\(\).*update\(\)"):
        serializer.save()
    assert await Author.vinyl.values_list("name", flat=True) == ["Ann"]


async def test_a_rest_serializer_whose_methods_use_vinyl_saves_by_run():
    ann = await Author.vinyl.get()
    serializer = api.VinylAuthorSerializer(ann, {"name": "Anna"}, partial=True)
    assert serializer.is_valid()
    assert await vinyl.run(serializer.save) is ann
    assert serializer.data == {"name": "Anna", "born": "1929-10-21"}
    serializer = api.VinylAuthorSerializer(data={"name": "Bo", "born": None})
    assert serializer.is_valid()
    assert type(await vinyl.run(serializer.save)) is Author.vinyl.vinyl_class
    assert await Author.vinyl.values_list("name", flat=True) == ["Anna", "Bo"]


async def test_a_rest_serializer_without_an_instance_creates_one_of_django():
    serializer = api.AuthorSerializer(data={"name": "Bo"})
    assert serializer.is_valid()
    assert type(await vinyl.run(serializer.save)) is Author


async def test_validators_of_rest_serializers_that_query_work_by_run():
    one = await Book.vinyl.prefetch_related(TAGS).get(title="One")
    data = {"title": "Two", "author": one.author_id, "tags": [tag.pk for tag in one.tags.all()]}
    serializer = api.BookSerializer(one, data)
    # The validator of unique_together compares with the object that the instance has now.
    with pytest.raises(UnloadedAttribute, match=r"load\('author'\)"):
        await vinyl.run(serializer.is_valid)
    serializer = api.BookSerializer(await one.load("author"), data)
    assert not await vinyl.run(serializer.is_valid)
    serializer = api.BookSerializer(one, {**data, "title": "One"})
    assert await vinyl.run(serializer.is_valid), serializer.errors
    assert serializer.validated_data["author"].pk == one.author_id


async def test_a_related_field_of_rest_framework_takes_a_queryset_of_vinyl():
    ann = await Author.vinyl.get()
    field = PrimaryKeyRelatedField(queryset=Author.vinyl.all())
    found = await vinyl.run(field.run_validation, ann.pk)
    assert (found, type(found)) == (ann, Author.vinyl.vinyl_class)
    with pytest.raises(ValidationError, match="does not exist"):
        await vinyl.run(field.run_validation, 0)


# JSON, signing, pickle


async def test_values_of_instances_are_json():
    one = await Book.vinyl.prefetch_related(TAGS).get(title="One")
    values = model_to_dict(one, exclude=["tags"])
    again = json.loads(json.dumps(values, cls=DjangoJSONEncoder))
    assert (again["title"], again["price"], again["published"]) == ("One", "10.00", "2001-02-03T00:00:00Z")
    rows = await Book.vinyl.values("title", "price", "changed")
    assert json.loads(JsonResponse(rows, safe=False).content)[0]["title"] == "One"
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(one, cls=DjangoJSONEncoder)


async def test_keys_and_values_of_instances_are_signed():
    ann = await Author.vinyl.get()
    assert signing.loads(signing.dumps(ann.pk)) == ann.pk
    values = {**model_to_dict(ann), "born": str(ann.born)}
    assert signing.loads(signing.dumps(values)) == {"id": ann.pk, "name": "Ann", "born": "1929-10-21"}
    assert signing.Signer().unsign_object(signing.Signer().sign_object({"author": ann.pk})) == {"author": ann.pk}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
async def test_instances_are_pickled_with_what_was_loaded(protocol, no_queries):
    one = await Book.vinyl.select_related("author", "cover").prefetch_related(TAGS).defer("stock").get(title="One")
    with no_queries():
        again = pickle.loads(pickle.dumps(one, protocol))
        assert (type(again), again, again._state.db) == (type(one), one, "default")
        assert (again.author.name, again.cover.colour) == ("Ann", "red")
        assert [tag.label for tag in again.tags.all()] == ["new", "red"]
        with pytest.raises(UnloadedAttribute):
            again.stock  # noqa: B018
        with pytest.raises(UnloadedAttribute):
            again.editor  # noqa: B018


async def test_an_instance_that_was_pickled_is_written():
    ada = pickle.loads(pickle.dumps(await Member.vinyl.create(name="Ada Byron")))
    assert ada.initials == "AB"
    await ada.update(name="Ada King")
    new = await pickle.loads(pickle.dumps(Author.vinyl(name="Bo"))).insert()
    assert await Author.vinyl.filter(pk=new.pk).exists()
    assert await Member.vinyl.values_list("name", flat=True) == ["Ada King"]


async def test_instances_and_loaded_querysets_go_into_a_cache_and_come_back(settings_of_the_cache, no_queries):
    cache = caches["default"]
    one = await Book.vinyl.select_related("author").get(title="One")
    books = Book.vinyl.prefetch_related(TAGS)
    await books
    with no_queries():
        cache.set_many({"one": one, "books": books, "list": list(books)})
        found = cache.get_many(["one", "books", "list"])
        assert (found["one"], found["one"].author.name) == (one, "Ann")
        assert [book.title for book in found["books"]] == [book.title for book in found["list"]] == ["One", "Two"]
        assert len(found["list"][0].tags.all()) == 2
        assert type(found["one"]) is type(one)


@pytest.mark.asynchronous
async def test_instances_go_into_a_cache_by_its_asynchronous_interface(settings_of_the_cache):
    await caches["default"].aset("one", await Book.vinyl.get(title="One"))
    found = await caches["default"].aget("one")
    await found.update(title="Uno")
    assert await Book.vinyl.filter(title="Uno").exists()


@pytest.fixture
def settings_of_the_cache():
    caches["default"].clear()
    yield
    caches["default"].clear()
