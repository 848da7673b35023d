"""Equality: an instance of vinyl and a plain one are the same object to Python, to relations and to queries."""

import copy
import pickle

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.utils.functional import SimpleLazyObject

import vinyl
from tests import settings
from tests.library.models import (
    Author,
    BigBranch,
    Book,
    Branch,
    Cover,
    Letter,
    Loan,
    Member,
    NamedPlace,
    Note,
    Parcel,
    Place,
    Tag,
)
from vinyl import UnloadedAttribute, UnsupportedOperation, VinylModel

pytestmark = pytest.mark.usefixtures("shop")

Tags = vinyl.manager(Tag)


@pytest.fixture
def shop(db):
    """Ann's book One; Bo."""
    ann = Author.objects.create(name="Ann")
    Author.objects.create(name="Bo")
    Book.objects.create(author=ann, title="One", stock=5)


async def both(model=Author, **lookup):
    """Return an instance of vinyl and a plain one of the same row."""
    return await vinyl.manager(model).get(**lookup), await vinyl.run(model.objects.get, **lookup)


# Equality and hashing


async def test_instances_of_one_row_are_equal_in_both_directions():
    ann, plain = await both(name="Ann")
    bo, plain_bo = await both(name="Bo")
    assert ann == plain
    assert plain == ann
    assert (ann != plain) is (plain != ann) is False
    assert ann == await Author.vinyl.get(name="Ann")
    assert ann != bo
    assert ann != plain_bo
    assert plain_bo != ann
    assert ann != ann.pk


async def test_instances_of_one_row_have_one_hash():
    ann, plain = await both(name="Ann")
    bo, plain_bo = await both(name="Bo")
    assert hash(ann) == hash(plain)
    assert {ann, plain, bo, plain_bo} == {plain, bo}
    assert {plain: 1}[ann] == {ann: 1}[plain] == 1
    assert {ann} & {plain} == {plain}
    assert {ann, bo} - {plain} == {bo}


async def test_instances_are_found_in_lists_and_querysets_of_the_other_kind():
    ann, plain = await both(name="Ann")
    loaded = await Author.vinyl.all()
    assert plain in loaded
    assert loaded.index(plain) == 0
    assert await vinyl.run(lambda: ann in Author.objects.all())
    assert await vinyl.run(lambda: list(Author.objects.all())) == loaded
    assert await Author.vinyl.contains(plain)
    assert await vinyl.run(Author.objects.all().contains, ann)


async def test_new_instances_are_equal_to_themselves_only_and_have_no_hash():
    new = Author.vinyl(name="Ann")
    assert new == new
    assert new not in (Author.vinyl(name="Ann"), Author(name="Ann"))
    assert Author(name="Ann") != new
    with pytest.raises(TypeError, match="Model instances without primary key value are unhashable"):
        hash(new)


async def test_proxies_and_their_model_are_equal_and_multi_table_children_are_not():
    branch = await Branch.vinyl.create(name="Town")
    place, plain = await both(Place, pk=branch.pk)
    named, plain_named = await both(NamedPlace, pk=branch.pk)
    assert place == named == plain_named == plain == place
    assert len({place, named, plain, plain_named}) == 1
    assert branch != place
    assert branch != plain
    assert plain != branch
    assert branch == await vinyl.run(Branch.objects.get)


async def test_instances_of_different_models_are_not_equal():
    letter, parcel = await Letter.vinyl.create(id=7), await Parcel.vinyl.create(id=7)
    assert letter != parcel
    assert letter != await vinyl.run(Parcel.objects.get)
    assert letter == await vinyl.run(Letter.objects.get)


async def test_instances_with_a_class_of_the_projects_own_are_equal_to_plain_ones():
    ada, plain = await both(Member, pk=(await Member.vinyl.create(name="Ada")).pk)
    assert ada == plain
    assert plain == ada
    assert len({ada, plain}) == 1


async def test_an_instance_of_vinyl_is_one_of_the_model_and_says_so():
    ann, plain = await both(name="Ann")
    assert isinstance(ann, Author)
    assert issubclass(type(ann), Author)
    assert not isinstance(plain, type(ann))
    assert (str(ann), repr(ann)) == (str(plain), repr(plain))
    assert ann._meta is plain._meta
    assert type(ann).__name__ == "Author"


# Assigning


async def test_a_plain_instance_takes_one_of_vinyl_and_django_saves_it():
    bo = await Author.vinyl.get(name="Bo")
    _, plain = await both(Book)

    def change():
        plain.author = plain.editor = bo
        plain.save()
        assert Book.objects.create(author=bo, title="Two").author is bo
        return Book.objects.filter(author__name="Bo").count()

    assert await vinyl.run(change) == 2
    assert await bo.edited.count() == 1


