"""Debian's packages, unpacked into the user's cache, once, for what a machine has not installed.

Nothing is installed and no root is needed: apt gets lists and a configuration of its own, with the machine's mirror and
proxies, downloads the packages and checks their signatures. Two kinds of things come out of them:

    programs()    of the unstable suite, with all the libraries that they need, the C library included, and run with
    files()       of this machine's own release, to compile and link with, because they must fit its C library

The cache is `vinyl-tests` in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache); remove it for newer versions.
What is downloaded or unpacked halfway has another name, and is never used.
"""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

UNSTABLE = "sid"
SECONDS = 600
# What the packages need for their installation, or for scripts that are not kept. The other needs are libraries.
UNUSED_PACKAGES = ("debianutils", "perl", "libperl", "libdb5", "libgdbm")
UNUSED_FOLDERS = ("usr/share/doc", "usr/share/man", "usr/share/locale")
KEYRINGS = Path("/usr/share/keyrings")
# Where the real program is, if a launcher has taken its place.
LIBEXEC = "usr/libexec"
LAUNCHER = """#!/bin/sh
# Runs the program of this name with the libraries of this folder instead of the system's.
root=$(dirname "$0")/../..
exec "$root/{loader}" --library-path "$root/{libraries}" "$root/{libexec}/{name}" "$@"
"""


class CannotUnpack(Exception):
    """The packages are not to be had, for the reason given: a full sentence."""


def programs(packages: Sequence[str], kept: Collection[str], copy_to: Path | None = None) -> Path:
    """Return a folder with these packages of the unstable suite and all that they depend on.

    Of the programs only those of these names are kept. They run as they are, as `usr/sbin/mysqld` for example, and with
    the libraries of the folder. The cache may be where only root can read: if another user is to run them, the folder
    is copied.
    """

    def fill(unfinished: Path, root: Path) -> None:
        install = ["install", "--download-only", "--no-install-recommends"]
        download(packages, install, configure(unfinished, from_unstable(unfinished)))
        unpack(unfinished, root)
        make_runnable(root, kept)

    folder = cached(f"{packages[0]}-{UNSTABLE}", fill)
    return shutil.copytree(folder, copy_to, symlinks=True) if copy_to else folder


def files(packages: Sequence[str]) -> Path:
    """Return a folder with these packages of this machine's own release, without what they depend on."""

    def fill(unfinished: Path, root: Path) -> None:
        download(packages, ["download"], configure(unfinished, {}))
        unpack(unfinished, root)

    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    names = [packages[0], release.get("ID", "linux"), release.get("VERSION_CODENAME", "rolling")]
    return cached("-".join(names), fill)


def cached(name: str, fill: Callable[[Path, Path], None]) -> Path:
    """Return a folder of the cache. One that is not there yet is filled, with another folder for what it takes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "vinyl-tests")
    folder = cache / name
    if folder.exists():
        return folder
    for program in ["apt-get", "dpkg-deb"]:
        if not shutil.which(program):
            raise CannotUnpack(f"Debian's packages cannot be unpacked on this machine, which has no {program}.")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}-unfinished-", dir=cache) as unfinished:
            fill(Path(unfinished), Path(unfinished, "root"))
            Path(unfinished, "root").rename(folder)
    except OSError as error:
        if not folder.exists():  # else somebody was faster
            raise CannotUnpack(f"Debian's packages cannot be unpacked into {cache}: {error}.") from error
    return folder


def configure(folder: Path, sources: dict[str, Path]) -> Path:
    """Write the configuration of an apt that works in this folder and knows nothing of what this system has installed.

    Of the machine's configuration it keeps how to download: proxies, for one. Hooks would act on the system.
    """
    for name in ["lists/partial", "archives/partial", "none"]:
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    own = {
        "Dir::Etc::parts": folder / "none",
        "Dir::Etc::main": folder / "none.conf",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Log": folder,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        **sources,
    }
    dump = run(["apt-config", "dump"]).stdout
    downloads = [line for line in dump.splitlines() if re.match("Acquire::(?!IndexTargets|Languages)", line)]
    lines = [*downloads, *(f'{name} "{value}";' for name, value in own.items())]
    configuration = folder / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return configuration


def from_unstable(folder: Path) -> dict[str, Path]:
    """Return the settings of an apt that gets the unstable suite from this machine's mirror, and nothing else."""
    mirror = re.search(r"'(\S+/debian)/*/dists/", run(["apt-get", "--print-uris", "update"]).stdout)
    if not mirror:
        raise CannotUnpack("Debian's packages cannot be unpacked, because apt's sources name no mirror of Debian.")
    keyring = next(iter(sorted(KEYRINGS.glob("debian-archive-keyring.*"))), None)
    signed_by = f"[signed-by={keyring}] " if keyring else ""
    (folder / "sources.list").write_text(f"deb {signed_by}{mirror[1]} {UNSTABLE} main\n", encoding="utf-8")
    return {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": folder / "none",
        "Dir::Etc::preferences": folder / "none.conf",
        "Dir::Etc::preferencesparts": folder / "none",
    }


def download(packages: Sequence[str], how: Sequence[str], configuration: Path) -> None:
    """Download packages into the folder `archives` beside the configuration."""
    complaints = []
    # Of the machine's sources one may be out of reach that is not needed, so it is for the last command to fail.
    for arguments in [["update"], [*how, *packages]]:
        done = run(["apt-get", "-q", "-y", *arguments], configuration)
        complaints += [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
    if done.returncode != 0:
        raise CannotUnpack(f"apt could not get Debian's {', '.join(packages)}: {' '.join(complaints) or done.stderr}")


def run(command: Sequence[str], configuration: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end; it is in English, and may be an apt with this configuration."""
    own = {"APT_CONFIG": str(configuration)} if configuration else {}
    try:
        return subprocess.run(
            command,
            env={**os.environ, "LC_ALL": "C", **own},
            cwd=configuration.parent / "archives" if configuration else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise CannotUnpack(f"`{' '.join(command)}` took longer than {SECONDS} s.") from None


def unpack(folder: Path, root: Path) -> None:
    """Unpack what was downloaded, without what is never used."""
    root.mkdir()
    for archive in sorted((folder / "archives").glob("*.deb")):
        if not archive.name.startswith(UNUSED_PACKAGES):
            done = run(["dpkg-deb", "--extract", str(archive), str(root)])
            if done.returncode != 0:
                raise CannotUnpack(f"dpkg-deb could not unpack {archive.name}: {done.stderr.strip()}")
    for name in UNUSED_FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)


def make_runnable(root: Path, kept: Collection[str]) -> None:
    """Remove all programs but those of these names, and have these started with the libraries of the folder."""
    loader = min(root.glob("usr/lib*/ld-linux*.so.*")).relative_to(root)
    libraries = min(root.glob("usr/lib/*-linux-gnu*")).relative_to(root)
    (root / LIBEXEC).mkdir(exist_ok=True)
    for program in sorted([*root.glob("usr/bin/*"), *root.glob("usr/sbin/*")]):
        if program.name not in kept:
            program.unlink()
        elif program.read_bytes()[:4] == b"\x7fELF":
            shutil.move(program, root / LIBEXEC / program.name)
            launcher = LAUNCHER.format(loader=loader, libraries=libraries, libexec=LIBEXEC, name=program.name)
            program.write_text(launcher, encoding="utf-8")
            program.chmod(0o755)
