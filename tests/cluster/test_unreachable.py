"""Owners that live but are cut off: from the upstream, or from the webapp. Silently, by a proxy."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio

from tests.cluster.conftest import running, unharmed
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.proxy import Proxy
from tests.harness.wait import PATIENCE
from warouter._hash import slot_of
from warouter.cluster.shardmap import ShardMap
from warouter.local.cluster import Cluster
from warouter.local.options import Placement

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("unreachable")]

RESTED = 1  # a slot that did not move in the test before: one that did stays for a minute


class Site(NamedTuple):
    """A cluster whose coreapps reach the upstream through proxies, and who uses it."""

    business: Business
    proxies: Proxies


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    async with (
        Proxies() as proxies,
        running(
            proxies.before,
            100.0,
            place=proxies.place,
            masters=1,
            environment={"WAROUTER_HOLD": "25"},
        ) as (_, business),
    ):
        yield Site(business, proxies)


async def test_an_owner_cut_from_the_upstream_is_relieved(site: Site) -> None:
    """All of its slots are sent by others soon, once, and the log says why."""
    business, proxies = site
    async with Facts(business.cluster) as facts:
        business.start()
        await business.more(100)
        old = (await facts.map()).slots[0]
        victim = await facts.process_of(old.owner)
        cut = time.monotonic()
        proxies.of[victim.name].cut()
        moved = await facts.until(lambda m: m.slots[0].owner != old.owner)
        await _sent_under(business, 0, moved.slots[0].epoch)
        await business.more(100)
        log = [r for r in await facts.owner_log() if r["from_incarnation"] == old.owner]
        assert "upstream" in {row["reason"] for row in log} <= {"upstream", "overdue", "renew"}
        assert old.owner not in _owners(await facts.map())
        arrivals = (await business.record())["arrivals"]
        first = min(at for at, slot, _, epoch in arrivals if slot == 0 and epoch > old.epoch)
        print(f"sent by the next owner {first - cut:.2f} s after the cut")
        proxies.of[victim.name].heal()
        await facts.until_none("select count(*) from beat where not upstream_ok")
    await unharmed(business)


async def test_an_owner_cut_from_the_webapp_is_relayed_to_and_then_relieved(site: Site) -> None:
    """Requests go on by relay; a moment later the slots move."""
    business = site.business
    async with Facts(business.cluster) as facts, AsyncExitStack() as stack:
        old = (await facts.map()).slots[RESTED]
        proxy = await between(stack, facts, old.owner)
        business.start()
        await business.more(100)
        cut = time.monotonic()
        proxy.cut()
        await business.send(recipient_of(RESTED))
        relayed = time.monotonic() - cut
        await facts.until(lambda m: m.slots[RESTED].owner != old.owner)
        moved = time.monotonic() - cut
        print(f"answered {relayed:.2f} s after the cut, moved after {moved:.2f} s")
        await business.more(100)
        log = [r for r in await facts.owner_log() if r["from_incarnation"] == old.owner]
        reasons = {row["reason"] for row in log}
        assert "unreachable" in reasons <= {"unreachable", "overdue", "renew"}
        arrivals = (await business.record())["arrivals"]
        (sent,) = business.history.acked[recipient_of(RESTED)]
        (epoch,) = {epoch for _, _, message_id, epoch in arrivals if message_id == sent}
        assert epoch == old.epoch  # the owner that was cut off has sent it itself
    await unharmed(business)


async def between(stack: AsyncExitStack, facts: Facts, coreapp: UUID | None) -> Proxy:
    """A proxy through which webapp-1, and nobody else, reaches a coreapp from now on."""
    where = "select host, port from node where incarnation = $1"
    host, port = await facts.connection.fetchrow(where, coreapp)
    proxy = await stack.enter_async_context(Proxy(lambda: (host, port)))
    point = "update node set host = $2, port = $3 where incarnation = $1"
    await facts.connection.execute(point, coreapp, "127.0.0.1", proxy.port)
    webapp = facts.cluster.processes["webapp-1"]
    webapp.kill(signal.SIGKILL)  # it is started again and reads the row
    async with asyncio.timeout(PATIENCE):
        await proxy.used.wait()
        await webapp.ready.wait()
    await facts.connection.execute(point, coreapp, host, port)
    return proxy


def recipient_of(slot: int) -> str:
    return next(r for n in range(10_000) if slot_of(r := f"49160{n:07d}") == slot)


class Proxies:
    """Between each coreapp and the simulator: one each, by the coreapp's name."""

    def __init__(self, coreapps: int = 3) -> None:
        self.of = {f"coreapp-{n}": Proxy(self._target) for n in range(1, coreapps + 1)}

    async def __aenter__(self) -> Proxies:
        for proxy in self.of.values():
            await proxy.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for proxy in self.of.values():
            await proxy.__aexit__()

    def before(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def place(self, name: str, _role: str) -> Placement:
        if name not in self.of:
            return Placement()
        address = f"127.0.0.1:{self.of[name].port}"
        return Placement(environment={"WAROUTER_UPSTREAM_ADDRESS": address})

    def _target(self) -> tuple[str, int]:
        return self._cluster.settings.upstream_host_port


async def _sent_under(business: Business, slot: int, epoch: int) -> None:
    """Until the simulator has taken a message of the slot under this epoch or a later one."""
    while True:
        arrivals = (await business.record())["arrivals"]
        if any(s == slot and e >= epoch for _, s, _, e in arrivals):
            return
        await business.more(1)


def _owners(current: ShardMap) -> list[object]:
    return [s.owner for s in current.slots]
