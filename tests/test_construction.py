"""Making instances by keyword arguments: they are as Django's own __init__() makes them."""

import datetime
import uuid
from decimal import Decimal

import pytest
from django.db.models import DEFERRED, F

from tests.library.models import Author, BigBranch, Book, Cover, Member, Note, Shelf
from vinyl.plans import construction

JANE = Author(pk=7, name="Jane")

MADE = {
    "nothing": (Author, {}),
    "values in another order": (Author, {"born": datetime.date(2000, 1, 1), "name": "Jane"}),
    "defaults": (Book, {"title": "Emma"}),
    "a key": (Book, {"author_id": 7, "title": "Emma"}),
    "an instance": (Book, {"title": "Emma", "author": JANE}),
    "no instance": (Book, {"editor": None, "price": Decimal(3)}),
    "an expression": (Book, {"stock": F("stock") + 1}),
    "a computed default and one of the database": (Shelf, {"width": 3}),
    "a primary key": (Shelf, {"id": uuid.UUID(int=1)}),
    "pk": (Author, {"pk": 3, "name": "Jane"}),
    "a value deferred": (Author, {"name": DEFERRED}),
    "columns of parents": (BigBranch, {"floors": 3, "name": "x"}),
    "a one-to-one relation": (Cover, {"book": Book(pk=3)}),
    "a class of the project's": (Member, {"name": "x"}),
    "a generic relation": (Note, {"about": JANE, "text": "x"}),
    "key and instance": (Book, {"author": JANE, "author_id": 8}),
    "a column twice": (Shelf, {"id": uuid.UUID(int=2), "pk": uuid.UUID(int=3)}),
}


def _attributes(instance):
    attributes = {name: value for name, value in vars(instance).items() if name != "_state"}
    if type(instance).__name__ == "Shelf" and "id" in attributes and attributes["id"].version:
        attributes["id"] = uuid.UUID
    state = instance._state
    return list(vars(instance)), attributes, vars(state), state.adding, state.db, list(state.fields_cache)


@pytest.mark.parametrize("name", [name for name in MADE if name != "a generic relation"])
def test_an_instance_has_what_djangos_has(name):
    model, values = MADE[name]
    given = dict(values)
    ours = model.vinyl(**values)
    assert type(ours) is model.vinyl.vinyl_class
    assert _attributes(ours) == _attributes(model.vinyl.vinyl_class(**values))
    assert values == given


@pytest.mark.parametrize("name", ["nothing", "values in another order", "defaults", "an instance", "no instance"])
def test_what_is_common_does_not_need_django(name, monkeypatch):
    model, values = MADE[name]
    assert construction.made(model.vinyl.vinyl_class, values) is not None


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (Author, {"nam": "Jane"}),
        (Author, {"_state": 3}),
        (Book, {"author": 3}),
        (Book, {"author": Book(pk=1), "titel": "x"}),
        (Shelf, {"double_width": 3}),
    ],
)
def test_errors_are_djangos(model, values):
    def error(make):
        try:
            make(**values)
        except Exception as error:
            return type(error), str(error)
        return None

    assert error(model.vinyl) == error(model.vinyl.vinyl_class)


def test_instances_do_not_share_what_can_be_changed():
    one, other = Shelf.vinyl(), Shelf.vinyl()
    assert one.id != other.id
    assert one._state is not other._state


def test_names_of_relations_and_their_instances_are_cached_as_by_django():
    book = Book.vinyl(title="Emma", author=JANE)
    assert (book.author_id, book.author) == (7, JANE)
