"""Plans of insert(): the row, the instance and the errors are those of Django's way."""

import copy
import datetime as dt
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError
from django.db.transaction import TransactionManagementError
from django.test import override_settings

import vinyl
from tests.library.models import Author, Book, Branch, Cover, Letter, Member, Note, Parcel, Shelf
from tests.plans import ENOUGH, built
from tests.settings import ENGINE
from tests.types_of_fields.models import CharKey, Moments, Numbers, Texts, UuidKey
from vinyl.plans import shapes, writes

pytestmark = pytest.mark.usefixtures("nothing_known", "types_of_fields", "db")

AT = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)


def loaded(instance):
    return {name: value for name, value in vars(instance).items() if name not in ("_state", "id")}


async def inserted(make):
    """Insert instances until there is a plan, and one more; tell whether Django has built something for that."""
    for _ in range(ENOUGH):
        await make().insert()
    instance = make()
    with built() as calls:
        assert await instance.insert() is instance
    return instance, not calls


async def is_as_it_was_written(instance):
    found = await vinyl.manager(type(instance)._meta.model).get(pk=instance.pk)
    assert loaded(found) == loaded(instance)
    assert (instance._state.adding, instance._state.db) == (False, "default")


VALUES = {
    "texts": lambda: Texts.vinyl(label="a", char="ä'\"%s %% \\", text="", slug="x"),
    "nothing": lambda: Texts.vinyl(label=""),
    "moments": lambda: Moments.vinyl(label="a", date=AT.date(), time=AT.time()),
    "aware": lambda: Moments.vinyl(label="a", date_time=AT),
    "numbers": lambda: Numbers.vinyl(label="a", integer=1, big_integer=2**63 - 1, small=-5, float=0.5, boolean=True),
    "decimals": lambda: Numbers.vinyl(label="a", decimal=Decimal("1.5")),
    "equal": lambda: Numbers.vinyl(label="1", integer=1, big_integer=1, small=1, float=1.0, boolean=True),
    "own key": lambda: vinyl.manager(UuidKey)(),
    "text as key": lambda: vinyl.manager(CharKey)(name=f"ä {uuid4()}"),
    "generated": lambda: Shelf.vinyl(code="x", width=3, made=AT),
    "database's defaults": lambda: Shelf.vinyl(),
}
# Django writes them: computed by the model or the database, or with files.
DJANGOS = {"texts", "nothing", "generated", "database's defaults"}
# On these a time is converted by rules of the driver's own.
DJANGOS |= {"moments"} if ENGINE in ("mariadb", "mysql") else set()


@pytest.mark.parametrize("name", VALUES)
async def test_instances_are_inserted_with_their_values(name):
    instance, is_planned = await inserted(VALUES[name])
    assert is_planned is (name not in DJANGOS)
    if name not in ("decimals", "moments", "texts", "nothing"):
        await is_as_it_was_written(instance)


async def test_a_key_may_be_given_or_not():
    for number, key in enumerate([None, 1000, None, 2000, None, 3000, None, None]):
        author = await Author.vinyl(pk=key, name=str(number)).insert()
        assert author.pk is not None
        assert key in (None, author.pk)
        assert (await Author.vinyl.get(pk=author.pk)).name == str(number)


