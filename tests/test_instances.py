"""Instances: insert, update, delete, refresh, load, and the save() that there is not."""

import asyncio
import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.core import exceptions
from django.db import DatabaseError, IntegrityError
from django.db.models import F, ProtectedError, Value
from django.db.models.functions import Now, Upper

import vinyl
from tests.library.models import Author, BigBranch, Book, Branch, Cover, Loan, Member, Place, Shelf, Tag
from vinyl import NotUpdated, UnloadedAttribute, UnsupportedOperation

pytestmark = pytest.mark.usefixtures("db")

Tags = vinyl.manager(Tag)
LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def book(db):
    """A book of Ann's in the database."""
    ann = Author.objects.create(name="Ann")
    return Book.objects.create(author=ann, title="One", stock=5)


async def row(instance):
    """Return the row of an instance as the database has it."""
    return await vinyl.manager(type(instance)).filter(pk=instance.pk).values().get()


# insert


async def test_an_instance_is_not_written_before_it_is_told_to():
    ann = Author.vinyl(name="Ann")
    assert (ann.pk, ann.name, ann._state.adding) == (None, "Ann", True)
    assert await Author.vinyl.count() == 0


async def test_insert_writes_a_row_and_gives_the_instance_with_its_primary_key():
    ann = Author.vinyl(name="Ann", born=dt.date(1929, 10, 21))
    assert await ann.insert() is ann
    assert ann.pk is not None
    assert (ann._state.adding, ann._state.db) == (False, "default")
    assert await row(ann) == {"id": ann.pk, "name": "Ann", "born": dt.date(1929, 10, 21)}


async def test_insert_brings_the_databases_defaults_and_generated_values():
    shelf = await Shelf.vinyl(width=3).insert()
    assert isinstance(shelf.pk, uuid.UUID)
    assert (shelf.code, shelf.double_width) == ("A-0", 6)
    assert isinstance(shelf.made, dt.datetime)
    assert await row(shelf) == {
        "id": shelf.pk,
        "code": "A-0",
        "width": 3,
        "double_width": 6,
        "made": shelf.made,
    }


async def test_insert_writes_the_values_given_for_fields_with_a_default_in_the_database():
    shelf = await Shelf.vinyl(code="B-1", made=LONG_AGO).insert()
    assert (shelf.code, shelf.made) == ("B-1", LONG_AGO)
    assert await Shelf.vinyl.filter(code="B-1", made=LONG_AGO).exists()


async def test_insert_brings_the_values_of_expressions():
    ann = await Author.vinyl(name=Upper(Value("Ann"))).insert()
    book = await Book.vinyl(author=ann, title="One", published=Now()).insert()
    assert ann.name == "ANN"
    assert isinstance(book.published, dt.datetime)
    assert book.published == (await row(book))["published"]


async def test_insert_sets_auto_now():
    before = dt.datetime.now(dt.UTC)
    ann = await Author.vinyl(name="Ann").insert()
    book = await Book.vinyl(author=ann, title="One").insert()
    assert before <= book.changed <= dt.datetime.now(dt.UTC)


async def test_insert_keeps_a_primary_key_that_is_given_and_never_updates():
    await Author.vinyl(pk=77, name="Ann").insert()
    with pytest.raises(IntegrityError):
        await Author.vinyl(pk=77, name="Bo").insert()
    assert await Author.vinyl.values_list("pk", "name") == [(77, "Ann")]


async def test_insert_of_a_child_writes_the_tables_of_its_parents():
    town = await BigBranch.vinyl(name="Town", seats=40, floors=3).insert()
    assert town.pk == town.id == town.place_ptr_id == town.branch_ptr_id
    assert await Place.vinyl.values_list("pk", "name") == [(town.pk, "Town")]
    assert await Branch.vinyl.values_list("pk", "seats") == [(town.pk, 40)]
    assert await BigBranch.vinyl.values_list("pk", "floors") == [(town.pk, 3)]


@pytest.mark.parametrize("values", [{"seats": None}, {"floors": None}], ids=["second table", "third table"])
async def test_insert_of_a_child_writes_all_tables_or_none(values):
    town = BigBranch.vinyl(name="Town", **values)
    with pytest.raises(IntegrityError):
        await town.insert()
    assert await Place.vinyl.count() == await Branch.vinyl.count() == 0
    assert (town.pk, town.id, town.place_ptr_id, town._state.adding, town._state.db) == (None, None, None, True, None)


