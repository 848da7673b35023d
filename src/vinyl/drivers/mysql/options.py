"""What Django's MySQL backend passes to mysqlclient, as asyncmy and this package want it.

The rules are those of mysqlclient and its C library: which option wins, where the local socket is, when TLS is used.
What asyncmy cannot do raises ImproperlyConfigured, which names the option. This module connects to nothing.
"""

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import MySQLdb.converters
import MySQLdb.cursors
from asyncmy.charset import charset_by_name
from django.core.exceptions import ImproperlyConfigured
from MySQLdb.constants import CLIENT, FIELD_TYPE

from vinyl.drivers.mysql import hosts
from vinyl.drivers.mysql.optionfile import read_groups

# Where the C libraries look for the socket of a local server: theirs is a constant of how they were built.
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")
# A year, which is as long as asyncmy allows.
FOREVER = 31536000
TLS_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
# Flags that change what the server sends in a way that asyncmy cannot read, or that it sets by itself.
FLAGS = (
    CLIENT.LONG_PASSWORD
    | CLIENT.FOUND_ROWS
    | CLIENT.LONG_FLAG
    | CLIENT.NO_SCHEMA
    | CLIENT.ODBC
    | CLIENT.LOCAL_FILES
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
    *("ssl", "ssl_mode", "local_infile", "multi_statements", "server_public_key_path"),
}
# In these a backslash can be the second half of a character, which escaping bytes would tear apart.
UNSAFE_CHARSETS = ("big5", "cp932", "gb18030", "gbk", "sjis")
TEXT_TYPES = (
    FIELD_TYPE.STRING,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.VARCHAR,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.BLOB,
    FIELD_TYPE.JSON,
)
# Converters of these types get text from mysqlclient, those of others bytes.
READ_AS_TEXT = (
    FIELD_TYPE.DECIMAL,
    FIELD_TYPE.NEWDECIMAL,
    FIELD_TYPE.TIMESTAMP,
    FIELD_TYPE.DATETIME,
    FIELD_TYPE.TIME,
    FIELD_TYPE.DATE,
)


