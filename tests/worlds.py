"""Carrying out the programs of tests/fuzzing.py in three worlds: vinyl's async mode, its sync mode, and plain Django.

What comes of a program is an Outcome, without what differs by nature: times, addresses, generated keys.
"""

import asyncio
import contextvars
import copy
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db import transaction as django_transaction
from django.db.models.query import RawQuerySet

import vinyl
from tests.fuzzing import CURSORS, Call, Program, Stand
from tests.misuse import Shop
from vinyl import Param, transaction

# The keys of the shop are not above it, those that the database generates are.
LAST_KEY = 51


class Failed(Exception):
    """The error by which a program's caller ends its block."""


@dataclass(frozen=True)
class Outcome:
    """A result, or the class and the message of an error."""

    result: Any = None
    error: Exception | None = None
    message: str = ""

    def compared(self) -> tuple[Any, ...]:
        return (self.result, None if self.error is None else type(self.error).__qualname__, self.message)


def steady(value: Any) -> str:
    """Return the repr of a value without what differs from one run to the next."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(\+00)?|datetime\(20[^)]*\)", "<time>", str(value))
    text = re.sub(r"0x[0-9a-f]+|_x\d+", "<address>", text)
    return re.sub(r"\d+", lambda number: number[0] if int(number[0]) <= LAST_KEY else "<number>", text)


def described(value: Any) -> Any:
    """Return a value as it can be compared between worlds."""
    if isinstance(value, models.Model):
        loaded = {field.attname for field in value._meta.concrete_fields} - {"changed"}
        return value._meta.label, {name: described(value.__dict__[name]) for name in loaded & value.__dict__.keys()}
    if isinstance(value, dict):
        return sorted(((described(key), described(each)) for key, each in value.items() if key != "changed"), key=repr)
    if isinstance(value, list | tuple | set):
        return sorted((described(each) for each in value), key=repr)
    return steady(repr(value))


UNSPECIFIED = "<unspecified>"


def is_unspecified(program: Program) -> bool:
    """Whether the result is not to be compared: a plan has times, and PEP 249 leaves open what execute() gives."""
    names = ("execute", "executemany") if program.target in CURSORS else ("explain", "aexplain")
    return program.call.name in names


class World:
    """Where programs are carried out. `pristine` is the shop, which each program gets a copy of."""

    def __init__(self, pristine: Shop) -> None:
        self.pristine = pristine
        self.shop = pristine

    def outcome(self, program: Program) -> Outcome:
        self.shop = copy.deepcopy(self.pristine)
        try:
            result = self.run(program)
            return Outcome(UNSPECIFIED if is_unspecified(program) else described(result))
        except Exception as error:
            return Outcome(error=error, message=steady(error))

    def run(self, program: Program) -> Any:
        raise NotImplementedError

    async def carried_out(self, program: Program) -> Any:
        if program.target in CURSORS:
            return await self.with_cursor(program)
        target = self.target(program.target)
        for each in program.chain:
            target = self.called(target, each)
        return await self.given(self.called(target, program.call))

    async def with_cursor(self, program: Program) -> Any:
        """Make the calls of the chain one after the other, all of the cursor."""
        async with self.cursor() as cursor:
            for each in program.chain:
                await self.given(self.called(cursor, each))
            if program.target == "cursor":
                return await self.given(self.called(cursor, program.call))
        return await self.given(self.called(cursor, program.call))

    async def in_block(self, program: Program) -> Any:
        if program.block in ("hold", "deadline"):
            async with getattr(self, program.block)():
                return await self.carried_out(program)
        if program.block is None:
            return await self.carried_out(program)
        async with self.atomic():
            if program.block == "atomic":
                result = await self.carried_out(program)
            else:
                async with self.atomic():
                    result = await self.carried_out(program)
            if program.fails:
                raise Failed
            return result

    def called(self, target: Any, call: Call) -> Any:
        args, kwargs = self.resolved(list(call.args)), self.resolved(call.kwargs)
        return target[args[0]] if call.name == "[]" else getattr(target, call.name)(*args, **kwargs)

    def resolved(self, value: Any) -> Any:
        """Put this world's objects in the places of what stands for them."""
        if isinstance(value, Stand):
            found = self.standing_for(value.name)
            return [found] if value.several else found
        if isinstance(value, list | tuple):
            return type(value)(self.resolved(each) for each in value)
        return {key: self.resolved(each) for key, each in value.items()} if isinstance(value, dict) else value

    def standing_for(self, name: str) -> Any:
        if hasattr(self.shop, name):
            return getattr(self.shop, name)
        model = apps.get_model("library", name.removesuffix(".all"))
        return self.manager(model).all() if name.endswith(".all") else model

    def target(self, name: str) -> Any:
        if name in ("connection", "vinyl"):
            return getattr(self, name)()
        found, _, relation = name.partition(".")
        if hasattr(self.shop, found):
            instance = getattr(self.shop, found)
            return getattr(instance, relation) if relation else self.instance(instance)
        return self.manager(apps.get_model("library", name))

    def instance(self, instance: Any) -> Any:
        return instance

    # What the worlds have each their own of.
    manager: Any
    cursor: Any
    connection: Any
    vinyl: Any
    atomic: Any
    hold: Any
    deadline: Any
    given: Any