async def test_an_insert_that_fails_leaves_the_instance_as_it_was():
    await Tags(label="new").insert()
    tag = Tags(label="new")
    with pytest.raises(IntegrityError):
        await tag.insert()
    assert (tag.pk, tag.label, tag._state.adding, tag._state.db) == (None, "new", True, None)
    tag.label = "newer"
    await tag.insert()
    assert await Tags.count() == 2


async def test_an_insert_with_a_relation_that_is_not_inserted_names_insert_as_what_is_prohibited():
    book = Book.vinyl(author=Author.vinyl(name="Ann"), title="One")
    with pytest.raises(ValueError, match=r"insert\(\) prohibited .* unsaved related object 'author'"):
        await book.insert()


async def test_a_relation_that_was_inserted_after_it_was_assigned_is_written():
    book = Book.vinyl(author=Author.vinyl(name="Ann"), title="One")
    await book.author.insert()
    await book.insert()
    assert (await row(book))["author_id"] == book.author.pk


# update


async def test_update_writes_all_fields_and_gives_the_instance(book):
    book = await Book.vinyl.get()
    book.title, book.stock, book.price = "Two", 7, Decimal("3.50")
    assert await book.update() is book
    written = await row(book)
    assert (written["title"], written["stock"], written["price"]) == ("Two", 7, Decimal("3.50"))


async def test_update_sets_auto_now(book):
    await Book.vinyl.update(changed=LONG_AGO)
    book = await Book.vinyl.get()
    await book.update()
    assert book.changed > LONG_AGO
    assert (await row(book))["changed"] == book.changed


async def test_update_with_values_sets_and_writes_just_these(book):
    book = await Book.vinyl.get()
    book.price = Decimal("99.00")
    await Book.vinyl.update(price=Decimal("1.00"), stock=50)
    await book.update(title="Two")
    assert book.title == "Two"
    written = await row(book)
    assert (written["title"], written["price"], written["stock"]) == ("Two", Decimal("1.00"), 50)


async def test_update_computes_expressions_in_the_database_and_reads_them_back(book):
    book = await Book.vinyl.get()
    await Book.vinyl.update(stock=50)
    await book.update(title="Two", stock=F("stock") + 1)
    assert (book.title, book.stock) == ("Two", 51)
    assert (await row(book))["stock"] == 51


async def test_update_writes_expressions_that_were_assigned(book):
    book = await Book.vinyl.get()
    book.stock = F("stock") * 2
    book.title = Upper(F("title"))
    await book.update()
    assert (book.stock, book.title) == (10, "ONE")


async def test_update_brings_generated_values_anew():
    shelf = await Shelf.vinyl(width=3).insert()
    await shelf.update(width=F("width") + 1)
    assert (shelf.width, shelf.double_width) == (4, 8)
    shelf.width = 5
    await shelf.update()
    assert shelf.double_width == 10


@pytest.mark.parametrize("by", ["object", "attname"])
async def test_update_takes_a_relation_as_an_object_or_as_its_key(book, by):
    bo = await Author.vinyl.create(name="Bo")
    book = await Book.vinyl.select_related("author").get()
    await book.update(**({"author": bo} if by == "object" else {"author_id": bo.pk}))
    assert book.author_id == bo.pk
    assert (await row(book))["author_id"] == bo.pk
    await book.load("author")
    assert book.author.name == "Bo"


async def test_update_with_a_relation_that_is_not_inserted_names_update_as_what_is_prohibited(book):
    book = await Book.vinyl.get()
    with pytest.raises(ValueError, match=r"update\(\) prohibited .* unsaved related object 'author'"):
        await book.update(author=Author.vinyl(name="Bo"))
    assert book.author_id == (await row(book))["author_id"]


@pytest.mark.parametrize("name", ["colour", "id", "pk", "tags", "loans", "cover"])
async def test_update_of_what_it_cannot_write_lists_the_fields_there_are(book, name):
    book = await Book.vinyl.get()
    with pytest.raises(ValueError, match=rf"cannot write '{name}'.*There are: author, editor, title, price, stock"):
        await book.update(**{"title": "Two", name: 1})
    assert book.title == "One"


async def test_update_refuses_to_write_a_generated_field():
    shelf = await Shelf.vinyl().insert()
    with pytest.raises(ValueError, match=r"cannot write 'double_width'.*There are: code, width, made"):
        await shelf.update(double_width=4)


async def test_update_refuses_to_write_the_keys_that_join_the_tables_of_a_child():
    town = await BigBranch.vinyl(name="Town").insert()
    for name in ("id", "place_ptr", "branch_ptr_id"):
        with pytest.raises(ValueError, match=rf"cannot write '{name}'.*There are: name, seats, floors"):
            await town.update(**{name: 5})


