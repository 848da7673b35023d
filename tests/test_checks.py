"""System checks: warnings about what vinyl will not do for a model."""

import pytest
from django.apps import apps
from django.core import checks, management
from django.db import models
from django.db.models import signals
from django.dispatch import receiver
from django.test.utils import isolate_apps

from tests.library.models import Author
from vinyl import VinylManager, VinylModel
from vinyl.checks import check_models, messages_about


class Careful(VinylModel):
    async def insert(self, **options):
        return await super().insert(**options)

    async def delete(self, **options):
        return await super().delete(**options)


@pytest.fixture
def project():
    """An application of its own for models made in a test."""
    with isolate_apps("tests.library"):
        yield


def ids(model):
    return [message.id for message in messages_about(model)]


@pytest.mark.usefixtures("project")
def test_a_plain_model_is_not_warned_about():
    class Plain(models.Model):
        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    assert messages_about(Plain) == []


@pytest.mark.usefixtures("project")
def test_a_model_without_the_manager_is_not_warned_about():
    class Untouched(models.Model):
        class Meta:
            app_label = "library"

        def save(self, *args, **kwargs):
            super().save(*args, **kwargs)

    assert messages_about(Untouched) == []


@pytest.mark.usefixtures("project")
def test_overriding_save_and_delete_is_warned_about():
    class Saved(models.Model):
        vinyl = VinylManager()

        class Meta:
            app_label = "library"

        def save(self, *args, **kwargs):
            super().save(*args, **kwargs)

        def delete(self, *args, **kwargs):
            return super().delete(*args, **kwargs)

    class Child(Saved):
        class Meta:
            app_label = "library"

    for model in (Saved, Child):
        save, delete = messages_about(model)
        assert (save.id, save.msg) == ("vinyl.W001", "Saved.save() is not called by vinyl.")
        assert "insert() and update() of a VinylModel" in save.hint
        assert (delete.id, delete.msg) == ("vinyl.W002", "Saved.delete() is not called by vinyl.")
        assert save.obj is model


@pytest.mark.usefixtures("project")
def test_a_vinyl_model_that_cares_for_it_ends_the_warning():
    class Saved(models.Model):
        vinyl = VinylManager(model=Careful)

        class Meta:
            app_label = "library"

        def save(self, *args, **kwargs):
            super().save(*args, **kwargs)

        def delete(self, *args, **kwargs):
            return super().delete(*args, **kwargs)

    assert messages_about(Saved) == []


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["pre_init", "post_init", "pre_save", "post_save", "pre_delete", "post_delete"])
def test_receivers_of_a_model_are_warned_about(name):
    class Heard(models.Model):
        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    class Silent(models.Model):
        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    @receiver(getattr(signals, name), sender=Heard)
    def hear(**kwargs): ...

    (message,) = messages_about(Heard)
    assert (message.id, message.msg) == ("vinyl.W003", f"Receivers of {name} are connected, which vinyl does not send.")
    assert messages_about(Silent) == []


@pytest.mark.usefixtures("project")
def test_receivers_of_a_many_to_many_relation_are_warned_about():
    class Label(models.Model):
        class Meta:
            app_label = "library"

    class Labelled(models.Model):
        labels = models.ManyToManyField(Label)

        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    @receiver(signals.m2m_changed, sender=Labelled.labels.through)
    async def hear(**kwargs): ...

    assert ids(Labelled) == ["vinyl.W003"]


@pytest.mark.usefixtures("project")
def test_receivers_of_all_models_are_warned_about():
    class Heard(models.Model):
        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    def hear(**kwargs): ...

    signals.post_save.connect(hear)
    try:
        assert ids(Heard) == ["vinyl.W003"]
    finally:
        signals.post_save.disconnect(hear)
    assert ids(Heard) == []


@pytest.mark.usefixtures("project")
def test_what_a_field_connects_for_itself_is_not_warned_about():
    class Photo(models.Model):
        image = models.ImageField(width_field="width")
        width = models.IntegerField(null=True)

        vinyl = VinylManager()

        class Meta:
            app_label = "library"

    assert messages_about(Photo) == []


@pytest.mark.usefixtures("project")
def test_a_model_with_two_managers_is_warned_about_once():
    class Twice(models.Model):
        vinyl = VinylManager()
        other = VinylManager()

        class Meta:
            app_label = "library"

        def load(self): ...

    assert ids(Twice) == ["vinyl.W004"]


def test_the_checks_are_made_for_the_applications_asked_for():
    signals.post_save.connect(print, sender=Author)
    try:
        assert [message.obj for message in check_models(None) if message.id == "vinyl.W003"] == [Author]
        assert [message.obj for message in check_models([apps.get_app_config("library")])] == [Author]
        assert check_models([apps.get_app_config("auth")]) == []
    finally:
        signals.post_save.disconnect(print, sender=Author)


def test_django_makes_the_checks_by_itself(capsys):
    assert check_models in checks.registry.registry.get_checks()
    signals.post_save.connect(print, sender=Author)
    try:
        management.call_command("check")
    finally:
        signals.post_save.disconnect(print, sender=Author)
    assert "library.Author: (vinyl.W003)" in capsys.readouterr().err
