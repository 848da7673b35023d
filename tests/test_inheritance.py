"""Parents, children and proxies: one instance in several tables, and several classes for one table."""

import pytest
from django.db import IntegrityError

import vinyl
from tests.kinds import custom
from tests.kinds.models import (
    Asset,
    Being,
    Bus,
    Duck,
    Flyer,
    Illustration,
    LongAnswer,
    Machine,
    NightBus,
    Page,
    Post,
    Question,
    Reply,
    Report,
    SchoolBus,
    Swimmer,
    Text,
    Vehicle,
    VehicleRow,
)
from vinyl import NotUpdated, UnloadedAttribute

pytestmark = pytest.mark.usefixtures("kinds")


async def rows(model):
    return await vinyl.run(lambda: list(model._base_manager.order_by("pk").values_list("pk", flat=True)))


# Several parents


async def test_a_child_of_several_parents_is_a_row_in_the_table_of_each():
    await Text.vinyl.create(words="so that the keys differ")
    page = await Page.vinyl(words="Once", caption="a hat", number=3).insert()
    assert page.pk == page.text_ptr_id == page.text_id != page.illustration_ptr_id == page.illustration_id
    assert (await Text.vinyl.get(pk=page.text_id)).words == "Once"
    assert (await Illustration.vinyl.get(pk=page.illustration_id)).caption == "a hat"
    await page.update(caption="a snake")
    assert (await Illustration.vinyl.get()).caption == "a snake"
    assert await page.delete() == (3, {"kinds.Text": 1, "kinds.Illustration": 1, "kinds.Page": 1})
    assert len(await rows(Text)) == 1


@pytest.mark.parametrize("values", [{"words": None}, {"caption": None}, {"number": None}])
async def test_insert_and_update_of_a_child_of_several_parents_write_all_tables_or_none(values):
    page = Page.vinyl(**values)
    with pytest.raises(IntegrityError):
        await page.insert()
    assert (page.pk, page.text_id, page.illustration_id, page.illustration_ptr_id) == (None, None, None, None)
    for model in (Text, Illustration, Page):
        assert await rows(model) == []
    page = await Page.vinyl(words="Once", caption="a hat", number=3).insert()
    with pytest.raises(IntegrityError):
        await page.update(**{"words": "Twice", "caption": "a snake", "number": 4, **values})
    assert (page.words, page.caption, page.number) == ("Once", "a hat", 3)
    assert await Page.vinyl.values_list("words", "caption", "number") == [("Once", "a hat", 3)]


async def test_the_parent_that_two_parents_share_is_one_row():
    duck = await Duck.vinyl(name="Donald", depth=1, height=2).insert()
    assert await rows(Being) == await rows(Swimmer) == await rows(Flyer) == await rows(Duck) == [duck.pk]
    await duck.update(name="Dagobert", height=3)
    assert (await Being.vinyl.get()).name == (await Flyer.vinyl.get()).name == "Dagobert"
    assert await duck.delete() == (4, {"kinds.Being": 1, "kinds.Swimmer": 1, "kinds.Flyer": 1, "kinds.Duck": 1})


# The link between parent and child


async def test_the_links_of_a_child_give_its_parents_without_a_query():
    inserted = await Page.vinyl(words="Once", caption="a hat").insert()
    for page in (inserted, await Page.vinyl.get()):
        assert (page.text_ptr.words, page.illustration_ptr.caption) == ("Once", "a hat")
        assert type(page.text_ptr) is Text.vinyl.vinyl_class
        assert type(page.illustration_ptr) is Illustration.vinyl.vinyl_class


@pytest.mark.parametrize("by", ["select_related", "prefetch_related", "load"])
async def test_a_child_is_reached_from_each_parent(by):
    await Page.vinyl(words="Once", caption="a hat", number=3).insert()
    for parent in (Text, Illustration):
        if by == "load":
            found = await (await parent.vinyl.get()).load("page")
        else:
            found = await getattr(parent.vinyl, by)("page").get()
        assert (found.page.number, found.page.words, found.page.caption) == (3, "Once", "a hat")
        assert type(found.page) is Page.vinyl.vinyl_class


async def test_a_grandchild_is_reached_from_its_grandparent():
    await Duck.vinyl(name="Donald", sound="wak").insert()
    being = await Being.vinyl.select_related("swimmer__duck", "flyer__duck").get()
    assert being.swimmer.duck.sound == being.flyer.duck.sound == "wak"
    assert being.swimmer.duck.name == being.flyer.duck.name == "Donald"


