"""One alias of several hosts, and a node that is lost under load: what was acknowledged is there, and nobody hangs."""

import asyncio

import pytest
from django.db import OperationalError

import vinyl
from tests.cluster.conftest import NAME
from tests.cluster.writers import ALIAS, DEADLINE, Ledger, writing
from tests.galera import Cluster

pytestmark = pytest.mark.asynchronous

LOAD = 300


async def examine(galera: Cluster, ledger: Ledger) -> None:
    """Compare the nodes with each other, and with what the writers were told."""
    for table in ("library_author", "library_tag"):
        sums = await asyncio.to_thread(galera.checksums, f"{NAME}.{table}")
        assert len(sums) == 3
        assert len(set(sums.values())) == 1, sums
    authors = [name for (name,) in await vinyl.connections[ALIAS].execute("SELECT name FROM library_author")]
    tags = [label for (label,) in await vinyl.connections[ALIAS].execute("SELECT label FROM library_tag")]
    assert sorted(authors) == sorted(tags)
    assert len(set(authors)) == len(authors)
    # Of a write whose COMMIT was not answered nobody can say whether it was done.
    assert ledger.acknowledged <= set(authors) <= ledger.attempted
    assert ledger.longest < DEADLINE


@pytest.mark.parametrize("fault", ["stop", "kill", "freeze"])
async def test_what_was_acknowledged_is_on_each_node_and_no_write_outlasts_its_deadline(galera, fault, capsys):
    async with writing() as ledger:
        await ledger.more(LOAD)
        [(port,)] = await vinyl.connections[ALIAS].execute("SELECT @@port")
        serving = next(node for node in galera.nodes if node.port == port)
        await asyncio.to_thread(getattr(galera, fault), serving)
        await ledger.more(LOAD)
        await asyncio.to_thread(galera.thaw if fault == "freeze" else galera.rejoin, serving)
        await ledger.more(LOAD)
    assert ledger.refusals
    with capsys.disabled():
        print(f"\n{fault}: {ledger}")
    await examine(galera, ledger)


async def test_a_node_without_its_cluster_is_passed_over_and_named(galera):
    first, *others = galera.nodes
    for node in others:
        galera.freeze(node)
    await asyncio.to_thread(galera.wait_until, lambda: first.status()["wsrep_cluster_status"] == "non-Primary")
    with pytest.raises(
        OperationalError, match=r"None of the servers can be used \(.*WSREP has not yet prepared"
    ) as caught:
        await vinyl.connections[ALIAS].execute("SELECT 1")
    assert caught.value.args[1].count("timed out") == len(others)
