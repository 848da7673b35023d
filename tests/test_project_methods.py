"""Methods that a project adds to its querysets and managers: those that give a query chain, the others are awaited."""

import asyncio

import pytest
from django.db import models
from django.db.models import Count, F, Prefetch
from django.test.utils import isolate_apps

import vinyl
from tests.library.models import Author
from vinyl import ImplicitQuery, ModeError, VinylManager, VinylQuerySet, transaction

pytestmark = pytest.mark.usefixtures("db")


class WordQuerySet(models.QuerySet):
    """As a project has it for `objects`, without a thought of vinyl."""

    def short(self):
        return self.filter(label__length__lt=4)

    def not_empty(self):
        return self.exclude(label="")

    def labels(self):
        return [word.label for word in self.order_by("label")]

    def has_many(self):
        return self.count() > 1

    def longest_first(self, limit=None):
        words = self.order_by(models.functions.Length("label").desc(), "label")
        return words if limit is None else words[:limit]

    def like_the_first(self):
        return self.filter(label__startswith=self.earliest("label").label[0])

    def add(self, label):
        return self.create(label=label)

    def describe(self):
        return f"words, {self.short().has_many()}"

    def constant(self):
        return 7

    def first_letter(self):
        return models.functions.Substr("label", 1, 1)

    def prefetch(self):
        return Prefetch("tags", self)

    def in_raw(self):
        return self.raw("SELECT * FROM library_tag ORDER BY label")

    def each_label(self):
        for word in self.order_by("label").iterator():
            yield word.label

    def refuse(self):
        raise ValueError("refused")

    def refuse_late(self):
        raise ValueError(f"refused {self.count()}")

    async def in_a_coroutine(self):
        return [word.label async for word in self.order_by("label")]

    @property
    def how(self):
        return "plain"

    def _private(self):
        return self.count()

    def alters(self):
        return self.update(label="x")

    alters.alters_data = True


class OwnQuerySet(VinylQuerySet):
    """As a project has it for vinyl only."""

    def how_many(self):
        return self.count() + 0

    async def create(self, **values):
        word = await super().create(**values)
        word.created_here = True
        return word


class OwnManager(VinylManager):
    def how_many(self):
        return self.filter(label__length__gt=1).count() + 0

    def long(self):
        return self.filter(label__length__gt=3)


class DjangosManager(models.Manager.from_queryset(WordQuerySet)):
    def titles(self):
        return [book.title for book in self.order_by("title")]

    def cheap(self):
        return self.filter(price__lt=5)


models.CharField.register_lookup(models.functions.Length)

with isolate_apps("tests.library"):

    class Word(models.Model):
        label = models.CharField(max_length=50, unique=True)

        objects = WordQuerySet.as_manager()
        vinyl = VinylManager.from_queryset(WordQuerySet)()
        own = OwnQuerySet.as_manager()
        managed = OwnManager()

        class Meta:
            app_label = "library"
            db_table = "library_tag"

    class Writer(models.Model):
        name = models.CharField(max_length=100)

        vinyl = VinylManager()

        class Meta:
            app_label = "library"
            db_table = "library_author"

    class Text(models.Model):
        author = models.ForeignKey(Writer, models.CASCADE, related_name="texts")
        title = models.CharField(max_length=200)
        price = models.DecimalField(max_digits=8, decimal_places=2, default=10)
        stock = models.IntegerField(default=0)
        changed = models.DateTimeField(auto_now=True)

        objects = DjangosManager()

        class Meta:
            app_label = "library"
            db_table = "library_book"


@pytest.fixture(autouse=True)
def words(db):
    for label in ("a", "long", "an", "longer"):
        Word.objects.create(label=label)


async def test_methods_that_give_a_queryset_are_chained_without_await():
    found = Word.vinyl.short().not_empty().order_by("-label").short()
    assert [word.label for word in await found] == ["an", "a"]
    assert isinstance(found, WordQuerySet)
    assert isinstance(found, VinylQuerySet)
    assert await Word.vinyl.longest_first().count() == 4
    assert [word.label for word in await Word.vinyl.longest_first(limit=1)] == ["longer"]


async def test_methods_that_query_are_awaited_and_written_as_ever():
    assert await Word.vinyl.labels() == ["a", "an", "long", "longer"]
    assert await Word.vinyl.short().labels() == ["a", "an"]
    assert await Word.vinyl.has_many() is True
    assert await Word.vinyl.describe() == "words, True"
    assert (await Word.vinyl.add("new")).label == "new"
    assert await Word.vinyl.filter(label="new").exists()


async def test_methods_that_give_a_value_are_awaited_though_they_do_not_query():
    assert await Word.vinyl.constant() == 7
    assert await Word.vinyl.none().labels() == []


async def test_a_method_that_queries_for_the_queryset_it_gives_is_awaited_and_gives_that():
    found = await Word.vinyl.like_the_first()
    assert isinstance(found, VinylQuerySet)
    assert not found._is_loaded
    assert [word.label for word in await found.order_by("label")] == ["a", "an"]


async def test_parts_of_queries_are_given_without_await():
    letters = Word.vinyl.annotate(letter=Word.vinyl.all().first_letter()).order_by("letter", "label")
    assert [word.letter for word in await letters] == ["a", "a", "l", "l"]
    assert isinstance(Word.vinyl.prefetch(), Prefetch)
    assert [word.label for word in await Word.vinyl.in_raw()] == ["a", "an", "long", "longer"]