async def test_an_instance_of_vinyl_takes_a_plain_one_and_writes_it():
    _, bo = await both(name="Bo")
    one = await Book.vinyl.get()
    one.editor = bo
    await one.update(author=bo)
    assert (one.author, one.author_id, one.editor_id) == (bo, bo.pk, bo.pk)
    two = await Book.vinyl(author=bo, title="Two").insert()
    assert two.author is bo
    three = await Book.vinyl.create(author=bo, title="Three")
    assert three.author is bo
    assert await Book.vinyl.filter(author=bo).count() == 3


async def test_an_object_that_has_no_row_is_refused_whatever_kind_it_is_of():
    _, plain = await both(Book)
    for new in (Author.vinyl(name="New"), Author(name="New")):
        with pytest.raises(ValueError, match=r"unsaved related object 'author'"):
            await Book.vinyl(author=new, title="Two").insert()
        plain.author = new
        with pytest.raises(ValueError, match=r"unsaved related object 'author'"):
            await vinyl.run(plain.save)


async def test_an_object_that_was_inserted_after_it_was_assigned_is_written():
    new = Author.vinyl(name="New")
    book, plain = Book.vinyl(author=new, title="Two"), Book(author=new, title="Three")
    await new.insert()
    await book.insert()
    await vinyl.run(plain.save)
    assert book.author_id == plain.author_id == new.pk
    late = Author(name="Late")
    book = Book.vinyl(author=late, title="Four")
    await vinyl.run(late.save)
    await book.insert()
    assert book.author_id == late.pk


async def test_one_to_one_is_assigned_from_either_side():
    one, plain = await both(Book)
    cover = Cover.vinyl(book=plain, colour="red")
    assert plain.cover is cover
    await cover.insert()
    cover = await Cover.vinyl.get()
    one.cover = cover
    assert cover.book is one
    await cover.update(colour="blue")
    plain_cover = Cover(book=one, colour="green")
    assert one.cover is plain_cover
    assert await Cover.vinyl.values_list("book", "colour") == [(one.pk, "blue")]


async def test_generic_foreign_keys_take_both_kinds():
    one, plain = await both(Book)
    await vinyl.run(ContentType.objects.get_for_models, Book, NamedPlace)
    note = await Note.vinyl(about=plain, text="good").insert()
    assert note.about is plain
    other = await vinyl.run(lambda: Note.objects.create(about=one, text="fine"))
    assert other.about is one
    assert await one.notes.order_by("text").values_list("text", flat=True) == ["fine", "good"]
    assert await vinyl.run(plain.notes.count) == 2
    named = await Note.vinyl(about=await NamedPlace.vinyl.create(name="Town"), text="big").insert()
    assert (await named.load("content_type")).content_type.model == "place"


async def test_a_generic_foreign_key_takes_an_object_whose_content_type_was_not_asked_for_yet():
    for town in (await Branch.vinyl.create(name="Town"), await vinyl.run(lambda: Branch.objects.create(name="City"))):
        ContentType.objects.clear_cache()
        note = Note.vinyl(about=town, text="big")
        assert note.about is town
        await note.insert()
        assert note.about is town
        ContentType.objects.clear_cache()
        other = await Note.vinyl.create(about=town, text="small")
        assert other.content_type_id == note.content_type_id
        ContentType.objects.clear_cache()
        other.about = town
        await other.update()
    assert await Note.vinyl.filter(content_type__model="branch", object_id=town.pk).count() == 2


# Queries


LOOKUPS = {
    "exact": lambda ann, plain: Q(author=ann),
    "in": lambda ann, plain: Q(author__in=[ann, plain]),
    "not": lambda ann, plain: ~Q(author__in=[]) & Q(author=ann),
    "or": lambda ann, plain: Q(editor=ann) | Q(author=ann),
    "its key": lambda ann, plain: Q(author=ann.pk),
    "of pk": lambda ann, plain: Q(author__pk=ann.pk),
    "lazy": lambda ann, plain: Q(author=SimpleLazyObject(lambda: ann)),
    "lazy in": lambda ann, plain: Q(author__in=[SimpleLazyObject(lambda: ann)]),
    "a queryset": lambda ann, plain: Q(author__in=Author.vinyl.filter(pk=ann.pk)),
    "a queryset of Django": lambda ann, plain: Q(author__in=Author.objects.filter(pk=ann.pk)),
    "a subquery": lambda ann, plain: Exists(Author.vinyl.filter(pk=OuterRef("author"), name="Ann")),
    "an expression": lambda ann, plain: Q(author=Case(When(author=ann, then=F("author")), default=Value(None))),
}