async def test_an_update_that_fails_restores_the_values_of_the_instance():
    await Tags(label="old").insert()
    tag = await Tags(label="new").insert()
    with pytest.raises(IntegrityError):
        await tag.update(label="old")
    assert tag.label == (await row(tag))["label"] == "new"


async def test_an_update_that_fails_restores_the_relations_of_the_instance(book):
    bo = await Author.vinyl.create(name="Bo")
    book = await Book.vinyl.select_related("author").get()
    ann = book.author
    with pytest.raises(IntegrityError):
        await book.update(author=bo, title=None)
    assert (book.author, book.author_id, book.title) == (ann, ann.pk, "One")
    assert (await row(book))["author_id"] == ann.pk


CAUGHT_AS = {
    "vinyl.NotUpdated": lambda model: vinyl.NotUpdated,
    "Author.vinyl().NotUpdated": lambda model: model.NotUpdated,
    "DatabaseError": lambda model: DatabaseError,
    "VinylError": lambda model: vinyl.VinylError,
}
if hasattr(exceptions, "ObjectNotUpdated"):
    CAUGHT_AS["ObjectNotUpdated"] = lambda model: exceptions.ObjectNotUpdated
    CAUGHT_AS["Author.NotUpdated"] = lambda model: Author.NotUpdated


@pytest.mark.parametrize("values", [{}, {"name": "Bo"}], ids=["all fields", "one field"])
@pytest.mark.parametrize("caught", CAUGHT_AS.values(), ids=CAUGHT_AS)
async def test_update_of_a_row_that_is_gone_raises_not_updated(caught, values):
    ann = await Author.vinyl(name="Ann").insert()
    await Author.vinyl.all().delete()
    with pytest.raises(caught(type(ann)), match=r"No row of Author with the primary key \d+ was updated"):
        await ann.update(**values)
    assert ann.name == "Ann"


async def test_not_updated_of_one_model_is_not_that_of_another(book):
    ann = Author.vinyl(pk=-1, name="Ann")
    with pytest.raises(NotUpdated) as raised:
        await ann.update()
    assert not isinstance(raised.value, Book.vinyl().NotUpdated)


async def test_update_where_only_the_childs_row_is_gone_raises_not_updated_and_writes_nothing():
    town = await Branch.vinyl(name="Town").insert()
    await vinyl.connection.execute("DELETE FROM library_branch")
    with pytest.raises(NotUpdated):
        await town.update(name="City", seats=3)
    assert await Place.vinyl.values_list("name", flat=True) == ["Town"]


async def test_update_without_a_primary_key_says_to_insert_first():
    with pytest.raises(ValueError, match=r"has no primary key.*insert\(\) first"):
        await Author.vinyl(name="Ann").update()


async def test_update_of_an_instance_with_a_known_primary_key_needs_no_query_before():
    ann = await Author.vinyl(name="Ann").insert()
    await Author.vinyl(pk=ann.pk).update(name="Anna")
    assert await Author.vinyl.values_list("name", flat=True) == ["Anna"]


async def test_update_of_a_child_with_a_known_primary_key_writes_all_its_tables():
    town = await BigBranch.vinyl.create(name="Town", seats=1)
    await BigBranch.vinyl(pk=town.pk).update(name="City", seats=2, floors=3)
    assert await BigBranch.vinyl.values_list("name", "seats", "floors") == [("City", 2, 3)]


async def test_update_of_an_instance_with_deferred_fields_writes_only_the_loaded_ones(book):
    book = await Book.vinyl.only("title").get()
    await Book.vinyl.update(stock=50)
    book.title = "Two"
    await book.update()
    written = await row(book)
    assert (written["title"], written["stock"]) == ("Two", 50)
    with pytest.raises(UnloadedAttribute):
        book.stock  # noqa: B018


async def test_update_may_write_a_field_that_is_deferred(book):
    book = await Book.vinyl.only("title").get()
    await book.update(stock=F("stock") + 1)
    assert book.stock == 6


async def test_update_of_a_child_writes_the_fields_of_all_its_tables():
    town = await BigBranch.vinyl(name="Town", seats=40, floors=3).insert()
    await town.update(name="City", seats=F("seats") + 1, floors=4)
    assert (town.name, town.seats, town.floors) == ("City", 41, 4)
    assert await BigBranch.vinyl.values_list("name", "seats", "floors") == [("City", 41, 4)]
    town.name, town.floors = "Village", 1
    await town.update()
    assert await BigBranch.vinyl.values_list("name", "seats", "floors") == [("Village", 41, 1)]


