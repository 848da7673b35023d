"""TLS as the options ask for it: `ssl`, `ssl_mode`, and what option files say of them.

A CA that is given is used to verify the server, and is the reason to require TLS, unless `ssl_mode` says that TLS is
not required. MySQL's library verifies with `VERIFY_CA` and `VERIFY_IDENTITY` only, MariaDB's always. This module
connects to nothing.
"""

import ssl
from collections.abc import Mapping
from typing import Any

import MySQLdb
from MySQLdb.constants import CR

from vinyl.drivers.mysql.errors import invalid

MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
OFF = {"0", "false", "off"}


def take_tls(alias: str, options: dict[str, Any], *, is_local: bool) -> tuple[ssl.SSLContext | None, bool]:
    """Take what is about TLS from the options; return the context, or None for none, and whether it is required."""
    given, mode = options.pop("ssl", None), options.pop("ssl_mode", None)
    files: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    has_ca = bool(files.get("ca") or files.get("capath"))
    if mode is None:
        if given is not None and not isinstance(given, Mapping):
            mode = "REQUIRED" if given else "DISABLED"
        else:
            mode = "VERIFY_CA" if has_ca else "PREFERRED"
    mode = str(mode).upper()
    if mode not in MODES:
        raise invalid(alias, "ssl_mode", mode, MODES)
    if mode == "DISABLED" or (mode == "PREFERRED" and is_local):
        return None, False
    try:
        return _context(mode, files, verify=has_ca or mode.startswith("VERIFY")), mode != "PREFERRED"
    except OSError as error:
        raise MySQLdb.OperationalError(
            CR.SSL_CONNECTION_ERROR,
            f"TLS/SSL error: {error}. Correct the files in DATABASES[{alias!r}]['OPTIONS']['ssl']",
        ) from error


def _context(mode: str, files: Mapping[str, Any], *, verify: bool) -> ssl.SSLContext:
    # Not ssl.create_default_context(), which since Python 3.13 rejects the certificates that MySQL makes for itself.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "VERIFY_IDENTITY"
    if not verify:
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


def merge_file(options: dict[str, Any], found: Mapping[str, str]) -> None:
    """Add what an option file says about TLS, in the words of MySQL's library or of MariaDB's, to the options."""
    tls = {name[4:]: value for name, value in found.items() if name.startswith(("ssl-", "tls-"))}
    if mode := _mode_in_file(tls):
        options.setdefault("ssl_mode", mode)
    files = {name: tls[name] for name in ("ca", "capath", "cert", "key", "cipher") if name in tls}
    if files:
        ours = options.get("ssl")
        options["ssl"] = {**files, **(ours if isinstance(ours, Mapping) else {})}


def _mode_in_file(tls: Mapping[str, str]) -> str | None:
    if "mode" in tls:
        return tls["mode"]
    if is_on(tls, "verify-server-cert") or is_on(tls, "verify-peer"):
        return "VERIFY_IDENTITY"
    return "REQUIRED" if is_on(tls, "enforce") else None


def is_on(found: Mapping[str, str], name: str) -> bool:
    """Tell whether an option of a file, which may have no value, is switched on."""
    return name in found and found[name].lower() not in OFF
