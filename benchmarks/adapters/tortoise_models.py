"""The models in Tortoise's words."""

from tortoise import fields
from tortoise.models import Model


class Author(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(100)
    email = fields.CharField(200)
    age = fields.IntField()
    created = fields.DatetimeField()

    class Meta:
        table = "benchmarks_author"


class Publisher(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(100)
    city = fields.CharField(100)

    class Meta:
        table = "benchmarks_publisher"


class Tag(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(50)

    class Meta:
        table = "benchmarks_tag"


class Book(Model):
    id = fields.BigIntField(primary_key=True)
    title = fields.CharField(200)
    isbn = fields.CharField(20)
    price = fields.DecimalField(8, 2)
    pages = fields.IntField()
    published = fields.DateField(db_index=True)
    rating = fields.FloatField()
    in_print = fields.BooleanField()
    author = fields.ForeignKeyField("models.Author", related_name="books")
    publisher = fields.ForeignKeyField("models.Publisher", related_name="books")
    tags = fields.ManyToManyField(
        "models.Tag",
        related_name="books",
        through="benchmarks_book_tags",
        forward_key="tag_id",
        backward_key="book_id",
    )

    class Meta:
        table = "benchmarks_book"
