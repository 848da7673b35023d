"""An API of django-ninja's."""

from ninja import ModelSchema, NinjaAPI

from tests.library.models import Author, Book
from vinyl import transaction

api = NinjaAPI()


class AuthorOut(ModelSchema):
    class Meta:
        model = Author
        fields = ("id", "name")


class BookOut(ModelSchema):
    author: AuthorOut

    class Meta:
        model = Book
        fields = ("title",)


class AuthorIn(ModelSchema):
    class Meta:
        model = Author
        fields = ("name",)


@api.get("/books", response=list[BookOut])
async def books(request):
    return await Book.vinyl.select_related("author").order_by("title")


@api.post("/authors", response=AuthorOut)
async def add_author(request, data: AuthorIn):
    async with transaction.atomic():
        return await Author.vinyl(**data.dict()).insert()
