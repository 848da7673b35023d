"""A node of the Galera cluster: a MariaDB server with its options as a member, and what it says about itself."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import daemons, private_mariadb
from tests.daemons import HOST, CannotStart

# How long a node may be silent until the others expel it: Galera's own patience is 5 s.
SUSPECT_SECONDS = 3
MEMBERSHIP = {
    "binlog-format": "ROW",
    "innodb-autoinc-lock-mode": "2",
    "wsrep-on": "ON",
    "wsrep-cluster-name": "vinyl",
    "wsrep-sst-method": "rsync",
}
PROVIDER = {
    "gcache.size": "32M",
    "evs.suspect_timeout": f"PT{SUSPECT_SECONDS}S",
}
STATUS = ("wsrep_cluster_size", "wsrep_cluster_status", "wsrep_local_state_comment", "wsrep_ready")


@dataclass(frozen=True)
class Programs:
    """The programs of a node, and how to run them as the owner of its folder."""

    server: str
    client: str
    provider: str
    how: dict[str, Any]


@dataclass(frozen=True)
class Ports:
    """Where a node listens: to clients, to the other nodes, and for a copy of everything or of what it has missed."""

    clients: int
    group: int
    copy: int
    missed: int


@dataclass
class Node:
    """A server of the cluster. It runs from its start until it is stopped or killed; a frozen one runs, too."""

    name: str
    folder: Path
    ports: Ports
    programs: Programs
    members: Sequence[Ports] = field(repr=False)
    process: "subprocess.Popen[bytes] | None" = None
    is_frozen: bool = False

    host = HOST

    @property
    def port(self) -> int:
        return self.ports.clients

    @property
    def url(self) -> str:
        return f"mysql://root@{self.host}:{self.port}/"

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def running(self) -> "subprocess.Popen[bytes]":
        if not self.process:
            raise ValueError(f"{self.name} does not run.")
        return self.process

    def query(self, sql: str, seconds: float = 5) -> list[list[str]]:
        """Return the rows that this node answers with; raise ConnectionError if it does not in this time."""
        how = ["--no-defaults", "--batch", "--skip-column-names", "--user=root", f"--socket={self.socket}"]
        command = [self.programs.client, *how, f"--execute={sql}"]
        try:
            done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", timeout=seconds)
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"{self.name} has not answered for {seconds} s: {sql}") from None
        if done.returncode != 0:
            raise ConnectionError(f"{self.name}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def status(self) -> dict[str, str]:
        """Return what this node says of the cluster, nothing if it does not answer."""
        try:
            return dict(self.query(f"SHOW STATUS WHERE Variable_name IN {STATUS}", 2))
        except ConnectionError:
            return {}

    def start(self, *further: str) -> None:
        """Start the server, with a new log, without waiting for it."""
        self.log.unlink(missing_ok=True)
        self.process = daemons.spawn([*self.command(), *further], self.log, self.programs.how)

    def command(self) -> list[str]:
        """Return the command that starts a server as a member of the cluster."""
        provider = {
            "gmcast.listen_addr": f"tcp://{HOST}:{self.ports.group}",
            "ist.recv_addr": f"{HOST}:{self.ports.missed}",
            **PROVIDER,
        }
        membership = {
            "wsrep-provider": self.programs.provider,
            "wsrep-provider-options": ";".join(f"{name}={value}" for name, value in provider.items()),
            "wsrep-cluster-address": "gcomm://" + ",".join(f"{HOST}:{member.group}" for member in self.members),
            "wsrep-node-name": self.name,
            "wsrep-node-address": f"{HOST}:{self.ports.group}",
            "wsrep-sst-receive-address": f"{HOST}:{self.ports.copy}",
            **MEMBERSHIP,
        }
        options = private_mariadb.options(self.folder, self.port)
        return [self.programs.server, *options, *private_mariadb.as_options(membership)]

    def last_write(self) -> str:
        """Ask the files of a node that does not run which write of the cluster was their last."""
        log = self.folder / "recovery"
        log.unlink(missing_ok=True)
        daemons.run([*self.command(), "--wsrep-recover"], log, self.programs.how)
        positions = re.findall(r"Recovered position: *(\S+)", log.read_text(encoding="utf-8", errors="replace"))
        if not positions:
            raise CannotStart(f"{self.name}'s files do not tell their last write: {daemons.cause(log)}")
        return str(positions[-1])
