"""The JSON endpoints. Each exists once, and is served by ASGI and WSGI servers alike.

`@vinyl.portable` stands outermost: it alone knows the mode, and Django's decorators below it see a coroutine function.
"""

import json
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, F, IntegerField, Max, Min, Sum
from django.db.models.functions import Cast, ExtractYear, Round
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import vinyl
from shop import orders
from shop.errors import InvalidInput, get_or_404
from shop.forms import CustomerForm, LineForm, RecordFilter, SearchForm, TagForm, matches, validated
from shop.models import Artist, Order, Record, Tag
from shop.paging import page_of

PAGE_SIZE = 25


@vinyl.portable
@require_GET
async def record_list(request: HttpRequest) -> HttpResponse:
    """A page of records, filtered by any of q, tag, format and max_price."""
    validated(RecordFilter, request.GET.dict())
    form = RecordFilter(request.GET)
    records = form.apply(Record.vinyl.select_related("artist").prefetch_related("tags"))
    page = await page_of(records, form.chosen.get("page", 1), PAGE_SIZE)
    return JsonResponse(
        {
            "total": page.total,
            "page": page.number,
            "pages": page.pages,
            "records": [record_as_json(record) for record in page.objects],
        }
    )


@vinyl.portable
@require_GET
async def search(request: HttpRequest) -> HttpResponse:
    """The first ten records whose title or artist contains ?q=, as a search box would suggest them."""
    words = validated(SearchForm, request.GET.dict())["q"]
    found = Record.vinyl.filter(matches(words)).order_by("title", "pk")
    return JsonResponse({"found": await found.values("id", "title", by=F("artist__name"))[:10]})


@vinyl.portable
@require_GET
async def record_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One record."""
    record = await get_or_404(Record.vinyl.select_related("artist").prefetch_related("tags"), pk=pk)
    return JsonResponse(record_as_json(record))


@vinyl.portable
@require_GET
async def top_artists(request: HttpRequest) -> HttpResponse:
    """The ten artists of whom most records were sold."""
    artists = Artist.vinyl.annotate(
        sold=Sum("records__lines__quantity"), titles=Count("records__lines__record", distinct=True)
    ).filter(sold__gt=0)
    return JsonResponse(
        {
            "artists": [
                {"name": artist.name, "country": artist.country, "sold": artist.sold, "titles": artist.titles}
                async for artist in artists.order_by("-sold", "name")[:10]
            ]
        }
    )


@vinyl.portable
@require_GET
async def statistics(request: HttpRequest) -> HttpResponse:
    """Figures about the stock, the decades it is from, and the orders."""
    year = Cast(ExtractYear("released"), IntegerField())
    decades = Record.vinyl.annotate(decade=year - year % 10).values("decade").annotate(records=Count("pk"))
    years = await Record.vinyl.dates("released", "year")
    return JsonResponse(
        {
            "records": await Record.vinyl.aggregate(
                number=Count("pk"),
                pieces=Sum("stock"),
                cheapest=Min("price"),
                dearest=Max("price"),
                average=Round(Avg("price"), 2),
                value=Sum(F("price") * F("stock")),
            ),
            "years": {"first": years[0].year, "last": years[-1].year, "number": len(years)} if years else None,
            "decades": await decades.order_by("decade"),
            "orders": await Order.vinyl.count(),
            "sold_out": await Record.vinyl.filter(stock=0).count(),
        }
    )


@vinyl.portable
@require_POST
async def place_order(request: HttpRequest) -> HttpResponse:
    """Place an order: {"customer": {"name": …, "email": …}, "lines": [{"record": …, "quantity": …}, …]}."""
    body = json_of(request)
    customer = validated(CustomerForm, body.get("customer"))
    lines = body.get("lines")
    if not isinstance(lines, list) or not lines:
        raise InvalidInput("An order needs `lines`, one at least.")
    quantities: dict[int, int] = {}
    for line in (validated(LineForm, line) for line in lines):
        quantities[line["record"]] = quantities.get(line["record"], 0) + line["quantity"]
    order = await orders.place(customer["name"], customer["email"], quantities)
    return JsonResponse(await order_as_json(order.reference), status=201)


@vinyl.portable
@require_http_methods(["GET", "DELETE"])
async def order_detail(request: HttpRequest, reference: UUID) -> HttpResponse:
    """Show an order, or cancel it by DELETE."""
    if request.method == "DELETE":
        await orders.cancel(reference)
        return HttpResponse(status=204)
    return JsonResponse(await order_as_json(reference))


@vinyl.portable
@require_POST
async def create_tag(request: HttpRequest) -> HttpResponse:
    """Make sure that there is a tag: {"name": …}. The status tells whether it is new (201) or was there (200)."""
    data = validated(TagForm, json_of(request))
    tag, created = await Tag.vinyl.get_or_create(name=data["name"])
    return JsonResponse({"name": tag.name, "records": await tag.records.count()}, status=201 if created else 200)


def json_of(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object that was posted; raise InvalidInput for anything else."""
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidInput("The body of the request must be a JSON object.")
    return body


def record_as_json(record: Any) -> dict[str, Any]:
    """Describe a record, loaded with its artist and tags."""
    return {
        "id": record.pk,
        "title": record.title,
        "artist": {"id": record.artist.pk, "name": record.artist.name, "country": record.artist.country},
        "format": record.get_format_display(),
        "price": record.price,
        "released": record.released,
        "stock": record.stock,
        "tags": [tag.name for tag in record.tags.all()],
    }


async def order_as_json(reference: UUID) -> dict[str, Any]:
    """Load and describe an order with its lines."""
    with_lines = Order.vinyl.select_related("customer").prefetch_related("lines__record__artist")
    order = await get_or_404(with_lines, reference=reference)
    return {
        "reference": order.reference,
        "customer": {"name": order.customer.name, "email": order.customer.email},
        "placed_at": order.placed_at,
        "confirmed": order.confirmed_at is not None,
        "total": order.total,
        "lines": [
            {
                "record": line.record.title,
                "artist": line.record.artist.name,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "left_in_stock": line.record.stock,
            }
            for line in order.lines.all()
        ],
    }
