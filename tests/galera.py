"""A Galera cluster of MariaDB's on this machine, for tests of what happens to vinyl when a node is gone.

    with cluster() as galera:
        first, second, third = galera.nodes     # each with its host, port and socket
        galera.kill(second)                     # as a crash would: the connections break
        galera.wait_until_synced()              # the others have noticed, and take writes again
        galera.rejoin(second)                   # returns when it has caught up

A node that is killed or stopped breaks its connections at once. One that is frozen does not: it keeps its connections,
its port accepts new ones, and nothing answers. The others take no write until they have expelled it, SUSPECT_SECONDS
later; when it is thawed it finds that it was expelled, and joins again by itself.

The programs and the provider are those of Debian's packages mariadb-server and galera-4. A node that joins again gets
from another what it has missed, or a copy of all the files, through rsync, if that is too much.
`python -m tests.galera` starts a cluster and leaves it running until Ctrl-C.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import daemons, private_mariadb
from tests.daemons import CannotStart
from tests.galera_nodes import Node, Ports, Programs

SYNC_SECONDS = 60
PROVIDERS = ["/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so"]


class Cluster:
    """The nodes, and what can be done to them. What waits, waits for an event, and raises TimeoutError without it."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def version(self) -> str:
        """Return the version of the servers, as they greet: 10.11.19-MariaDB-0+deb12u1."""
        return next(filter(None, (daemons.greeting(node.port) for node in self.up())), "unknown")

    def up(self) -> list[Node]:
        """Return the nodes that can answer."""
        return [node for node in self.nodes if node.process and not node.is_frozen]

    def kill(self, node: Node) -> None:
        """End a node as a crash would."""
        daemons.kill(node.running)
        node.process, node.is_frozen = None, False

    def stop(self, node: Node, seconds: float = 30) -> None:
        """Shut a node down in good order; it tells the others."""
        process = node.running
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{node.name} has not shut down within {seconds} s.") from None
        self.kill(node)

    def freeze(self, node: Node) -> None:
        """Let a node fall silent, without a sign to anybody; return when none of its threads runs."""
        process = node.running
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        node.is_frozen = True

    def thaw(self, *nodes: Node, seconds: float = SYNC_SECONDS) -> None:
        """Wake up frozen nodes, and wait until they have found back to the others, or all to each other."""
        for node in nodes:
            node.running.send_signal(signal.SIGCONT)
            node.is_frozen = False
        self.wait_until_synced(seconds)

    def rejoin(self, node: Node, seconds: float = SYNC_SECONDS) -> None:
        """Start a node again that was stopped or killed, and wait until it has caught up with the others."""
        node.start(f"--wsrep-start-position={node.last_write()}")
        self.wait_until_synced(seconds)

    def wait_until_synced(self, seconds: float = SYNC_SECONDS) -> None:
        """Wait until those that can answer form a cluster of nobody else, and each has all that was written."""
        nodes = self.up()
        wanted = {
            "wsrep_cluster_size": str(len(nodes)),
            "wsrep_cluster_status": "Primary",
            "wsrep_local_state_comment": "Synced",
            "wsrep_ready": "ON",
        }
        self.wait_until(lambda: all(node.status() == wanted for node in nodes), seconds)

    def checksums(self, table: str) -> dict[str, str]:
        """Return the checksum of a table on each node that can answer, with all that was written before."""
        sql = f"SET SESSION wsrep_sync_wait = 1; CHECKSUM TABLE {table}"
        return {node.name: node.query(sql, SYNC_SECONDS)[0][1] for node in self.up()}

    def wait_until(self, condition: Callable[[], bool], seconds: float = SYNC_SECONDS) -> None:
        """Wait until something has become of the cluster, and all nodes that are up stay up meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            for node in self.up():
                if node.running.poll() is not None or node.status().get("wsrep_cluster_status") == "Disconnected":
                    raise CannotStart(f"{node.name} has left the cluster: {daemons.cause(node.log)}")
            if time.monotonic() > deadline:
                states = ", ".join(f"{node.name}: {node.status() or 'no answer'}" for node in self.up())
                raise TimeoutError(f"the cluster was not there within {seconds} s; {states}")
            time.sleep(0.1)


def find_programs() -> tuple[private_mariadb.Programs, str, str]:
    """Find the programs of the server, the client and the provider."""
    mariadb = private_mariadb.find_programs("system")
    client = daemons.find_program("mariadb")
    provider = next(filter(os.path.exists, PROVIDERS), None)
    if not client or not provider or not shutil.which("rsync"):
        raise CannotStart("Galera is not complete; `apt-get install mariadb-client galera-4 rsync`.")
    return mariadb, client, provider


@contextmanager
def cluster(nodes: int = 3) -> Iterator[Cluster]:
    """Give a cluster of that many nodes, all of them in sync, which only this machine can reach."""
    mariadb, client, provider = find_programs()
    with daemons.home("galera") as (folder, owner):
        private_mariadb.install(mariadb, folder, owner)
        programs = Programs(mariadb.server, client, provider, owner)
        begin(folder, programs)
        with started(make_nodes(nodes, folder, programs)) as galera:
            yield galera


@contextmanager
def started(nodes: list[Node]) -> Iterator[Cluster]:
    """Start the nodes, the first as that of a new cluster, and in the end kill those that still run."""
    galera = Cluster(nodes)
    try:
        nodes[0].start("--wsrep-new-cluster")
        galera.wait_until_synced()
        for node in nodes[1:]:
            node.start()
            # Who comes while another is coming in is turned away, and tries again seconds later.
            galera.wait_until(lambda: nodes[0].status().get("wsrep_cluster_size") == str(len(galera.up())))
        galera.wait_until_synced()
        yield galera
    finally:
        for node in nodes:
            if node.process:
                galera.kill(node)


def begin(folder: Path, programs: Programs) -> None:
    """Begin a cluster for its nodes to go on with: with files of the same history, none needs a copy of another's."""
    ports = Ports(*daemons.free_ports(4))
    node = Node("node0", folder, ports, programs, [ports])
    with started([node]) as galera:
        galera.stop(node)


def make_nodes(count: int, folder: Path, programs: Programs) -> list[Node]:
    """Give each node the files of the server in this folder."""
    free = daemons.free_ports(4 * count)
    members = [Ports(*free[i : i + 4]) for i in range(0, len(free), 4)]
    nodes = [Node(f"node{i}", folder / f"node{i}", ports, programs, members) for i, ports in enumerate(members, 1)]
    for node in nodes:
        for command in [["mkdir", node.folder], ["cp", "-a", folder / "data", node.folder]]:
            daemons.run(list(map(str, command)), folder / "log", programs.how)
    return nodes


@contextmanager
def described() -> Iterator[tuple[str, str]]:
    with cluster() as galera:
        yield " ".join(node.url for node in galera.nodes), galera.version()


if __name__ == "__main__":
    daemons.show(described())
