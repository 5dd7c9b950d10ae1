"""Links between hosts: real processes at an address of this machine that is not loopback."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import PAIR, running, unharmed
from tests.cluster.test_rolling import stopped
from tests.cluster.test_unreachable import between, recipient_of
from tests.cluster.test_upgrade import carrying
from tests.harness.address import own_address
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.frozen import frozen
from tests.harness.wait import PATIENCE, soon
from warouter.cloud_settings import is_loopback
from warouter.link import wire
from warouter.link.pins import UNKNOWN
from warouter.local.options import Placement
from warouter.tls import link as tls

HELLO = 4 + wire.HELLO_SIZE


HERE = own_address()
pytestmark = [
    pytest.mark.skipif(
        not HERE or is_loopback(HERE), reason="not run: this machine has no address but loopback"
    ),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("link_pins"),
]


def off_host(name: str, role: str) -> Placement:
    """Coreapps listen for other hosts."""
    return Placement(environment={"COREAPP_HOSTNAME": HERE} if role == "coreapp" else {})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(rate=100.0, place=off_host, webapps=2, **PAIR) as (_, business):
        yield business


async def rows(facts: Facts, role: str) -> list[Any]:
    return await facts.connection.fetch("select * from node where role = $1 order by name", role)


def bare() -> ssl.SSLContext:
    """Of somebody without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def heard(host: str, port: int, context: ssl.SSLContext) -> bytes:
    """What a link's port says to a stranger."""
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        async with asyncio.timeout(PATIENCE):
            said = await reader.read(HELLO)
        writer.transport.abort()
    except OSError:
        return b""
    return said


def refused(facts: Facts) -> list[str]:
    """Lines of all logs about callers that were not let in."""
    return [
        line
        for process in facts.cluster.processes.values()
        if process.role in ("webapp", "coreapp")
        for line in process.log.read_text().splitlines()
        if "link handshake failed" in line or "broke the protocol" in line
    ]


async def arrived(business: Business, message_id: str) -> bool:
    """It is at the upstream."""
    return any(of == message_id for _, _, of, _ in (await business.record())["arrivals"])


async def test_an_owner_cut_from_the_webapp_is_relayed_to(business: Business) -> None:
    """The relaying coreapp shows its certificate as a webapp does."""
    cluster, other = business.cluster, business.cluster.processes["webapp-2"]
    async with Facts(cluster) as facts, AsyncExitStack() as stack:
        await stopped(other)  # it would reach the owner, which then stays what it is
        old = (await facts.map()).slots[0]
        proxy = await between(stack, facts, old.owner)
        business.start()
        await business.more(100)
        leader = await facts.leader()
        with frozen([leader.pid]):  # else it may move the slot before anything is relayed
            proxy.cut()
            await business.send(recipient_of(0))
            (sent,) = business.history.acked[recipient_of(0)]
            await soon(lambda: arrived(business, sent))
        await facts.until(lambda m: m.slots[0].owner != old.owner)
        await business.more(100)
        arrivals = (await business.record())["arrivals"]
        (epoch,) = {epoch for _, _, message_id, epoch in arrivals if message_id == sent}
        # The owner that was cut off has sent it itself, under the epoch that it had by then: on a
        # busy machine it may have renewed one.
        log = await facts.owner_log()
        owners = {row["epoch"]: row["to_incarnation"] for row in log if row["slot"] == 0}
        assert owners[epoch] == old.owner
        assert refused(facts) == []
        await cluster.again(other)
    await unharmed(business)


async def test_messages_flow_and_strangers_hear_nothing(business: Business) -> None:
    """Also through webapps and coreapps that join later; nobody of the cluster is ever refused.

    The last one: strangers are.
    """
    cluster = business.cluster
    async with Facts(cluster) as facts:
        business.start()
        await business.more(100)
        for row in [*await rows(facts, "coreapp"), *await rows(facts, "webapp")]:
            assert row["certificate"]
        for row in await rows(facts, "coreapp"):
            assert row["host"] == HERE
            assert hashlib.sha256(row["certificate"]).hexdigest() == row["fingerprint"]
        (joined,) = await cluster.add_coreapps(1)
        webapp = cluster.processes["webapp-2"]
        await stopped(webapp)
        await cluster.again(webapp)
        await carrying(facts, business, webapp)
        assert joined.alive
        assert refused(facts) == []
        owners = await rows(facts, "coreapp")
        for row in owners:
            stranger = tls.client_context(tls.fresh(row["incarnation"].hex))
            assert await heard(row["host"], row["port"], stranger) == b""
        await soon(lambda: len(refused(facts)) == len(owners))
        assert all(UNKNOWN in line for line in refused(facts))
        for row in owners:
            assert await heard(row["host"], row["port"], bare()) == b""
    await unharmed(business)