@pytest.mark.parametrize("lookup", LOOKUPS.values(), ids=LOOKUPS)
async def test_both_managers_filter_by_both_kinds(lookup):
    ann, plain = await both(name="Ann")
    for first, second in ((ann, plain), (plain, ann)):
        assert await Book.vinyl.filter(lookup(first, second)).count() == 1
        assert await vinyl.run(Book.objects.filter(lookup(first, second)).count) == 1
        assert await Book.vinyl.exclude(lookup(first, second)).count() == 0


async def test_an_instance_of_another_model_is_refused_as_a_value_as_in_django():
    one = await Book.vinyl.get()
    with pytest.raises(ValueError, match='Cannot query "One": Must be "Author" instance'):
        Book.vinyl.filter(author=one)
    with pytest.raises(ValueError, match='Cannot query "One": Must be "Author" instance'):
        Book.objects.filter(author=one)


async def test_relations_to_a_parent_take_instances_of_its_children():
    town = await BigBranch.vinyl.create(name="Town")
    named = await NamedPlace.vinyl.get(pk=town.pk)
    assert await Branch.vinyl.filter(place_ptr=named).count() == 1
    assert await Branch.vinyl.filter(place_ptr=town).count() == 1
    assert await vinyl.run(Branch.objects.filter(place_ptr=town).count) == 1


async def test_updates_of_querysets_take_both_kinds():
    bo, plain = await both(name="Bo")
    assert await Book.vinyl.update(author=plain, editor=bo) == 1
    assert await vinyl.run(Book.objects.update, author=bo, editor=plain) == 1
    assert await Book.vinyl.filter(author=bo, editor=plain).exists()


async def test_get_or_create_and_update_or_create_take_both_kinds():
    ann, plain = await both(name="Ann")
    assert await Book.vinyl.get_or_create(author=plain, title="One") == (await Book.vinyl.get(), False)
    book, created = await vinyl.run(Book.objects.get_or_create, author=ann, title="Two", defaults={"editor": ann})
    assert (created, book.editor) == (True, ann)
    book, created = await Book.vinyl.update_or_create(author=ann, title="Two", defaults={"editor": None})
    assert (created, book) == (False, await Book.vinyl.get(title="Two"))


async def test_bulk_create_takes_both_kinds_at_once():
    ann, plain = await both(name="Ann")
    mixed = [Book.vinyl(author=plain, title="Two"), Book(author=ann, title="Three")]
    assert await Book.vinyl.bulk_create(mixed) == mixed
    # MySQL does not return the keys.
    assert all(book.pk for book in mixed) is (settings.ENGINE != "mysql")
    mixed = [Book.vinyl(author=ann, title="Four"), Book(author=plain, title="Five")]
    assert await vinyl.run(Book.objects.bulk_create, mixed) == mixed
    assert await Book.vinyl.values_list("title", flat=True) == ["One", "Two", "Three", "Four", "Five"]


async def test_bulk_update_takes_both_kinds_at_once():
    ann, plain_bo = await Author.vinyl.get(name="Ann"), (await both(name="Bo"))[1]
    ann.name, plain_bo.name = "Anna", "Bob"
    assert await Author.vinyl.bulk_update([ann, plain_bo], ["name"]) == 2
    assert await Author.vinyl.values_list("name", flat=True) == ["Anna", "Bob"]
    ann.name, plain_bo.name = "Ann", "Bo"
    assert await vinyl.run(Author.objects.bulk_update, [ann, plain_bo], ["name"]) == 2
    assert await Author.vinyl.values_list("name", flat=True) == ["Ann", "Bo"]


async def test_related_managers_of_both_kinds_take_both_kinds():
    one, plain_one = await both(Book)
    new, plain_new = await both(Tag, pk=(await Tags.create(label="new")).pk)
    old, plain_old = await both(Tag, pk=(await Tags.create(label="old")).pk)
    await one.tags.add(new, plain_old)
    assert await one.tags.count() == 2
    await vinyl.run(plain_one.tags.remove, new)
    await vinyl.run(plain_one.tags.set, [new, plain_old])
    assert await vinyl.run(plain_one.tags.count) == 2
    await one.tags.set([plain_new])
    await vinyl.run(plain_one.tags.add, old)
    await one.tags.remove(plain_new)
    assert await one.tags.all() == [old]
    await vinyl.run(plain_old.books.clear)
    await old.books.add(plain_one)
    assert await one.tags.contains(plain_old)


async def test_reverse_managers_of_both_kinds_take_both_kinds():
    bo, plain_bo = await both(name="Bo")
    one, plain_one = await both(Book)
    await bo.edited.add(plain_one)
    await bo.edited.remove(plain_one)
    await vinyl.run(plain_bo.edited.add, one)
    assert await Book.vinyl.filter(editor=bo).exists()
    await vinyl.run(plain_bo.edited.set, [one])
    await bo.edited.set([plain_one])
    assert await vinyl.run(list, plain_bo.edited.all()) == [one]
    await bo.books.add(plain_one, bulk=False)
    assert (await Book.vinyl.get()).author_id == bo.pk
    with pytest.raises(UnsupportedOperation, match="save"):
        await vinyl.run(lambda: plain_bo.books.add(one, bulk=False))


