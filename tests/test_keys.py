"""Primary keys of all kinds, and relations by them: written, read, joined and prefetched."""

import pytest
from django.core import serializers
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import IntegrityError

import vinyl
from tests.kinds.models import (
    Citizen,
    City,
    Country,
    Line,
    Node,
    Numbered,
    Order,
    Passport,
    Small,
    Tenant,
    Visa,
)
from vinyl import NotUpdated, UnloadedAttribute

pytestmark = pytest.mark.usefixtures("kinds")


# Composite


@pytest.fixture
def orders(db):
    """Two tenants with the orders 1 and 2 each, of which each first has a line."""
    for name in ("A", "B"):
        tenant = Tenant.objects.create(name=name)
        for number in (1, 2):
            Order.objects.create(tenant=tenant, number=number, note=f"{name}{number}")
        Line.objects.create(order_tenant=tenant.pk, order_number=1, text=f"line of {name}1")


async def test_an_order_by_a_composite_key_is_inserted_updated_and_deleted():
    tenant = await Tenant.vinyl.create(name="A")
    order = await Order.vinyl(tenant=tenant, number=7).insert()
    assert order.pk == (tenant.pk, 7)
    await order.update(note="new")
    order.note = "newer"
    await order.update()
    assert await vinyl.run(lambda: Order.objects.get(pk=(tenant.pk, 7)).note) == "newer"
    await Order.vinyl(pk=(tenant.pk, 7)).update(note="newest")
    await order.refresh()
    assert order.note == "newest"
    assert await order.delete() == (1, {"kinds.Order": 1})
    assert (order.pk, await Order.vinyl.count()) == ((None, None), 0)


async def test_insert_of_a_composite_key_that_is_there_never_updates():
    tenant = await Tenant.vinyl.create(name="A")
    await Order.vinyl(tenant=tenant, number=7, note="old").insert()
    with pytest.raises(IntegrityError):
        await Order.vinyl(tenant=tenant, number=7, note="new").insert()
    assert (await Order.vinyl.get()).note == "old"


async def test_update_of_a_composite_key_that_is_not_there_or_not_whole_is_refused():
    tenant = await Tenant.vinyl.create(name="A")
    with pytest.raises(NotUpdated):
        await Order.vinyl(tenant=tenant, number=7).update(note="new")
    with pytest.raises(ValueError, match="has no primary key"):
        await Order.vinyl(tenant=tenant).update(note="new")
    order = await Order.vinyl(tenant=tenant, number=7).insert()
    for name in ("number", "tenant", "tenant_id", "pk"):
        with pytest.raises(ValueError, match=rf"cannot write '{name}'.*There are: note\."):
            await order.update(**{name: 8})


@pytest.mark.usefixtures("orders")
async def test_composite_keys_are_queried():
    order = await Order.vinyl.get(note="B2")
    assert await Order.vinyl.get(pk=order.pk) == order
    assert await Order.vinyl.filter(pk__in=[order.pk]).update(note="b2") == 1
    assert await Order.vinyl.filter(pk=order.pk).values_list("note", flat=True) == ["b2"]
    assert list(await Order.vinyl.in_bulk([order.pk])) == [order.pk]
    assert await Order.vinyl.contains(order)
    assert (await Order.vinyl.order_by("-pk").first()) == order
    order.note = "bulk"
    assert await Order.vinyl.bulk_update([order], ["note"]) == 1
    with pytest.raises(Order.DoesNotExist):
        await Order.vinyl.get(pk=(order.pk[0], 99))


@pytest.mark.usefixtures("orders")
async def test_the_relations_of_a_composite_key_are_loaded():
    order = await Order.vinyl.select_related("tenant").get(note="A1")
    assert order.tenant.name == "A"
    await order.load("lines")
    assert [line.text for line in order.lines.all()] == ["line of A1"]
    tenant = await Tenant.vinyl.prefetch_related("orders__lines").get(name="B")
    assert {order.note: [line.text for line in order.lines.all()] for order in tenant.orders.all()} == {
        "B1": ["line of B1"],
        "B2": [],
    }


@pytest.mark.usefixtures("orders")
async def test_a_relation_to_a_composite_key_is_joined_prefetched_and_loaded():
    joined = await Line.vinyl.select_related("order__tenant").get(text="line of B1")
    prefetched = await Line.vinyl.prefetch_related("order__tenant").get(text="line of B1")
    loaded = await Line.vinyl.get(text="line of B1")
    with pytest.raises(UnloadedAttribute, match=r"Line\.order was not loaded"):
        loaded.order  # noqa: B018
    await loaded.load("order__tenant")
    for line in (joined, prefetched, loaded):
        assert (line.order.note, line.order.tenant.name) == ("B1", "B")
        assert type(line.order) is Order.vinyl.vinyl_class


