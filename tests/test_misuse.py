"""Misuse of querysets, instances and relations: refused alike in both modes, by an error that names the cure.

Where plain Django refuses, that is what is raised, and is tested only where vinyl comes in between.
"""

import pytest
from django.db import IntegrityError
from django.db.models import Prefetch
from django.db.utils import ConnectionDoesNotExist

import vinyl
from tests.library.models import Author, Book, Branch, Cover, Member, Place
from tests.misuse import Shop, Tags, all_rows, carried_out, open_shop
from vinyl import ImplicitQuery, NotUpdated, UnloadedAttribute

QUERYSETS = {
    "bulk_create of another model": (lambda shop: Book.vinyl.bulk_create([shop.tag]), TypeError, "instances of it"),
    "bulk_create of a model that has the same fields": (
        lambda shop: Place.vinyl.bulk_create([shop.new]),
        TypeError,
        "bulk_create() of Place takes instances of it, not <Author: New>.",
    ),
    "abulk_create of no instance": (
        lambda shop: Book.vinyl.abulk_create([None]),
        TypeError,
        "bulk_create() of Book takes instances of it, not None.",
    ),
    "bulk_create of a class": (lambda shop: Author.vinyl.bulk_create([Author]), TypeError, "not <class"),
    "bulk_update of another model": (
        lambda shop: Author.vinyl.bulk_update([shop.place], ["name"]),
        TypeError,
        "bulk_update() of Author takes instances of it, not <Place",
    ),
    "bulk_update of no list": (
        lambda shop: Author.vinyl.bulk_update(shop.ann, ["name"]),
        TypeError,
        "bulk_update() of Author takes a list of instances, not <Author",
    ),
    "abulk_update of no instance": (
        lambda shop: Author.vinyl.abulk_update([3], ["name"]),
        TypeError,
        "bulk_update() of Author takes instances of it, not 3.",
    ),
    "update of a relation by another model": (
        lambda shop: Book.vinyl.update(author=shop.tag),
        ValueError,
        '"Book.author" must be a "Author" instance.',
    ),
    "aupdate of a relation by another model": (
        lambda shop: Book.vinyl.aupdate(author=shop.place),
        ValueError,
        '"Book.author" must be a "Author" instance.',
    ),
    "chunks of a broken size": (
        lambda shop: Book.vinyl.iterator(chunk_size=1.5).__anext__(),
        TypeError,
        "The chunk_size of iterator() is a whole number, not 1.5.",
    ),
    "chunks of no size": (lambda shop: Book.vinyl.aiterator(chunk_size="x").__anext__(), TypeError, "chunk_size"),
    "a query as a value": (lambda shop: Book.vinyl.filter(stock=Book.vinyl.acount()), ImplicitQuery, "Use `await`"),
    "an alias that is none": (lambda shop: Book.vinyl.using("nope").count(), ConnectionDoesNotExist, "'nope'"),
    "an alias that is a number": (lambda shop: Book.vinyl.using(3).count(), TypeError, "string"),
    "prefetching for nothing": (
        lambda shop: vinyl.prefetch_related_objects([shop.ann, None], "books"),
        TypeError,
        "prefetch_related_objects() takes instances of a model, not None.",
    ),
    "prefetching for no list": (
        lambda shop: vinyl.prefetch_related_objects(shop.ann, "books"),
        TypeError,
        "prefetch_related_objects() takes a list of instances, not <Author",
    ),
    "prefetching for several models": (
        lambda shop: vinyl.prefetch_related_objects([shop.ann, shop.tag], "books"),
        ValueError,
        'Must be "Author" instance.',
    ),
    "prefetching what is no relation": (
        lambda shop: vinyl.prefetch_related_objects([shop.ann], "name"),
        ValueError,
        "does not resolve to an item that supports prefetching",
    ),
}