@pytest.mark.asynchronous
async def test_gathered_updates_of_one_row_with_an_expression_are_not_lost(book):
    books = [await Book.vinyl.get() for _ in range(8)]
    await asyncio.gather(*(each.update(stock=F("stock") + 1) for each in books))
    assert (await Book.vinyl.get()).stock == 13


# delete


@pytest.fixture
def shop(book):
    """Ann's two books, one with a cover, and one of Bo's that she edits."""
    ann, bo = book.author, Author.objects.create(name="Bo")
    Book.objects.create(author=ann, title="Two")
    Book.objects.create(author=bo, editor=ann, title="Three")
    Cover.objects.create(book=book, colour="red")
    book.tags.add(Tag.objects.create(label="new"))


async def test_delete_deletes_the_row_and_gives_the_counts():
    ann = await Author.vinyl(name="Ann").insert()
    assert await ann.delete() == (1, {"library.Author": 1})
    assert ann.pk is None
    assert await Author.vinyl.count() == 0


@pytest.mark.usefixtures("shop")
async def test_delete_follows_the_on_delete_rules():
    ann = await Author.vinyl.get(name="Ann")
    counts = {"library.Author": 1, "library.Book": 2, "library.Cover": 1, "library.Book_tags": 1}
    assert await ann.delete() == (5, counts)
    assert await Book.vinyl.values_list("title", "editor") == [("Three", None)]
    assert await Cover.vinyl.count() == 0
    assert await Tags.count() == 1


@pytest.mark.usefixtures("shop")
async def test_delete_of_a_protected_row_deletes_nothing():
    member = await Member.vinyl.create(name="Ada")
    await Loan.vinyl.create(book=await Book.vinyl.get(title="One"), member=member)
    ann = await Author.vinyl.get(name="Ann")
    with pytest.raises(ProtectedError):
        await ann.delete()
    assert ann.pk is not None
    assert (await Author.vinyl.count(), await Book.vinyl.count(), await Cover.vinyl.count()) == (2, 3, 1)


async def test_delete_counts_rows_once_that_refer_to_each_other_or_to_themselves(book):
    one = await (await Book.vinyl.get()).notes.create(text="one")
    two = await (await Book.vinyl.get()).notes.create(text="two", answer_to=one)
    await one.update(answer_to=two)
    assert await one.delete() == (2, {"library.Note": 2})
    alone = await (await Book.vinyl.get()).notes.create(text="alone")
    await alone.update(answer_to=alone)
    assert await alone.delete() == (1, {"library.Note": 1})


async def test_delete_of_a_child_deletes_the_rows_of_its_parents():
    town = await BigBranch.vinyl(name="Town").insert()
    assert await town.delete() == (3, {"library.BigBranch": 1, "library.Branch": 1, "library.Place": 1})
    assert town.pk is None
    assert await Place.vinyl.count() == 0


async def test_delete_of_a_child_can_keep_the_rows_of_its_parents():
    town = await Branch.vinyl(name="Town").insert()
    assert await town.delete(keep_parents=True) == (1, {"library.Branch": 1})
    assert (await Branch.vinyl.count(), await Place.vinyl.count()) == (0, 1)


async def test_delete_of_what_was_never_inserted_is_refused():
    with pytest.raises(ValueError, match="can't be deleted because its id attribute is set to None"):
        await Author.vinyl(name="Ann").delete()


async def test_a_deleted_instance_can_be_inserted_again():
    ann = await Author.vinyl(name="Ann").insert()
    await ann.delete()
    await ann.insert()
    assert await Author.vinyl.values_list("pk", "name") == [(ann.pk, "Ann")]


# refresh


async def test_refresh_reads_all_fields_and_gives_the_instance(book):
    book = await Book.vinyl.get()
    await Book.vinyl.update(title="Two", stock=50)
    assert await book.refresh() is book
    assert (book.title, book.stock) == ("Two", 50)


async def test_refresh_reads_just_the_fields_that_are_named(book):
    book = await Book.vinyl.get()
    book.price = Decimal("99.00")
    await Book.vinyl.update(title="Two", stock=50)
    await book.refresh("title")
    assert (book.title, book.stock, book.price) == ("Two", 5, Decimal("99.00"))