async def test_a_generator_is_iterated_by_async_for():
    assert [label async for label in Word.vinyl.short().each_label()] == ["a", "an"]


async def test_a_coroutine_function_runs_in_both_modes():
    assert await Word.vinyl.short().in_a_coroutine() == ["a", "an"]


@pytest.mark.parametrize("name", ["refuse", "refuse_late"])
async def test_errors_are_raised_as_they_are(name):
    with pytest.raises(ValueError, match="refused"):
        await getattr(Word.vinyl, name)()


async def test_attributes_and_marks_of_methods_are_what_they_were():
    assert Word.vinyl.all().how == "plain"
    assert Word.vinyl.all().alters.alters_data
    assert Word.vinyl.labels.__name__ == "labels"
    assert not hasattr(Word.vinyl, "_private")


async def test_querysets_of_vinyl_alone_have_such_methods_too():
    assert await Word.own.how_many() == 4
    assert await Word.own.filter(label="a").how_many() == 1
    assert (await Word.own.create(label="made")).created_here
    assert isinstance(Word.own, VinylManager)
    assert "own" not in [manager.name for manager in Word._meta.managers]


async def test_managers_of_vinyl_have_such_methods_too():
    assert await Word.managed.how_many() == 3
    assert await Word.managed.long().count() == 2
    assert await Word.managed.count() == 4


async def test_related_managers_have_the_methods_of_the_projects_managers():
    ann = await Writer.vinyl.create(name="Ann")
    await ann.texts.create(title="Two", price=3)
    await ann.texts.create(title="One")
    assert await ann.texts.titles() == ["One", "Two"]
    assert [text.title for text in await ann.texts.cheap()] == ["Two"]
    assert await ann.texts.has_many() is True


def test_in_the_sync_mode_they_are_called_plainly():
    with vinyl.sync_mode():
        assert Word.vinyl.labels() == ["a", "an", "long", "longer"]
        assert Word.vinyl.short().has_many() is True
        assert Word.vinyl.constant() == 7
        assert list(Word.vinyl.each_label()) == ["a", "an", "long", "longer"]
        assert Word.vinyl.in_a_coroutine() == ["a", "an", "long", "longer"]
        assert [word.label for word in Word.vinyl.like_the_first().order_by("label")] == ["a", "an"]
        assert Word.own.create(label="made").created_here
        assert Word.managed.how_many() == 4


def test_chains_are_built_without_an_event_loop_and_awaited_in_one():
    found = Word.vinyl.short().filter(label__gt="").not_empty()
    number = Word.vinyl.has_many()

    async def main():
        assert await found.count() == 2
        assert await number

    asyncio.run(main())


@pytest.mark.asynchronous
async def test_nothing_is_sent_to_the_database_before_it_is_awaited():
    await vinyl.close()
    pending = Word.vinyl.add("late")
    assert vinyl.connection.statistics()["requests_num"] == 0
    assert not await Word.vinyl.filter(label="late").exists()
    await pending
    assert await Word.vinyl.filter(label="late").exists()


@pytest.mark.asynchronous
async def test_what_is_never_awaited_is_never_done():
    pending = Word.vinyl.add("never")
    with pytest.warns(RuntimeWarning, match="never awaited"):
        del pending
    assert not await Word.vinyl.filter(label="never").exists()
    assert vinyl.connection.statistics()["pool_in_use"] == 0


@pytest.mark.asynchronous
async def test_it_may_be_awaited_by_another_task():
    assert await asyncio.gather(*(Word.vinyl.has_many() for _ in range(3))) == [True] * 3
    assert await asyncio.create_task(Word.vinyl.labels()) == ["a", "an", "long", "longer"]


@pytest.mark.asynchronous
async def test_it_takes_part_in_the_transaction_it_is_called_in():
    async with transaction.atomic():
        await Word.vinyl.add("gone")
        assert "gone" in await Word.vinyl.labels()
        transaction.set_rollback(True)
    assert "gone" not in await Word.vinyl.labels()


@pytest.mark.asynchronous
async def test_a_call_that_is_awaited_in_another_transaction_is_refused():
    before = Word.vinyl.has_many()
    async with transaction.atomic():
        with pytest.raises(ModeError, match="in one place"):
            await before
        within = Word.vinyl.has_many()
    with pytest.raises(ModeError, match="in one place"):
        await within
    across = Word.vinyl.has_many()
    async with transaction.atomic():
        pass
    assert await across


@pytest.mark.asynchronous
async def test_what_it_sets_while_it_waits_does_not_reach_the_caller():
    pending = Word.vinyl.add("one")
    with pytest.raises(vinyl.UnsupportedOperation):
        (await Word.vinyl.get(label="a")).save()
    await pending


@pytest.mark.asynchronous
async def test_implicit_queries_are_refused_outside_of_such_methods_as_ever():
    with pytest.raises(ImplicitQuery):
        list(Word.vinyl.short())


async def test_methods_of_django_are_untouched():
    found = Author.vinyl.annotate(number=Count("books")).filter(number=F("id") - F("id"))
    assert await found.count() == 0
