"""Random calls of the public API, right and wrong: the strategies of hypothesis for test_fuzz.py.

A *program* is one call, reached by a chain of others from an object of the shop (tests/misuse.py), maybe in a block.
Its arguments are values, or what stands for a value that each world has its own of: see Stand.

    Program(target="Book", chain=(Call("filter", (), {"author": Stand("ann")}),), call=Call("count"), block="atomic")

This module knows what can be called, not what is to come of it.
"""

import datetime as dt
import math
import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db.models import Avg, Count, F, Max, Q, Sum, Value
from django.db.models.functions import Lower, Now
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from vinyl import Param

# What hypothesis keeps for itself shall not lie about in the project.
set_hypothesis_home_dir(Path(tempfile.gettempdir(), "vinyl-tests", "hypothesis"))

MODELS = ("Author", "Book", "Tag", "Cover", "Place", "Member")
INSTANCES = ("ann", "bo", "book", "tag", "cover", "place", "new")
# A cursor in its block, and one whose block has ended before the call.
CURSORS = ("cursor", "closed cursor")
RELATED = ("ann.books", "ann.edited", "bo.books", "book.tags", "tag.books", "new.books", "new.edited")


@dataclass(frozen=True)
class Stand:
    """Stands for an object of a world: an instance, a model, a queryset, a list of instances."""

    name: str
    several: bool = False


@dataclass(frozen=True)
class Call:
    """A call of a method; of `[]` for an index or a slice."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A call to be made. With `fails` its block ends by an error of the caller's."""

    target: str
    chain: tuple[Call, ...]
    call: Call
    block: str | None = None
    fails: bool = False


class NoValue:
    """A value that no field takes, and whose repr is the same each time."""

    def __repr__(self) -> str:
        return "NoValue()"


TEXTS = ("", "Ann", "One", "old", "x", "a\0b", "\ud800", "%s", "'; --", "é" * 300, "1", "NaN", "2020-01-01", "None")
NUMBERS = (0, 1, 2, 11, 21, -1, 999, 2**31, 2**63, 10**30, -(10**30), 1.5, math.nan, math.inf, -math.inf)
OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    b"bytes",
    Decimal("NaN"),
    Decimal("12.34"),
    Decimal("1e50"),
    dt.date(2020, 1, 1),
    dt.datetime(2020, 1, 1, 12),
    dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC),
    dt.datetime.min,
    dt.timedelta(days=1),
    NoValue(),
    NoValue,
    (),
    [],
    [None],
    [1, "x"],
    {},
    {"x": 1},
    slice(1),
)
EXPRESSIONS = (
    F("stock"),
    F("name"),
    F("nope"),
    F("author__name"),
    Value(1),
    Value(None),
    Count("pk"),
    Count("tags"),
    Count("nope"),
    Sum("stock"),
    Max("name"),
    Avg("title"),
    Lower("name"),
    Now(),
    F("stock") + 1,
    Q(pk=1),
    Q(nope=1),
    Q(),
)
FIELDS = ("id", "pk", "name", "title", "author", "author_id", "editor", "stock", "price", "published", "tags", "cover")
LOOKUPS = (
    "name__in",
    "name__icontains",
    "title__startswith",
    "title__regex",
    "author__name",
    "author__books__title",
    "tags__label",
    "pk__in",
    "pk__gt",
    "id__isnull",
    "published__year",
    "published__range",
    "stock__lt",
    "editor__isnull",
    "author__in",
)
NO_FIELDS = ("nope", "", "a b", "name__nope", "title__title", "author__nope", "pk__pk", "__", "x__", "name\0")

fields = st.sampled_from((*FIELDS, "label", "colour", "book", "born", "books", "edited"))
names = st.one_of(fields, fields, st.sampled_from(LOOKUPS), st.sampled_from(NO_FIELDS))
stands = st.one_of(
    st.builds(Stand, st.sampled_from(INSTANCES + MODELS + tuple(f"{model}.all" for model in MODELS))),
    st.builds(Stand, st.sampled_from(INSTANCES), st.just(True)),
)
scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.sampled_from(OTHERS))
# No expressions where Django makes a list of its argument: F("x")[0], F("x")[1] and so on have no end.
things = st.one_of(scalars, scalars, stands)
values = st.one_of(things, things, st.sampled_from(EXPRESSIONS))
aliases = st.sampled_from(["default", "default", "nope", None])
keywords = st.dictionaries(names, values, max_size=2)


def writable() -> st.SearchStrategy[dict[str, Any]]:
    """Return keyword arguments that are mostly fields, so that many calls are right ones."""
    right = st.fixed_dictionaries(
        {}, optional={"name": st.sampled_from(TEXTS), "title": st.sampled_from(TEXTS), "stock": st.integers(-5, 5)}
    )
    wrong = st.dictionaries(names, values, max_size=2)
    return st.one_of(right, wrong, st.builds(lambda one, other: {**one, **other}, right, wrong))


