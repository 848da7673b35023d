"""The pages. As the JSON endpoints, each exists once, for both kinds of server.

All that a template shows is loaded before it is rendered: a template cannot wait, and vinyl never queries behind an
attribute.
"""

import csv
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

import vinyl
from shop import orders
from shop.errors import OutOfStock, get_or_404
from shop.forms import CustomerForm, RecordFilter
from shop.models import Order, Record, Tag
from shop.paging import page_of

PAGE_SIZE = 24


@vinyl.portable
@require_GET
async def catalogue(request: HttpRequest) -> HttpResponse:
    """The records for sale, with a search box, filters and pages."""
    form = RecordFilter(request.GET)
    chosen = form.chosen
    records = form.apply(Record.vinyl.select_related("artist").prefetch_related("tags"))
    page = await page_of(records, chosen.get("page", 1), PAGE_SIZE)
    context = {
        "page": page,
        "chosen": chosen,
        "tags": await Tag.vinyl.values_list("name", flat=True),
        "formats": Record.Format.choices,
        "orders": RecordFilter.ORDER_CHOICES,
        "links": page_links(request, page.previous, page.next),
    }
    return render(request, "shop/catalogue.html", context)


def page_links(request: HttpRequest, previous: int | None, following: int | None) -> dict[str, str]:
    """Return the query strings of the pages before and after, with all filters kept."""
    links = {}
    for name, number in (("previous", previous), ("next", following)):
        if number is not None:
            parameters = request.GET.copy()
            parameters["page"] = str(number)
            links[name] = parameters.urlencode()
    return links


@vinyl.portable
@require_http_methods(["GET", "HEAD", "POST"])
async def record_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One record, and a form that orders it."""
    record = await get_or_404(Record.vinyl.select_related("artist").prefetch_related("tags"), pk=pk)
    form = CustomerForm(request.POST or None)
    sold_out = ""
    if request.method == "POST" and form.is_valid():
        try:
            order = await orders.place(form.cleaned_data["name"], form.cleaned_data["email"], {record.pk: 1})
            return redirect(order)
        except OutOfStock as error:
            sold_out = str(error)
    context = {
        "record": record,
        "form": form,
        "sold_out": sold_out,
        "others": await record.artist.records.exclude(pk=record.pk).order_by("-released")[:6],
    }
    return render(request, "shop/record.html", context, status=409 if sold_out else 200)


@vinyl.portable
@require_GET
async def order_page(request: HttpRequest, reference: UUID) -> HttpResponse:
    """What somebody has ordered."""
    with_lines = Order.vinyl.select_related("customer").prefetch_related("lines__record__artist")
    order = await get_or_404(with_lines, reference=reference)
    return render(request, "shop/order.html", {"order": order})


@vinyl.portable
@require_GET
async def price_list(request: HttpRequest) -> HttpResponse:
    """The whole price list as CSV, read row by row: it never stands in memory as objects."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="prices.csv"'
    lines = csv.writer(response)
    columns = ["artist__name", "title", "format", "price"]
    lines.writerow(columns)
    rows: Any = Record.vinyl.filter(stock__gt=0).order_by("artist__name", "title").values_list(*columns)
    async for row in rows.iterator(chunk_size=500):
        lines.writerow(row)
    return response
