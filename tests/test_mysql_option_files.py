"""MySQL's option files are read in the async mode as mysqlclient's C library reads them."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections

import vinyl
from tests.aliases import database
from tests.modes import error_of, fetch, same

pytest.importorskip("MySQLdb", reason="not on an environment without mysqlclient")

from vinyl.drivers.mysql.optionfile import read_groups
from vinyl.drivers.mysql.options import UNSUPPORTED_IN_FILES, options_for

pytestmark = [pytest.mark.engine("mariadb", "mysql"), pytest.mark.asynchronous]

NOWHERE = {"USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}


@pytest.fixture
def server():
    """The lines of a file that say where the server is."""
    where = connections.settings["default"]
    return (
        f'user = {where["USER"]}\npassword = "{where["PASSWORD"]}"\nhost={where["HOST"]}\n'
        f"port={where['PORT'] or 3306}\n"
    )


@pytest.fixture
def write(tmp_path):
    """Write a file of options, and give the options of a database that is to read it."""

    def write(text, **options):
        file = tmp_path / "my.cnf"
        file.write_text(text)
        return {"read_default_file": str(file), **options}

    return write


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("# a comment\n; another\n[client]\n{server}", {}, (None, None, None)),
        ("[client]\n{server}init-command = SET @a = 1\n", {}, (1, None, None)),
        ("[client]\n{server}init_command='SET @a = 1'\n", {}, (1, None, None)),
        ("[client]\n{server}init-command=SET @a = 1\ninit-command=SET @b = 2\n", {}, (1, 2, None)),
        (
            "[client]\n{server}init-command=SET @a = 1, @b = 1\n",
            {"init_command": "SET @b = 2; SET @c = 3"},
            (1, 1, 3),
        ),
        ("[client]\nuser = nobody\n{server}unknown-option\n[other]\nport = 1\n", {}, (None, None, None)),
        (
            "[client]\n{server}[vinyl]\ninit_command = \"SET @b = 'x'\"\n",
            {"read_default_group": "vinyl"},
            (None, "x", None),
        ),
        ("[client]\n{server}[mysql]\ninit_command = SET @b = 1\n", {}, (None, None, None)),
        ("[client]\n{server}[client-server]\ninit-command = SET @a = 1\n", {}, (1, None, None)),
        ("[client]\n{server}init-command = SET @a='a#b', @b='c #d'\n", {}, ("a#b", "c #d", None)),
        ("[client]\n{server}init-command = SET @a='x\\sy\\tz'\n", {}, ("x y\tz", None, None)),
        ("[client]\n{server}default-character-set = latin1\nmulti-statements\ncompress=0\n", {}, (None, None, None)),
    ],
)
async def test_a_file_does_the_same_in_both_modes(text, options, expected, server, write):
    with database(write(text.format(server=server), **options), **NOWHERE) as alias:
        assert await same(lambda: fetch(alias, "SELECT @a, @b, @c"), alias) == [expected]


async def test_what_the_settings_say_wins(server, write):
    with database(write(f"[client]\n{server}"), USER="nobody") as alias:
        kind, (_, message), *_ = await same(lambda: error_of(fetch, alias, "SELECT 1"), alias)
        assert kind is OperationalError
        assert "nobody" in message
    name = connections["default"].settings_dict["NAME"]
    with database(write(f"[client]\n{server}database = mysql\n"), **NOWHERE) as alias:
        assert await same(lambda: fetch(alias, "SELECT DATABASE()"), alias) == [(name,)]
    with database(write(f"[client]\n{server}database = mysql\n"), **NOWHERE, NAME="") as alias:
        assert await same(lambda: fetch(alias, "SELECT DATABASE()"), alias) == [("mysql",)]


async def test_a_group_without_a_file_is_read_from_the_usual_ones(server, tmp_path, monkeypatch):
    (tmp_path / ".my.cnf").write_text(
        f"[vinyl_group]\n{server}init-command = SET @a = 1\n[client]\ninit-command = SET @b = 2\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    with database({"read_default_group": "vinyl_group"}, **NOWHERE) as alias:
        assert await same(lambda: fetch(alias, "SELECT @a, @b"), alias) == [(1, 2)]
    with database() as alias:
        assert await same(lambda: fetch(alias, "SELECT @a, @b"), alias) == [(None, None)]


async def test_a_file_that_is_not_there_says_nothing(tmp_path):
    with database({"read_default_file": str(tmp_path / "nothing")}) as alias:
        assert await same(lambda: fetch(alias, "SELECT 1"), alias) == [(1,)]


@pytest.mark.parametrize("name", UNSUPPORTED_IN_FILES)
async def test_what_asyncmy_cannot_do_is_named_with_the_option_of_the_file(name, server, write):
    expected = pytest.raises(ImproperlyConfigured, match=rf"OPTIONS.*read_default_file.*the file sets '{name}'")
    with database(write(f"[client]\n{server}{name} = 1\n"), **NOWHERE) as alias, expected:
        await vinyl.connections[alias].execute("SELECT 1")
    with database(write(f"[client]\n{server}{name} = OFF\n"), **NOWHERE) as alias:
        assert await vinyl.connections[alias].execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("lines", "options", "expected"),
    [
        ("", {}, "PREFERRED"),
        ("ssl-mode = REQUIRED", {}, "REQUIRED"),
        ("ssl-enforce", {}, "REQUIRED"),
        ("tls-enforce = 0", {}, "PREFERRED"),
        ("ssl-verify-server-cert", {}, "VERIFY_IDENTITY"),
        ("tls-verify-peer\nssl-enforce", {}, "VERIFY_IDENTITY"),
        ("ssl-mode = REQUIRED", {"ssl_mode": "VERIFY_CA"}, "VERIFY_CA"),
        ("ssl-mode = DISABLED", {}, "DISABLED"),
        ("ssl-mode = SOMETIMES", {}, None),
    ],
)
async def test_a_file_says_whether_there_is_to_be_tls(lines, options, expected, write):
    given = {"conv": {}, "host": "127.0.0.1", **write(f"[client]\n{lines}\n", **options)}
    if expected is None:
        with pytest.raises(ImproperlyConfigured, match=r"'ssl_mode'\] is 'SOMETIMES'; it must be one of DISABLED"):
            options_for("some", given)
        return
    made = options_for("some", given)
    assert (made.tls is None) == (expected == "DISABLED")
    assert made.tls_is_required == (expected not in ("DISABLED", "PREFERRED"))
    if made.tls is not None:
        assert made.tls.check_hostname == (expected == "VERIFY_IDENTITY")
        assert bool(made.tls.verify_mode) == expected.startswith("VERIFY")


def test_files_have_includes_quotes_and_escapes(tmp_path):
    (tmp_path / "included").mkdir()
    (tmp_path / "included" / "a.cnf").write_text("[mine]\nport = 1\n[other]\nport = 2\n")
    (tmp_path / "one.cnf").write_text("[client]\nhost = there\n")
    file = tmp_path / "my.cnf"
    file.write_text(
        f"port = 9\n[client]\n!includedir {tmp_path / 'included'}\n!include {tmp_path / 'one.cnf'}\n; a comment\n"
        "user = 'o''k' # a comment\npassword = a#b\\s\ndefault_character_set=\"x \"\ncompress\n!include nothing\n"
        "socket = a'b #c' # d\nuser = two\n"
    )
    expected = {
        "user": ["o", "two"],
        "password": ["a#b "],
        "default-character-set": ["x "],
        "compress": ["1"],
        "host": ["there"],
        "socket": ["a'b #c'"],
    }
    assert read_groups(str(file), "mine") == {**expected, "port": ["1"]}
    assert read_groups(str(file), None) == expected
    assert read_groups(str(tmp_path / "nothing"), None) == {}
