"""Plans and querysets: one that is changed, by whomever, is not what was planned; one that is used again is."""

import copy
import pickle
import threading
from datetime import date

import pytest
from django.db import connections, models
from django.db.models import Count, F, Max, Q
from django.test import override_settings

import vinyl
from tests.library.models import Author, BigBranch, Book, Branch, Place, Tag
from tests.plans import ENOUGH, built, is_planned
from tests.test_querysets import comparable
from vinyl import VinylManager, VinylQuerySet, conf
from vinyl.errors import PlanMismatch
from vinyl.plans import shapes

pytestmark = pytest.mark.usefixtures("nothing_known", "db")


@pytest.fixture
def authors():
    # Before the test's loop runs, so that both modes find them.
    return [Author.objects.create(name=name) for name in "abc"]


def names(authors):
    return [author.name for author in authors]


async def recorded(build):
    """Return a queryset of which nothing is built, since its shape is known and planned."""
    for _ in range(ENOUGH):
        await build()
    with built() as calls:
        queryset = build()
    assert calls == []
    assert "_query" not in vars(queryset)
    return queryset


def without_c():
    return Author.vinyl.exclude(name="c").order_by("-name")


CHANGES = {
    "its query in place": lambda queryset: queryset.query.add_q(Q(name="a")),
    "limits of its query": lambda queryset: queryset.query.set_limits(1, 2),
    "its query as a whole": lambda queryset: setattr(queryset, "query", Author.vinyl.filter(name="a").query),
    "known related objects": lambda queryset: setattr(queryset, "_known_related_objects", {}),
    "hints": lambda queryset: queryset._add_hints(instance=None),
    "its database": lambda queryset: setattr(queryset, "_db", "default"),
    "its iterable": lambda queryset: setattr(queryset, "_iterable_class", queryset._iterable_class),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.usefixtures("authors")
async def test_a_queryset_that_was_changed_has_no_plan(change):
    queryset = await recorded(without_c)
    CHANGES[change](queryset)
    expected = ["a"] if "query" in change else ["b", "a"]
    assert "_shape" not in vars(queryset)
    with built() as calls:
        assert names(await queryset) == expected
    assert calls
    # What is made of it neither, and others of its shape are as they were.
    assert names(await queryset.all()) == expected
    assert names(await without_c()) == ["b", "a"]


@pytest.mark.usefixtures("authors")
async def test_a_query_that_was_read_before_the_plan_was_used_may_change_any_time():
    queryset = await recorded(without_c)
    query = queryset.query
    query.add_q(Q(name="a"))
    assert names(await queryset.filter(name__in=["a", "b"])) == ["a"]


COMBINATIONS = {
    "or": (lambda one, other: one | other, {"a", "b", "c"}),
    "and": (lambda one, other: one & other, {"b"}),
    "xor": (lambda one, other: one ^ other, {"a", "c"}),
    "union": (lambda one, other: one.order_by().union(other), {"a", "b", "c"}),
    "intersection": (lambda one, other: one.order_by().intersection(other), {"b"}),
    "subquery": (lambda one, other: one.filter(pk__in=other.values("pk")), {"b"}),
    "Q": (lambda one, other: one.filter(Q(name="a") | Q(name="z")), {"a"}),
    "expression": (lambda one, other: one.filter(name=F("name")), {"a", "b"}),
    "annotation": (lambda one, other: one.annotate(n=F("name")).filter(n="a"), {"a"}),
}


ANNOTATED = {
    "values": lambda m: m.values("name").annotate(count=Count("id"), last=Max("id")).order_by("-name")[:2],
    "instances": lambda m: m.annotate(count=Count("books")).filter(name__lt="c").order_by("-name"),
    "distinct": lambda m: m.annotate(count=Count("books", distinct=True)).order_by("-name")[1:],
    "a column": lambda m: m.annotate(again=F("name")).order_by("-again")[1:],
}


@pytest.mark.parametrize("name", ANNOTATED)
@pytest.mark.usefixtures("authors")
async def test_what_is_annotated_with_names_is_planned(name):
    expected = await vinyl.run(lambda: comparable(list(ANNOTATED[name](Author.objects))))
    for _ in range(ENOUGH):
        assert comparable(await ANNOTATED[name](Author.vinyl)) == expected
    with built() as calls:
        assert comparable(await ANNOTATED[name](Author.vinyl)) == expected
    assert not calls


@pytest.mark.usefixtures("authors")
async def test_annotations_that_differ_have_plans_of_their_own():
    for title in ("One", "Two"):
        await Book.vinyl.create(title=title, author=await Author.vinyl.get(name="a"), stock=3)
    titles = Author.vinyl.filter(name="a").values("name")
    for _ in range(ENOUGH):
        for expression, expected in [
            (Count("books__stock", distinct=True), 1),
            (Count("books__stock", distinct=False), 2),
            (Count("books__stock"), 2),
            (Max("books__stock"), 3),
        ]:
            assert await titles.annotate(found=expression) == [{"name": "a", "found": expected}]


@pytest.mark.usefixtures("authors")
async def test_expressions_of_more_than_names_are_left_to_django():
    for _ in range(ENOUGH):
        found = (
            await Author.vinyl.annotate(n=Count("id", filter=Q(name="a"))).order_by("name").values_list("n", flat=True)
        )
        assert found == [1, 0, 0]
    assert not await is_planned(lambda: Author.vinyl.annotate(n=Count("id", filter=Q(name="a"))))
    assert not await is_planned(lambda: Author.vinyl.annotate(Count("books")))


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.usefixtures("authors")
async def test_recorded_querysets_are_combined(name):
    combine, expected = COMBINATIONS[name]
    for _ in range(ENOUGH):
        one = await recorded(without_c)
        other = await recorded(lambda: Author.vinyl.filter(name__gte="b").order_by())
        assert set(names(await combine(one, other))) == expected
        assert names(await one) == ["b", "a"]
        assert names(await other) == ["b", "c"]


@pytest.mark.usefixtures("authors")
async def test_a_base_is_used_many_times():
    base = await recorded(without_c)
    for _ in range(ENOUGH):
        assert names(await base.filter(name="a")) == ["a"]
        assert names(await base.filter(name="b")) == ["b"]
        assert names(await base[:1]) == ["b"]
        assert names(await base[1:][:1]) == ["a"]
        assert names(await base[1:5][1:2]) == []
        assert await base.count() == 2
    assert names(await base) == ["b", "a"]


async def test_a_key_that_is_a_link_to_a_link_is_planned():
    branches = vinyl.manager(BigBranch)
    branch = await branches.create(name="b", seats=1)
    assert await is_planned(lambda: branches.filter(pk=branch.pk))
    assert await branches.filter(pk=branch.pk) == [branch]


@pytest.mark.usefixtures("authors")
async def test_what_cannot_be_added_to_a_slice_is_refused_as_by_django():
    for _ in range(ENOUGH):
        sliced = Author.vinyl.filter(name="a")[:2]
        for method, values in [("filter", {"name": "a"}), ("exclude", {"name": "a"}), ("reverse", {})]:
            with pytest.raises(TypeError, match="once a slice has been taken"):
                getattr(sliced, method)(**values)
        with pytest.raises(TypeError, match="Cannot update a query once a slice has been taken"):
            await sliced.update(name="b")
        assert names(await sliced) == ["a"]


@pytest.mark.usefixtures("authors")
async def test_results_are_cached():
    queryset = await recorded(without_c)
    first = await queryset
    with vinyl.connection.execute_wrapper(lambda *args: pytest.fail("a query was executed")):
        assert (await queryset)[0] is first[0]
        assert names(queryset) == ["b", "a"]
        assert len(queryset) == await queryset.count() == 2
        assert await queryset.exists()
        assert (await queryset.first()) is first[0]
    assert (await queryset.get(name="a")).name == "a"


@pytest.mark.usefixtures("authors")
async def test_an_update_forgets_the_results():
    for _ in range(ENOUGH):
        queryset = Author.vinyl.filter(name="a")
        await queryset
        assert await queryset.update(born=date(2000, 1, 1)) == 1
        assert [author.born for author in await queryset] == [date(2000, 1, 1)]
        assert await Author.vinyl.filter(name="a").update(born=None) == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda queryset: pickle.loads(pickle.dumps(queryset)), copy.copy])