INSTANCES = {
    "insert twice": (lambda shop: shop.ann.insert(), IntegrityError, ""),
    "insert with the key of another": (lambda shop: Author.vinyl(pk=1, name="x").insert(), IntegrityError, ""),
    "insert of a plain instance": (lambda shop: vinyl.insert(shop.plain), TypeError, "that vinyl has made"),
    "insert of a class": (lambda shop: vinyl.insert(type(shop.ann)), TypeError, "that vinyl has made"),
    "insert to an unknown database": (lambda shop: shop.new.insert(using="nope"), ConnectionDoesNotExist, "'nope'"),
    "insert to what is no database": (lambda shop: shop.new.insert(using=3), TypeError, "string"),
    "insert with an object that has no row": (
        lambda shop: Book.vinyl(title="x", author=shop.new).insert(),
        ValueError,
        "insert() prohibited to prevent data loss due to unsaved related object 'author'.",
    ),
    "insert with a key that is none": (lambda shop: Author.vinyl(pk="x", name="x").insert(), ValueError, "'id'"),
    "update of what has no row": (lambda shop: shop.new.update(name="x"), ValueError, "Insert it with insert() first."),
    "update of a row that is not there": (
        lambda shop: Author.vinyl(pk=999, name="x").update(),
        NotUpdated,
        "No row of Author with the primary key 999",
    ),
    "update of a key": (lambda shop: shop.ann.update(pk=3), ValueError, "cannot write 'pk'"),
    "update of an unknown field": (lambda shop: shop.ann.update(nope=1), ValueError, "There are: name, born."),
    "update of many to many": (lambda shop: shop.book.update(tags=[shop.tag]), ValueError, "cannot write 'tags'"),
    "update of one field by two names": (
        lambda shop: shop.book.update(author=shop.bo, author_id=1),
        ValueError,
        "update() of Book got 'author' and 'author_id', which are one field. Give one of them.",
    ),
    "update by another model": (
        lambda shop: shop.book.update(author=shop.tag),
        ValueError,
        '"Book.author" must be a "Author" instance.',
    ),
    "update by a class": (lambda shop: shop.book.update(author=Author), ValueError, "must be a"),
    "refresh by no name": (
        lambda shop: shop.ann.refresh(None),
        TypeError,
        "refresh() of Author takes the names of fields and relations, not None.",
    ),
    "refresh of what has no row": (lambda shop: shop.new.refresh(), Author.DoesNotExist, "does not exist"),
    "load by no name": (
        lambda shop: shop.ann.load(3),
        TypeError,
        "load() of Author takes the names of fields and relations, not 3.",
    ),
    "load of a Prefetch": (
        lambda shop: shop.book.load(Prefetch("tags")),
        TypeError,
        "vinyl.prefetch_related_objects([instance], …)",
    ),
    "load through what is no relation": (
        lambda shop: shop.ann.load("name__x"),
        ValueError,
        "load() of Author cannot follow 'name__x': 'name' is no relation.",
    ),
    "load through the key of a relation": (
        lambda shop: shop.book.load("author_id__x"),
        ValueError,
        "load() of Book cannot follow 'author_id__x': 'author_id' is no relation.",
    ),
    "load of relations of what has no row": (lambda shop: shop.new.load("books"), ValueError, "must be saved"),
    "delete of what has no row": (lambda shop: shop.new.delete(), ValueError, "can't be deleted"),
    "a class of instances without a model": (
        lambda shop: Member.vinyl.instance_base(name="Cy").insert(),
        TypeError,
        "Member is no model, but what vinyl puts before one",
    ),
}

RELATIONS = {
    "another model is added": (lambda shop: shop.ann.books.add(shop.tag), TypeError, "'Book' instance expected"),
    "another model is added to many to many": (
        lambda shop: shop.book.tags.add(shop.cover),
        TypeError,
        "'Tag' instance expected",
    ),
    "another model is set": (lambda shop: shop.ann.edited.set([shop.ann]), TypeError, "'Book' instance expected"),
    "an object without a row is added": (
        lambda shop: shop.ann.books.add(Book.vinyl(title="x")),
        ValueError,
        "isn't saved",
    ),
    "an object without a row has no others": (
        lambda shop: shop.new.books.count(),
        ValueError,
        "needs to have a primary key value before this relationship can be used",
    ),
    "an object without a row has no many to many": (
        lambda shop: Book.vinyl(title="x").tags.add(shop.tag),
        ValueError,
        'needs to have a value for field "id"',
    ),
    "another model is assigned": (
        lambda shop: Book.vinyl(author=shop.tag).insert(),
        ValueError,
        '"Book.author" must be a "Author" instance.',
    ),
    "another model is filtered by": (
        lambda shop: Book.vinyl.filter(author=shop.tag).count(),
        ValueError,
        'Must be "Author" instance.',
    ),
    "what was not loaded is used": (lambda shop: shop.book.author, UnloadedAttribute, "select_related('author')"),
    "a row is created twice": (
        lambda shop: shop.book.tags.create(label="old"),
        IntegrityError,
        "",
    ),
    "a child of another model": (
        lambda shop: Cover.vinyl.create(book=shop.place, colour="x"),
        ValueError,
        '"Cover.book" must be a "Book" instance.',
    ),
    "a parent instead of a child": (
        lambda shop: Branch.vinyl.bulk_update([shop.place], ["seats"]),
        TypeError,
        "bulk_update() of Branch takes instances of it",
    ),
}

MISUSES = {**QUERYSETS, **INSTANCES, **RELATIONS}


@pytest.fixture
def shop(db) -> Shop:
    return open_shop()


@pytest.mark.parametrize("how", ["async", "sync"])
@pytest.mark.parametrize(("misuse", "kind", "message"), MISUSES.values(), ids=MISUSES)
def test_a_misuse_is_refused_alike_in_both_modes_and_writes_nothing(shop, how, misuse, kind, message):
    before = all_rows()

    async def misused():
        return await misuse(shop)

    with pytest.raises(kind) as raised:
        carried_out(how, misused)
    assert message in str(raised.value)
    assert all_rows() == before


async def test_an_instance_whose_update_was_refused_is_as_it_was(shop):
    with pytest.raises(ValueError, match="one field"):
        await shop.book.update(title="Two", author=shop.bo, author_id=1)
    assert (shop.book.title, shop.book.author_id) == ("One", 1)


async def test_what_is_deleted_can_only_be_inserted_again(shop):
    await shop.tag.delete()
    with pytest.raises(ValueError, match=r"This Tag has no primary key, .* Insert it with insert\(\) first"):
        await shop.tag.update(label="new")
    with pytest.raises(ValueError, match="can't be deleted"):
        await shop.tag.delete()
    with pytest.raises(type(shop.tag).DoesNotExist):
        await shop.tag.refresh()
    await shop.tag.insert()
    assert await Tags.get() == shop.tag


async def test_a_slice_with_a_step_of_0_is_a_queryset_as_in_django(shop):
    assert await Author.vinyl.all()[::0] == [shop.ann, shop.bo]
