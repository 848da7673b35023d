"""MySQL's option files, as its C libraries read them: groups, includes, quotes and escapes.

https://dev.mysql.com/doc/refman/8.4/en/option-files.html
"""

from collections.abc import Iterator
from pathlib import Path

DEFAULT_FILES = ("/etc/my.cnf", "/etc/mysql/my.cnf", "~/.my.cnf")
GROUPS = ("client", "client-server", "client-mariadb")
ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "\\": "\\", "s": " "}


def read_groups(file: str | None, group: str | None) -> dict[str, list[str]]:
    """Return the options of the clients' groups and of `group`, from the file or those that are usual.

    Their names have hyphens. Each has all of its values in their order, an option without one the value "1".
    """
    wanted = {*GROUPS, group}
    options: dict[str, list[str]] = {}
    for path in [file] if file else DEFAULT_FILES:
        for found, name, value in _lines(Path(path).expanduser()):
            if found in wanted:
                options.setdefault(name, []).append(value)
    return options


def _lines(path: Path, group: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield group, name and value of each option in a file, which need not exist, and in those that it includes."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return
    for line in map(str.strip, text.splitlines()):
        if line.startswith("!include"):
            command, _, target = line.partition(" ")
            included = Path(target.strip())
            paths = sorted(included.glob("*.cnf")) if command == "!includedir" else [included]
            for each in paths:
                yield from _lines(each)
        elif line.startswith("["):
            group = line[1:].partition("]")[0].strip()
        elif line and line[0] not in "#;":
            name, equals, value = line.partition("=")
            yield group, name.strip().replace("_", "-"), _value(value.strip()) if equals else "1"


def _value(text: str) -> str:
    end = text.find(text[0], 1) if text[:1] in ("'", '"') else -1
    text = text[1:end] if end > 0 else _without_comment(text)
    parts = iter(text)
    return "".join(_unescaped(next(parts, "")) if part == "\\" else part for part in parts)


def _without_comment(text: str) -> str:
    # MySQL's library ends a value at any "#" outside of quotes, MariaDB's at none: a password may have one.
    quote = ""
    for place, character in enumerate(text):
        if character in ("'", '"') and quote in ("", character):
            quote = "" if quote else character
        elif text[place : place + 2] == " #" and not quote:
            return text[:place].rstrip()
    return text


def _unescaped(character: str) -> str:
    return ESCAPES.get(character, "\\" + character)