async def test_refresh_leaves_deferred_fields_deferred(book):
    book = await Book.vinyl.only("title").get()
    await book.refresh()
    assert "stock" in book.get_deferred_fields()


async def test_refresh_forgets_a_relation_whose_key_has_changed(book):
    book = await Book.vinyl.select_related("author").get()
    bo = await Author.vinyl.create(name="Bo")
    await Book.vinyl.update(author=bo)
    await book.refresh()
    assert book.author_id == bo.pk
    with pytest.raises(UnloadedAttribute):
        book.author  # noqa: B018


async def test_refresh_of_a_row_that_is_gone_raises_does_not_exist():
    ann = await Author.vinyl(name="Ann").insert()
    await Author.vinyl.all().delete()
    with pytest.raises(Author.DoesNotExist):
        await ann.refresh()


# load


async def test_load_gives_the_instance_with_the_relation_loaded(book):
    book = await Book.vinyl.get()
    assert await book.load("author") is book
    assert book.author.name == "Ann"
    assert type(book.author) is Author.vinyl.vinyl_class


@pytest.mark.usefixtures("shop")
async def test_load_takes_the_names_that_prefetch_related_takes():
    book = await Book.vinyl.get(title="Three")
    await book.load("author", "editor__books__tags", "tags", "cover")
    assert [len(each.tags.all()) for each in book.editor.books.all()] == [1, 0]
    assert [tag.label for tag in book.editor.books.all()[0].tags.all()] == ["new"]
    assert (book.author.name, list(book.tags.all()), hasattr(book, "cover")) == ("Bo", [], False)


async def test_load_of_a_relation_that_is_null_gives_none(book):
    book = await (await Book.vinyl.get()).load("editor")
    assert book.editor is None


async def test_load_brings_deferred_fields(book):
    book = await Book.vinyl.only("title").get()
    await book.load("stock", "title")
    assert (book.stock, book.title) == (5, "One")
    assert "price" in book.get_deferred_fields()


async def test_load_brings_the_deferred_key_of_a_relation_without_its_object(book):
    book = await Book.vinyl.only("title").get()
    await book.load("author_id")
    assert book.author_id == (await row(book))["author_id"]
    with pytest.raises(UnloadedAttribute):
        book.author  # noqa: B018


async def test_load_brings_a_relation_whose_key_was_deferred(book):
    book = await Book.vinyl.only("title").get()
    await book.load("author")
    assert book.author.name == "Ann"


async def test_load_of_an_unknown_name_says_so(book):
    book = await Book.vinyl.get()
    with pytest.raises(AttributeError, match="colour"):
        await book.load("colour")


# Django's names


@pytest.mark.parametrize("name", ["save", "asave"])
async def test_there_is_no_save_and_the_error_says_what_to_call(name):
    ann = Author.vinyl(name="Ann")
    with pytest.raises(UnsupportedOperation, match=r"INSERT and UPDATE. Call insert\(\) .* and update\(\)"):
        getattr(ann, name)()
    with pytest.raises(TypeError):
        getattr(ann, name)(force_insert=True)
    assert await Author.vinyl.count() == 0


async def test_there_is_no_save_after_something_was_created_either():
    ann = await Author.vinyl.create(name="Ann")
    with pytest.raises(UnsupportedOperation):
        ann.save()


async def test_refresh_from_db_says_to_call_refresh():
    ann = await Author.vinyl.create(name="Ann")
    with pytest.raises(UnsupportedOperation, match=r"Use refresh\(\) on Author"):
        ann.refresh_from_db()


async def test_djangos_asynchronous_names_work():
    ann = await Author.vinyl.create(name="Ann")
    await Author.vinyl.update(name="Anna")
    await ann.arefresh_from_db(fields=["name"])
    assert ann.name == "Anna"
    assert await ann.adelete() == (1, {"library.Author": 1})


@pytest.mark.asynchronous
async def test_djangos_asynchronous_names_are_awaited_in_the_sync_mode_too():
    ann = await Author.vinyl.create(name="Ann")
    with vinyl.sync_mode():
        await ann.arefresh_from_db()
        assert await ann.adelete() == (1, {"library.Author": 1})


def test_in_the_sync_mode_each_method_returns_at_once(book):
    with vinyl.sync_mode():
        bo = Author.vinyl(name="Bo").insert()
        one = Book.vinyl.get().load("author").update(author=bo, stock=F("stock") + 1).refresh("title")
        assert (one.author.name, one.stock, one.title) == ("Bo", 6, "One")
        assert one.delete() == (1, {"library.Book": 1})
