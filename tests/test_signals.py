"""Signals: vinyl's own operations send none of the models' signals; `objects` sends all of them, as ever."""

import pytest
from django.db.models import F, signals

import vinyl
from tests.library import custom
from tests.library.models import Author, BigBranch, Book, Cover, Member, Note, Place, Tag
from vinyl import VinylModel

pytestmark = pytest.mark.usefixtures("shop")

Tags = vinyl.manager(Tag)
SIGNALS = ("pre_init", "post_init", "pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed")
SENDERS = (None, Author, Book, Cover, Tag, Note, Place, BigBranch, Member, Book.tags.through)


@pytest.fixture
def shop(db):
    """Ann, with a book that has a cover, a note and a tag; another tag."""
    ann = Author.objects.create(name="Ann")
    one = Book.objects.create(author=ann, editor=ann, title="One")
    one.tags.add(Tag.objects.create(label="new"))
    Tag.objects.create(label="old")
    Cover.objects.create(book=one, colour="red")
    Note.objects.create(about=one, text="good")


@pytest.fixture(params=["of a sender", "of all senders"])
def received(request, shop):
    """The signals that receivers of the models get, or receivers of all senders do: (name, model)."""
    got = []
    senders = SENDERS[1:] if request.param == "of a sender" else SENDERS[:1]
    connected = []
    for name in SIGNALS:

        def receiver(sender, name=name, **kwargs):
            got.append((name, sender))

        signal = getattr(signals, name)
        for sender in senders:
            signal.connect(receiver, sender=sender, weak=False)
            connected.append((signal, receiver, sender))
    yield got
    for signal, receiver, sender in connected:
        signal.disconnect(receiver, sender=sender)


async def insert():
    await Author.vinyl(name="Bo").insert()
    await BigBranch.vinyl(name="Town").insert()
    await Member.vinyl(name="Ada").insert()


async def update():
    ann = await Author.vinyl.get()
    await ann.update()
    await ann.update(name="Anna")
    await Author.vinyl.update(name="Ann")
    await Author.vinyl.bulk_update([ann], ["name"])


async def delete():
    await (await Author.vinyl.get()).delete()


async def adelete():
    await (await Author.vinyl.get()).adelete()


async def delete_of_a_queryset():
    await Author.vinyl.all().delete()


async def delete_of_a_related_queryset():
    await (await Author.vinyl.get()).books.all().adelete()


async def create():
    await Author.vinyl.create(name="Bo")
    await Author.vinyl.acreate(name="Cy")
    await Author.vinyl.get_or_create(name="Dee")
    await Author.vinyl.update_or_create(name="Dee", defaults={"born": None})
    await Author.vinyl.bulk_create([Author.vinyl(name="Ed")])


async def load():
    await Author.vinyl.all()
    await Book.vinyl.select_related("author", "cover").prefetch_related("tags", "notes", "author__books").get()
    await (await Book.vinyl.get()).load("author", "tags")
    assert [book.title async for book in Book.vinyl.iterator()] == ["One"]


async def raw():
    (one,) = await Book.vinyl.raw("SELECT * FROM library_book").prefetch_related("tags")
    assert one.title == "One"


async def neighbours():
    one = await Book.vinyl.get()
    await Book.vinyl.bulk_create([Book.vinyl(author_id=one.author_id, title="Two", changed=one.changed)])
    two = await one.get_next_by_changed()
    assert await two.get_previous_by_changed() == one


async def load_of_deferred_fields():
    await (await Book.vinyl.only("title").get()).load("stock")


async def refresh():
    await (await Book.vinyl.get()).refresh()


async def update_with_an_expression():
    await (await Book.vinyl.get()).update(stock=F("stock") + 1)


async def related_by_a_foreign_key():
    ann = await Author.vinyl.get()
    two = await ann.books.create(title="Two")
    await ann.edited.add(two)
    await ann.edited.add(two, bulk=False)
    await ann.edited.remove(two)
    await ann.edited.set([two])
    await ann.edited.clear()
    await ann.books.get_or_create(title="Three")


async def related_by_many_to_many():
    one = await Book.vinyl.get()
    old = await Tags.get(label="old")
    await one.tags.add(old)
    await one.tags.aadd(old)
    await one.tags.create(label="big")
    await one.tags.remove(old)
    await one.tags.set([old])
    await one.tags.clear()
    await old.books.add(one)


async def related_by_a_generic_relation():
    one = await Book.vinyl.get()
    await one.notes.create(text="fine")
    await one.notes.clear()


OPERATIONS = [
    insert,
    update,
    delete,
    adelete,
    delete_of_a_queryset,
    delete_of_a_related_queryset,
    create,
    load,
    raw,
    neighbours,
    load_of_deferred_fields,
    refresh,
    update_with_an_expression,
    related_by_a_foreign_key,
    related_by_many_to_many,
    related_by_a_generic_relation,
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
async def test_an_operation_of_vinyl_sends_no_signals(operation, received):
    await operation()
    assert received == []


def use_objects():
    bo = Author.objects.create(name="Bo")
    book = Book.objects.create(author=bo, title="Two")
    book.tags.add(Tag.objects.get(label="old"))
    bo.delete()


SENT_BY_OBJECTS = {
    *[(name, model) for name in SIGNALS[:-1] for model in (Author, Book)],
    ("pre_init", Tag),
    ("post_init", Tag),
    ("m2m_changed", Book.tags.through),
}


def test_objects_send_all_signals(received):
    use_objects()
    assert set(received) >= SENT_BY_OBJECTS


@pytest.mark.parametrize("operation", [insert, delete, related_by_many_to_many], ids=lambda each: each.__name__)
async def test_objects_send_all_signals_right_after_an_operation_of_vinyl(operation, received):
    await operation()
    received.clear()
    await vinyl.run(use_objects)
    assert set(received) >= SENT_BY_OBJECTS


async def test_objects_send_all_signals_after_an_operation_of_vinyl_has_failed(received):
    with pytest.raises(ValueError, match="can't be deleted"):
        await Author.vinyl().delete()
    with pytest.raises(ValueError, match="prohibited"):
        await Book.vinyl(author=Author.vinyl()).insert()
    received.clear()
    await vinyl.run(use_objects)
    assert set(received) >= SENT_BY_OBJECTS


async def test_objects_send_all_signals_in_an_insert_of_the_projects_that_create_calls(received, monkeypatch):
    async def insert(self, **options):
        await vinyl.run(Author.objects.create, name=self.name)
        return await VinylModel.insert(self, **options)

    monkeypatch.setattr(custom.Member, "insert", vinyl.portable(insert))
    await Member.vinyl.create(name="Ada")
    assert [name for name, _ in received] == ["pre_init", "post_init", "pre_save", "post_save"]
    assert {model for _, model in received} == {Author}


def test_instances_of_the_django_model_that_are_made_in_the_sync_mode_send_their_signals(received):
    with vinyl.sync_mode():
        Author.vinyl(name="Bo").insert()
        assert received == []
        Author(name="Cy")
    assert received == [("pre_init", Author), ("post_init", Author)]
