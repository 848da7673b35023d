"""The public names of vinyl, with their parameters and what the errors are: what a release must not change unawares.

    python -m tests.public_api > tests/public_api.txt       renews what tests/test_public_api.py compares with

Annotations are left out, and so is what a method takes that hands everything on to Django's of its name.
"""

import inspect
import types
from collections.abc import Iterator
from typing import Any

import vinyl

# Bases that not every Django has; for one without them there are classes of vinyl's, with a _ before the name.
NOT_IN_EACH_DJANGO = {"FieldFetchBlocked", "ObjectNotUpdated"}


def described() -> Iterator[str]:
    """Yield a line for each public name, and for what can be called on it."""
    for name in vinyl.__all__:
        yield from _described(name, getattr(vinyl, name))


def _described(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value) and issubclass(value, Exception):
        bases = [base.__name__ for base in value.__mro__[1:-2] if base.__name__.lstrip("_") not in NOT_IN_EACH_DJANGO]
        yield f"{name}: {', '.join(bases)}"
    elif isinstance(value, types.ModuleType):
        for each, member in sorted(vars(value).items()):
            if each[0] != "_" and getattr(member, "__module__", "") == value.__name__:
                yield from _described(f"{name}.{each}", member)
    elif inspect.isclass(value):
        yield f"{name}{_parameters(value)}"
        yield from _members(name, value)
    elif callable(value):
        yield f"{name}{_parameters(value)}"
    else:
        yield f"{name}: {type(value).__name__}"
        yield from _members(name, type(value))


def _members(name: str, cls: type[Any]) -> Iterator[str]:
    for each, member in sorted(vars(cls).items()):
        if each[0] == "_" and each != "__call__":
            continue
        function = getattr(member, "__func__", member)
        is_called = inspect.isfunction(function)
        yield f"    {name}.{each}{_parameters(function) if is_called else ''}"


def _parameters(function: Any) -> str:
    signature = inspect.signature(function, follow_wrapped=False)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


if __name__ == "__main__":
    print("\n".join(described()))
