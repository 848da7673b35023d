"""What clients may send, for the pages and for JSON alike. No form here queries the database."""

from typing import Any

from django import forms
from django.db.models import BigIntegerField, Q

from shop.errors import InvalidInput
from shop.models import Record


class RecordFilter(forms.Form):
    """Which records to show, and in which order."""

    ORDERS = {
        "newest": ("Newest first", ["-released", "pk"]),
        "title": ("Title", ["title", "pk"]),
        "cheapest": ("Cheapest first", ["price", "pk"]),
    }

    ORDER_CHOICES = [(name, label) for name, (label, _) in ORDERS.items()]

    q = forms.CharField(required=False, max_length=60)
    tag = forms.CharField(required=False, max_length=40)
    format = forms.ChoiceField(required=False, choices=Record.Format)
    max_price = forms.DecimalField(required=False, min_value=0)
    sort = forms.ChoiceField(required=False, choices=ORDER_CHOICES)
    page = forms.IntegerField(required=False, min_value=1)

    @property
    def chosen(self) -> dict[str, Any]:
        """What was given and is valid."""
        self.full_clean()
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    def apply(self, records: Any) -> Any:
        """Return the queryset, filtered and ordered; this queries nothing yet."""
        chosen = self.chosen
        if "q" in chosen:
            records = records.filter(matches(chosen["q"]))
        if "tag" in chosen:
            records = records.filter(tags__name=chosen["tag"])
        if "format" in chosen:
            records = records.filter(format=chosen["format"])
        if "max_price" in chosen:
            records = records.filter(price__lte=chosen["max_price"])
        _, order = self.ORDERS[chosen.get("sort", "newest")]
        return records.order_by(*order)


class SearchForm(forms.Form):
    """What to search for."""

    q = forms.CharField(min_length=2, max_length=60)


class CustomerForm(forms.Form):
    """Who orders."""

    name = forms.CharField(max_length=120)
    email = forms.EmailField()


class LineForm(forms.Form):
    """How many of which record."""

    record = forms.IntegerField(min_value=1, max_value=BigIntegerField.MAX_BIGINT)
    quantity = forms.IntegerField(min_value=1, max_value=1000)


class TagForm(forms.Form):
    """A new tag."""

    name = forms.SlugField(max_length=40)


def matches(words: str) -> Q:
    """Return the condition that a record's title or its artist's name contains the words."""
    return Q(title__icontains=words) | Q(artist__name__icontains=words)


def validated(form_class: type[forms.Form], data: Any) -> dict[str, Any]:
    """Return the cleaned data; raise InvalidInput that names what is wrong with each field."""
    if not isinstance(data, dict):
        raise InvalidInput("A JSON object was expected.")
    form = form_class(data)
    if not form.is_valid():
        raise InvalidInput("The input is not valid.", fields=form.errors)
    return form.cleaned_data