@pytest.mark.usefixtures("authors")
async def test_copies_are_whole(duplicate):
    queryset = await recorded(without_c)
    await queryset
    copied = duplicate(queryset)
    assert names(await copied) == ["b", "a"]
    assert names(await copied.filter(name="a")) == ["a"]
    assert names(await queryset.filter(name="b")) == ["b"]


@pytest.mark.usefixtures("authors")
async def test_a_deep_copy_of_what_is_not_loaded_is_recorded_too():
    queryset = await recorded(without_c)
    copied = copy.deepcopy(queryset)
    copied.query.add_q(Q(name="a"))
    assert names(await copied) == ["a"]
    assert names(await queryset) == ["b", "a"]


ERRORS = {
    "field": lambda: Author.vinyl.filter(nmae="a"),
    "lookup": lambda: Author.vinyl.filter(name__nope="a"),
    "order": lambda: Author.vinyl.order_by("nope"),
    "value": lambda: Author.vinyl.filter(pk="a"),
    "of a join": lambda: Author.vinyl.filter(books__nope=1),
    "only": lambda: Author.vinyl.values("nope"),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_errors_are_raised_where_django_raises_them(name):
    def attempt():
        with pytest.raises(Exception) as caught:  # noqa: PT011
            ERRORS[name]()
        return caught.type, str(caught.value)

    with override_settings(VINYL={"PLANS": False}):
        expected = attempt()
    assert await Author.vinyl.filter(pk=1).count() == 0
    assert [attempt() for _ in range(ENOUGH)] == [expected] * ENOUGH


@pytest.mark.usefixtures("authors")
async def test_get_says_what_django_says():
    await vinyl.run(Author.objects.bulk_create, [Author(name="many") for _ in range(25)])

    async def said(name):
        try:
            return (await Author.vinyl.get(name__startswith=name)).name
        except (Author.DoesNotExist, Author.MultipleObjectsReturned) as error:
            return type(error), str(error)

    cases = ["a", "nobody", "many", ""]
    with override_settings(VINYL={"PLANS": False}):
        expected = [await said(name) for name in cases]
    assert "more than 20" in expected[2][1]
    for _ in range(ENOUGH):
        assert [await said(name) for name in cases] == expected
    assert await is_planned(lambda: Author.vinyl.get(name="a"))


@pytest.mark.usefixtures("authors")
async def test_an_update_of_several_tables_is_djangos():
    branch = await vinyl.run(Branch.objects.create, name="here", seats=1)
    for number in range(2, 2 + ENOUGH):
        name = f"there {number}"
        assert await Branch.vinyl.filter(pk=branch.pk).update(name=name, seats=number) == 1
        found = await Branch.vinyl.get(pk=branch.pk)
        assert (found.name, found.seats) == (name, number)
        assert await Branch.vinyl.update(name="all") == 1
        assert (await Place.vinyl.get(pk=branch.pk)).name == "all"


async def test_constants_that_are_written_are_written_each_time():
    author = await Author.vinyl.create(name="a")
    for number in range(ENOUGH + 2):
        book = await Book.vinyl.create(author=author, title=str(number), editor=author)
        assert await Book.vinyl.filter(title=str(number)).update(editor=None) == 1
        await book.refresh()
        assert book.editor_id is None


async def test_joins_and_relations():
    author, other = await Author.vinyl.create(name="a"), await Author.vinyl.create(name="b")
    book = await Book.vinyl.create(author=author, title="t", stock=1)
    await book.tags.add(await vinyl.run(Tag.objects.create, label="x"))
    for _ in range(ENOUGH):
        assert [each.pk for each in await Book.vinyl.filter(author__name="a", tags__label="x")] == [book.pk]
        assert await Book.vinyl.filter(author__name="b").count() == 0
        assert [each.pk for each in await Author.vinyl.exclude(books__title="t")] == [other.pk]
        assert [each.pk for each in await Author.vinyl.exclude(books__title="u")] == [author.pk, other.pk]
        assert [each.pk for each in await Author.vinyl.filter(books__stock=1).filter(books__title="t")] == [author.pk]
        assert [each.pk for each in await Book.vinyl.filter(author=author)] == [book.pk]
        assert [each.pk for each in await Book.vinyl.in_print().filter(author=author.pk)] == [book.pk]
        loaded = await Author.vinyl.prefetch_related("books__tags").get(pk=author.pk)
        assert [[each.label for each in title.tags.all()] for title in loaded.books.all()] == [["x"]]
        assert (await Book.vinyl.select_related("author").get(pk=book.pk)).author.name == "a"
        assert [each.pk for each in await loaded.books.filter(title="t")] == [book.pk]
        assert await loaded.books.filter(title="u").count() == 0


class WithoutDeleted(VinylQuerySet):
    """A class whose filter() adds something of its own, which must not be added twice."""

    def filter(self, *args, **kwargs):
        return super().filter(*args, **kwargs).exclude(name="c")


class Visible(VinylManager):
    def get_queryset(self):
        return super().get_queryset().exclude(name="c")


@pytest.fixture
def managers():
    """Give managers of a project, on the model of authors."""
    found = WithoutDeleted.as_manager(), Visible(), VinylManager.from_queryset(type("Q", (models.QuerySet,), {}))()
    for manager in found:
        manager.name, manager.model = "own", Author
    return found


@pytest.mark.usefixtures("authors")
async def test_querysets_and_managers_of_a_project_keep_their_ways(managers):
    overriding, visible, plain = managers
    for _ in range(ENOUGH):
        assert names(await overriding.filter(name__gte="b")) == ["b"]
        assert await overriding.filter(name__gte="b").filter(name="c").count() == 0
        assert names(await visible.filter(name__gte="b")) == ["b"]
        assert await visible.count() == 2
        assert names(await plain.filter(name__gte="b")) == ["b", "c"]
    assert not await is_planned(lambda: overriding.filter(name="b").count())
    assert await is_planned(lambda: visible.filter(name="b").count())
    assert await is_planned(lambda: plain.filter(name="b").count())


class Replicas:
    """A router that reads from each database in turn, and tells how often it was asked."""

    asked = 0

    def db_for_read(self, model, **hints):
        Replicas.asked += 1
        return ["default", "other"][Replicas.asked % 2]

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, *args, **hints):
        return True


