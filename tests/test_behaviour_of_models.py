"""Models that change how instances are made, read, set and compared: vinyl's instances do so too."""

import copy
import pickle

import django
import pytest
from django.core.exceptions import FieldError
from django.test.utils import isolate_apps

import vinyl
from tests.kinds.models import Circle, Coin, Guarded, Initialised, Remembering, Report, Shape, Square, Swatch, Tracked
from tests.kinds.models.fields import Celsius, Colour
from vinyl import UnloadedAttribute

pytestmark = pytest.mark.usefixtures("kinds")


async def by_django(model):
    return await vinyl.run(lambda: model.objects.get())


# __init__() and from_db()


async def test_the_models_init_makes_instances_of_vinyl():
    ann = Initialised.vinyl(name="Ann", loud=True)
    assert (ann.name, ann.initial_name) == ("ANN", "Ann")
    await ann.insert()
    assert (await Initialised.vinyl.get()).initial_name == "ANN"
    assert (await Initialised.vinyl.create(name="Bo", loud=True)).name == "BO"
    assert (await Initialised.vinyl.defer("name").first()).initial_name is None


async def test_the_models_init_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match="quiet"):
        Initialised.vinyl(name="Ann", quiet=True)


async def test_the_models_from_db_makes_instances_of_vinyl():
    await Remembering.vinyl(name="Ann", size=3).insert()
    ann = await Remembering.vinyl.get()
    assert ann.loaded == (await by_django(Remembering)).loaded == {"id": ann.pk, "name": "Ann", "size": 3}
    assert (await Remembering.vinyl.only("size").get()).loaded == {"id": ann.pk, "size": 3}
    assert not hasattr(await Remembering.vinyl.create(name="Bo"), "loaded")


async def test_refresh_keeps_what_from_db_remembers_as_django_does():
    await Remembering.vinyl(name="Ann").insert()
    ann, plain = await Remembering.vinyl.get(), await by_django(Remembering)
    await Remembering.vinyl.update(name="Bo")
    await ann.refresh()
    await vinyl.run(plain.refresh_from_db)
    assert (ann.name, ann.loaded) == (plain.name, plain.loaded)


# Attributes


async def test_the_models_setattr_sets_the_values_of_instances_of_vinyl():
    ann = await Tracked.vinyl(name=" Ann ").insert()
    assert (ann.name, (await by_django(Tracked)).name) == ("Ann", "Ann")
    await ann.update(name=" Bo ")
    assert (ann.name, (await by_django(Tracked)).name) == ("Bo", "Bo")
    assert ann.was_set.count("name") == 2
    loaded, plain = await Tracked.vinyl.get(), await by_django(Tracked)
    assert sorted(loaded.was_set) == sorted(plain.was_set)


async def test_the_models_getattribute_and_getattr_are_asked():
    ann = await Guarded.vinyl(name="Ann").insert()
    assert (ann.label, ann.loud_name) == ("<Ann>", "ANN")
    ann = await Guarded.vinyl.get()
    assert (ann.label, ann.loud_name) == ("<Ann>", "ANN")
    with pytest.raises(AttributeError, match="quiet_name"):
        ann.quiet_name  # noqa: B018


async def test_an_unloaded_attribute_that_the_models_getattr_asks_for_raises():
    await Guarded.vinyl.create(name="Ann")
    ann = await Guarded.vinyl.defer("name").get()
    for name in ("label", "loud_name"):
        with pytest.raises(UnloadedAttribute, match="name was not loaded"):
            getattr(ann, name)
    await ann.load("name")
    assert (ann.label, ann.loud_name) == ("<Ann>", "ANN")


async def test_a_mixin_that_is_no_model_brings_its_methods():
    report = await Report.vinyl(title="One").insert()
    assert report.shouted() == (await Report.vinyl.get()).shouted() == "ONE!"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda ob: pickle.loads(pickle.dumps(ob))])
