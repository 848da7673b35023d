"""What Django's MySQL backend passes to mysqlclient, as asyncmy and this package want it.

The rules are those of mysqlclient and its C library: which option wins, where the local socket is, when TLS is used.
What asyncmy cannot do raises ImproperlyConfigured, which names the option. This module connects to nothing.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncmy.charset import charset_by_name
from django.core.exceptions import ImproperlyConfigured
from MySQLdb.constants import CLIENT

from vinyl.drivers.mysql import hosts
from vinyl.drivers.mysql.converters import decoders_for
from vinyl.drivers.mysql.errors import invalid, unsupported
from vinyl.drivers.mysql.optionfile import read_groups
from vinyl.drivers.mysql.tls import is_on, merge_file, take_tls

# Where the C libraries look for the socket of a local server: theirs is a constant of how they were built.
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")
# Flags that may be set. The others change what the server sends in a way that asyncmy cannot read, or are its own.
FLAGS = (
    CLIENT.LONG_PASSWORD
    | CLIENT.FOUND_ROWS
    | CLIENT.LONG_FLAG
    | CLIENT.NO_SCHEMA
    | CLIENT.ODBC
    | CLIENT.IGNORE_SPACE
    | CLIENT.INTERACTIVE
    | CLIENT.IGNORE_SIGPIPE
    | CLIENT.TRANSACTIONS
    | CLIENT.SECURE_CONNECTION
    | CLIENT.MULTI_STATEMENTS
    | CLIENT.MULTI_RESULTS
)
PLUGINS = (
    "mysql_native_password",
    "caching_sha2_password",
    "sha256_password",
    "client_ed25519",
    "mysql_clear_password",
    "dialog",
)
KNOWN = {
    *("host", "port", "unix_socket", "user", "password", "database", "charset", "collation", "conv", "client_flag"),
    *("init_command", "sql_mode", "autocommit", "cursorclass", "executemany_fallback", "binary_prefix"),
    *("connect_timeout", "read_timeout", "write_timeout", "read_default_file", "read_default_group"),
    *("ssl", "ssl_mode", "multi_statements", "server_public_key_path"),
}
UNSUPPORTED_IN_FILES = (
    *("compress", "local-infile", "ssl-crl", "ssl-crlpath", "ssl-fp", "ssl-fplist", "ssl-passphrase"),
    *("tls-ciphersuites", "tls-crl", "tls-crlpath", "tls-fp", "tls-fplist", "tls-passphrase", "tls-version"),
)
FALLBACKS = ("loop", "multi")
# In these a backslash can be the second half of a character, which escaping bytes would tear apart.
UNSAFE_CHARSETS = ("big5", "cp932", "gb18030", "gbk", "sjis")


@dataclass(slots=True)
class Options:
    """`asyncmy`: the parameters of its connection, but for the address. `rest`: what Connection does of mysqlclient's.

    `addresses` are to be tried one after the other, each for `connect_timeout` seconds; one of a socket is empty.
    """

    # Not shown: it has the password.
    asyncmy: dict[str, Any] = field(repr=False)
    rest: dict[str, Any]
    tls: ssl.SSLContext | None
    tls_is_required: bool
    connect_timeout: float | None
    addresses: tuple[hosts.Address, ...]
    # Errors that converters have raised; asyncmy would stop reading in the middle of the answer.
    failures: list[Exception]


def options_for(alias: str, given: Mapping[str, Any]) -> Options:
    """Return the options for the parameters that Django has for mysqlclient, of the database `alias`."""
    options = {name: value for name, value in given.items() if value is not None}
    for old, new in (("db", "database"), ("passwd", "password")):
        if old in options:
            options[new] = options.pop(old)
    _refuse(alias, options)
    _add_files(alias, options)
    failures: list[Exception] = []
    host = options.pop("host", "")
    addresses = _addresses(alias, host, int(options.pop("port", 0) or 3306))
    connect_timeout = options.pop("connect_timeout", 0) or (hosts.PATIENCE if len(addresses) > 1 else None)
    socket = _socket(host, options)
    tls, tls_is_required = take_tls(alias, options, is_local=socket is not None)
    parameters = {
        "unix_socket": socket,
        "user": options.pop("user", None),
        # As mysqlclient encodes it; asyncmy would take latin1.
        "password": options.pop("password", "").encode(),
        "database": options.pop("database", None),
        "charset": _name_for_asyncmy(options["charset"]),
        "conv": decoders_for(alias, options["conv"], failures),
        "client_flag": options.pop("client_flag", 0),
        "server_public_key": _public_key(alias, options.pop("server_public_key_path", None)),
        # Django sets it right after connecting.
        "autocommit": None,
    }
    return Options(parameters, options, tls, tls_is_required, connect_timeout, addresses, failures)


def _addresses(alias: str, host: str, port: int) -> tuple[hosts.Address, ...]:
    try:
        return hosts.parse(host, port)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"DATABASES[{alias!r}]['HOST'] has {str(error)!r} among its hosts. Write 'first,second:3307,[::1]': names "
            "or addresses with commas between them, each with a port if it is not that of 'PORT'."
        ) from None


def _refuse(alias: str, options: dict[str, Any]) -> None:
    """Raise for what asyncmy cannot do; drop what makes no difference."""
    for name in ("compress", "named_pipe", "local_infile", "local_infile_dir"):
        if options.pop(name, False):
            raise unsupported(alias, name, "asyncmy has nothing like it. Remove it")
    if not options.pop("use_unicode", True):
        raise unsupported(alias, "use_unicode", "text is always given as str. Remove it")
    if options.pop("auth_plugin", None) not in (None, *PLUGINS):
        raise unsupported(alias, "auth_plugin", f"asyncmy has only {', '.join(PLUGINS)}. Use one of these")
    if options.get("client_flag", 0) & ~FLAGS:
        raise unsupported(alias, "client_flag", "asyncmy cannot set these flags. Use 'ssl' and 'ssl_mode' for TLS")
    charset = options.setdefault("charset", "utf8mb4")
    if charset_by_name(_name_for_asyncmy(charset)) is None or is_unsafe(charset):
        raise unsupported(alias, "charset", f"values cannot be sent in {charset!r}. Use 'utf8mb4'")
    if options.setdefault("executemany_fallback", FALLBACKS[0]) not in FALLBACKS:
        raise invalid(alias, "executemany_fallback", options["executemany_fallback"], FALLBACKS)
    unknown = set(options) - KNOWN
    if unknown:
        raise unsupported(alias, min(unknown), "it is unknown. Remove it")


def _add_files(alias: str, options: dict[str, Any]) -> None:
    """Add what the option files and the environment say, and the settings do not. All initial commands are executed."""
    commands = [options.pop("init_command", "")]
    file, group = options.pop("read_default_file", None), options.pop("read_default_group", None)
    if file is not None or group is not None:
        found = read_groups(file, group)
        commands += found.get("init-command", [])
        where = "read_default_group" if file is None else "read_default_file"
        _merge(alias, where, options, {name: values[-1] for name, values in found.items()})
    options["init_commands"] = list(filter(None, commands))
    if "MYSQL_PWD" in os.environ:
        options.setdefault("password", os.environ["MYSQL_PWD"])


def _merge(alias: str, where: str, options: dict[str, Any], found: dict[str, str]) -> None:
    for name in UNSUPPORTED_IN_FILES:
        if is_on(found, name):
            raise unsupported(alias, where, f"the file sets {name!r}, and asyncmy has nothing like it. Remove it")
    if found.get("protocol", "").lower() == "tcp" and not options.get("host") and not found.get("host"):
        options["host"] = "127.0.0.1"
    for theirs, name in (
        *((same, same) for same in ("host", "user", "password", "database", "port")),
        ("socket", "unix_socket"),
        ("connect-timeout", "connect_timeout"),
    ):
        if found.get(theirs):
            options.setdefault(name, found[theirs])
    options["connect_timeout"] = float(options.get("connect_timeout", 0))
    merge_file(options, found)


def _socket(host: str, options: dict[str, Any]) -> str | None:
    """Return the path of the local server's socket, which is used unless another host is named."""
    path: str | None = options.pop("unix_socket", None) or os.environ.get("MYSQL_UNIX_PORT")
    if host not in ("", "localhost"):
        return None
    return path or next((known for known in SOCKETS if Path(known).exists()), SOCKETS[0])


def is_unsafe(charset: str) -> bool:
    """Tell whether values that are sent in a charset could not be escaped."""
    return charset.lower() in UNSAFE_CHARSETS


def _name_for_asyncmy(charset: str) -> str:
    return "utf8" if charset == "utf8mb3" else charset


def _public_key(alias: str, path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        key = Path(path).read_bytes()
    except OSError as error:
        raise _no_key(alias, str(error)) from error
    if b"PUBLIC KEY" not in key:
        raise _no_key(alias, f"{path!r} has none")
    return key


def _no_key(alias: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"DATABASES[{alias!r}]['OPTIONS']['server_public_key_path'] must be a file with a public key in PEM format, "
        f"but {why}."
    )