ODD = [True, False, 2**31, -(2**31) - 1, 2**63, "1", "x", 1.5, Decimal(2), b"a", None, [], object, float("nan")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("field", ["integer", "float", "decimal", "boolean", "label"])
async def test_other_values_are_written_or_refused_as_by_django(field):
    usual = {"integer": 1, "float": 1.0, "decimal": Decimal(1), "boolean": True, "label": "a"}[field]

    async def outcome(value):
        instance = Numbers.vinyl(**{"label": "x", field: value})
        before = copy.copy(vars(instance))
        try:
            async with vinyl.transaction.atomic():
                await instance.insert()
        except Exception as error:
            after = {name: each for name, each in vars(instance).items() if name != "_state"}
            assert after == {name: each for name, each in before.items() if name != "_state"}
            assert instance._state.adding
            # Below PostgreSQL's first line is the row, with its key.
            return type(error), str(error).partition("\n")[0]
        return repr(await Numbers.vinyl.filter(pk=instance.pk).values_list(field, flat=True).get())

    with override_settings(VINYL={"PLANS": False}):
        expected = [await outcome(value) for value in ODD]
    for _ in range(ENOUGH):
        await outcome(usual)
    assert [await outcome(value) for value in ODD] == expected


async def test_naive_and_aware_times():
    for _ in range(ENOUGH):
        await Moments.vinyl(label="a", date_time=AT).insert()
    with pytest.warns(RuntimeWarning, match="received a naive datetime"):
        await Moments.vinyl(label="b", date_time=AT.replace(tzinfo=None)).insert()


async def test_related_instances_are_written_before_and_their_keys_are_taken_late():
    for name in "abcde":
        author, editor = Author.vinyl(name=name), Author.vinyl(name=f"editor {name}")
        book = Book.vinyl(title=name, author=author, editor=editor)
        with pytest.raises(ValueError, match="unsaved related object"):
            await book.insert()
        await author.insert()
        await editor.insert()
        await book.insert()
        found = await Book.vinyl.get(pk=book.pk)
        assert (found.author_id, found.editor_id) == (author.pk, editor.pk)


async def test_keys_of_related_instances_are_taken_late_where_there_is_a_plan():
    book = await Book.vinyl.create(title="t", author=await Author.vinyl.create(name="a"))
    content_type = (await vinyl.run(_content_type)).pk
    for number in range(ENOUGH):
        # These have taught a plan for notes that answer nothing.
        await Note.vinyl(content_type_id=content_type, object_id=book.pk, text=str(number)).insert()
    question = Note.vinyl(content_type_id=content_type, object_id=book.pk, text="?")
    answer = Note.vinyl(content_type_id=content_type, object_id=book.pk, text="!", answer_to=question)
    await question.insert()
    await answer.insert()
    assert (await Note.vinyl.get(pk=answer.pk)).answer_to_id == question.pk
    other = Note.vinyl(content_type_id=content_type, object_id=1, text="about", about=book)
    await other.insert()
    assert (await Note.vinyl.get(pk=other.pk)).object_id == book.pk


def _content_type():
    from django.contrib.contenttypes.models import ContentType

    return ContentType.objects.get_for_model(Book)


async def test_children_and_other_models_of_several_kinds():
    for number in range(ENOUGH):
        branch = await Branch.vinyl(name=str(number), seats=number).insert()
        assert (await Branch.vinyl.get(pk=branch.pk)).name == str(number)
        assert (await (await Letter.vinyl(text="t").insert()).refresh()).stamp == "new"
        assert (await (await Parcel.vinyl(weight=number).insert()).refresh()).weight == number
        member = await Member.vinyl(name=f"m {number}").insert()
        assert (await Member.vinyl.get(pk=member.pk)).name == f"m {number}"


async def test_a_failing_insert_leaves_the_instance_and_the_transaction_as_django_does():
    book = await Book.vinyl.create(title="t", author=await Author.vinyl.create(name="a"))
    other = await Book.vinyl.create(title="u", author_id=book.author_id)
    third = await Book.vinyl.create(title="v", author_id=book.author_id)
    await Cover.vinyl(book_id=book.pk, colour="red").insert()
    await Cover.vinyl(book_id=other.pk, colour="red").insert()
    cover = Cover.vinyl(book_id=book.pk, colour="blue")
    with pytest.raises(IntegrityError):
        await cover.insert()
    assert (cover.pk, cover._state.adding, cover._state.db) == (None, True, None)
    with pytest.raises(TransactionManagementError):
        async with vinyl.transaction.atomic():
            with pytest.raises(IntegrityError):
                await cover.insert()
            await Author.vinyl.count()
    async with vinyl.transaction.atomic():
        cover.book_id = third.pk
        await cover.insert()
    assert await Cover.vinyl.count() == 3


@pytest.mark.asynchronous
async def test_what_is_written_is_what_there_is_when_it_is_awaited():
    for _ in range(ENOUGH):
        author = Author.vinyl(name="before")
        inserting = author.insert()
        author.name = "after"
        await inserting
        assert (await Author.vinyl.get(pk=author.pk)).name == "after"


async def test_inserts_are_verified():
    with override_settings(VINYL={"VERIFY_PLANS": True}):
        for number in range(ENOUGH):
            author = await Author.vinyl(name=str(number)).insert()
            assert (await author.refresh()).name == str(number)


async def test_other_databases_have_plans_of_their_own():
    for _ in range(ENOUGH):
        for alias in ("default", "other"):
            author = await Author.vinyl(name=alias).insert(using=alias)
            assert author._state.db == alias
            assert (await Author.vinyl.using(alias).get(pk=author.pk)).name == alias


async def test_what_is_remembered_of_inserts_has_a_bound(monkeypatch):
    monkeypatch.setattr(shapes, "MOST_SHAPES", 5)
    for number in range(20):
        names = ("integer", "small", "big_integer", "positive")
        values = {name: 1 for position, name in enumerate(names) if number >> position & 1}
        await Numbers.vinyl(label="a", **values).insert()
        assert len(writes._plans) <= 5 + 1
