"""Methods that Django gives to models: neighbours, orders, validation, and those that need no query."""

import datetime as dt

import pytest
from django.core.exceptions import SynchronousOnlyOperation, ValidationError
from django.db import IntegrityError

import vinyl
from tests.kinds.models import Answer, Careful, LongAnswer, Question, Report

pytestmark = pytest.mark.usefixtures("kinds")


@pytest.fixture
def question(db):
    """A question with the answers a, b and c, beside another one."""
    for text in ("other", "this"):
        question = Question.objects.create(text=text)
        for day, answer in enumerate("abc", 1):
            Answer.objects.create(question=question, text=answer, given=dt.date(2001, 1, day))


async def this():
    return await Question.vinyl.get(text="this")


async def answer(text):
    return await Answer.vinyl.get(text=text, question__text="this")


async def in_order(question):
    return await question.answers.values_list("text", flat=True)


# order_with_respect_to


@pytest.mark.usefixtures("question")
async def test_insert_puts_a_row_at_the_end_of_the_order():
    question = await this()
    added = await Answer.vinyl(question=question, text="d").insert()
    created = await question.answers.create(text="e")
    assert (added._order, created._order) == (3, 4)
    assert await in_order(question) == ["a", "b", "c", "d", "e"]


@pytest.mark.usefixtures("question")
async def test_insert_of_a_child_of_an_ordered_parent_puts_it_at_the_end_of_the_order():
    question = await this()
    added = await LongAnswer.vinyl(question=question, text="long", pages=3).insert()
    assert added._order == 3
    assert await in_order(question) == ["a", "b", "c", "long"]


async def test_the_first_row_of_an_order_is_the_zeroth():
    question = await Question.vinyl.create(text="new")
    assert [(await Answer.vinyl(question=question, text=text).insert())._order for text in "ab"] == [0, 1]


@pytest.mark.usefixtures("question")
async def test_update_writes_the_order_and_leaves_it_where_it_is_not_named():
    a = await answer("a")
    await a.update(text="A")
    await a.update()
    assert await in_order(await this()) == ["A", "b", "c"]
    await a.update(_order=7)
    assert await in_order(await this()) == ["b", "c", "A"]


@pytest.mark.usefixtures("question")
async def test_next_and_previous_in_order_are_instances_of_vinyl():
    b = await answer("b")
    following, previous = await b.get_next_in_order(), await b.get_previous_in_order()
    assert (following.text, previous.text) == ("c", "a")
    assert type(following) is type(previous) is Answer.vinyl.vinyl_class
    await following.update(text="C")
    with pytest.raises(Answer.DoesNotExist):
        await following.get_next_in_order()


@pytest.mark.usefixtures("question")
async def test_the_order_of_related_rows_is_read_and_set():
    question = await this()
    keys = [(await answer(text)).pk for text in "abc"]
    assert await vinyl.run(lambda: list(question.get_answer_order())) == keys
    await question.set_answer_order(keys[::-1])
    assert await in_order(question) == ["c", "b", "a"]
    assert await vinyl.run(lambda: list(Question.objects.get(text="this").get_answer_order())) == keys[::-1]


# get_next_by_FOO()


@pytest.mark.usefixtures("question")
async def test_next_and_previous_by_a_date_are_instances_of_vinyl():
    b = await answer("b")
    following = await b.get_next_by_given(question=await this())
    previous = await b.get_previous_by_given(question=await this())
    assert (following.text, previous.text) == ("c", "a")
    assert type(following) is type(previous) is Answer.vinyl.vinyl_class
    with pytest.raises(Answer.DoesNotExist):
        await following.get_next_by_given()


# Validation


async def test_what_queries_nothing_needs_nothing():
    careful = Careful.vinyl(pk=5, name=" Ann ", size="l", level=Careful.Level.HIGH)
    assert (careful.get_size_display(), careful.get_level_display()) == ("Large", "High")
    assert careful.get_absolute_url() == "/careful/5/"
    careful.clean_fields()
    careful.clean()
    assert careful.name == "Ann"


