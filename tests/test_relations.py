"""Relations: what was loaded is there as instances of vinyl, anything else raises; related managers."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldError, ObjectDoesNotExist
from django.db.models import Prefetch

import vinyl
from tests.library.models import Author, BigBranch, Book, Branch, Cover, Loan, Member, Note, Place, Tag
from vinyl import UnloadedAttribute, VinylModel, VinylQuerySet

pytestmark = pytest.mark.usefixtures("shop")

Tags = vinyl.manager(Tag)


@pytest.fixture
def shop(db):
    """Two books of Ann's, of which Bo edits the first, which has a cover, a note and two tags; one of Bo's."""
    ann, bo = Author.objects.create(name="Ann"), Author.objects.create(name="Bo")
    one = Book.objects.create(author=ann, editor=bo, title="One")
    Book.objects.create(author=ann, title="Two")
    Book.objects.create(author=bo, title="Three")
    one.tags.set([Tag.objects.create(label=label) for label in ("new", "red")])
    Tag.objects.create(label="old")
    Cover.objects.create(book=one, colour="red")
    Note.objects.create(about=one, text="good")
    BigBranch.objects.create(name="City", seats=90, floors=3)


def is_vinyl(instance, model):
    return type(instance) is vinyl.manager(model).vinyl_class


# select_related


async def test_select_related_gives_instances_of_vinyl(no_queries):
    one = await Book.vinyl.select_related("author", "editor").get(title="One")
    with no_queries():
        assert is_vinyl(one.author, Author)
        assert (one.author.name, one.editor.name) == ("Ann", "Bo")


async def test_select_related_follows_relations_of_relations(no_queries):
    cover = await Cover.vinyl.select_related("book__author").get()
    with no_queries():
        assert is_vinyl(cover.book, Book)
        assert is_vinyl(cover.book.author, Author)
        assert cover.book.author.name == "Ann"


async def test_select_related_gives_the_other_side_of_a_one_to_one_relation(no_queries):
    one = await Book.vinyl.select_related("cover").get(title="One")
    with no_queries():
        assert is_vinyl(one.cover, Cover)
        assert one.cover.book is one


async def test_select_related_gives_what_is_missing_as_django_does():
    two = await Book.vinyl.select_related("editor", "cover").get(title="Two")
    assert two.editor is None
    with pytest.raises(Cover.DoesNotExist):
        two.cover  # noqa: B018
    assert not hasattr(two, "cover")


async def test_select_related_gives_the_child_of_a_parent(no_queries):
    place = await Place.vinyl.select_related("branch__bigbranch").get()
    with no_queries():
        assert is_vinyl(place.branch, Branch)
        assert is_vinyl(place.branch.bigbranch, BigBranch)
        assert (place.branch.seats, place.branch.bigbranch.floors, place.branch.name) == (90, 3, "City")


async def test_joined_instances_can_be_written_and_joined_fields_can_be_deferred():
    one = await Book.vinyl.select_related("author").only("title", "author__name").get(title="One")
    await one.author.update(name="Anna")
    assert await Author.vinyl.filter(name="Anna").exists()
    with pytest.raises(UnloadedAttribute, match=r"Author\.born"):
        one.author.born  # noqa: B018


async def test_a_wrong_name_in_select_related_raises_djangos_error():
    with pytest.raises(FieldError, match="colour"):
        await Book.vinyl.select_related("colour")


# prefetch_related


async def test_prefetch_related_gives_instances_of_vinyl_by_a_foreign_key(no_queries):
    books = await Book.vinyl.prefetch_related("author")
    with no_queries():
        assert [book.author.name for book in books] == ["Ann", "Ann", "Bo"]
        assert all(is_vinyl(book.author, Author) for book in books)


async def test_prefetch_related_gives_instances_of_vinyl_by_a_reverse_foreign_key(no_queries):
    authors = await Author.vinyl.prefetch_related("books")
    with no_queries():
        assert [[book.title for book in author.books.all()] for author in authors] == [["One", "Two"], ["Three"]]
        assert all(is_vinyl(book, Book) for author in authors for book in author.books.all())
        assert all(book.author is author for author in authors for book in author.books.all())


async def test_prefetch_related_gives_instances_of_vinyl_by_many_to_many(no_queries):
    books = await Book.vinyl.prefetch_related("tags")
    tags = await Tags.order_by("label").prefetch_related("books")
    with no_queries():
        assert [sorted(tag.label for tag in book.tags.all()) for book in books] == [["new", "red"], [], []]
        assert [[book.title for book in tag.books.all()] for tag in tags] == [["One"], [], ["One"]]
        assert all(is_vinyl(tag, Tag) for tag in books[0].tags.all())
        assert is_vinyl(tags[0].books.all()[0], Book)


async def test_prefetch_related_gives_instances_of_vinyl_by_one_to_one(no_queries):
    books = await Book.vinyl.prefetch_related("cover")
    cover = await Cover.vinyl.prefetch_related("book").get()
    with no_queries():
        assert is_vinyl(books[0].cover, Cover)
        assert books[0].cover.book is books[0]
        assert not hasattr(books[1], "cover")
        assert is_vinyl(cover.book, Book)


async def test_prefetch_related_gives_instances_of_vinyl_by_a_generic_relation(no_queries):
    books = await Book.vinyl.prefetch_related("notes")
    with no_queries():
        assert [[note.text for note in book.notes.all()] for book in books] == [["good"], [], []]
        assert is_vinyl(books[0].notes.all()[0], Note)


async def test_prefetch_related_gives_instances_of_vinyl_by_a_generic_foreign_key(no_queries):
    notes = await Note.vinyl.prefetch_related("about")
    with no_queries():
        assert notes[0].about.title == "One"
        assert is_vinyl(notes[0].about, Book)


async def test_prefetch_related_follows_relations_of_relations(no_queries):
    authors = await Author.vinyl.prefetch_related("books__tags", "books__editor__edited", "edited__cover")
    with no_queries():
        one = authors[0].books.all()[0]
        assert {tag.label for tag in one.tags.all()} == {"new", "red"}
        assert [book.title for book in one.editor.edited.all()] == ["One"]
        assert authors[1].edited.all()[0].cover.colour == "red"
        assert all(is_vinyl(tag, Tag) for tag in one.tags.all())


@pytest.mark.parametrize("manager", [Book.objects, Book.vinyl], ids=["objects", "vinyl"])
async def test_prefetch_takes_a_queryset_of_either_manager_and_gives_instances_of_vinyl(manager, no_queries):
    longest = Prefetch("books", manager.filter(title__startswith="T").select_related("editor"), to_attr="t_books")
    authors = await Author.vinyl.prefetch_related(longest, Prefetch("books", manager.order_by("-title")))
    with no_queries():
        assert [[book.title for book in author.t_books] for author in authors] == [["Two"], ["Three"]]
        assert [[book.title for book in author.books.all()] for author in authors] == [["Two", "One"], ["Three"]]
        assert all(is_vinyl(book, Book) for author in authors for book in (*author.t_books, *author.books.all()))
        assert authors[0].t_books[0].editor is None


async def test_prefetch_leaves_a_queryset_of_django_as_it_was():
    queryset = Book.objects.filter(title="One")
    await Author.vinyl.prefetch_related(Prefetch("books", queryset))
    assert not isinstance(queryset, VinylQuerySet)
    assert queryset.model is Book
    assert queryset._result_cache is None


async def test_prefetch_related_objects_loads_relations_of_instances_that_are_there(no_queries):
    books = await Book.vinyl.all()
    await vinyl.prefetch_related_objects(books, "author", Prefetch("tags", Tag.objects.order_by("-label")))
    with no_queries():
        assert books[0].author.name == "Ann"
        assert [tag.label for tag in books[0].tags.all()] == ["red", "new"]
        assert is_vinyl(books[0].tags.all()[0], Tag)


# What was not loaded.

UNLOADED = {
    "a foreign key": ("author", r"Book\.author .*select_related\('author'\).*await instance\.load\('author'\)"),
    "a foreign key that may be null": ("editor", r"Book\.editor .*select_related\('editor'\)"),
    "the other side of one to one": ("cover", r"Book\.cover .*select_related\('cover'\).*load\('cover'\)"),
    "a deferred field": ("price", r"Book\.price .*defer\(\).*only\(\).*load\('price'\)"),
}


@pytest.mark.parametrize(("name", "message"), UNLOADED.values(), ids=UNLOADED)
async def test_what_was_not_loaded_raises_an_error_that_names_it_and_the_fix(name, message, no_queries):
    one = await Book.vinyl.defer("price").get(title="One")
    with no_queries():
        with pytest.raises(UnloadedAttribute, match=message):
            getattr(one, name)
        with pytest.raises(UnloadedAttribute):
            hasattr(one, name)
        with pytest.raises(UnloadedAttribute):
            getattr(one, name, None)
        with pytest.raises(FieldError):
            getattr(one, name)


@pytest.mark.parametrize(("name", "message"), UNLOADED.values(), ids=UNLOADED)
def test_what_was_not_loaded_raises_in_the_sync_mode_too(name, message):
    with vinyl.sync_mode():
        one = Book.vinyl.defer("price").get(title="One")
        with pytest.raises(UnloadedAttribute, match=message):
            getattr(one, name)


@pytest.mark.parametrize(("name", "_"), UNLOADED.values(), ids=UNLOADED)
async def test_what_the_error_tells_to_do_works(name, _):
    one = await (await Book.vinyl.defer("price").get(title="One")).load(name)
    assert getattr(one, name) is not None


async def test_what_was_not_loaded_raises_on_instances_that_create_gave_or_that_were_inserted():
    ann = await Author.vinyl.get(name="Ann")
    four = await Book.vinyl.create(author_id=ann.pk, title="Four")
    five = await Book.vinyl(author_id=ann.pk, title="Five").insert()
    for book in (four, five):
        with pytest.raises(UnloadedAttribute):
            book.author  # noqa: B018


async def test_a_generic_foreign_key_that_was_not_loaded_raises_an_error_that_names_it_and_the_fix(no_queries):
    note = await Note.vinyl.get()
    with no_queries(), pytest.raises(UnloadedAttribute, match=r"Note\.about .*load\('about'\)"):
        note.about  # noqa: B018


async def test_load_brings_the_object_of_a_generic_foreign_key(no_queries):
    note = await (await Note.vinyl.get()).load("about")
    with no_queries():
        assert is_vinyl(note.about, Book)


async def test_a_foreign_key_that_is_null_gives_none(no_queries):
    two = await Book.vinyl.get(title="Two")
    with no_queries():
        assert two.editor is None


async def test_a_new_instance_raises_for_its_relations_what_django_raises():
    book = Book.vinyl(title="Four")
    assert book.editor is None
    with pytest.raises(Book.author.RelatedObjectDoesNotExist):
        book.author  # noqa: B018
    with pytest.raises(ObjectDoesNotExist):
        book.cover  # noqa: B018


async def test_the_key_of_a_relation_needs_no_loading(no_queries):
    one = await Book.vinyl.get(title="One")
    with no_queries():
        assert one.author_id == one.serializable_value("author")
    assert await Author.vinyl.filter(pk=one.author_id, name="Ann").exists()


async def test_an_assigned_object_is_there(no_queries):
    bo = await Author.vinyl.get(name="Bo")
    one = await Book.vinyl.get(title="One")
    with no_queries():
        one.author = bo
        assert (one.author, one.author_id) == (bo, bo.pk)
        one.editor = None
        assert one.editor is one.editor_id is None
    await one.update()
    assert await Book.vinyl.filter(title="One", author=bo, editor=None).exists()


async def test_an_assigned_object_may_be_of_the_django_model():
    bo = await vinyl.run(lambda: Author.objects.get(name="Bo"))
    book = await Book.vinyl(author=bo, title="Four").insert()
    assert book.author is bo
    assert await Book.vinyl.filter(author=bo).count() == 2


async def test_an_object_of_another_model_cannot_be_assigned():
    with pytest.raises(ValueError, match=r'must be a "Author" instance'):
        Book.vinyl(author=Tags())


async def test_assigning_another_key_forgets_the_object():
    one = await Book.vinyl.select_related("author").get(title="One")
    one.author_id = one.editor_id
    with pytest.raises(UnloadedAttribute):
        one.author  # noqa: B018


async def test_the_link_to_a_parent_gives_the_parent_without_a_query(no_queries):
    city = await BigBranch.vinyl.get()
    with no_queries():
        assert is_vinyl(city.branch_ptr, Branch)
        assert is_vinyl(city.place_ptr, Place)
        assert is_vinyl(city.branch_ptr.place_ptr, Place)
        assert (city.branch_ptr.seats, city.place_ptr.name) == (90, "City")
    await city.place_ptr.update(name="Town")
    assert await BigBranch.vinyl.filter(name="Town").exists()


async def test_a_parent_made_from_a_child_lacks_what_was_not_loaded_of_the_child():
    city = await BigBranch.vinyl.defer("name").get()
    with pytest.raises(UnloadedAttribute, match=r"Place\.name"):
        city.place_ptr.name  # noqa: B018


async def test_a_child_of_a_parent_that_was_not_loaded_raises():
    place = await Place.vinyl.get()
    with pytest.raises(UnloadedAttribute, match=r"Place\.branch"):
        place.branch  # noqa: B018
    assert (await place.load("branch")).branch.seats == 90


# Related managers.


async def test_a_related_manager_queries_as_a_queryset_of_vinyl(no_queries):
    ann = await Author.vinyl.get(name="Ann")
    with no_queries():
        books = ann.books.filter(title__startswith="T")
        assert isinstance(books, VinylQuerySet)
    assert [book.title for book in await ann.books.all()] == ["One", "Two"]
    assert [book.title for book in await books] == ["Two"]
    assert [book.title async for book in ann.books.all()] == ["One", "Two"]
    assert await ann.books.values_list("title", flat=True) == ["One", "Two"]
    assert await ann.books.count() == await ann.books.acount() == 2
    assert await ann.books.exists()
    assert is_vinyl(await ann.books.get(title="One"), Book)
    assert await ann.books.filter(title="Six").first() is None


async def test_a_related_manager_has_the_methods_of_the_projects_queryset():
    ann = await Author.vinyl.get(name="Ann")
    await ann.books.filter(title="Two").update(stock=1)
    assert [book.title for book in await ann.books.in_print()] == ["Two"]


async def test_objects_that_a_related_manager_gives_know_the_object_that_it_was_reached_from(no_queries):
    ann = await Author.vinyl.get(name="Ann")
    books = [*await ann.books.all(), await ann.books.first(), await ann.books.get(title="One")]
    books.append(await ann.books.create(title="Four"))
    with no_queries():
        assert all(book.author is ann for book in books)


async def test_a_related_manager_creates_instances_of_vinyl():
    ann = await Author.vinyl.get(name="Ann")
    four = await ann.books.create(title="Four")
    five, created = await ann.books.get_or_create(title="Five", defaults={"stock": 5})
    assert (created, five.stock) == (True, 5)
    again, created = await ann.books.get_or_create(title="Five")
    assert (created, again) == (False, five)
    changed, created = await ann.books.update_or_create(title="Five", defaults={"stock": 6})
    assert (created, changed.stock) == (False, 6)
    assert all(is_vinyl(book, Book) for book in (four, five, again, changed))
    assert await Book.vinyl.filter(author=ann).count() == 4


async def test_a_related_manager_of_a_foreign_key_adds_removes_sets_and_clears():
    ann, bo = await Author.vinyl.all()
    one, two, three = await Book.vinyl.all()
    titles = bo.edited.order_by("id").values_list("title", flat=True)
    await bo.edited.add(two, three)
    assert await titles.all() == ["One", "Two", "Three"]
    await bo.edited.remove(one, three)
    assert await titles.all() == ["Two"]
    await bo.edited.set([one, two])
    assert await titles.all() == ["One", "Two"]
    await bo.edited.clear()
    assert await titles.all() == []
    await ann.books.add(three)
    assert await ann.books.count() == 3
    assert not hasattr(ann.books, "remove")


async def test_a_related_manager_of_a_foreign_key_can_write_each_object():
    bo = await Author.vinyl.get(name="Bo")
    await bo.edited.add(await Book.vinyl.get(title="Two"), bulk=False)
    await bo.books.add(Book.vinyl(title="Four"), bulk=False)
    assert await bo.edited.count() == 2
    assert await bo.books.count() == 2


async def test_a_related_manager_of_many_to_many_adds_removes_sets_and_clears():
    one = await Book.vinyl.get(title="One")
    old, new = await Tags.get(label="old"), await Tags.get(label="new")
    labels = one.tags.order_by("label").values_list("label", flat=True)
    await one.tags.add(old, new)
    assert await labels.all() == ["new", "old", "red"]
    await one.tags.remove(new, old.pk)
    assert await labels.all() == ["red"]
    await one.tags.set([old, new])
    assert await labels.all() == ["new", "old"]
    big = await one.tags.create(label="big")
    assert is_vinyl(big, Tag)
    assert (await one.tags.get_or_create(label="big")) == (big, False)
    assert await labels.all() == ["big", "new", "old"]
    await one.tags.clear()
    assert await labels.all() == []
    await old.books.set(await Book.vinyl.all())
    assert await old.books.count() == 3


async def test_a_related_manager_of_a_generic_relation_adds_creates_and_removes():
    one, two, _ = await Book.vinyl.all()
    note = await two.notes.create(text="fine")
    assert is_vinyl(note, Note)
    assert await two.notes.count() == 1
    await one.notes.add(note)
    assert await one.notes.order_by("text").values_list("text", flat=True) == ["fine", "good"]
    await one.notes.clear()
    assert await Note.vinyl.count() == 0


async def test_a_generic_relation_can_be_used_before_anything_else_has_loaded_content_types():
    ContentType.objects.clear_cache()
    one = await Book.vinyl.get(title="One")
    assert await one.notes.count() == 1
    ContentType.objects.clear_cache()
    four = await Book.vinyl(author_id=one.author_id, title="Four").insert()
    assert [note.text for note in await four.notes.all()] == []
    ContentType.objects.clear_cache()
    books = await Book.vinyl.prefetch_related("notes")
    assert [len(book.notes.all()) for book in books] == [1, 0, 0, 0]


async def test_an_object_can_be_assigned_to_a_generic_foreign_key():
    two = await Book.vinyl.get(title="Two")
    await vinyl.run(lambda: ContentType.objects.get_for_model(Book))
    note = await Note.vinyl(about=two, text="fine").insert()
    assert note.about is two
    assert await two.notes.count() == 1


async def test_djangos_asynchronous_names_of_a_related_manager_work():
    one, bo = await Book.vinyl.get(title="One"), await Author.vinyl.get(name="Bo")
    old = await Tags.get(label="old")
    await one.tags.aadd(old)
    await one.tags.aremove(old)
    await one.tags.aset([old])
    assert [tag async for tag in one.tags.all()] == [old]
    await one.tags.aclear()
    assert not await one.tags.aexists()
    four = await bo.books.acreate(title="Four")
    assert await bo.books.aget_or_create(title="Four") == (four, False)
    assert await bo.books.aupdate_or_create(title="Four", defaults={"stock": 1}) == (four, False)


async def test_adding_to_a_related_manager_forgets_what_was_prefetched():
    one = await Book.vinyl.prefetch_related("tags").get(title="One")
    await one.tags.add(await Tags.get(label="old"))
    assert await one.tags.count() == 3
    assert len(await one.tags.all()) == 3


async def test_a_related_manager_of_an_object_that_is_not_inserted_says_so():
    with pytest.raises(ValueError, match="needs to have a"):
        await Author.vinyl().books.all()
    with pytest.raises(ValueError, match="needs to have a"):
        await Book.vinyl().tags.all()


async def test_delete_by_a_related_manager_follows_the_on_delete_rules():
    ann = await Author.vinyl.get(name="Ann")
    total, counts = await ann.books.filter(title="One").delete()
    assert (total, counts["library.Book"], counts["library.Cover"], counts["library.Note"]) == (5, 1, 1, 1)


async def test_relations_to_a_model_with_a_class_of_the_projects_own_give_that_class():
    ada = await Member.vinyl.create(name="Ada Byron")
    await Loan.vinyl.create(book=await Book.vinyl.first(), member=ada)
    loan = await Loan.vinyl.select_related("member").get()
    assert loan.member.initials == "AB"
    loan = await Loan.vinyl.prefetch_related("member", "book__loans__member").get()
    assert loan.member.initials == loan.book.loans.all()[0].member.initials == "AB"


async def test_every_class_that_loading_gives_is_of_vinyl():
    books = await Book.vinyl.select_related("author", "editor", "cover").prefetch_related("tags", "notes", "loans")
    for book in books:
        related = [book.author, book.editor, *book.tags.all(), *book.notes.all(), *book.loans.all()]
        assert all(isinstance(each, VinylModel) for each in related if each is not None)