async def test_select_related_over_the_link_gives_the_parent():
    await Bus.vinyl(plate="AB 1", line="12", wheels=6).insert()
    bus = await Bus.vinyl.select_related("vehicle").get()
    assert (bus.vehicle.plate, bus.vehicle.wheels) == ("AB 1", 6)
    assert type(bus.vehicle) is Vehicle.vinyl.vinyl_class
    bus.vehicle.wheels = 8
    await bus.vehicle.update()
    assert (await bus.refresh()).wheels == 8


async def test_a_child_is_added_to_a_parent_that_is_there():
    vehicle = await Vehicle.vinyl(plate="AB 1", wheels=6).insert()
    bus = await Bus.vinyl(vehicle=vehicle, plate=vehicle.plate, wheels=vehicle.wheels, line="12").insert()
    assert (bus.vehicle_id, await rows(Vehicle), await rows(Bus)) == ("AB 1", ["AB 1"], ["12"])


async def test_a_child_whose_key_is_its_own_is_written_by_it():
    bus = await Bus.vinyl(plate="AB 1", line="12").insert()
    assert (bus.pk, bus.vehicle_id, bus.plate) == ("12", "AB 1", "AB 1")
    await Bus.vinyl(line="12", vehicle_id="AB 1", plate="AB 1").update(wheels=8, colour="blue")
    assert await Bus.vinyl.values_list("wheels", "colour") == [(8, "blue")]
    with pytest.raises(ValueError, match="cannot write 'plate'"):
        await bus.update(plate="AB 2")
    with pytest.raises(IntegrityError):
        await Bus.vinyl(plate="AB 2", line="12").insert()
    assert await rows(Vehicle) == ["AB 1"]


async def test_update_of_a_child_whose_links_are_known_writes_the_tables_of_all_parents():
    page = await Page.vinyl(words="Once", caption="a hat").insert()
    links = {"text_ptr_id": page.text_id, "illustration_ptr_id": page.illustration_id}
    await Page.vinyl(**links).update(words="Twice", caption="a snake", number=2)
    assert await Page.vinyl.values_list("words", "caption", "number") == [("Twice", "a snake", 2)]


async def test_delete_can_keep_the_parents():
    page = await Page.vinyl(words="Once", caption="a hat").insert()
    assert await page.delete(keep_parents=True) == (1, {"kinds.Page": 1})
    assert (len(await rows(Text)), len(await rows(Illustration)), await rows(Page)) == (1, 1, [])


async def test_deleting_a_parent_deletes_the_child():
    await Page.vinyl(words="Once").insert()
    illustration = await Illustration.vinyl.get()
    assert await illustration.delete() == (3, {"kinds.Text": 1, "kinds.Illustration": 1, "kinds.Page": 1})


async def test_update_where_the_row_of_one_table_is_gone_raises_and_writes_nothing():
    duck = await Duck.vinyl(name="Donald", depth=1).insert()
    await vinyl.connection.execute("DELETE FROM kinds_duck")
    with pytest.raises(NotUpdated):
        await duck.update(name="Dagobert", sound="wak")
    assert (await Being.vinyl.get()).name == "Donald"


async def test_deferred_fields_of_the_tables_of_a_child_are_loaded_and_written():
    await Page.vinyl(words="Once", caption="a hat", number=3).insert()
    page = await Page.vinyl.defer("words", "number").get()
    page.caption = "a snake"
    await page.update()
    with pytest.raises(UnloadedAttribute, match=r"Page\.words was not loaded"):
        page.words  # noqa: B018
    await page.load("words", "number")
    assert (page.words, page.caption, page.number) == ("Once", "a snake", 3)


async def test_values_that_the_database_makes_in_each_table_are_there_after_a_write():
    machine = await Machine.vinyl(worth=5, power=7).insert()
    assert (machine.double_worth, machine.triple_power, machine.code) == (10, 21, "M-0")
    assert machine.made == (await Asset.vinyl.get(pk=machine.pk)).made
    await machine.update(worth=6)
    assert (machine.double_worth, machine.triple_power) == (12, 21)
    machine.power = 8
    await machine.update()
    assert (machine.double_worth, machine.triple_power) == (12, 24)


# Managers and classes of instances


