"""What the examples of the documentation take for granted: imports, some rows, and functions that they only name."""

import asyncio
import datetime
import inspect
import logging
from typing import Any

from asgiref.sync import async_to_sync
from django.apps import AppConfig
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.core import paginator
from django.db import IntegrityError, models
from django.forms import ModelForm
from django.http import HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import aget_object_or_404, redirect, render
from django.test import RequestFactory
from django.test.utils import override_settings
from django.urls import path
from django.utils.text import slugify
from django.utils.timezone import now
from django.views import View

import vinyl
from tests.documented.models import Account, Artifact, Author, Book, Group, Job, Owner, Tag
from vinyl import conf, transaction

MODELS = (Account, Artifact, Author, Book, Group, Job, Owner, Tag, User)
DJANGOS = (
    AppConfig,
    HttpResponse,
    IntegrityError,
    JsonResponse,
    ModelForm,
    PBKDF2PasswordHasher,
    StreamingHttpResponse,
    View,
    aget_object_or_404,
    async_to_sync,
    now,
    redirect,
    render,
    slugify,
)


async def ask_somebody_else() -> int:
    await asyncio.sleep(0)
    return 42


async def artifact_list(request: Any) -> JsonResponse:
    return JsonResponse({"artifacts": [artifact.name async for artifact in Artifact.vinyl.all()]})


async def notify() -> None:
    """Do nothing: what on_commit() is given."""


async def work_on(item: object) -> None:
    """Do nothing: what stands for the rest of a program."""


FUNCTIONS = (artifact_list, ask_somebody_else, notify, work_on)


def namespace() -> dict[str, Any]:
    """Return the names that a page begins with."""
    named = {each.__name__: each for each in (*MODELS, *DJANGOS, *FUNCTIONS)}
    of_models = {name: value for name, value in vars(models).items() if name[0].isupper() and name != "Model"}
    of_vinyl = {name: getattr(vinyl, name) for name in vinyl.__all__ if name[0].isupper()}
    return {
        "__name__": "tests.documented.page",
        "asyncio": asyncio,
        "datetime": datetime,
        "logging": logging,
        "models": models,
        "path": path,
        "transaction": transaction,
        "vinyl": vinyl,
        "authenticate": auth.authenticate,
        "request": RequestFactory().post("/", {"name": "bowl", "x": 1, "tags": [1]}),
        "pk": 1,
        "name": "ada",
        "password": "secret",
        "order": None,
        "customer": None,
        "reserve": work_on,
        "charge": work_on,
        **of_models,
        **of_vinyl,
        "AsyncPaginator": getattr(paginator, "AsyncPaginator", None),
        "Paginator": paginator.Paginator,
        **named,
    }


async def rows(names: dict[str, Any]) -> None:
    """Write some rows, and name them."""
    author = await Author.vinyl.create(name="Ada")
    owner = await Owner.vinyl.create(name="Grace")
    group = await Group.vinyl.create(label="colour")
    tag = await Tag.vinyl.create(label="red", group=group)
    for number in range(1, 13):
        artifact = await Artifact.vinyl.create(name=f"vase {number}", x=number, author=author, owner=owner)
        await artifact.tags.add(tag)
        published = datetime.date(2000 + number, 1, 1)
        book = await Book.vinyl.create(title=f"volume {number}", author=author, published=published, stock=number)
        await book.tags.add(tag)
    await Account.vinyl.bulk_create([Account(balance=100), Account(balance=100)])
    await Job.vinyl.bulk_create([Job(), Job()])
    user = await vinyl.run(User.objects.create_user, "ada", password="secret")
    names |= {"author": author, "owner": owner, "tag": tag, "user": user}
    names["artifact"] = await Artifact.vinyl.get(pk=1)
    names["book"] = await Book.vinyl.get(pk=6)
    names["job"] = await Job.vinyl.first()
    names["artifacts"] = await Artifact.vinyl.all()


async def answer(view: Any, names: dict[str, Any]) -> None:
    """Call a view, and read its answer to the end."""
    parameters = inspect.signature(view).parameters
    response = await view(*[names[parameter] for parameter in parameters])
    if isinstance(response, StreamingHttpResponse):
        assert [chunk async for chunk in response]
    assert isinstance(response, HttpResponseBase)


def check_settings(names: dict[str, Any]) -> None:
    """Read settings that the page has set, as vinyl reads them; raise ImproperlyConfigured for what there is not."""
    configured, databases = names.pop("VINYL", None), names.pop("DATABASES", {})
    with override_settings(VINYL=configured or {}):
        for alias, database in {**settings.DATABASES, **databases}.items():
            conf.pool_options(alias, database)
            conf.prepares_statements(alias, database)
        for alias in settings.DATABASES:
            conf.deadline_of(alias)
        conf.uses_plans()
        conf.verifies_plans()
