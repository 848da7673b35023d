"""The admin. It works with the models as Django made them: vinyl changes nothing here."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Count, F, QuerySet, Sum
from django.http import HttpRequest

from shop.models import Artist, Customer, Order, OrderLine, Record, Tag


class RecordInline(admin.TabularInline):
    """The records of an artist."""

    model = Record
    fields = ["title", "format", "price", "released", "stock"]
    extra = 0
    show_change_link = True


class OrderLineInline(admin.TabularInline):
    """The lines of an order."""

    model = OrderLine
    autocomplete_fields = ["record"]
    extra = 0


@admin.register(Artist)
class ArtistAdmin(admin.ModelAdmin):
    """Artists, with how many records there are of each."""

    list_display = ["name", "country", "record_count"]
    list_filter = ["country"]
    search_fields = ["name"]
    inlines = [RecordInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Artist]:
        return super().get_queryset(request).annotate(record_count=Count("records"))

    @admin.display(description="records", ordering="record_count")
    def record_count(self, artist: Any) -> int:
        return artist.record_count


@admin.register(Tag)
class TagAdmin(admin.ModelAdmin):
    """Tags."""

    list_display = ["name"]
    search_fields = ["name"]


@admin.register(Record)
class RecordAdmin(admin.ModelAdmin):
    """Records. Price and stock can be changed in the list."""

    list_display = ["title", "artist", "format", "released", "price", "stock"]
    list_editable = ["price", "stock"]
    list_filter = ["format", "tags"]
    list_select_related = ["artist"]
    list_per_page = 50
    search_fields = ["title", "artist__name"]
    date_hierarchy = "released"
    autocomplete_fields = ["artist", "tags"]


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers, with how many orders they have placed."""

    list_display = ["name", "email", "order_count"]
    search_fields = ["name", "email"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        return super().get_queryset(request).annotate(order_count=Count("orders"))

    @admin.display(description="orders", ordering="order_count")
    def order_count(self, customer: Any) -> int:
        return customer.order_count


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Orders with their lines."""

    list_display = ["reference", "customer", "placed_at", "is_confirmed", "sum_of_lines"]
    list_select_related = ["customer"]
    list_filter = ["placed_at"]
    search_fields = ["reference", "customer__name", "customer__email"]
    date_hierarchy = "placed_at"
    autocomplete_fields = ["customer"]
    readonly_fields = ["reference"]
    inlines = [OrderLineInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        line_total = F("lines__quantity") * F("lines__unit_price")
        return super().get_queryset(request).annotate(sum_of_lines=Sum(line_total))

    @admin.display(description="confirmed", boolean=True, ordering="confirmed_at")
    def is_confirmed(self, order: Order) -> bool:
        return order.confirmed_at is not None

    @admin.display(description="total", ordering="sum_of_lines")
    def sum_of_lines(self, order: Any) -> Decimal | None:
        return order.sum_of_lines