@dataclass(slots=True)
class Options:
    """`asyncmy`: the parameters of its connection, but for the address. `rest`: what Connection does of mysqlclient's.

    `addresses` are to be tried one after the other, each for `connect_timeout` seconds; one of a socket is empty.
    """

    asyncmy: dict[str, Any]
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
    tls, tls_is_required = _tls(alias, options, is_local=socket is not None)
    parameters = {
        "unix_socket": socket,
        "user": options.pop("user", None),
        # As mysqlclient encodes it; asyncmy would take latin1.
        "password": options.pop("password", "").encode(),
        "database": options.pop("database", None),
        "charset": _name_for_asyncmy(options["charset"]),
        "conv": _decoders(alias, options["conv"], failures),
        "client_flag": options.pop("client_flag", 0),
        "local_infile": bool(options.pop("local_infile", False)),
        "server_public_key": _contents(options.pop("server_public_key_path", None)),
        "connect_timeout": FOREVER,
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
    for name in ("compress", "named_pipe", "local_infile_dir"):
        if options.pop(name, False):
            raise _unsupported(alias, name, "asyncmy has nothing like it. Remove it")
    if not options.pop("use_unicode", True):
        raise _unsupported(alias, "use_unicode", "text is always given as str. Remove it")
    if options.pop("auth_plugin", None) not in (None, *PLUGINS):
        raise _unsupported(alias, "auth_plugin", f"asyncmy has only {', '.join(PLUGINS)}. Use one of these")
    if options.get("client_flag", 0) & ~FLAGS:
        raise _unsupported(alias, "client_flag", "asyncmy cannot set these flags. Use 'ssl' and 'ssl_mode' for TLS")
    charset = options.setdefault("charset", "utf8mb4")
    if charset_by_name(_name_for_asyncmy(charset)) is None or charset in UNSAFE_CHARSETS:
        raise _unsupported(alias, "charset", f"values cannot be sent in {charset!r}. Use 'utf8mb4'")
    unknown = set(options) - KNOWN
    if unknown:
        raise _unsupported(alias, min(unknown), "it is unknown. Remove it")


def _unsupported(alias: str, name: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"DATABASES[{alias!r}]['OPTIONS'][{name!r}] does not work in the asynchronous mode: {why}, or use this "
        "database in the synchronous mode only."
    )


def _add_files(alias: str, options: dict[str, Any]) -> None:
    """Add what the option files say and the settings do not."""
    file, group = options.pop("read_default_file", None), options.pop("read_default_group", None)
    if file is None and group is None:
        return
    found = read_groups(file, group)
    for name in ("compress", "ssl-crl", "ssl-crlpath"):
        if name in found:
            where = "read_default_group" if file is None else "read_default_file"
            raise _unsupported(alias, where, f"the file sets {name!r}, and asyncmy has nothing like it. Remove it")
    if found.get("protocol", "").lower() == "tcp" and not options.get("host") and not found.get("host"):
        options["host"] = "127.0.0.1"
    for theirs, name in (
        *((same, same) for same in ("host", "user", "password", "database", "port")),
        ("socket", "unix_socket"),
        ("init-command", "init_command"),
        ("connect-timeout", "connect_timeout"),
        ("local-infile", "local_infile"),
        ("ssl-mode", "ssl_mode"),
    ):
        if found.get(theirs):
            options.setdefault(name, found[theirs])
    options["connect_timeout"] = float(options.get("connect_timeout", 0))
    options["local_infile"] = str(options.get("local_infile", "0")).lower() not in ("0", "false", "off")
    files = {name: found[f"ssl-{name}"] for name in ("ca", "capath", "cert", "key", "cipher") if f"ssl-{name}" in found}
    if files:
        ours = options.get("ssl")
        options["ssl"] = {**files, **(ours if isinstance(ours, Mapping) else {})}


def _socket(host: str, options: dict[str, Any]) -> str | None:
    """Return the path of the local server's socket, which is used unless another host is named."""
    path: str | None = options.pop("unix_socket", None) or os.environ.get("MYSQL_UNIX_PORT")
    if host not in ("", "localhost"):
        return None
    return path or next((known for known in SOCKETS if Path(known).exists()), SOCKETS[0])


def _tls(alias: str, options: dict[str, Any], *, is_local: bool) -> tuple[ssl.SSLContext | None, bool]:
    """Return the context for TLS, or None for none, and whether the server must offer it.

    A CA that is given is used to verify the server, unless `ssl_mode` says otherwise.
    """
    given, mode = options.pop("ssl", None), options.pop("ssl_mode", None)
    files: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    if mode is None:
        if given is not None and not isinstance(given, Mapping):
            mode = "REQUIRED" if given else "DISABLED"
        else:
            mode = "VERIFY_CA" if files.get("ca") or files.get("capath") else "PREFERRED"
    mode = str(mode).upper()
    if mode not in TLS_MODES:
        raise _unsupported(alias, "ssl_mode", f"it must be one of {', '.join(TLS_MODES)}. Use one of these")
    if mode == "DISABLED" or (mode == "PREFERRED" and is_local):
        return None, False
    return _context(mode, files), mode != "PREFERRED"


def _context(mode: str, files: Mapping[str, Any]) -> ssl.SSLContext:
    # Not ssl.create_default_context(), which since Python 3.13 rejects the certificates that MySQL makes for itself.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "VERIFY_IDENTITY"
    if mode not in ("VERIFY_CA", "VERIFY_IDENTITY"):
        context.verify_mode = ssl.CERT_NONE
    elif files.get("ca") or files.get("capath"):
        context.load_verify_locations(files.get("ca"), files.get("capath"))
    else:
        context.load_default_certs()
    if files.get("cert"):
        context.load_cert_chain(files["cert"], files.get("key"))
    if files.get("cipher"):
        context.set_ciphers(files["cipher"])
    return context


def _name_for_asyncmy(charset: str) -> str:
    return "utf8" if charset == "utf8mb3" else charset


def _contents(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _decoders(alias: str, converters: Mapping[Any, Any], failures: list[Exception]) -> dict[int, Callable[..., Any]]:
    """Return the converters for asyncmy, which decodes text by itself as mysqlclient does."""
    decoders: dict[int, Callable[..., Any]] = {}
    for kind, converter in converters.items():
        if not isinstance(kind, int) or kind in TEXT_TYPES:
            continue
        if not callable(converter):
            raise _unsupported(alias, "conv", "a converter must be a function. Use one")
        if converter is MySQLdb.converters.conversions.get(kind):
            decoders[kind] = converter
        else:
            decoders[kind] = _deferring(converter, kind in READ_AS_TEXT, failures)
    return decoders


def _deferring(converter: Callable[..., Any], takes_text: bool, failures: list[Exception]) -> Callable[[Any], Any]:
    """Have the errors of a converter raised after the answer was read, as mysqlclient does."""

    def convert(value: str) -> Any:
        try:
            return converter(value if takes_text else value.encode("ascii"))
        except Exception as error:
            failures.append(error)
            return None

    return convert
