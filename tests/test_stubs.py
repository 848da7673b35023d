"""The declarations for type checkers are those of what there is at run time: names, methods and parameters.

Parameters are compared by their names and kinds. tests/test_typing.py is about the types.
"""

import ast
import inspect
from functools import cache
from pathlib import Path

import pytest

import vinyl
from tests.library.models import Author, Book
from tools import synchronous_stubs
from vinyl import sync
from vinyl.faces import frozen, queryset, results, sql

PACKAGE = Path(vinyl.__file__).parent
# By the name of the declaration: the class that there is at run time.
CLASSES = {
    "VinylQuerySet": vinyl.VinylQuerySet,
    "VinylRawQuerySet": queryset.VinylRawQuerySet,
    "FrozenQuery": frozen.FrozenQuery,
    "Stream": results.Stream,
    "Queries": vinyl.VinylManager,
    "VinylManager": vinyl.VinylManager,
    "VinylRelatedManager": None,  # one for each relation
    "VinylModel": vinyl.VinylModel,
    "Connection": sql.Connection,
    "Connections": sql.Connections,
    "Cursor": sql.Cursor,
    "CursorBlock": sql.CursorBlock,
    "HoldBlock": sql.HoldBlock,
}
# Python's own, which take what Python gives them; a manager's __get__() is that of its descriptor.
UNCOMPARED = {"__init__", "__get__", "__getattr__", "__enter__", "__exit__", "__aenter__", "__aexit__"}


@cache
def declared(folder):
    """Return the name of the class, or None, and each function of the declarations."""
    found = []
    for path in sorted((PACKAGE / folder).glob("*.pyi")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found.append((None, node))
            elif isinstance(node, ast.ClassDef) and node.name in CLASSES:
                found += [(node.name, child) for child in node.body if isinstance(child, ast.FunctionDef)]
    return found


def parameters(function):
    """Return the names of the parameters that a declaration has, but for the first, with a star where they have one."""
    args = function.args
    names = [arg.arg for arg in args.args[1:] + args.kwonlyargs]
    return {
        *names,
        *(f"*{arg.arg}" for arg in (args.vararg,) if arg),
        *(f"**{arg.arg}" for arg in (args.kwarg,) if arg),
    }


def parameters_at_run_time(method):
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    found = list(inspect.signature(method).parameters.values())
    is_bound = inspect.ismethod(method)
    return {stars.get(each.kind, "") + each.name for each in found[0 if is_bound else 1 :]}


def related_managers():
    # remove() and clear() are there for relations that can be null.
    return [type(Author.vinyl(pk=1).edited), type(Book.vinyl(pk=1).tags)]


def methods(folder):
    return sorted({(name, each.name) for name, each in declared(folder) if name})


@pytest.mark.parametrize("folder", ["_typed", "_typed_sync"])
def test_each_method_that_is_declared_is_there_with_these_parameters(folder):
    wrong = []
    for name, method in methods(folder):
        classes = [CLASSES[name]] if CLASSES[name] else related_managers()
        found = [getattr(each, method) for each in classes if hasattr(each, method)]
        overloads = [each for owner, each in declared(folder) if (owner, each.name) == (name, method)]
        if not found and method != "__get__":
            wrong.append(f"{name}.{method}() is not there")
        elif found and method not in UNCOMPARED and callable(found[0]):
            expected = set().union(*map(parameters, overloads))
            actual = set().union(*map(parameters_at_run_time, found))
            if expected != actual:
                wrong.append(f"{name}.{method}() takes {sorted(actual)}, not {sorted(expected)}")
    assert not wrong, "\n".join(wrong)


def test_each_public_method_of_querysets_and_managers_is_declared():
    names = {method for name, method in methods("_typed") if name in ("VinylQuerySet", "Queries")}
    for cls in (vinyl.VinylQuerySet, vinyl.VinylManager):
        found = {name for name, _ in inspect.getmembers(cls, callable) if not name.startswith("_")}
        assert found - names <= {
            *("check", "contribute_to_class", "deconstruct", "from_queryset", "bound_to", "do_not_call_in_templates"),
            *("resolve_expression", "vinyl_class", "django_class"),
        }


@pytest.mark.parametrize("module", [vinyl, sync])
def test_the_names_that_type_checkers_know_are_the_public_names(module):
    stub = Path(module.__file__).with_suffix(".pyi")
    nodes = ast.parse(stub.read_text()).body
    (names,) = [ast.literal_eval(node.value) for node in nodes if isinstance(node, ast.Assign)]
    imported = {
        alias.asname or alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert names == module.__all__
    assert imported == set(names)


def test_the_names_of_the_sync_mode_are_the_same_objects():
    assert [name for name in sync.__all__ if getattr(sync, name) is not getattr(vinyl, name)] == []


def test_the_declarations_of_the_sync_mode_are_made_from_those_of_the_async_mode():
    made = synchronous_stubs.all_made()
    folder = PACKAGE / "_typed_sync"
    assert {name: (folder / name).read_text() for name in made} == made, "run `make stubs`"