async def test_in_bulk_gives_a_dictionary_that_knows_the_plain_instances():
    _, plain = await both(name="Ann")
    assert (await Author.vinyl.in_bulk([plain.pk]))[plain.pk] == plain


async def test_deleting_by_the_other_kind():
    await Cover.vinyl.create(book=await Book.vinyl.get(), colour="red")
    ann, plain = await both(name="Ann")
    assert (await vinyl.run(plain.delete))[1]["library.Cover"] == 1
    with pytest.raises(Author.DoesNotExist):
        await ann.refresh()
    assert (await ann.delete())[0] == 0


# Copying


def copies():
    return [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))]


@pytest.mark.parametrize("duplicate", copies(), ids=["copy", "deepcopy", "pickle"])
async def test_a_copy_is_an_equal_instance_of_the_same_class_with_state_of_its_own(duplicate):
    one = await Book.vinyl.select_related("author").prefetch_related("tags").defer("price").get()
    again = duplicate(one)
    assert again == one
    assert again is not one
    assert type(again) is type(one)
    assert isinstance(again, VinylModel)
    assert again.author == one.author
    assert list(again.tags.all()) == []
    assert again._state is not one._state
    assert again._state.fields_cache is not one._state.fields_cache
    again.title = "Uno"
    again.author = await Author.vinyl.get(name="Bo")
    assert (one.title, one.author.name) == ("One", "Ann")
    with pytest.raises(UnloadedAttribute):
        again.price  # noqa: B018
    await again.update()
    assert await Book.vinyl.filter(title="Uno", author__name="Bo", price=10).exists()


@pytest.mark.parametrize("duplicate", copies(), ids=["copy", "deepcopy", "pickle"])
async def test_a_copy_without_a_key_is_inserted_as_another_row(duplicate):
    one = await Book.vinyl.get()
    again = duplicate(one)
    again.pk, again.title = None, "Two"
    await again.insert()
    assert again.pk != one.pk
    assert await Book.vinyl.values_list("title", "stock") == [("One", 5), ("Two", 5)]


async def test_a_deep_copy_copies_the_objects_that_were_loaded_and_a_copy_does_not():
    one = await Book.vinyl.select_related("author").get()
    assert copy.copy(one).author is one.author
    deep = copy.deepcopy(one)
    assert deep.author is not one.author
    deep.author.name = "Anna"
    assert one.author.name == "Ann"


async def test_a_plain_instance_that_knows_one_of_vinyl_is_copied_and_pickled():
    ann = await Author.vinyl.get(name="Ann")
    book = Book(author=ann, title="Two")
    for duplicate in copies():
        again = duplicate(book)
        assert type(again) is Book
        assert (again.author, type(again.author)) == (ann, type(ann))


async def test_classes_of_vinyl_are_copied_and_pickled_as_themselves():
    for model in (Author, Member, BigBranch):
        vinyl_class = vinyl.manager(model).vinyl_class
        for duplicate in copies():
            assert duplicate(vinyl_class) is vinyl_class


async def test_lists_of_instances_are_copied_deeply():
    authors = await Author.vinyl.prefetch_related("books")
    again = copy.deepcopy(authors)
    assert again == authors
    assert again[0].books.all()[0].author is again[0]


# Lazy objects


async def test_a_lazy_object_stands_for_an_instance():
    ann, plain = await both(name="Ann")
    lazy = SimpleLazyObject(lambda: ann)
    assert lazy == ann
    assert ann == lazy
    assert plain == lazy
    assert lazy == plain
    assert hash(lazy) == hash(plain)
    assert isinstance(lazy, Author)
    assert isinstance(lazy, VinylModel)
    assert await Book.vinyl.filter(author=lazy).count() == 1
    assert await vinyl.run(Book.objects.filter(author=lazy).count) == 1
    book = await Book.vinyl(author=lazy, title="Two").insert()
    assert book.author_id == ann.pk
    await vinyl.run(lambda: Book.objects.create(author=lazy, title="Three"))
    await book.update(author=lazy)
    await lazy.update(name="Anna")
    assert await lazy.books.count() == 3


async def test_a_lazy_object_around_a_plain_instance_is_a_value_for_vinyl():
    _, plain = await both(name="Ann")
    lazy = SimpleLazyObject(lambda: plain)
    assert await Book.vinyl.filter(author=lazy).count() == 1
    book = await Book.vinyl(author=lazy, title="Two").insert()
    assert await Book.vinyl.filter(pk=book.pk, author=plain).exists()
    assert await Loan.vinyl.filter(book__author__in=[lazy]).count() == 0
