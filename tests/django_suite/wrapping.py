"""Which of Django's operations are compared: all rows of a queryset, and the methods that query. See `comparing.py`."""

from functools import wraps
from typing import Any

from django.db.models import QuerySet
from django.db.models.query import RawQuerySet

from tests.django_suite.comparing import Operation, compared, compared_alone, is_wanted
from tests.django_suite.counting import counts

METHODS = ["aggregate", "contains", "count", "earliest", "exists", "first", "get", "in_bulk", "last", "latest"]


def install() -> None:
    """Wrap Django's methods."""
    counts.update(compared=0, undetermined=0, not_compared=0)
    for name in METHODS:
        setattr(QuerySet, name, _method(name, getattr(QuerySet, name)))
    owners: list[Any] = [QuerySet, RawQuerySet]
    for owner in owners:
        owner._fetch_all = _fetch_all(owner._fetch_all)
    owners[0].iterator = _iterator(QuerySet.iterator)


def _method(name: str, django_method: Any) -> Any:
    @wraps(django_method)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        # What can be read only once cannot be an argument of two calls.
        if not is_wanted(self) or any(hasattr(each, "__next__") for each in [*args, *kwargs.values()]):
            return django_method(self, *args, **kwargs)
        operation = Operation(
            f"{name}()",
            lambda queryset: django_method(queryset, *args, **kwargs),
            lambda queryset: getattr(queryset, name)(*args, **kwargs),
        )
        return compared(operation, self)

    return method


def _fetch_all(django_method: Any) -> Any:
    async def awaited(queryset: Any) -> Any:
        return await queryset

    def of_django(queryset: Any) -> Any:
        django_method(queryset)
        return queryset._result_cache

    @wraps(django_method)
    def method(self: Any) -> None:
        if is_wanted(self):
            compared(Operation("rows", of_django, list, awaited), self)
        else:
            django_method(self)

    return method


def _iterator(django_method: Any) -> Any:
    @wraps(django_method)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        async def awaited(queryset: Any) -> Any:
            return [each async for each in queryset.iterator(*args, **kwargs)]

        if is_wanted(self):
            operation = Operation(
                "iterator()",
                lambda queryset: list(django_method(queryset, *args, **kwargs)),
                lambda queryset: list(queryset.iterator(*args, **kwargs)),
                awaited,
            )
            compared_alone(operation, self)
        return django_method(self, *args, **kwargs)

    return method
