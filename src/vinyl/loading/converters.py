"""What turns the values of a driver's row into those of Django: the compiler's converters, as Python expressions.

Django hands each value of such a column to its converters, one after the other: `value = converter(value, expression,
connection)`. Here each column becomes a piece of source text with these calls in it, to stand in a generated loop.

Protocol. The text refers to the row's values as v0, v1, …, to the connection as `connection`, and to all else by names
that a Names has given out. What depends on the connection is found anew for the connection at hand, by a function that
is called once for all rows, so that none is kept.
"""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from django.db.models import Field
from django.db.models.expressions import BaseExpression, ColPairs

from vinyl.loading.short_cuts import Names, shortened


def has_more(compiler: Any) -> bool:
    """Whether rows have columns behind the selected ones, which are there for their order only."""
    # pre_sql_setup() sets it.
    return getattr(compiler, "has_extra_select", False)


class Columns:
    """The selected expressions: how many columns a row has, and the text that gives the value of each expression."""

    def __init__(self, compiler: Any, names: Names) -> None:
        self.width = 0
        self.has_more = has_more(compiler)
        self.texts = [self._text(compiler, names, column[0]) for column in compiler.select[: compiler.col_count]]

    def _text(self, compiler: Any, names: Names, expression: Any) -> str:
        if isinstance(expression, ColPairs):
            parts = [self._text(compiler, names, part) for part in expression.get_source_expressions()]
            return f"({', '.join(parts)},)"
        value = f"v{self.width}"
        self.width += 1
        if not expression:
            return value
        connection = compiler.connection
        backend = connection.ops.get_db_converters(expression)
        for number, converter in enumerate(backend + expression.get_db_converters(connection)):
            function = _function(names, converter, number, expression, connection)
            call = f"{function}({value}, {names.of(expression)}, connection)"
            value = shortened(names, converter, expression, value, call) if number == 0 else call
        return value

    @property
    def target(self) -> str:
        """The variables that a row is unpacked to."""
        return "".join(f"v{number}, " for number in range(self.width)) + ("*_" if self.has_more else "")


def _function(names: Names, converter: Any, number: int, expression: Any, connection: Any) -> str:
    owner = getattr(converter, "__self__", None)
    if owner is connection.ops:
        name = converter.__name__
        return names.bound(lambda connection: getattr(connection.ops, name))
    is_plain = isinstance(converter, FunctionType) and converter.__closure__ is None
    if is_plain or isinstance(owner, Field | BaseExpression):
        return names.of(converter)
    # It may have the connection in it, which is not to be seen.
    return names.bound(
        lambda connection: (connection.ops.get_db_converters(expression) + expression.get_db_converters(connection))[
            number
        ]
    )


def binding(finds: Sequence[Callable[[Any], Any]]) -> Callable[[Any], list[Any]]:
    """Return the function that finds all of them for a connection."""
    return lambda connection: [find(connection) for find in finds]