async def test_full_clean_by_run_finds_what_django_finds():
    await Careful.vinyl.create(name="Ann")
    wrong = {"name": " Ann ", "size": "s"}
    for model in (Careful.vinyl, Careful):
        with pytest.raises(ValidationError) as raised:
            await vinyl.run(model(**wrong).full_clean)
        assert raised.value.message_dict == {
            "name": ["Careful with this Name already exists."],
            "__all__": ["Careful with this Size and Level already exists."],
        }
    await vinyl.run(Careful.vinyl(name="Bo", size="l").full_clean)


async def test_full_clean_by_run_does_not_find_the_row_of_the_instance_itself():
    await Careful.vinyl.create(name="Ann")
    await vinyl.run((await Careful.vinyl.get()).full_clean)


async def test_full_clean_by_run_finds_a_relation_to_no_row():
    with pytest.raises(ValidationError, match="question instance with id 99 is not a valid choice"):
        await vinyl.run(Answer.vinyl(question_id=99, text="x").full_clean)


async def test_full_clean_of_a_child_looks_at_the_fields_of_its_parents():
    with pytest.raises(ValidationError) as raised:
        await vinyl.run(Report.vinyl(title="x" * 51).full_clean)
    assert set(raised.value.message_dict) == {"title", "text"}


async def test_a_check_constraint_is_checked_by_validation_and_by_the_database():
    bad = Careful.vinyl(name="bad")
    with pytest.raises(ValidationError, match="no_bad_name"):
        await vinyl.run(bad.validate_constraints)
    with pytest.raises(IntegrityError):
        await bad.insert()


REFUSED = {
    "get_answer_order": lambda question: list(question.get_answer_order()),
    "validate_unique": lambda question: Careful.vinyl(name="Ann").validate_unique(),
    "validate_constraints": lambda question: Careful.vinyl(name="Ann").validate_constraints(),
    "full_clean": lambda question: Answer.vinyl(question=question, text="d").full_clean(),
}


@pytest.mark.asynchronous
@pytest.mark.usefixtures("question")
@pytest.mark.parametrize("method", REFUSED.values(), ids=REFUSED)
async def test_what_would_query_behind_a_call_is_refused_in_the_async_mode(method):
    question = await this()
    with pytest.raises(SynchronousOnlyOperation):
        method(question)
    await vinyl.run(method, question)


@pytest.mark.usefixtures("question")
def test_methods_that_query_are_called_plainly_in_the_sync_mode():
    with vinyl.sync_mode():
        b, question = Answer.vinyl.get(text="b", question__text="this"), Question.vinyl.get(text="this")
        assert b.get_next_in_order().text == "c"
        assert b.get_previous_by_given(question=question).text == "a"
        question.set_answer_order(list(question.get_answer_order())[::-1])
        assert list(question.answers.values_list("text", flat=True)) == ["c", "b", "a"]
        b.full_clean()


# Cached properties


async def test_a_cached_property_is_kept_by_update_and_refresh_as_by_django():
    careful = await Careful.vinyl.create(name="Ann")
    plain = await vinyl.run(lambda: Careful.objects.get())
    assert careful.loud_name == plain.loud_name == "ANN"
    await careful.update(name="Bo")
    await careful.refresh()
    await vinyl.run(plain.refresh_from_db)
    assert (careful.name, careful.loud_name) == (plain.name, plain.loud_name) == ("Bo", "ANN")
    assert (await Careful.vinyl.get()).loud_name == "BO"


async def test_a_write_that_fails_forgets_a_property_that_it_has_cached():
    await Careful.vinyl.create(name="Ann")
    bo = await Careful.vinyl.create(name="Bo", size="l")
    with pytest.raises(IntegrityError):
        await bo.update(name="Ann")
    assert (bo.name, bo.loud_name) == ("Bo", "BO")
