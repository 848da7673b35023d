"""Placing and cancelling orders: the part of the shop where things must not go wrong.

Each function is written once. `@vinyl.portable` makes it awaitable under ASGI and an ordinary function under WSGI.
"""

import logging
from functools import partial
from typing import Any

from django.db.models import F
from django.utils import timezone

import vinyl
from shop.errors import OutOfStock, UnknownRecord, get_or_404
from shop.models import Customer, Order, OrderLine, Record

logger = logging.getLogger(__name__)


@vinyl.portable
async def place(name: str, email: str, quantities: dict[int, int]) -> Any:
    """Order so many of each record, by its primary key, at today's price; all of them or nothing.

    Raises UnknownRecord and OutOfStock. The order is confirmed once it is committed.
    """
    async with vinyl.transaction.atomic():
        # Locked until the end, in the same order by everybody, so that two orders cannot wait for each other.
        records = await Record.vinyl.select_for_update().filter(pk__in=quantities).order_by("pk")
        _check(records, quantities)
        customer, _ = await Customer.vinyl.get_or_create(email=email, defaults={"name": name})
        order = await Order.vinyl(customer=customer).insert()
        await OrderLine.vinyl.bulk_create(
            OrderLine.vinyl(order=order, record=record, quantity=quantities[record.pk], unit_price=record.price)
            for record in records
        )
        for record in records:
            await record.update(stock=F("stock") - quantities[record.pk])
        await vinyl.transaction.on_commit(partial(confirm, order.pk))
    return order


def _check(records: list[Any], quantities: dict[int, int]) -> None:
    """Raise UnknownRecord or OutOfStock unless there are enough of each."""
    unknown = quantities.keys() - {record.pk for record in records}
    if unknown:
        raise UnknownRecord("There is no such record.", records=sorted(unknown))
    missing = [record for record in records if record.stock < quantities[record.pk]]
    if missing:
        titles = ", ".join(f"{record.title} ({record.stock} left)" for record in missing)
        raise OutOfStock(f"Not enough in stock: {titles}.", records=[record.pk for record in missing])


@vinyl.portable
async def confirm(order_pk: int) -> None:
    """Tell the customer, after the order is certain. The demo writes a line to the log in place of a mail."""
    await Order.vinyl.filter(pk=order_pk).update(confirmed_at=timezone.now())
    logger.info("Order %s is confirmed.", order_pk)


@vinyl.portable
async def cancel(reference: Any) -> None:
    """Put the pieces back and delete the order with its lines. Raises Http404 if there is no such order."""
    async with vinyl.transaction.atomic():
        order = await get_or_404(Order.vinyl.select_for_update(), reference=reference)
        for line in await OrderLine.vinyl.filter(order=order).order_by("record_id"):
            await Record.vinyl.filter(pk=line.record_id).update(stock=F("stock") + line.quantity)
        await order.delete()