def call(name: str, *args: st.SearchStrategy[Any], **kwargs: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    """Return calls of a method with these arguments; `rest` are further keyword arguments, given or not."""
    rest = kwargs.pop("rest", st.just({}))
    optional = st.fixed_dictionaries({}, optional=kwargs)
    return st.builds(lambda args, given, rest: Call(name, args, {**rest, **given}), st.tuples(*args), optional, rest)


def with_names(*methods: str) -> list[st.SearchStrategy[Call]]:
    several = st.lists(st.one_of(names, names, values), max_size=2).map(tuple)
    return [st.builds(Call, st.just(method), several) for method in methods]


indices = st.one_of(
    st.integers(-2, 3),
    st.builds(slice, *[st.sampled_from([None, 0, 1, -1, "x", 10**30])] * 2, st.sampled_from([None, None, 0, 2, -1])),
    things,
)
chaining = st.one_of(
    *(call(method, rest=keywords) for method in ("filter", "exclude", "annotate", "alias")),
    st.builds(Call, st.sampled_from(["filter", "exclude", "annotate"]), st.tuples(values)),
    *with_names("order_by", "values", "values_list", "only", "defer", "select_related", "prefetch_related", "distinct"),
    st.sampled_from(["all", "reverse", "none", "select_for_update"]).map(Call),
    call("using", aliases),
    call("union", things),
    call("[]", st.builds(slice, st.sampled_from([None, 0, 1]), st.sampled_from([None, 1, 2]))),
)
# Those that are right for each model, so that chains get somewhere.
right_chaining = st.sampled_from(
    [
        Call("all"),
        Call("filter", kwargs={"pk__in": [1, 2, 11, 21, 31]}),
        Call("filter", (Q(pk__lt=11) | Q(pk=21),)),
        Call("exclude", kwargs={"pk": 1}),
        Call("order_by", ("-pk",)),
        Call("only", ("pk",)),
        Call("values", ("pk",)),
        Call("values_list", ("pk",), {"flat": True}),
        Call("annotate", kwargs={"one": Value(1)}),
        Call("annotate", kwargs={"n": Count("pk")}),
        Call("distinct"),
        Call("reverse"),
        Call("union", (Stand("Author.all"),)),
        Call("[]", (slice(0, 2),)),
    ]
)
objects = st.one_of(
    st.lists(st.one_of(stands, stands, things), max_size=2), things, st.builds(Stand, st.sampled_from(INSTANCES))
)
whole_tables = st.builds(Stand, st.sampled_from([f"{model}.all" for model in MODELS]))
plural = st.lists(st.builds(Stand, st.sampled_from(INSTANCES)), max_size=2)
# What databases tell of a plan differs from one time to the next, so that only errors are compared.
explained = st.dictionaries(
    st.sampled_from(["format", "format", "analyze", "verbose", "nope", "a b"]),
    st.one_of(st.sampled_from(["TEXT", "json", "TRADITIONAL", "nope", ""]), st.booleans(), scalars),
    max_size=2,
)
right_ending = st.sampled_from(["all", "count", "exists", "first", "last", "delete", "iterator", "get", "in_bulk"])
ending = st.one_of(
    right_ending.map(Call),
    right_ending.map(Call),
    call("get", rest=keywords),
    call("[]", indices),
    *with_names("latest", "earliest"),
    call("contains", things),
    call("in_bulk", things, field_name=names),
    call("aggregate", rest=keywords),
    call("iterator", chunk_size=things),
    call("update", rest=writable()),
    call("create", rest=writable()),
    call("get_or_create", rest=keywords, defaults=st.one_of(things, keywords)),
    call("update_or_create", rest=keywords, defaults=st.one_of(things, writable())),
    call("bulk_create", st.one_of(plural, objects), batch_size=things, ignore_conflicts=st.booleans()),
    call("bulk_update", st.one_of(plural, objects), st.lists(names, max_size=2), batch_size=things),
    call("raw", st.sampled_from(["SELECT * FROM library_author", "nope", "", "SELECT 1"]), things),
    call("dates", names, st.sampled_from(["year", "nope"])),
    call("explain", rest=explained),
    call("aexplain", rest=explained),
    # What is begun before it is awaited, and what is awaited in each mode.
    st.sampled_from(["start", "acount", "aexists", "afirst", "alast", "adelete", "aiterator", "aget"]).map(Call),
    call("aget", rest=keywords),
    call("aupdate", rest=writable()),
    call("acreate", rest=writable()),
    call("aaggregate", rest=keywords),
    call("ain_bulk", things, field_name=names),
)
of_instances = st.one_of(
    call("insert", using=aliases),
    call("update", rest=writable(), using=aliases),
    call("delete", using=aliases),
    *with_names("refresh", "load"),
)
of_relations = st.one_of(
    st.builds(Call, st.sampled_from(["add", "remove"]), objects.map(lambda given: (given,))),
    st.builds(Call, st.sampled_from(["add", "remove"]), plural.map(tuple)),
    call("set", st.one_of(plural, objects), clear=st.booleans()),
    call("clear"),
    call("create", rest=writable()),
    call("get_or_create", rest=keywords),
    ending,
)
# The same, as functions, of whatever is no instance too; and what else there is in the package.
of_vinyl = st.one_of(
    call("insert", things, using=aliases),
    call("update", things, rest=writable(), using=aliases),
    call("delete", things, using=aliases),
    *(
        st.builds(
            lambda method, given, several: Call(method, (given, *several)),
            st.just(method),
            st.one_of(stands, things),
            st.lists(names, max_size=2),
        )
        for method in ("refresh", "load")
    ),
    st.builds(
        lambda given, several: Call("prefetch_related_objects", (given, *several)),
        st.one_of(plural, objects),
        st.lists(names, max_size=2),
    ),
    st.builds(Call, st.just("gather"), st.lists(st.one_of(whole_tables, whole_tables, things), max_size=3).map(tuple)),
    call("manager", st.one_of(st.builds(Stand, st.sampled_from(MODELS)), things)),
    call("run", st.sampled_from([None, 3, list, NoValue])),
    call("deadline", scalars),
)
parameters = st.builds(
    lambda method, names, steps: (
        Call(method, kwargs={name: Param("given") for name in names}),
        *steps,
        Call("freeze"),
    ),
    st.sampled_from(["filter", "filter", "exclude"]),
    st.lists(st.one_of(st.sampled_from(["pk", "pk__lt", "pk__in"]), names), min_size=1, max_size=2),
    st.lists(right_chaining, max_size=1),
)
of_frozen_queries = st.builds(
    lambda name, given: Call(name, kwargs=given),
    st.sampled_from(["__call__", "__call__", "get", "first", "count", "exists", "queryset"]),
    st.one_of(st.fixed_dictionaries({"given": st.one_of(values, st.sampled_from([1, 11, 21]))}), keywords),
)
statements = st.sampled_from(
    [
        "SELECT 1",
        "SELECT %s",
        "nope",
        "",
        "SELECT %(x)s",
        "SELECT %s, %s",
        "UPDATE library_author SET name = %s",
    ]
)
of_cursors = st.one_of(
    call("execute", statements, st.one_of(scalars, st.lists(scalars, max_size=2))),
    st.sampled_from([Call("execute", ("SELECT name FROM library_author ORDER BY id",)), Call("fetchall")]),
    call("executemany", statements, st.one_of(scalars, st.lists(st.lists(scalars, max_size=2), max_size=2))),
    st.sampled_from(["fetchone", "fetchall", "__aiter__", "__iter__"]).map(Call),
    call("fetchmany", st.one_of(st.sampled_from([None, 0, 1, 2, -1]), scalars)),
)
of_connections = st.one_of(
    call("execute", statements, st.one_of(scalars, st.lists(scalars, max_size=2))),
    call("savepoint", using=aliases),
    call("savepoint_commit", st.sampled_from(["nope", "", None, 3]), using=aliases),
    call("savepoint_rollback", st.sampled_from(["nope", "", None, 3]), using=aliases),
    call("on_commit", st.sampled_from([None, 3, list, NoValue]), using=aliases),
    call("atomic", things, retries=st.one_of(scalars, st.integers(-1, 2))),
    call("get_rollback", using=aliases),
    call("set_rollback", st.booleans(), using=aliases),
)
blocks: dict[str, Any] = {
    "block": st.sampled_from([None, None, None, "atomic", "savepoint", "hold", "deadline"]),
    "fails": st.sampled_from([False, False, False, True]),
}
chains = st.lists(st.one_of(right_chaining, right_chaining, chaining), max_size=3).map(tuple)
programs = st.one_of(
    st.builds(Program, st.sampled_from(MODELS), chains, ending, **blocks),
    st.builds(Program, st.sampled_from(INSTANCES), st.just(()), of_instances, **blocks),
    st.builds(Program, st.sampled_from(RELATED), st.just(()), of_relations, **blocks),
    st.builds(Program, st.just("vinyl"), st.just(()), of_vinyl, **blocks),
    st.builds(Program, st.sampled_from(MODELS), parameters, of_frozen_queries, **blocks),
    st.builds(Program, st.just("connection"), st.just(()), of_connections, **blocks),
    st.builds(Program, st.sampled_from(CURSORS), st.lists(of_cursors, max_size=3).map(tuple), of_cursors, **blocks),
)
# Of pools, and of all that there is.
OPTIONS = ("min_size", "max_size", "timeout", "max_waiting", "max_lifetime", "max_idle", "nope", "")
pool_settings = st.dictionaries(
    st.one_of(st.sampled_from(OPTIONS), scalars.filter(lambda key: key.__hash__ is not None)), scalars, max_size=3
)
alias_settings = st.dictionaries(
    st.one_of(st.sampled_from(["default", "default", "other", "nope"]), st.sampled_from(TEXTS)),
    st.one_of(scalars, pool_settings),
    max_size=2,
)
SETTINGS = ("POOL", "DEADLINE", "PLANS", "VERIFY_PLANS", "PREPARED_STATEMENTS")
all_settings = st.one_of(
    scalars,
    st.dictionaries(
        st.one_of(*[st.sampled_from(SETTINGS)] * 4, st.sampled_from(["nope", "", "pool", None, 3])),
        st.one_of(scalars, st.booleans(), alias_settings, alias_settings),
        max_size=3,
    ),
)
