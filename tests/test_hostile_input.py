"""What a user sends is a value or the name of a field, never SQL: the same errors as Django's, before any query."""

import pytest
from django.db.models import Count, F, QuerySet, Value
from django.db.models.functions import Concat

import vinyl
from tests.library.models import Author

pytestmark = pytest.mark.usefixtures("db")

HOSTILE = [
    "name; DROP TABLE library_author",
    'name" FROM library_author --',
    "name` --",
    "name' OR '1'='1",
    "name/**/",
    "name) FROM library_author#",
    "books__title; --",
    "-name--",
]

WITH_NAMES = {
    "aggregate": lambda authors, name: authors.aggregate(**{name: Count("pk")}),
    "alias": lambda authors, name: authors.alias(**{name: F("name")}).order_by(name),
    "annotate": lambda authors, name: authors.annotate(**{name: F("name")}),
    "dates": lambda authors, name: authors.dates(name, "year"),
    "defer": lambda authors, name: authors.defer(name),
    "distinct": lambda authors, name: authors.values(name).distinct(),
    "earliest": lambda authors, name: authors.earliest(name),
    "exclude": lambda authors, name: authors.exclude(**{f"name__{name}": 1}),
    "F": lambda authors, name: authors.filter(name=F(name)),
    "filter": lambda authors, name: authors.filter(**{name: 1}),
    "in_bulk": lambda authors, name: authors.in_bulk([1], field_name=name),
    "only": lambda authors, name: authors.only(name),
    "order_by": lambda authors, name: authors.order_by(name),
    "select_related": lambda authors, name: authors.select_related(name),
    "update": lambda authors, name: authors.update(**{name: 1}),
    "values": lambda authors, name: authors.values(name),
    "values of expressions": lambda authors, name: authors.values(**{name: Concat("name", Value("x"))}),
    "values_list": lambda authors, name: authors.values_list(name, flat=True),
}


@pytest.mark.parametrize("method", WITH_NAMES)
async def test_a_name_that_is_no_field_or_alias_is_refused_as_by_django_before_any_query(method, no_queries):
    def by_django(name):
        result = WITH_NAMES[method](Author.objects.all(), name)
        return list(result) if isinstance(result, QuerySet) else result

    async def by_vinyl(name):
        return await WITH_NAMES[method](Author.vinyl.all(), name)

    async def error_of(function, *args):
        try:
            return await function(*args)
        except Exception as error:
            return type(error), str(error)

    with no_queries():
        for name in HOSTILE:
            theirs = await error_of(vinyl.run, by_django, name)
            assert isinstance(theirs, tuple)
            assert await error_of(by_vinyl, name) == theirs


@pytest.mark.parametrize("text", [*HOSTILE, "100%", "_", "\\", "\\'", "'", '"', "é'; --", "{}", "%s", "%(x)s", ""])
async def test_a_value_is_a_value_whatever_is_in_it(text):
    author = await Author.vinyl.create(name=text)
    await Author.vinyl.create(name=f"another {text}!")
    for lookup in ("exact", "iexact", "in", "startswith"):
        value = [text] if lookup == "in" else text
        found = await Author.vinyl.filter(**{f"name__{lookup}": value}).exclude(name__startswith="another")
        assert found == [author], lookup
    assert await Author.vinyl.filter(name__contains=text).count() == 2
    assert await Author.vinyl.annotate(x=Value(text)).values_list("x", flat=True) == [text, text]
    sql = "SELECT name FROM library_author WHERE name = %s"
    assert await vinyl.connection.execute(sql, [text]) == [(text,)]
    assert [author.name async for author in Author.vinyl.raw("SELECT * FROM library_author WHERE name = %s", [text])]
    assert await Author.vinyl.filter(name=text).update(name=Concat(Value(text), Value("!"))) == 1
    assert await Author.vinyl.filter(name=f"{text}!").count() == 1
