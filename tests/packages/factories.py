"""Factories of factory_boy's whose instances are vinyl's."""

import factory
from factory.django import DjangoModelFactory

import vinyl
from tests.library.models import Author, Book


class VinylFactory(DjangoModelFactory):
    class Meta:
        abstract = True
        # It would call save() after hooks, which instances of vinyl do not have.
        skip_postgeneration_save = True

    @classmethod
    def _get_manager(cls, model_class):
        return vinyl.manager(model_class)

    @classmethod
    def _build(cls, model_class, *args, **values):
        return vinyl.manager(model_class)(*args, **values)

    @classmethod
    async def acreate(cls, **values):
        return await vinyl.run(cls.create, **values)

    @classmethod
    async def acreate_batch(cls, size, **values):
        return await vinyl.run(cls.create_batch, size, **values)


class AuthorFactory(VinylFactory):
    class Meta:
        model = Author

    name = factory.Sequence("author {}".format)


class BookFactory(VinylFactory):
    class Meta:
        model = Book

    title = factory.Sequence("book {}".format)
    author = factory.SubFactory(AuthorFactory)

    @factory.post_generation
    def tagged(self, create, label, **kwargs):
        if label:
            self.tags.create(label=label)
