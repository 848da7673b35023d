"""The models in SQLAlchemy's words."""

import datetime
import decimal

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Numeric, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


book_tags = Table(
    "benchmarks_book_tags",
    Base.metadata,
    Column("id", BigInteger, primary_key=True),
    Column("book_id", ForeignKey("benchmarks_book.id")),
    Column("tag_id", ForeignKey("benchmarks_tag.id")),
)


class Author(Base):
    __tablename__ = "benchmarks_author"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(200))
    age: Mapped[int]
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Publisher(Base):
    __tablename__ = "benchmarks_publisher"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    city: Mapped[str] = mapped_column(String(100))


class Tag(Base):
    __tablename__ = "benchmarks_tag"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Book(Base):
    __tablename__ = "benchmarks_book"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    isbn: Mapped[str] = mapped_column(String(20))
    price: Mapped[decimal.Decimal] = mapped_column(Numeric(8, 2))
    pages: Mapped[int]
    published: Mapped[datetime.date]
    rating: Mapped[float]
    in_print: Mapped[bool]
    author_id: Mapped[int] = mapped_column(ForeignKey("benchmarks_author.id"))
    publisher_id: Mapped[int] = mapped_column(ForeignKey("benchmarks_publisher.id"))
    author: Mapped[Author] = relationship(back_populates="books")
    publisher: Mapped[Publisher] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags)