@override_settings(DATABASE_ROUTERS=["tests.test_plans_of_querysets.Replicas"])
async def test_routers_are_asked_once_for_each_query():
    for alias in ["default", "other", "other"]:
        await Author.vinyl.using(alias).create(name="x")
    for _ in range(3 * ENOUGH):
        before = Replicas.asked
        expected = [1, 2][(before + 1) % 2]
        assert await Author.vinyl.filter(name="x").count() == expected
        assert Replicas.asked == before + 1
    assert await Author.vinyl.using("other").filter(name="x").count() == 2
    assert await Author.vinyl.db_manager("other").filter(name="x").count() == 2


@override_settings(DATABASE_ROUTERS=["tests.test_plans_of_querysets.Replicas"])
async def test_a_queryset_that_has_written_reads_what_it_wrote():
    await Author.vinyl.using("default").create(name="w")
    for _ in range(2 * ENOUGH):
        queryset = Author.vinyl.filter(name="w")
        assert await queryset.update(born=None) == 1
        assert await queryset.count() == 1
        assert names(await queryset.all()) == ["w"]


@pytest.mark.usefixtures("authors")
async def test_switched_off_nothing_is_planned():
    with override_settings(VINYL={"PLANS": False}):
        assert not await is_planned(lambda: Author.vinyl.filter(name="a").count())
    assert await is_planned(lambda: Author.vinyl.filter(name="a").count())