@pytest.mark.usefixtures("orders")
async def test_an_object_is_assigned_to_a_relation_to_a_composite_key():
    order = await Order.vinyl.get(note="B2")
    line = await Line.vinyl(order=order, text="new").insert()
    assert (line.order_tenant, line.order_number) == order.pk
    assert await order.lines.count() == 1
    assert (await order.lines.create(text="newer")).order_number == 2
    assert await Line.vinyl.filter(order=order).count() == 2


@pytest.mark.usefixtures("orders")
async def test_deleting_what_a_composite_key_belongs_to_deletes_what_refers_to_it():
    tenant = await Tenant.vinyl.get(name="A")
    assert await tenant.delete() == (4, {"kinds.Tenant": 1, "kinds.Order": 2, "kinds.Line": 1})


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("name", ["pk", "number", "tenant_id"])
async def test_only_and_defer_always_load_a_composite_key_whole(name):
    order = await Order.vinyl.only("note").get(note="A2")
    assert order.pk == (order.tenant_id, 2)
    order = await Order.vinyl.only(name).get(note="A2")
    assert order.pk == (order.tenant_id, 2)
    await order.load("note")
    assert order.note == "A2"


# Natural keys, and relations that do not refer to the primary key


@pytest.fixture
def countries(db):
    for code, name in (("fr", "France"), ("it", "Italy")):
        Country.objects.create(code=code, name=name)
    City.objects.create(name="Paris", country_id="France", ruler_id="Italy")
    City.objects.create(name="Lyon", country_id="France")


@pytest.mark.usefixtures("countries")
async def test_a_natural_key_is_used_by_serializers():
    france = await Country.vinyl.get(pk="fr")
    assert france.natural_key() == ("fr",)
    assert await vinyl.run(Country.objects.get_by_natural_key, "fr") == france
    plain = await vinyl.run(lambda: Country.objects.get(pk="fr"))
    texts = [serializers.serialize("json", [each], use_natural_primary_keys=True) for each in (france, plain)]
    assert texts[0] == texts[1]


async def test_changing_a_natural_key_makes_update_look_for_another_row():
    country = await Country.vinyl.create(code="fr", name="France")
    country.code = "ga"
    with pytest.raises(NotUpdated):
        await country.update()
    country.name = "Gaul"
    await country.insert()
    assert await Country.vinyl.order_by("code").values_list("code", "name") == [("fr", "France"), ("ga", "Gaul")]


@pytest.mark.usefixtures("countries")
async def test_a_relation_to_a_unique_column_is_joined_prefetched_and_loaded():
    paris = City.vinyl.filter(name="Paris")
    cities = [
        await paris.select_related("country", "ruler").get(),
        await paris.prefetch_related("country", "ruler").get(),
        await (await paris.get()).load("country", "ruler"),
    ]
    for city in cities:
        assert (city.country_id, city.country.pk, city.ruler.code) == ("France", "fr", "it")
    country = await Country.vinyl.prefetch_related("cities").get(pk="fr")
    assert sorted(city.name for city in country.cities.all()) == ["Lyon", "Paris"]
    assert [city.country for city in country.cities.all()] == [country] * 2


@pytest.mark.usefixtures("countries")
async def test_a_relation_to_a_unique_column_takes_an_object_or_its_value():
    italy = await Country.vinyl.get(pk="it")
    city = await City.vinyl(name="Rome", country=italy).insert()
    assert city.country_id == "Italy"
    await city.update(country_id="France")
    assert await City.vinyl.filter(country="France").count() == 3
    await city.update(country=italy, ruler=italy)
    assert (await vinyl.run(lambda: City.objects.get(name="Rome").country.code)) == "it"
    assert [city.name for city in await italy.cities.all()] == ["Rome"]
    assert (await italy.cities.create(name="Pisa")).country_id == "Italy"
    assert await italy.delete() == (3, {"kinds.City": 2, "kinds.Country": 1})
    assert (await City.vinyl.get(name="Paris")).ruler_id is None


# To itself


@pytest.fixture
def tree(db):
    root = Node.objects.create(name="root")
    left, right = (Node.objects.create(name=name, parent=root) for name in ("left", "right"))
    Node.objects.create(name="leaf", parent=left)
    left.friends.add(right)
    left.follows.add(root)


