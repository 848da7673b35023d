"""Plans of update() and delete(), of an instance or a queryset: rows, instances and errors are as by Django's way."""

import copy
import datetime as dt
from decimal import Decimal

import pytest
from django.db import IntegrityError, models
from django.db.models import F, Value
from django.db.transaction import TransactionManagementError
from django.test import override_settings

import vinyl
from tests.library.models import Author, Book, Branch, Cover, Letter, NamedPlace, Note, Parcel, Tag
from tests.plans import ENOUGH, built
from tests.types_of_fields.models import CharKey, Moments, Numbers, UuidKey
from vinyl.errors import NotUpdated
from vinyl.plans import shapes, writes_by_key

pytestmark = pytest.mark.usefixtures("nothing_known", "types_of_fields", "db")

AT = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)


async def made(model, **values):
    return await vinyl.manager(model)(**values).insert()


async def book(**values):
    return await Book.vinyl.create(title="t", author=await Author.vinyl.create(name="a"), **values)


async def is_by_plan(call):
    with built() as calls:
        await call()
    return not calls


UPDATES = {
    "one": (Numbers, {}, {"integer": 5}),
    "several in another order": (Numbers, {}, {"float": 0.5, "integer": 5, "label": "b"}),
    "equal ones": (Numbers, {}, {"integer": 5, "small": 5, "big_integer": 5}),
    "nothing": (Numbers, {"integer": 5}, {"integer": None, "boolean": None}),
    "a truth value": (Numbers, {}, {"boolean": True}),
    "a decimal": (Numbers, {}, {"decimal": Decimal("2.5")}),
    "a time": (Moments, {}, {"date_time": AT}),
    "a date": (Moments, {}, {"date": AT.date()}),
    "all": (Numbers, {"integer": 1, "float": 0.5, "boolean": False}, {}),
    "of a child of an abstract model": (Parcel, {"weight": 1.0}, {"weight": 2.0}),
}


@pytest.mark.parametrize("name", UPDATES)
async def test_an_instance_is_updated_with_the_values(name):
    model, initial, values = UPDATES[name]
    instances = [await made(model, **initial) for _ in range(ENOUGH + 1)]
    for instance in instances[:-1]:
        await instance.update(**values)
    instance = instances[-1]
    if not values:
        instance.integer, instance.float, instance.boolean = 77, 1.5, True

    async def call():
        assert await instance.update(**values) is instance

    assert await is_by_plan(call)
    found = await vinyl.manager(model).get(pk=instance.pk)
    for field in model._meta.concrete_fields:
        assert getattr(found, field.attname) == getattr(instance, field.attname)
    assert all(getattr(instance, name) == value for name, value in values.items())
    # And nobody else.
    assert (await vinyl.manager(model).get(pk=instances[0].pk)).pk != instance.pk
    if not values:
        assert (await vinyl.manager(model).get(pk=instances[0].pk)).integer == 1


async def test_only_what_is_given_is_written():
    for number in range(2 * ENOUGH):
        one = await book(stock=number)
        await Book.vinyl.filter(pk=one.pk).update(title="by another")
        await one.update(stock=number + 1)
        found = await Book.vinyl.get(pk=one.pk)
        assert (found.title, found.stock, found.changed) == ("by another", number + 1, one.changed)