@pytest.mark.usefixtures("authors")
async def test_other_settings_are_other_plans():
    root = Author.vinyl.all()
    assert await is_planned(lambda: root.count())
    with override_settings(TIME_ZONE="Europe/Vienna"), built() as calls:
        assert await Author.vinyl.count() == await root.count() == 3
    assert calls


@pytest.mark.usefixtures("authors")
async def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr(shapes, "MOST_SHAPES", 50)
    base = Author.vinyl.filter(name__gte="a")
    for number in range(200):
        assert len(await base.order_by("name")[number:]) == max(0, 3 - number)
        assert await base.filter(name="a").count() == 1
        assert shapes._forest.count <= 50
        assert await base.filter(name="b").count() == 1
    assert await is_planned(lambda: base.filter(name="b").count())


@pytest.mark.usefixtures("authors")
async def test_verifying_tells_of_a_plan_that_is_wrong(monkeypatch):
    def query():
        return Author.vinyl.filter(name="a").count()

    assert await is_planned(query)
    shape = vars(Author.vinyl.filter(name="a"))["_shape"]
    plan = shape.plans["count"].plans["default"]
    object.__setattr__(plan, "sql", plan.sql + " ")
    # As override_settings() would, but for forgetting all plans.
    monkeypatch.setitem(conf._switches, "VERIFY_PLANS", True)
    with pytest.raises(PlanMismatch, match=r"The plan for count of library\.Author"):
        await query()


@pytest.mark.usefixtures("authors")
async def test_wrappers_of_executions_see_each_statement_once():
    seen = []

    def comment(execute, statement, params, many, context):
        seen.append(statement)
        return execute(f"{statement} /* {len(seen)} */", params, many, context)

    for _ in range(ENOUGH):
        with vinyl.connection.execute_wrapper(comment):
            assert await Author.vinyl.filter(name="a").count() == 1
    assert len(seen) == ENOUGH
    assert len(set(seen)) == 1
    assert "/*" not in seen[0]


def test_threads_of_the_sync_mode_share_plans(authors):
    failures = []

    def work(name):
        try:
            with vinyl.sync_mode():
                for _ in range(50):
                    assert names(Author.vinyl.filter(name=name)) == [name]
                    assert Author.vinyl.get(name=name).name == name
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcabc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


async def test_copies_of_a_manager_that_was_not_used_yet_share_its_shapes():
    class Manager(VinylManager):
        pass

    untouched = Author.vinyl.bound_to(Author)
    assert await is_planned(lambda: untouched.db_manager("other").filter(name="x").count())