@pytest.mark.usefixtures("tree")
async def test_relations_to_itself_are_joined_prefetched_and_loaded():
    leaf = await Node.vinyl.select_related("parent__parent").get(name="leaf")
    assert (leaf.parent.name, leaf.parent.parent.name) == ("left", "root")
    with pytest.raises(UnloadedAttribute, match=r"Node\.parent was not loaded"):
        (await Node.vinyl.select_related("parent").get(name="leaf")).parent.parent  # noqa: B018
    root = await Node.vinyl.prefetch_related("children__children", "followers").get(name="root")
    assert {child.name: [leaf.name for leaf in child.children.all()] for child in root.children.all()} == {
        "left": ["leaf"],
        "right": [],
    }
    assert [follower.name for follower in root.followers.all()] == ["left"]
    right = await (await Node.vinyl.get(name="right")).load("friends", "parent")
    assert ([friend.name for friend in right.friends.all()], right.parent.name) == (["left"], "root")


@pytest.mark.usefixtures("tree")
async def test_a_symmetrical_relation_is_written_on_both_sides():
    leaf, root = await Node.vinyl.get(name="leaf"), await Node.vinyl.get(name="root")
    await leaf.friends.add(root)
    assert [friend.name for friend in await root.friends.all()] == ["leaf"]
    await root.friends.clear()
    assert await leaf.friends.count() == 0
    await leaf.follows.set([root])
    assert await root.followers.filter(name="leaf").exists()
    assert not await root.follows.exists()


@pytest.mark.usefixtures("tree")
async def test_a_tree_is_deleted_from_its_root():
    root = await Node.vinyl.get(name="root")
    counts = {"kinds.Node": 4, "kinds.Node_friends": 2, "kinds.Node_follows": 1}
    assert await root.delete() == (7, counts)


async def test_an_instance_may_refer_to_itself():
    node = await Node.vinyl.create(name="loop")
    await node.update(parent=node)
    node = await Node.vinyl.select_related("parent").get()
    assert node.parent == node
    assert await node.delete() == (1, {"kinds.Node": 1})


# A relation as the primary key


async def test_a_relation_as_the_primary_key_is_inserted_updated_loaded_and_deleted():
    ann = await Citizen.vinyl.create(name="Ann")
    passport = await Passport.vinyl(citizen=ann, number="1").insert()
    assert passport.pk == passport.citizen_id == ann.pk
    await passport.update(number="2")
    with pytest.raises(ValueError, match="cannot write 'citizen'"):
        await passport.update(citizen=ann)
    visa = await Visa.vinyl(passport=passport, country="fr").insert()
    visa = await Visa.vinyl.select_related("passport__citizen").get(passport=ann.pk)
    assert (visa.passport_id, visa.passport.number, visa.passport.citizen.name) == (ann.pk, "2", "Ann")
    ann = await Citizen.vinyl.prefetch_related("passport__visas").get()
    assert [visa.country for visa in ann.passport.visas.all()] == ["fr"]
    assert (await (await Passport.vinyl.get()).load("citizen")).citizen == ann
    assert (await Citizen.vinyl.select_related("passport").get()).passport.number == "2"
    assert await ann.delete() == (3, {"kinds.Visa": 1, "kinds.Passport": 1, "kinds.Citizen": 1})


async def test_a_second_row_for_a_relation_as_the_primary_key_is_refused():
    ann = await Citizen.vinyl.create(name="Ann")
    await Passport.vinyl(citizen=ann, number="1").insert()
    with pytest.raises(IntegrityError):
        await Passport.vinyl(citizen=ann, number="2").insert()
    assert (await Passport.vinyl.get()).number == "1"


# Names and sizes


async def test_a_model_of_nothing_but_its_key_is_inserted_updated_and_deleted():
    small = await Small.vinyl().insert()
    await small.update()
    assert await Small.vinyl.get() == small
    await (await Small.vinyl.get()).delete()
    with pytest.raises(NotUpdated):
        await small.update()


async def test_columns_and_tables_of_other_names_are_written_read_and_joined():
    one = await Numbered.vinyl(kind="one").insert()
    two = await Numbered.vinyl(kind="two", near=one).insert()
    assert (one.pk, one.number) == (one.number, one.pk)
    two = await Numbered.vinyl.select_related("near").get(number=two.number)
    assert (two.near.kind, two.near_id) == ("one", one.pk)
    assert [each.kind for each in await one.nearer.all()] == ["two"]
    await two.update(kind="TWO", near_id=None)
    assert await Numbered.vinyl.filter(near=None).count() == 2
    with pytest.raises((FieldError, FieldDoesNotExist)):
        await Numbered.vinyl.filter(nr=1)
    with pytest.raises(ValueError, match="cannot write 'class'"):
        await two.update(**{"class": "x"})
