"""Models of a project that uses vinyl in the async mode, and what type checkers know of them without more."""

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models

from vinyl import VinylManager, VinylModel, VinylQuerySet, VinylRelatedManager, VinylTyped


class Base(VinylTyped, models.Model):
    """One line for all models of a project."""

    vinyl = VinylManager()

    class Meta:
        abstract = True


class Author(Base):
    name: "models.CharField[str, str]" = models.CharField(max_length=100)
    books: "VinylRelatedManager[Book]"


class CheapBooks(VinylManager["Book"]):
    def get_queryset(self) -> "VinylQuerySet[Book]":
        return super().get_queryset().filter(price__lt=10)

    def by(self, author: Author) -> "VinylQuerySet[Book]":
        return self.filter(author=author)


class BookQuerySet(VinylQuerySet["Book"]):
    def in_print(self) -> "BookQuerySet":
        return self.filter(stock__gt=0)

    async def total(self) -> int:
        return len(await self)


class DjangosBookQuerySet(models.QuerySet["Book"]):
    def in_print(self) -> "models.QuerySet[Book]":
        return self.filter(stock__gt=0)


class Book(VinylTyped, models.Model):
    title: "models.CharField[str, str]" = models.CharField(max_length=200)
    author: "models.ForeignKey[Author, Author]" = models.ForeignKey(Author, models.CASCADE, related_name="books")
    price: "models.IntegerField[int, int]" = models.IntegerField()
    stock: "models.IntegerField[int, int]" = models.IntegerField()

    vinyl = VinylManager()
    annotated: ClassVar[VinylManager["Book"]] = VinylManager()
    cheap = CheapBooks()
    own = VinylManager.from_queryset(BookQuerySet)()
    own_too = BookQuerySet.as_manager()
    djangos = VinylManager.from_queryset(DjangosBookQuerySet)()


class Novel(Book):
    pages: "models.IntegerField[int, int]" = models.IntegerField()


class Plain(models.Model):
    """Without VinylTyped: its instances are served by the functions."""

    vinyl = VinylManager()


class OwnLetter(VinylModel):
    """Methods of the project's own for instances of Letter."""

    async def insert_or_wait(self) -> Self:
        return await self.insert()


if TYPE_CHECKING:
    LetterMethods = OwnLetter
else:
    LetterMethods = VinylTyped


class Letter(LetterMethods, models.Model):
    text: "models.CharField[str, str]" = models.CharField(max_length=200)

    vinyl = VinylManager(model=OwnLetter)
