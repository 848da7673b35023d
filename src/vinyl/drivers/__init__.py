"""The drivers: how each kind of database waits.

A driver is a module with the differences of one kind of connection, and nothing about pools, scopes or models:

    Wrapper                 a mixin for the project's own DatabaseWrapper class: makes get_new_connection() give a
                            sync-shaped connection that waits through the bridge
    is_idle(connection)     whether the connection can be lent to somebody else: open, nothing running, no transaction
    is_alive(connection)    whether an idle connection is still connected, as far as can be told without waiting
    terminate(connection)   close at once, without waiting, in any state, more than once
    drop_cursor(cursor)     close a cursor without waiting; False if it leaves something behind on the server
    catch_up(connection)    in the bridge, before an idle connection is used again: wait for what was not waited for
                            when it was given back; False if the connection has broken meanwhile

One that executes planned statements natively, without the bridge, has these too:

    Statement(sql)                          a statement that is executed often; its placeholders are Django's
    execute(connection, statement, params)  a coroutine: gives a Result, whose rows() are made as they are asked for
    execute_in_chunks(connection, statement, params, take)      a coroutine: calls take() with rows as they arrive, and
                                            gives True; or False where execute() has to be called
    pipelines                           whether there is execute_many()
    execute_many(connection, statements)    a coroutine: several, with their parameters, in one round trip
    is_caught_up(connection)            whether catch_up() has nothing to do
    connection.prepares                 whether statements are prepared on the server, as the settings have it; where
                                        there is a choice

All but the mixin and catch_up() may be called outside of the bridge. Nothing is imported before the first connection of
its kind is needed.
"""

from importlib import import_module
from typing import Any, Protocol, cast

# Modules of Django's DatabaseWrapper classes, and the drivers of these and of all classes that derive from them.
NATIVE = {
    "django.db.backends.postgresql.base": "vinyl.drivers.postgresql",
    "django.db.backends.mysql.base": "vinyl.drivers.mysql",
}


class Driver(Protocol):
    """What a driver's module offers; see the docstring above."""

    Wrapper: type

    @staticmethod
    def is_idle(connection: Any) -> bool: ...

    @staticmethod
    def is_alive(connection: Any) -> bool: ...

    @staticmethod
    def terminate(connection: Any) -> None: ...

    @staticmethod
    def drop_cursor(cursor: Any) -> bool: ...

    @staticmethod
    def catch_up(connection: Any) -> bool: ...


class NativeDriver(Driver, Protocol):
    """A driver that executes planned statements natively."""

    Statement: type
    pipelines: bool

    @staticmethod
    async def execute(connection: Any, statement: Any, params: Any) -> Any: ...

    @staticmethod
    async def execute_in_chunks(connection: Any, statement: Any, params: Any, take: Any) -> bool: ...

    @staticmethod
    async def execute_many(connection: Any, statements: Any) -> list[Any]: ...

    @staticmethod
    def is_caught_up(connection: Any) -> bool: ...


def driver_for(wrapper_class: type) -> Driver:
    """Return the driver for a DatabaseWrapper class: its own or that of the Django class it derives from."""
    names = (NATIVE[base.__module__] for base in wrapper_class.__mro__ if base.__module__ in NATIVE)
    return cast("Driver", import_module(next(names, "vinyl.drivers.threaded")))
