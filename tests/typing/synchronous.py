"""The types of the sync mode: of a project written for it, and of single functions of one that is not."""

from typing import Any, assert_type

import vinyl
from tests.typing.asynchronous import portable
from tests.typing.models import Book
from tests.typing.synchronous_models import Sale, SaleQuerySet, Shop
from vinyl import now, sync
from vinyl.sync import transaction


def results() -> None:
    assert_type(Sale.vinyl.get(pk=1), Sale)
    assert_type(Sale.vinyl.first(), Sale | None)
    assert_type(Sale.vinyl.filter(amount=1).count(), int)
    assert_type(list(Sale.vinyl.filter(amount=1)), list[Sale])
    assert_type(Sale.vinyl.all()[0], Sale)
    assert_type(list(Sale.vinyl.all()[:2]), list[Sale])
    assert_type(next(Sale.vinyl.iterator()), Sale)
    assert_type(list(Sale.own.all().large()), list[Sale])
    assert_type(Sale.own.all(), SaleQuerySet)
    assert_type(sync.gather(Sale.vinyl.all(), Shop.vinyl.all()), tuple[list[Sale], list[Shop]])
    assert_type(Sale.vinyl.all().freeze().first(), Sale | None)


def instances() -> None:
    sale = Sale.vinyl(amount=1)
    assert_type(sale.insert(), Sale)
    sale.update(amount=2)
    sale.load("shop")
    assert_type(sale.delete(), tuple[int, dict[str, int]])
    shop = Shop.vinyl.get(pk=1)
    shop.sales.add(sale)
    assert_type(list(shop.sales.filter(amount=1)), list[Sale])
    assert_type(sync.update(sale, amount=3), Sale)


def transactions() -> None:
    with transaction.atomic(), vinyl.deadline(1):
        transaction.on_commit(lambda: None)
    with sync.connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert_type(cursor.fetchone(), tuple[Any, ...] | None)
    assert_type(move(1), Sale)


@transaction.atomic
def move(source: int) -> Sale:
    return Sale.vinyl.get(pk=source)


def a_function_of_an_asynchronous_project() -> None:
    with vinyl.sync_mode():
        book = now(Book.vinyl.get(pk=1))
        assert_type(book, Book)
        now(book.update(stock=2))
        assert_type(now(portable(1)), Book)
        assert_type(list(Book.vinyl.filter(stock=1)), list[Book])
