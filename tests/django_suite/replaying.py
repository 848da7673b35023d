"""In the child process: the calls that built Django's querysets, to be repeated with vinyl's, to reach plans.

A queryset that a manager's get_queryset() of Django's own has begun remembers the calls of the methods that have
shapes. They are repeated on vinyl's manager, often enough that a plan is learned and used, and compared with what
Django sends by VERIFY_PLANS; the last time the plan alone gives the result. See `comparing.py` for what is compared.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from django.db.models import QuerySet
from django.db.models.manager import BaseManager

import vinyl
from tests.django_suite.counting import counts
from vinyl import conf
from vinyl.plans.learning import Plan
from vinyl.plans.recording import STEPS

# Grown, learned, verified.
VERIFIED = 3
CALLS = "_calls_of_vinyls_tests"

is_on = False


def install() -> None:
    """Have Django's querysets remember the calls that built them."""
    global is_on
    is_on = True
    owner: Any = BaseManager
    owner.get_queryset = _beginning(BaseManager.get_queryset)
    for name in (*STEPS, "__getitem__"):
        setattr(QuerySet, name, _step(name, getattr(QuerySet, name)))
    planned: Any = Plan
    planned.bind = _counted(Plan.bind)


def _counted(bind: Any) -> Any:
    def counted(self: Plan, values: Any) -> Any:
        counts["planned"] += not conf.verifies_plans()
        return bind(self, values)

    return counted


def _beginning(django_method: Any) -> Any:
    @wraps(django_method)
    def get_queryset(self: Any) -> Any:
        queryset = django_method(self)
        default = self.model._meta.default_manager
        if type(self).get_queryset is get_queryset and not self._hints and type(default) is type(self):
            vars(queryset)[CALLS] = ((self.model, self._db),)
        return queryset

    return get_queryset


def _step(name: str, django_method: Any) -> Any:
    @wraps(django_method)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        queryset = django_method(self, *args, **kwargs)
        calls = vars(self).get(CALLS)
        if calls is not None and isinstance(queryset, QuerySet) and queryset is not self:
            vars(queryset)[CALLS] = (*calls, (name, args, kwargs))
        return queryset

    return method


def copied(queryset: Any) -> Any:
    """Copy a queryset with what it remembers."""
    copy = queryset._chain()
    if CALLS in vars(queryset):
        vars(copy)[CALLS] = vars(queryset)[CALLS]
    return copy


def repetitions(queryset: Any) -> Iterator[Any]:
    """Yield vinyl's querysets by the same calls, to be evaluated one by one; none if it was changed besides."""
    calls = vars(queryset).get(CALLS)
    if calls is None or _origin(_by_vinyl(calls)) != _origin(queryset):
        return
    for _ in range(VERIFIED):
        with _verifying():
            yield _by_vinyl(calls)
    yield _by_vinyl(calls)


@contextmanager
def _verifying() -> Iterator[None]:
    conf._switches["VERIFY_PLANS"] = True
    try:
        yield
    finally:
        conf._switches["VERIFY_PLANS"] = False


def _by_vinyl(calls: Any) -> Any:
    (model, alias), *steps = calls
    manager = vinyl.manager(model)
    queryset = (manager if alias is None else manager.db_manager(alias)).get_queryset()
    with warnings.catch_warnings():
        # The test has caught them already.
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, args, kwargs in steps:
            queryset = getattr(queryset, name)(*args, **kwargs)
    return queryset


def _origin(queryset: Any) -> Any:
    copy = queryset._chain()
    return copy._db, copy._for_write, _attempt(copy.query.sql_with_params)


def _attempt(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        return type(error)