ODD = [True, False, 2**31, -(2**31) - 1, 2**63, "1", "x", 1.5, Decimal(2), b"a", None, [], object, F("pk"), Value(3)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("field", ["integer", "float", "decimal", "boolean", "label"])
@pytest.mark.parametrize("given", [True, False])
async def test_other_values_are_written_or_refused_as_by_django(field, given):
    usual = {"integer": 1, "float": 1.0, "decimal": Decimal(1), "boolean": True, "label": "a"}[field]

    async def outcome(value):
        instance = await made(Numbers, label="x")
        if not given:
            setattr(instance, field, value)
        before = copy.copy(vars(instance))
        try:
            async with vinyl.transaction.atomic():
                await instance.update(**({field: value} if given else {}))
        except Exception as error:
            assert vars(instance) == before
            # Below PostgreSQL's first line is the row, with its key.
            return type(error), str(error).partition("\n")[0].partition(" with the primary key")[0]
        written = await Numbers.vinyl.filter(pk=instance.pk).values_list(field, flat=True).get()
        kept = getattr(instance, field)
        return repr(written if value is not ODD[-2] else None), repr(kept if value is not ODD[-2] else None)

    with override_settings(VINYL={"PLANS": False}):
        expected = [await outcome(value) for value in ODD]
    for _ in range(ENOUGH):
        await outcome(usual)
    assert [await outcome(value) for value in ODD] == expected


async def test_a_naive_time_is_warned_of():
    for _ in range(ENOUGH):
        await (await made(Moments)).update(date_time=AT)
    moment = await made(Moments)
    with pytest.warns(RuntimeWarning, match="received a naive datetime"):
        await moment.update(date_time=AT.replace(tzinfo=None))


@pytest.mark.parametrize("values", [{"integer": 7}, {}])
async def test_without_a_row_an_update_raises_and_changes_nothing(values):
    for _ in range(ENOUGH):
        await (await made(Numbers)).update(**values)
    instance = await made(Numbers, integer=1)
    await Numbers.vinyl.filter(pk=instance.pk).delete()
    before = copy.copy(vars(instance))
    with pytest.raises(NotUpdated, match="No row of Numbers with the primary key"):
        await instance.update(**values)
    assert vars(instance) == before
    with pytest.raises(TransactionManagementError):
        async with vinyl.transaction.atomic():
            with pytest.raises(Numbers.vinyl.vinyl_class.NotUpdated):
                await instance.update(**values)
            await Numbers.vinyl.count()


async def test_what_fails_leaves_the_instance_and_the_transaction_as_django_does():
    one, other = await book(), await book()
    await made(Cover, book_id=one.pk, colour="red")
    for _ in range(ENOUGH):
        cover = await made(Cover, book_id=other.pk, colour="red")
        await cover.update(colour="blue", book_id=other.pk)
        await cover.delete()
    cover = await made(Cover, book_id=other.pk, colour="red")
    with pytest.raises(IntegrityError):
        await cover.update(colour="blue", book_id=one.pk)
    assert (cover.colour, cover.book_id) == ("red", other.pk)
    with pytest.raises(TransactionManagementError):
        async with vinyl.transaction.atomic():
            with pytest.raises(IntegrityError):
                await cover.update(colour="blue", book_id=one.pk)
            await Cover.vinyl.count()
    assert (await Cover.vinyl.get(pk=cover.pk)).colour == "red"


async def test_what_an_instance_refers_to_is_forgotten_with_its_key():
    one, other = await book(), await book()
    for _ in range(2 * ENOUGH):
        cover = await made(Cover, book_id=one.pk, colour="red")
        await cover.load("book")
        await cover.update(colour="green")
        assert cover.book.pk == one.pk
        await cover.update(book_id=other.pk)
        await cover.load("book")
        assert cover.book.pk == other.pk
        await cover.delete()


async def test_an_attempt_that_comes_to_nothing_restores_what_it_has_updated_and_deleted():
    for _ in range(ENOUGH):
        parcel = await made(Parcel, weight=1.0)
        await parcel.update(weight=2.0)
        await parcel.delete()
    parcel, gone = await made(Parcel, weight=1.0), await made(Parcel, weight=3.0)
    key = gone.pk

    @vinyl.portable
    async def write():
        await parcel.update(weight=9.0)
        await gone.delete()
        raise LookupError

    with pytest.raises(LookupError):
        await vinyl.transaction.atomic(retries=1)(write)()
    assert (parcel.weight, gone.pk) == (1, key)


async def test_deferred_and_computed_attributes_are_djangos_affair():
    keys = [(await made(Numbers, integer=number)).pk for number in range(2 * ENOUGH)]
    for number, key in enumerate(keys):
        instance = await Numbers.vinyl.only("small").get(pk=key)
        await instance.update(small=number)
        assert "integer" not in vars(instance)
        other = await Numbers.vinyl.get(pk=key)
        other.integer = F("integer") + 1
        await other.update(label="b")
        # It was not written: what the database has is read back.
        assert (other.integer, other.label) == (number, "b")


async def test_models_of_several_kinds():
    for number in range(2 * ENOUGH):
        branch = await Branch.vinyl(name="a", seats=1).insert()
        await branch.update(name="b", seats=number)
        assert ((await branch.refresh()).name, branch.seats) == ("b", number)
        place = await NamedPlace.vinyl(name="a").insert()
        await place.update(name=str(number))
        assert (await NamedPlace.vinyl.get(pk=place.pk)).name == str(number)
        letter = await Letter.vinyl(text="t").insert()
        await letter.update(text=f"t{number}")
        assert (await letter.refresh()).text == f"t{number}"
        for instance in (branch, letter, place):
            assert (await instance.delete())[0] >= 1


# Deleting.

DELETED = {
    "a number": lambda: Parcel.vinyl(weight=1.0),
    "a unique code": lambda: vinyl.manager(UuidKey)(),
    "a text": lambda: vinyl.manager(CharKey)(name="ä"),
}
# Others refer to these.
WITH_RELATIONS = {"a unique code", "a text"}


@pytest.mark.parametrize("name", DELETED)
async def test_an_instance_is_deleted_by_its_key(name):
    for _ in range(ENOUGH):
        instance = await DELETED[name]().insert()
        label = instance._meta.label
        assert await instance.delete() == (1, {label: 1})
        assert instance.pk is None
    instance, other = await DELETED[name]().insert(), await made(Parcel, weight=5.0)
    again = copy.copy(instance)

    async def call():
        assert await instance.delete() == (1, {label: 1})

    assert await is_by_plan(call) or name in WITH_RELATIONS
    assert instance.pk is None
    with override_settings(VINYL={"PLANS": False}):
        expected = await copy.copy(again).delete()
    assert await again.delete() == expected
    assert expected == (0, {} if name in WITH_RELATIONS else {label: 0})
    assert again.pk is None
    assert await Parcel.vinyl.get(pk=other.pk) == other
    with pytest.raises(ValueError, match="can't be deleted because"):
        await again.delete()


async def test_what_depends_on_a_row_is_deleted_too():
    for _ in range(ENOUGH):
        one = await book()
        await made(Cover, book_id=one.pk, colour="red")
        note = await Note.vinyl.create(about=one, text="?")
        counts = await one.author.delete()
        assert counts == (4, dict.fromkeys(("library.Author", "library.Book", "library.Cover", "library.Note"), 1))
        assert not await Note.vinyl.filter(pk=note.pk).exists()


async def test_a_model_that_refers_to_another_may_be_made_later():
    for _ in range(ENOUGH):
        await (await made(Parcel, weight=1.0)).delete()
        await Parcel.vinyl.filter(weight=1.0).delete()
    assert writes_by_key._plans
    models.signals.class_prepared.send(sender=Parcel)
    assert not writes_by_key._plans
    assert not writes_by_key._deletable


QUERYSETS = {
    "all": lambda: Parcel.vinyl.all(),
    "some": lambda: Parcel.vinyl.filter(weight__lt=3.0),
    "none": lambda: Parcel.vinyl.filter(weight=77.0),
    "excluded": lambda: Parcel.vinyl.exclude(weight=2.0),
    "of a list": lambda: Parcel.vinyl.filter(weight__in=[1.0, 2.0, 77.0]),
    "ordered": lambda: Parcel.vinyl.order_by("-weight"),
    "by a join": lambda: Cover.vinyl.filter(book__title="t"),
}


@pytest.mark.parametrize("name", QUERYSETS)
async def test_a_queryset_is_deleted(name):
    one = await book()

    async def counts():
        await Parcel.vinyl.bulk_create([Parcel.vinyl(weight=weight) for weight in range(5)])
        await made(Cover, book_id=one.pk, colour="red")
        deleted = await QUERYSETS[name]().delete()
        left = await Parcel.vinyl.order_by("weight").values_list("weight", flat=True), await Cover.vinyl.count()
        await Parcel.vinyl.all().delete()
        await Cover.vinyl.all().delete()
        return deleted, left

    with override_settings(VINYL={"PLANS": False}):
        expected = await counts()
    for _ in range(ENOUGH):
        assert await counts() == expected
    assert await is_by_plan(lambda: QUERYSETS[name]().delete())
    assert await QUERYSETS[name]().delete() == (0, {})


async def test_a_queryset_that_was_deleted_is_loaded_anew():
    for _ in range(ENOUGH):
        await made(Parcel, weight=1.0)
        parcels = Parcel.vinyl.filter(weight=1.0)
        assert len(await parcels) == 1
        assert await parcels.delete() == (1, {"library.Parcel": 1})
        assert await parcels == []


async def test_rows_that_others_depend_on_are_deleted_by_django():
    for _ in range(ENOUGH):
        one = await book()
        await one.tags.add(await made(Tag, label="x"))
        assert (await Author.vinyl.filter(name="a").delete())[0] == 3
        assert await vinyl.manager(Tag).filter(label="x").delete() == (1, {"library.Tag": 1})


async def test_what_cannot_be_deleted_is_refused_each_time():
    for _ in range(ENOUGH):
        for queryset in (Parcel.vinyl.all()[:1], Parcel.vinyl.values("weight")):
            with pytest.raises(TypeError):
                await queryset.delete()


# All.


async def test_they_are_verified():
    with override_settings(VINYL={"VERIFY_PLANS": True}):
        for number in range(ENOUGH):
            one, other = await made(Parcel, weight=1.0), await made(Parcel, weight=100.0 + number)
            assert (await (await one.update(weight=float(number))).refresh()).weight == number
            await one.update()
            assert await one.delete() == (1, {"library.Parcel": 1})
            assert await Parcel.vinyl.filter(weight=other.weight).delete() == (1, {"library.Parcel": 1})


async def test_other_databases_have_plans_of_their_own():
    for number in range(ENOUGH):
        for alias in ("default", "other"):
            parcel = await Parcel.vinyl(weight=1.0).insert(using=alias)
            await parcel.update(weight=float(number), using=alias)
            assert (await Parcel.vinyl.using(alias).get(pk=parcel.pk)).weight == number
            await parcel.delete(using=alias)
            await Parcel.vinyl(weight=1.0).insert(using=alias)
            assert await Parcel.vinyl.using(alias).filter(weight=1.0).delete() == (1, {"library.Parcel": 1})


async def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr(shapes, "MOST_SHAPES", 5)
    instance = await made(Numbers)
    names = ("integer", "small", "big_integer", "positive")
    for number in range(1, 16):
        await instance.update(**{name: 1 for position, name in enumerate(names) if number >> position & 1})
        assert len(writes_by_key._plans) <= 5 + 1


@pytest.mark.asynchronous
async def test_what_is_written_is_what_there_is_when_it_is_awaited():
    for _ in range(2 * ENOUGH):
        parcel = await made(Parcel, weight=1.0)
        updating = parcel.update()
        parcel.weight = 2
        await updating
        assert (await parcel.refresh()).weight == 2
