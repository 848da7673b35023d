"""mysqlclient's result: the rows of one answer, as its cursors ask for them."""

from typing import Any

from MySQLdb.constants import FIELD_TYPE, FLAG

NUMBERS = (
    FIELD_TYPE.DECIMAL,
    FIELD_TYPE.TINY,
    FIELD_TYPE.SHORT,
    FIELD_TYPE.LONG,
    FIELD_TYPE.FLOAT,
    FIELD_TYPE.DOUBLE,
    FIELD_TYPE.NULL,
    FIELD_TYPE.LONGLONG,
    FIELD_TYPE.INT24,
    FIELD_TYPE.YEAR,
    FIELD_TYPE.NEWDECIMAL,
)


class Result:
    """The rows of an answer, all of which are here. `answer` is asyncmy's."""

    def __init__(self, answer: Any) -> None:
        self.has_next = bool(answer.has_next)
        self._fields = answer.fields
        self._rows = answer.rows
        self._position = 0

    def describe(self) -> tuple[tuple[Any, ...], ...]:
        """Return PEP 249's description. How long the longest value is, is not known: asyncmy has converted them."""
        return tuple(
            (field.name, field.type_code, 0, field.length, field.length, field.scale, _is_nullable(field))
            for field in self._fields
        )

    def field_flags(self) -> tuple[int, ...]:
        # The last is set by the C library.
        return tuple(field.flags | (FLAG.NUM if field.type_code in NUMBERS else 0) for field in self._fields)

    def num_rows(self) -> int:
        return len(self._rows)

    def num_fields(self) -> int:
        return len(self._fields)

    def data_seek(self, position: int) -> None:
        self._position = position

    def discard(self) -> None:
        self._rows = ()

    def fetch_row(self, maxrows: int = 1, how: int = 0) -> tuple[Any, ...]:
        """Return the next rows, all where `maxrows` is 0: tuples, or for `how` 1 and 2 dictionaries."""
        start = self._position
        end = self._position = start + maxrows if maxrows else len(self._rows)
        rows: tuple[Any, ...] = self._rows[start:end]
        if how:
            names = self._names() if how == 1 else self._names_with_tables()
            return tuple(dict(zip(names, row, strict=True)) for row in rows)
        return rows

    def _names(self) -> list[str]:
        """Return the names of the columns, with that of its table where a name comes again."""
        names: list[str] = []
        for field in self._fields:
            names.append(f"{field.table_name}.{field.name}" if field.name in names else field.name)
        return names

    def _names_with_tables(self) -> list[str]:
        return [f"{field.table_name}.{field.name}" if field.table_name else field.name for field in self._fields]


def _is_nullable(field: Any) -> int:
    return int(not field.flags & FLAG.NOT_NULL)