@pytest.mark.parametrize("model", [Initialised, Remembering, Tracked, Guarded])
async def test_a_copy_has_what_the_model_has_put_into_the_instance(model, copied):
    await model.vinyl(name="Ann").insert()
    ann = await model.vinyl.get()
    twin = copied(ann)
    assert type(twin) is type(ann)
    # Django's version is among what Django pickles.
    assert {**vars(twin), "_state": None} == {**vars(ann), "_state": None, "_django_version": django.__version__}


# Equality


async def test_the_models_own_equality_and_hash_are_those_of_instances_of_vinyl():
    one, two = await Coin.vinyl.create(worth=5), await Coin.vinyl.create(worth=5)
    plain = await vinyl.run(lambda: Coin.objects.first())
    assert one.pk != two.pk
    assert one == two == plain == one
    assert len({one, two, plain}) == 1
    assert Coin.vinyl(worth=6) != one
    assert await one.delete() == (1, {"kinds.Coin": 1})
    assert await Coin.vinyl.get() == two


# __init_subclass__()


async def test_a_model_whose_subclasses_must_say_something_has_instances_of_vinyl():
    for model in (Shape, Circle, Square):
        shape = await model.vinyl(name="One").insert()
        assert type(await model.vinyl.get(pk=shape.pk)) is type(shape)


def test_a_vinyl_class_is_no_subclass_to_a_model_that_registers_those():
    registered = []
    with isolate_apps("tests.kinds"):
        from django.db import models

        class Registering(models.Model):
            def __init_subclass__(cls, **kwargs):
                super().__init_subclass__(**kwargs)
                registered.append(cls)

            class Meta:
                app_label = "kinds"

        class Child(Registering):
            class Meta:
                app_label = "kinds"

    vinyl.manager(Registering)()
    vinyl.manager(Child)()
    assert registered == [Child]


# Fields of the project's own


async def test_a_field_makes_its_values_of_what_the_database_has():
    swatch = await Swatch.vinyl(colour=Colour(1, 2, 255)).insert()
    assert (await Swatch.vinyl.get()).colour == (await by_django(Swatch)).colour == Colour(1, 2, 255)
    assert await Swatch.vinyl.values_list("colour", flat=True) == [Colour(1, 2, 255)]
    assert await Swatch.vinyl.filter(colour=Colour(1, 2, 255)).get() == swatch
    assert await vinyl.connection.execute("SELECT colour FROM kinds_swatch") == [("0102ff",)]


async def test_a_fields_pre_save_is_asked_at_each_write_of_it():
    swatch = await Swatch.vinyl().insert()
    plain = await vinyl.run(lambda: Swatch.objects.create())
    assert swatch.revision == plain.revision == 1
    await swatch.update()
    await swatch.update(warmth=3)
    await swatch.update(revision=10)
    await vinyl.run(plain.save)
    await vinyl.run(lambda: plain.save(update_fields=["warmth"]))
    plain.revision = 10
    await vinyl.run(lambda: plain.save(update_fields=["revision"]))
    assert swatch.revision == plain.revision == 11
    assert await Swatch.vinyl.values_list("revision", flat=True) == [11, 11]


async def test_a_fields_own_descriptor_sees_what_is_set_and_read():
    assert type(Swatch.vinyl(warmth=3).warmth) is Celsius
    swatch = await Swatch.vinyl(warmth=3).insert()
    assert type((await Swatch.vinyl.get()).warmth) is type((await by_django(Swatch)).warmth) is Celsius
    await swatch.update(warmth=5)
    assert type(swatch.warmth) is Celsius
    await swatch.refresh()
    assert (type(swatch.warmth), swatch.warmth) == (Celsius, 5)


async def test_a_fields_own_descriptor_that_loads_a_deferred_value_raises_that_it_was_not_loaded():
    await Swatch.vinyl.create(warmth=3)
    swatch = await Swatch.vinyl.defer("warmth").get()
    with pytest.raises(UnloadedAttribute, match=r"Swatch\.warmth was not loaded"):
        swatch.warmth  # noqa: B018
    await swatch.load("warmth")
    assert swatch.warmth == Celsius(3)


async def test_a_wrong_name_in_a_query_raises_djangos_error():
    with pytest.raises(FieldError, match="Cannot resolve keyword 'color'"):
        await Swatch.vinyl.get(color=1)
