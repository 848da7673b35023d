"""A schema of strawberry-graphql-django's. Its fields ask instances that are loaded; what they show is to be loaded."""

import strawberry
import strawberry_django
from strawberry.django.views import AsyncGraphQLView

from tests.library import models


@strawberry_django.type(models.Author)
class Author:
    name: strawberry.auto


@strawberry_django.type(models.Book)
class Book:
    title: strawberry.auto
    author: Author


@strawberry.type
class Query:
    @strawberry.field
    async def books(self) -> list[Book]:
        return await models.Book.vinyl.select_related("author").order_by("title")


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add_author(self, name: str) -> Author:
        return await models.Author.vinyl(name=name).insert()


view = AsyncGraphQLView.as_view(schema=strawberry.Schema(Query, Mutation))