async def test_a_child_can_have_a_manager_and_an_instance_class_of_its_own():
    assert SchoolBus.vinyl is not Bus.vinyl
    assert vinyl.manager(SchoolBus) is SchoolBus.vinyl
    bus = await SchoolBus.vinyl.create(plate="AB 1", line="S1", school="West")
    assert isinstance(bus, custom.SchoolBus)
    assert (bus.colour, (await Bus.vinyl.get()).colour) == ("yellow", "yellow")
    assert not isinstance(await Bus.vinyl.get(), custom.SchoolBus)
    by_link = await Bus.vinyl.select_related("school_bus").get()
    assert isinstance(by_link.school_bus, custom.SchoolBus)
    assert by_link.school_bus.plate == "AB 1"


async def test_a_proxy_of_a_child_writes_the_childs_tables():
    bus = await NightBus.vinyl(plate="AB 1", line="N1").insert()
    assert bus.greeting() == "Good night from N1"
    await NightBus.vinyl.create(plate="AB 2", line="N2")
    assert [bus.line for bus in await NightBus.vinyl.all()] == ["N2", "N1"]
    assert [type(each) for each in await Bus.vinyl.all()] == [Bus.vinyl.vinyl_class] * 2
    found = await Bus.vinyl.get(line="N1")
    assert found == bus
    assert (await NightBus.vinyl.select_related("vehicle").get(line="N1")).vehicle.plate == "AB 1"
    assert await bus.delete() == (2, {"kinds.NightBus": 1, "kinds.Vehicle": 1})


async def test_an_unmanaged_model_writes_the_table_that_it_names():
    row = await VehicleRow.vinyl(plate="AB 1").insert()
    assert (await Vehicle.vinyl.get()).wheels == 3
    await row.update(wheels=2)
    assert (await Vehicle.vinyl.get()).wheels == 2
    assert row != await Vehicle.vinyl.get()
    assert await row.delete() == (1, {"kinds.VehicleRow": 1})


async def test_a_child_of_several_abstract_parents_has_the_fields_methods_and_manager_of_all():
    report = await Report.vinyl(title="Two", text="x").insert()
    await Report.vinyl.create(title="One")
    assert sorted(str(each) for each in await Report.vinyl.all()) == ["One", "Two"]
    changed = report.changed
    await report.update()
    assert report.changed > changed
    assert report.label == "none"
    assert (await Report.vinyl.get(title="Two")).made == report.made


async def test_a_default_manager_that_hides_rows_hides_none_from_vinyl_but_by_its_relations():
    hidden = await Post.vinyl.create(title="hidden", hidden=True)
    await hidden.update(title="secret")
    await hidden.refresh()
    assert (await Post.vinyl.count(), await vinyl.run(Post.live.count)) == (1, 0)
    reply = await Reply.vinyl.create(post=hidden)
    assert (await (await Reply.vinyl.get()).load("post")).post == hidden
    assert (await Reply.vinyl.select_related("post").get()).post == hidden
    assert await hidden.replies.count() == 1
    await reply.update(hidden=True)
    assert (await hidden.replies.count(), await Reply.vinyl.count()) == (0, 1)
    assert await vinyl.run(lambda: Post.everything.get().replies.count()) == 0


async def test_a_base_manager_that_hides_rows_hides_them_from_update_and_refresh_as_in_django():
    post = await Post.vinyl.create(title="One")
    reply = await Reply.vinyl.create(post=post, hidden=True)
    plain = await vinyl.run(lambda: Reply(pk=reply.pk, post=post))
    with pytest.raises(Reply.DoesNotExist):
        await vinyl.run(plain.refresh_from_db)
    with pytest.raises(Reply.DoesNotExist):
        await reply.refresh()
    with pytest.raises(NotUpdated):
        await reply.update()


async def test_a_relation_of_the_parent_is_the_childs_too():
    question = await Question.vinyl.create(text="why")
    await LongAnswer.vinyl(question=question, text="because", pages=3).insert()
    answer = await LongAnswer.vinyl.select_related("question").get()
    assert answer.question == question
    assert answer.answer_ptr.question_id == question.pk
    answer = await (await LongAnswer.vinyl.get()).load("question")
    assert answer.question.text == "why"
    question = await Question.vinyl.prefetch_related("answers__longanswer").get()
    assert [each.longanswer.pages for each in question.answers.all()] == [3]
    assert await LongAnswer.vinyl.filter(question__text="why").update(pages=4, text="so") == 1
    assert await LongAnswer.vinyl.values_list("pages", "text") == [(4, "so")]
