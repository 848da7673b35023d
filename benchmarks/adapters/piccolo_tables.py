"""The models in Piccolo's words."""

from piccolo.columns import (
    BigSerial,
    Boolean,
    Date,
    DoublePrecision,
    ForeignKey,
    Integer,
    Numeric,
    Timestamptz,
    Varchar,
)
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table

from benchmarks.target import Target

# It belongs to the tables, which exist once in a process.
ENGINE = PostgresEngine(config=Target.of_environment().arguments)


class Author(Table, tablename="benchmarks_author", db=ENGINE):  # type: ignore[call-arg]
    id = BigSerial(primary_key=True)
    name = Varchar(100)
    email = Varchar(200)
    age = Integer()
    created = Timestamptz()


class Publisher(Table, tablename="benchmarks_publisher", db=ENGINE):  # type: ignore[call-arg]
    id = BigSerial(primary_key=True)
    name = Varchar(100)
    city = Varchar(100)


class Book(Table, tablename="benchmarks_book", db=ENGINE):  # type: ignore[call-arg]
    id = BigSerial(primary_key=True)
    title = Varchar(200)
    isbn = Varchar(20)
    price = Numeric((8, 2))
    pages = Integer()
    published = Date(index=True)
    rating = DoublePrecision()
    in_print = Boolean()
    author = ForeignKey(Author, db_column_name="author_id")
    publisher = ForeignKey(Publisher, db_column_name="publisher_id")
