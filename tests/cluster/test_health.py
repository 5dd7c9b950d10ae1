"""``/v1/health`` of a real cluster says what is so, before and after each kind of death."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from uuid import UUID

from tests.cluster.conftest import Start
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.wait import PATIENCE
from warouter.cluster.shardmap import ShardMap
from warouter.local.cluster import Cluster

Health = dict[str, tuple[str, str]]  # node to (gateway_status, role)

CONNECTED, DISCONNECTED = ("connected", "coreapp"), ("disconnected", "coreapp")
LEADS = ("connected", "primary_master")  # it owns the control shard
LEADS_ONE_SHARD = ("disconnected", "primary_master")
FOLLOWS = ("disconnected", "secondary_master")
ALL_WELL = Counter({CONNECTED: 2, DISCONNECTED: 1, LEADS: 1, FOLLOWS: 1})


async def health(business: Business) -> Health:
    """The map as it is answered: those two fields, and an error of who does not answer."""
    body = await business.call("GET", "/v1/health")
    assert body["meta"] == {"api_status": "stable", "version": "v2.53.0"}
    for node in body["health"].values():
        assert set(node) - {"errors"} == {"gateway_status", "role"}
        if "errors" in node:
            assert node["gateway_status"] == "disconnected"
            assert node["errors"][0]["details"] == "the node does not answer"
    return {name: (n["gateway_status"], n["role"]) for name, n in body["health"].items()}


async def silent(business: Business) -> set[str]:
    """The nodes with an error."""
    body = await business.call("GET", "/v1/health")
    return {name for name, node in body["health"].items() if "errors" in node}


async def until(business: Business, holds: Callable[[Health], bool]) -> Health:
    """The first answer for which it holds; it is asked without a pause."""
    seen: Health = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = await health(business)
                if holds(seen):
                    return seen
    except TimeoutError:
        raise AssertionError(f"health goes on to say {seen}") from None


def well(cluster: Cluster, current: ShardMap, names: dict[UUID, str], leader: str) -> Health:
    """What must be said of a cluster without trouble."""
    owners = {names[s.owner] for s in current.slots if s.owner is not None}
    said: Health = {}
    for process in cluster.processes.values():
        name = f"localhost:{process.name}"
        if process.role == "coreapp":
            said[name] = CONNECTED if name in owners else DISCONNECTED
        elif process.role == "master":
            lead = LEADS if current.shards > 1 else LEADS_ONE_SHARD
            said[name] = lead if process.name == leader else FOLLOWS
    return said


async def truth(facts: Facts) -> Health:
    rows = await facts.connection.fetch("select incarnation, name from node")
    names = {row["incarnation"]: row["name"] for row in rows}
    return well(facts.cluster, await facts.map(), names, (await facts.leader()).name)


async def test_the_product_s_shape_with_many_shards_and_with_one(start: Start) -> None:
    _, business = await start()
    async with Facts(business.cluster) as facts:
        said = await until(business, lambda h: Counter(h.values()) == ALL_WELL)
        assert said == await truth(facts)
        # Without Multiconnect (one shard) one coreapp is connected, and no master is.
        await business.set_shards(1)
        one = Counter({CONNECTED: 1, DISCONNECTED: 2, LEADS_ONE_SHARD: 1, FOLLOWS: 1})
        said = await until(business, lambda h: Counter(h.values()) == one)
        assert said == await truth(facts)
        async with business.http.get(business.cluster.url + "/v1/health") as answer:
            assert answer.status == 401


async def test_a_killed_coreapp_is_disconnected_and_its_heir_connected(start: Start) -> None:
    cluster, business = await start()
    async with Facts(cluster) as facts:
        before = await until(business, lambda h: Counter(h.values()) == ALL_WELL)
        victim = await facts.process_of((await facts.map()).slots[0].owner)
        name = f"localhost:{victim.name}"
        (heir,) = [n for n, told in before.items() if told == DISCONNECTED]
        assert before[name] == CONNECTED
        victim.kill(signal.SIGKILL)
        await until(business, lambda h: h[name] == DISCONNECTED)
        after = await until(business, lambda h: h[heir] == CONNECTED)
        assert after == {**before, name: DISCONNECTED, heir: CONNECTED}
        # The same node comes back as the new spare.
        async with asyncio.timeout(PATIENCE):
            await victim.ready.wait()
        assert await health(business) == after == await truth(facts)


async def test_a_frozen_coreapp_is_disconnected_and_stays_a_spare(start: Start) -> None:
    cluster, business = await start()
    async with Facts(cluster) as facts:
        before = await until(business, lambda h: Counter(h.values()) == ALL_WELL)
        victim = await facts.process_of((await facts.map()).slots[0].owner)
        name = f"localhost:{victim.name}"
        (heir,) = [n for n, told in before.items() if told == DISCONNECTED]
        victim.kill(signal.SIGSTOP)
        try:
            wanted = {**before, name: DISCONNECTED, heir: CONNECTED}
            await until(business, lambda h: h == wanted)
            assert await silent(business) == {name}
        finally:
            victim.kill(signal.SIGCONT)
        await facts.until_some(
            f"select count(*) from node n join pg_stat_activity a on n.name = '{name}' and"
            " a.application_name like 'wa:' || replace(n.incarnation::text, '-', '') || ':%'"
        )
        assert await health(business) == wanted == await truth(facts)
        async with asyncio.timeout(PATIENCE):  # until the webapp has seen it beat again
            while await silent(business):
                continue


async def test_a_dead_leader_leads_no_more(start: Start) -> None:
    cluster, business = await start(masters=3)
    async with Facts(cluster) as facts:
        for how in (signal.SIGKILL, signal.SIGSTOP):
            before = await until(business, lambda h: Counter(h.values())[LEADS] == 1)
            leader = await facts.leader()
            name = f"localhost:{leader.name}"
            assert before[name] == LEADS
            leader.kill(how)
            after = await until(
                business, lambda h, old=name: h[old] == FOLLOWS and LEADS in h.values()
            )
            leader.kill(signal.SIGCONT)
            coreapps = {n: told for n, told in before.items() if told[1] == "coreapp"}
            assert {n: after[n] for n in coreapps} == coreapps
            assert f"localhost:{(await facts.leader()).name}" in [
                n for n, told in after.items() if told == LEADS
            ]


async def test_with_all_masters_frozen_health_still_sees_who_is_silent(start: Start) -> None:
    """Nobody takes over then, nobody ends sessions: the webapp itself sees the beats stop."""
    cluster, business = await start()
    async with Facts(cluster) as facts:
        before = await until(business, lambda h: Counter(h.values()) == ALL_WELL)
        victim = await facts.process_of((await facts.map()).slots[0].owner)
        masters = [p for p in cluster.processes.values() if p.role == "master"]
        frozen = [*masters, victim]
        for process in frozen:
            process.kill(signal.SIGSTOP)
        try:
            wanted = {
                **before,
                **{f"localhost:{p.name}": FOLLOWS for p in masters},
                f"localhost:{victim.name}": DISCONNECTED,
            }
            await until(business, lambda h: h == wanted)
            assert (await facts.map()).slots[0].owner is not None
        finally:
            for process in frozen:
                process.kill(signal.SIGCONT)
        await until(business, lambda h: Counter(h.values()) == ALL_WELL)


async def test_without_the_upstream_no_coreapp_is_connected(start: Start) -> None:
    cluster, business = await start()

    def cut_off(said: Health) -> bool:
        return Counter(said.values()) == Counter({DISCONNECTED: 3, LEADS: 1, FOLLOWS: 1})

    await until(business, lambda h: Counter(h.values()) == ALL_WELL)
    await business.faults(refuse=True, disconnect=True)
    await until(business, cut_off)
    await business.faults(refuse=False)
    await until(business, lambda h: Counter(h.values()) == ALL_WELL)
    await cluster.processes["simulator"].stop()
    await until(business, cut_off)
