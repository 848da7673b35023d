"""What can go wrong with a request, and how the JSON endpoints say so."""

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin


class ShopError(Exception):
    """Something the client can do something about; `details` is JSON for programs, the message is for people."""

    status = 400

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class InvalidInput(ShopError):
    """The request itself is wrong: not JSON, a field missing or out of range."""


class UnknownRecord(ShopError):
    """An order names a record that the shop does not have."""

    status = 404


class OutOfStock(ShopError):
    """An order asks for more pieces than there are."""

    status = 409


class ErrorsAsJson(MiddlewareMixin):
    """Answer /api/ with JSON also where a view has raised; the pages are left to Django."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not request.path.startswith("/api/"):
            return None
        if isinstance(exception, ShopError):
            return JsonResponse({"error": str(exception), **exception.details}, status=exception.status)
        if isinstance(exception, Http404):
            return JsonResponse({"error": str(exception)}, status=404)
        return None


async def get_or_404(queryset: Any, **lookup: Any) -> Any:
    """Await the one object; raise Http404 if there is none. Django's shortcut of this name is synchronous."""
    try:
        return await queryset.get(**lookup)
    except ObjectDoesNotExist:
        raise Http404(f"There is no such {queryset.model._meta.verbose_name}.") from None
