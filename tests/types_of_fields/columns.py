"""The columns to compare: each with its values, and, for moments, in time zones of all kinds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connections
from django.db.models import Model
from django.test import override_settings
from django.utils import timezone

from tests import settings
from tests.types_of_fields.models import Moments, Numbers, Sample, Structures, Texts
from tests.types_of_fields.values import MOMENTS, VALUES
from vinyl.plans import shapes

OF_SAMPLES = {field.name for field in Sample._meta.local_fields} | {"id"}


@dataclass(frozen=True)
class Column:
    """A column of one of the models made of Sample, and the circumstances in which its values are written and read."""

    model: type[Model]
    name: str
    values: list[Any]
    circumstances: Callable[[], AbstractContextManager[Any]] = nullcontext


def columns_of(models: list[type[Model]], values: dict[str, list[Any]]) -> list[Column]:
    """Return the columns of the models; each must have values."""
    names = {field.name: model for model in models for field in model._meta.fields if field.name not in OF_SAMPLES}
    return [Column(model, name, values[name]) for name, model in names.items()]


@contextmanager
def kept_in(zone: str) -> Iterator[None]:
    """Have the database keep moments in the time zone, as TIME_ZONE in DATABASES says."""
    _keep_in(zone)
    yield
    _keep_in(None)


def _keep_in(zone: str | None) -> None:
    wrapper = connections["default"]
    wrapper.settings_dict["TIME_ZONE"] = zone
    for cached in ("timezone", "timezone_name"):
        vars(wrapper).pop(cached, None)
    wrapper.ensure_timezone()
    # The settings have it for good.
    shapes.forget()


COLUMNS = {column.name: column for column in columns_of([Numbers, Texts, Moments, Structures], VALUES)}
for _zone, _circumstances in {
    "without time zones": lambda: override_settings(USE_TZ=False, TIME_ZONE="America/New_York"),
    "kept in New York": lambda: kept_in("America/New_York"),
    "seen from Kathmandu": lambda: timezone.override(ZoneInfo("Asia/Kathmandu")),
}.items():
    COLUMNS[f"date_time {_zone}"] = Column(Moments, "date_time", MOMENTS, _circumstances)

if settings.ENGINE == "postgresql":
    from tests.types_of_fields import postgresql

    COLUMNS |= {
        column.name: column for column in columns_of([postgresql.Compounds, postgresql.Maps], postgresql.VALUES)
    }
