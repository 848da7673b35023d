"""Models with fields and methods of their own that are named like those of vinyl's instances; the function forms."""

import pytest
from django.core import checks
from django.db import connection, models
from django.test.utils import isolate_apps

import vinyl
from tests.library.models import Author, Book
from vinyl import UnloadedAttribute, VinylManager, VinylModel
from vinyl.checks import messages_about

pytestmark = pytest.mark.usefixtures("db")


class Renewing(VinylModel):
    """Has an update() of vinyl's on purpose."""

    async def update(self, **values):
        self.renewed = True
        return await super().update(**values)


with isolate_apps("tests.library"):

    class Job(models.Model):
        update = models.CharField(max_length=20, default="daily")
        load = models.ForeignKey("self", models.SET_NULL, null=True, related_name="refresh")
        delete = models.BooleanField(default=False)

        vinyl = VinylManager()

        class Meta:
            app_label = "library"

        def insert(self):
            return f"{self.update} is inserted into the machine"

    class RenewedJob(models.Model):
        def update(self):
            return "the model's"

        label = models.CharField(max_length=20)

        vinyl = VinylManager(model=Renewing)

        class Meta:
            app_label = "library"


@pytest.fixture(autouse=True)
def tables(db):
    with connection.schema_editor() as editor:
        editor.create_model(Job)
        editor.create_model(RenewedJob)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Job)
        editor.delete_model(RenewedJob)


async def test_the_model_keeps_its_own():
    job = Job.vinyl(update="weekly")
    assert job.update == "weekly"
    assert job.insert() == "weekly is inserted into the machine"
    assert job.delete is False
    assert job.load is None
    await vinyl.insert(job)
    assert await job.refresh.all() == []


async def test_the_functions_serve_it():
    first = await vinyl.insert(Job.vinyl(update="weekly"))
    second = await vinyl.insert(Job.vinyl(load=first))
    assert (first.pk, second.update, second.load) == (second.pk - 1, "daily", first)
    await vinyl.update(second, update="never", delete=True)
    second.update = "often"
    await vinyl.refresh(second, "update")
    assert (second.update, second.delete) == ("never", True)
    again = await Job.vinyl.get(pk=second.pk)
    with pytest.raises(UnloadedAttribute):
        _ = again.load
    assert (await vinyl.load(again, "load")).load == first
    assert [job.pk for job in await first.refresh.all()] == [second.pk]
    assert (await vinyl.delete(second))[0] == 1
    assert await Job.vinyl.count() == 1


async def test_what_creates_and_updates_rows_serves_it_too():
    job = await Job.vinyl.create(update="weekly")
    await Job.vinyl.update_or_create(pk=job.pk, defaults={"update": "never"})
    assert (await Job.vinyl.get()).update == "never"
    assert await Job.vinyl.all().delete() == (1, {"library.Job": 1})


async def test_the_projects_vinyl_model_goes_before_the_models_own():
    job = await RenewedJob.vinyl(label="a").insert()
    await job.update(label="b")
    assert job.renewed
    other = await RenewedJob.vinyl.get()
    await vinyl.update(other, label="c")
    assert other.renewed
    assert (await RenewedJob.vinyl.get()).label == "c"


async def test_the_functions_serve_every_instance():
    author = await vinyl.insert(Author.vinyl(name="Ann"))
    assert await vinyl.update(author, name="Bo") is author
    book = await author.books.create(title="One")
    deferred = await Book.vinyl.defer("title").get(pk=book.pk)
    assert (await vinyl.load(deferred, "author", "title")).title == "One"
    assert (await vinyl.refresh(author)).name == "Bo"
    assert await vinyl.delete(author) == (2, {"library.Book": 1, "library.Author": 1})


@pytest.mark.parametrize("name", ["insert", "update", "delete", "refresh", "load"])
def test_the_functions_take_instances_of_vinyl_only(name):
    for wrong in (Author(name="Ann"), Author.vinyl.vinyl_class, None):
        with pytest.raises(TypeError, match=rf"vinyl\.{name}\(\) takes an instance that vinyl has made"):
            getattr(vinyl, name)(wrong)


def test_a_check_warns_about_each_name_and_tells_the_function():
    messages = {message.msg: message.hint for message in messages_about(Job)}
    assert messages == {
        f"Job.{name} has the name of a method of vinyl's instances, and keeps it.": f"Call vinyl.{name}(instance)."
        for name in ("insert", "update", "delete", "refresh", "load")
    }
    assert {message.id for message in messages_about(Job)} == {"vinyl.W004"}
    assert all(isinstance(message, checks.Warning) for message in messages_about(Job))
    assert messages_about(RenewedJob) == []
