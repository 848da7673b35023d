"""A cluster of three MariaDB servers, one alias of all three, and the tables of the library in it."""

import copy
from collections.abc import Iterator

import pytest
from django.db import connections

from tests.cluster.writers import ALIAS
from tests.galera import Cluster, cluster
from tests.library.models import Author, Tag

NAME = "vinyl"
# Seconds, each of them. Galera takes no write for some seconds after a node was lost: those who wait must outlast that.
TIMEOUTS = {"connect_timeout": 2, "read_timeout": 12, "write_timeout": 12}


@pytest.fixture(scope="session")
def nodes() -> Iterator[Cluster]:
    with cluster() as galera:
        yield galera


@pytest.fixture
def galera(nodes: Cluster) -> Iterator[Cluster]:
    """The cluster, whole and in sync, with the alias and empty tables; at the end all nodes are up again."""
    nodes.nodes[0].query(f"CREATE OR REPLACE DATABASE {NAME}")
    settings = copy.deepcopy(connections.settings["default"])
    hosts = ",".join(f"{node.host}:{node.port}" for node in nodes.nodes)
    settings.update(ENGINE="django.db.backends.mysql", NAME=NAME, USER="root", HOST=hosts, OPTIONS=dict(TIMEOUTS))
    connections.settings[ALIAS] = settings
    try:
        with connections[ALIAS].schema_editor() as editor:
            for model in (Author, Tag):
                editor.create_model(model)
        yield nodes
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.settings[ALIAS]
        nodes.thaw(*(node for node in nodes.nodes if node.is_frozen))
        for node in nodes.nodes:
            if not node.process:
                nodes.rejoin(node)
