"""Oracle MySQL's programs out of Debian's packages, which only the unstable suite has: unpacked into a cache, once.

Nothing is installed and no root is needed: apt gets lists and a configuration of its own, with the machine's mirror and
proxies, downloads the packages and checks their signatures. They come with all their libraries, the C library
included, and run with those. 60 MB are downloaded, and 0.2 GB kept, in `vinyl-tests/mysql` of the user's cache folder
($XDG_CACHE_HOME, else ~/.cache); remove it for a newer version.

What is downloaded or unpacked halfway has another name, and is never used.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests import daemons
from tests.daemons import CannotStart

DOWNLOAD_SECONDS = 600
# What the packages need for their installation only. The server's other needs are libraries.
UNUSED_PACKAGES = ("perl", "libperl", "libdb5", "libgdbm")
UNUSED_FOLDERS = ("usr/bin", "usr/share/doc", "usr/share/man", "usr/share/locale")
KEPT_PROGRAM = "usr/bin/mysql_tzinfo_to_sql"
KEYRINGS = Path("/usr/share/keyrings")


def cached_folder() -> Path:
    """Return the folder of the unpacked packages, after unpacking them if need be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "vinyl-tests")
    folder = cache / "mysql"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="mysql-unfinished-", dir=cache) as unfinished:
            unpack(download(Path(unfinished)), Path(unfinished, "root"))
            try:
                Path(unfinished, "root").rename(folder)
            except OSError:
                if not folder.exists():  # else somebody was faster
                    raise
    return folder


def download(folder: Path) -> list[Path]:
    """Download the packages of the server and of all that it depends on."""
    for program in ["apt-get", "dpkg-deb"]:
        if not shutil.which(program):
            raise CannotStart(
                f"there is neither a mysqld of Oracle's, nor {program} for Debian's packages of it;"
                " install MySQL 8.0.11 or later."
            )
    configuration = configure(folder)
    for arguments in [["update"], ["install", "--download-only", "--no-install-recommends", "mysql-server-core"]]:
        apt("-q", "-y", *arguments, APT_CONFIG=str(configuration))
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def configure(folder: Path) -> Path:
    """Write the configuration of an apt that knows the unstable suite, and nothing of what this system has installed.

    Of the machine's configuration it keeps how to download: proxies, for one. Hooks would act on the system.
    """
    for name in ["lists/partial", "cache/archives/partial", "none"]:
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    keyring = next(iter(sorted(KEYRINGS.glob("debian-archive-keyring.*"))), None)
    signed_by = f"[signed-by={keyring}] " if keyring else ""
    (folder / "sources.list").write_text(f"deb {signed_by}{mirror()} sid main\n", encoding="utf-8")
    own = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": folder / "none",
        "Dir::Etc::parts": folder / "none",
        "Dir::Etc::main": folder / "none.conf",
        "Dir::Etc::preferences": folder / "none.conf",
        "Dir::Etc::preferencesparts": folder / "none",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Log": folder,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "APT::Update::Error-Mode": "any",
    }
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, check=True, encoding="utf-8").stdout
    downloads = [line for line in dump.splitlines() if re.match("Acquire::(?!IndexTargets|Languages)", line)]
    lines = [*downloads, *(f'{name} "{value}";' for name, value in own.items())]
    configuration = folder / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return configuration


def mirror() -> str:
    """Return the address from which this machine's apt gets Debian."""
    found = re.search(r"'(\S+/debian)/*/dists/", apt("--print-uris", "update"))
    if not found:
        raise CannotStart("apt's sources name no mirror of Debian to get MySQL from; install MySQL 8.0.11 or later.")
    return found[1]


def apt(*arguments: str, **environment: str) -> str:
    """Run apt-get, and return what it prints."""
    try:
        done = subprocess.run(
            ["apt-get", *arguments],
            env={**os.environ, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise CannotStart(f"`apt-get {' '.join(arguments)}` took longer than {DOWNLOAD_SECONDS} s.") from None
    if done.returncode != 0:
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
        raise CannotStart(f"apt could not get MySQL's packages: {' '.join(complaints) or done.stderr}")
    return done.stdout


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack the packages, without what a server that is not installed never uses."""
    root.mkdir()
    for package in packages:
        if not package.name.startswith(UNUSED_PACKAGES):
            daemons.run(["dpkg-deb", "--extract", str(package), str(root)], root.parent / "log", {})
    shutil.move(root / KEPT_PROGRAM, root / "kept")
    for name in UNUSED_FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / KEPT_PROGRAM).parent.mkdir()
    shutil.move(root / "kept", root / KEPT_PROGRAM)
    daemons.run([*loader(root), str(root / "usr/sbin/mysqld"), "--no-defaults", "--version"], root / "version", {})


def loader(root: Path) -> list[str]:
    """Return how a command begins that runs a program with the libraries of this folder instead of the system's."""
    loaders, libraries = sorted(root.glob("usr/lib*/ld-linux*.so.*")), sorted(root.glob("usr/lib/*-linux-gnu*"))
    return [str(loaders[0]), "--library-path", ":".join(map(str, libraries))]