class VinylWorld(World):
    """Vinyl in the async mode, with a runner, or in the sync mode, without."""

    def __init__(self, pristine: Shop, runner: asyncio.Runner | None) -> None:
        super().__init__(pristine)
        self.runner = runner
        self.manager = vinyl.manager
        self.atomic = transaction.atomic
        self.hold = vinyl.connection.hold
        self.cursor = vinyl.connection.cursor

    def run(self, program: Program) -> Any:
        if self.runner is None:
            with vinyl.sync_mode():
                return vinyl.portable(self.in_block)(program)
        return self.runner.run(self.in_block(program), context=contextvars.copy_context())

    def connection(self) -> Any:
        return SimpleNamespace(execute=vinyl.connection.execute, **vars(transaction))

    def vinyl(self) -> Any:
        return vinyl

    def deadline(self) -> Any:
        return vinyl.deadline(60)

    async def given(self, result: Any) -> Any:
        if inspect.isasyncgen(result) or hasattr(result, "__anext__"):
            return [each async for each in result]
        return await result if inspect.isawaitable(result) else result


class PlainWorld(World):
    """Django without vinyl."""

    def __init__(self, pristine: Shop) -> None:
        plain = {
            each.name: type(value)._meta.model(**vars_of(value))
            for each in fields(pristine)
            for value in [getattr(pristine, each.name)]
        }
        for name, instance in plain.items():
            instance._state.__dict__.update(vars(copy.deepcopy(getattr(pristine, name)._state)))
        super().__init__(Shop(**plain))

    def run(self, program: Program) -> Any:
        coroutine = self.in_block(unfrozen(program))
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("plain Django has nothing to wait for")

    def manager(self, model: Any) -> Any:
        return model._default_manager

    def connection(self) -> Any:
        return SimpleNamespace(execute=execute, **vars(django_transaction))

    def vinyl(self) -> Any:
        return SimpleNamespace(
            **{name: partial(plainly, name) for name in ("insert", "update", "delete", "refresh", "load")},
            prefetch_related_objects=models.prefetch_related_objects,
            gather=lambda *querysets: [list(queryset) for queryset in querysets],
            manager=self.manager,
            run=lambda function: function(),
        )

    def called(self, target: Any, call: Call) -> Any:
        """Call Django's synchronous method in the place of one that is awaited or started."""
        name = {"start": "all"}.get(call.name, call.name)
        if isinstance(target, models.QuerySet | models.Manager) and name.startswith("a") and hasattr(target, name[1:]):
            name = name[1:]
        return super().called(target, replace(call, name=name))

    def deadline(self) -> Any:
        return Awaited(None)

    def atomic(self) -> Any:
        return Awaited(django_transaction.atomic())

    def hold(self) -> Any:
        return Awaited(None)

    def cursor(self) -> Any:
        return Awaited(connection.cursor())

    def instance(self, instance: Any) -> Any:
        return PlainInstance(instance)

    async def given(self, result: Any) -> Any:
        # What execute() gives may be the cursor, which can be iterated.
        is_lazy = isinstance(result, models.QuerySet | RawQuerySet | Iterator) and not hasattr(result, "fetchone")
        return list(result) if is_lazy else result


def vars_of(instance: Any) -> dict[str, Any]:
    return {field.attname: getattr(instance, field.attname) for field in instance._meta.concrete_fields}


class Awaited:
    """A block of Django's, for `async with`."""

    def __init__(self, block: Any) -> None:
        self.block = block

    async def __aenter__(self) -> Any:
        return self.block and self.block.__enter__()

    async def __aexit__(self, *exc_info: Any) -> Any:
        return self.block and self.block.__exit__(*exc_info)


class PlainInstance:
    """What comes nearest to vinyl's methods of instances in Django."""

    def __init__(self, instance: Any) -> None:
        self.instance = instance

    def insert(self, using: Any = None) -> Any:
        self.instance.save(force_insert=True, using=using)

    def update(self, using: Any = None, **values: Any) -> Any:
        for name, value in values.items():
            setattr(self.instance, name, value)
        self.instance.save(force_update=True, using=using, update_fields=list(values) or None)

    def delete(self, using: Any = None) -> Any:
        return self.instance.delete(using=using)

    def refresh(self, *names: Any) -> Any:
        self.instance.refresh_from_db(fields=names or None)

    def load(self, *lookups: Any) -> Any:
        # Columns are there.
        columns = {field.attname for field in self.instance._meta.concrete_fields}
        models.prefetch_related_objects([self.instance], *(each for each in lookups if each not in columns))


def unfrozen(program: Program) -> Program:
    """Return the program with the values of a frozen query in the places of its parameters."""
    if not any(call.name == "freeze" for call in program.chain):
        return program
    given, name = program.call.kwargs, program.call.name
    chain = [
        replace(call, kwargs={key: given.get(each.name) if isinstance(each, Param) else each for key, each in items})
        for call in program.chain
        for items in [call.kwargs.items()]
        if call.name != "freeze"
    ]
    return replace(program, chain=tuple(chain), call=Call({"__call__": "all", "queryset": "all"}.get(name, name)))


def plainly(name: str, instance: Any, *args: Any, **kwargs: Any) -> Any:
    return getattr(PlainInstance(instance), name)(*args, **kwargs)


def execute(sql: Any, params: Any = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else cursor.rowcount
