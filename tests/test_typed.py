"""What is there for type checkers only, and does nothing at run time: VinylTyped, now(), vinyl.sync."""

import pytest
from django.db import models
from django.db.migrations.state import ModelState
from django.test.utils import isolate_apps

import vinyl
from tests.library.models import Author
from vinyl import ModeError, Operation, VinylManager, VinylModel, VinylRelatedManager, VinylTyped, now

with isolate_apps("tests.library"):

    class Base(VinylTyped, models.Model):
        vinyl = VinylManager()

        class Meta:
            abstract = True
            app_label = "library"

    class Typed(VinylTyped, Base):
        class Meta:
            app_label = "library"

    class Both(Typed, VinylTyped):
        class Meta:
            app_label = "library"


def test_vinyl_typed_is_no_base_of_the_model():
    assert (Base.__bases__, Typed.__bases__, Both.__bases__) == ((models.Model,), (Base,), (Typed,))
    assert not hasattr(Typed, "insert")
    assert Typed.vinyl.vinyl_class.__bases__ == (VinylModel, Typed)


def test_migrations_do_not_know_of_vinyl_typed():
    assert ModelState.from_model(Typed).bases == (models.Model,)
    assert ModelState.from_model(Both).bases == ("library.typed",)


@pytest.mark.usefixtures("db")
def test_now_returns_what_it_is_given_in_the_sync_mode():
    with vinyl.sync_mode():
        author = now(Author.vinyl.create(name="Ann"))
        assert now(Author.vinyl.get(name="Ann")) == author
        assert now(Author.vinyl.filter(name="Bob").first()) is None


@pytest.mark.usefixtures("db")
async def test_now_refuses_what_is_to_be_awaited(no_queries):
    with no_queries(), pytest.raises(ModeError, match=r"vinyl\.now\(\) was given a call that is to be awaited"):
        now(Author.vinyl.count())


async def test_related_managers_and_awaitables_are_of_the_classes_that_they_are_declared_as():
    assert isinstance(Author.vinyl(pk=1).books, VinylRelatedManager)
    operation = vinyl.run(str)
    assert isinstance(operation, Operation)
    assert await operation == ""


def test_names_of_types_can_have_parameters_at_run_time():
    assert VinylManager["Author"] is VinylManager
    assert vinyl.VinylQuerySet["Author"]
    assert VinylRelatedManager["Author"]
    assert vinyl.FrozenQuery["Author"]
    assert Operation["Author"]
