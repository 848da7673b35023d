"""What one connection has prepared on the server.

A statement is prepared as it is executed for the second time, and closed as it becomes the one that was not used for
longest. A server that has lost what several connections had prepared has a pooler in front of it, which serves them by
sessions that others have had: no more is prepared there.

The module does not know how anything is sent.
"""

import secrets
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Any

# How many statements a connection has prepared; and of how many others it knows that it has seen them once.
MAX_STATEMENTS = 200
# How often a server may lose what was prepared, by a DISCARD ALL perhaps, before no more is prepared there.
MAX_LOSSES = 3

Key = tuple[Any, Any]


class Losses:
    """How often a server has lost what was prepared; shared by its connections."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


# By host, port and database.
_losses: defaultdict[tuple[Any, ...], Losses] = defaultdict(Losses)


class Prepared:
    """The statements that one connection has prepared, or has seen once, by the types of their parameters."""

    __slots__ = ("_count", "_losses", "_names", "_prefix", "_seen", "_to_close")

    def __init__(self, pgconn: Any) -> None:
        self._losses = _losses[pgconn.host, pgconn.port, pgconn.db]
        self._names: OrderedDict[Key, bytes] = OrderedDict()
        # Apart, so that statements that never come again push none out that does.
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._to_close: list[bytes] = []
        # Behind a pooler others have the same session: a statement of theirs must never be taken for one of ours.
        self._prefix = b"vinyl_" + secrets.token_hex(6).encode()
        self._count = 0

    @property
    def is_trusted(self) -> bool:
        """Whether the server keeps what is prepared."""
        return self._losses.count < MAX_LOSSES

    def get(self, key: Key) -> bytes | None:
        """Return the name of a prepared statement, an empty one if it was seen only, or None."""
        name = self._names.get(key)
        if name is not None:
            self._names.move_to_end(key)
            return name
        return b"" if key in self._seen else None

    def note(self, key: Key, name: bytes = b"") -> None:
        """Note that a statement was seen, or is prepared under this name."""
        if not name:
            self._seen[key] = None
            if len(self._seen) > MAX_STATEMENTS:
                self._seen.popitem(last=False)
            return
        self._seen.pop(key, None)
        self._names[key] = name
        if len(self._names) > MAX_STATEMENTS:
            _, oldest = self._names.popitem(last=False)
            self._to_close.append(oldest)

    def new_name(self) -> bytes:
        self._count += 1
        return b"%b_%d" % (self._prefix, self._count)

    def close_later(self, names: Iterable[bytes]) -> None:
        """Note names that are not needed, whether something is prepared under them or not."""
        self._to_close += names

    def names_to_close(self) -> list[bytes]:
        """Return the names that are not needed any more, until closed() is told of them."""
        return list(self._to_close)

    def closed(self, names: Iterable[bytes]) -> None:
        """Note that nothing is prepared under these names any more."""
        gone = set(names)
        self._to_close = [name for name in self._to_close if name not in gone]

    def retire(self) -> None:
        """Use no more of what was prepared, which a change of a table has made invalid, in part at least."""
        self._to_close += self._names.values()
        self._names.clear()
        self._seen.clear()

    def clear(self) -> None:
        """Forget what was prepared, as the server has."""
        self._names.clear()
        self._seen.clear()
        self._to_close.clear()

    def lose(self) -> None:
        """Note that the server has lost what was prepared."""
        self.clear()
        self._losses.count += 1
