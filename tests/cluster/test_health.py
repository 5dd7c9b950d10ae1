"""``/v1/health`` of a real cluster says what is so, before and after each kind of death."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio

from tests.cluster.conftest import running
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.frozen import frozen
from tests.harness.wait import PATIENCE, soon
from warouter.cluster.shardmap import ShardMap
from warouter.local.cluster import Cluster
from warouter.local.process import Process
from warouter.store.nodes import read_term

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("health")]

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


async def until_silent(business: Business, wanted: set[str]) -> None:
    """Just those nodes have an error."""
    seen: set[str] = set()

    async def asked() -> bool:
        nonlocal seen
        body = await business.call("GET", "/v1/health")
        seen = {name for name, node in body["health"].items() if "errors" in node}
        return seen == wanted

    try:
        await soon(asked)
    except TimeoutError:
        raise AssertionError(f"health goes on to say that {seen} do not answer") from None


async def until(business: Business, holds: Callable[[Health], bool]) -> Health:
    """The first answer for which it holds."""
    seen: Health = {}

    async def asked() -> bool:
        nonlocal seen
        seen = await health(business)
        return holds(seen)

    try:
        await soon(asked)
    except TimeoutError:
        raise AssertionError(f"health goes on to say {seen}") from None
    return seen


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


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running() as (_, business):
        yield business


@pytest_asyncio.fixture(loop_scope="module")
async def facts(business: Business) -> AsyncIterator[Facts]:
    """All is well; what a test hurts is to be well again."""
    await until(business, lambda h: Counter(h.values()) == ALL_WELL)
    async with Facts(business.cluster) as facts:
        yield facts


class Victim(NamedTuple):
    """An owner to be hurt, and the spare that is to follow it."""

    process: Process
    name: str
    heir: str
    before: Health

    @property
    def after(self) -> Health:
        return {**self.before, self.name: DISCONNECTED, self.heir: CONNECTED}


@pytest_asyncio.fixture(loop_scope="module")
async def victim(business: Business, facts: Facts) -> Victim:
    process = await facts.process_of((await facts.map()).slots[0].owner)
    name, before = f"localhost:{process.name}", await health(business)
    (heir,) = [n for n, told in before.items() if told == DISCONNECTED]
    assert before[name] == CONNECTED
    return Victim(process, name, heir, before)


async def test_the_product_s_shape_with_many_shards_and_with_one(
    business: Business, facts: Facts
) -> None:
    assert await health(business) == await truth(facts)
    # Without Multiconnect (one shard) one coreapp is connected, and no master is.
    await business.set_shards(1)
    one = Counter({CONNECTED: 1, DISCONNECTED: 2, LEADS_ONE_SHARD: 1, FOLLOWS: 1})
    said = await until(business, lambda h: Counter(h.values()) == one)
    assert said == await truth(facts)
    async with business.http.get(business.cluster.url + "/v1/health") as answer:
        assert answer.status == 401
    await business.set_shards(2)


async def test_a_killed_coreapp_is_disconnected_and_its_heir_connected(
    business: Business, facts: Facts, victim: Victim
) -> None:
    victim.process.kill(signal.SIGKILL)
    await until(business, lambda h: h[victim.name] == DISCONNECTED)
    assert await until(business, lambda h: h[victim.heir] == CONNECTED) == victim.after
    # The same node comes back as the new spare.
    async with asyncio.timeout(PATIENCE):
        await victim.process.ready.wait()
    assert await health(business) == victim.after == await truth(facts)


async def test_a_frozen_coreapp_is_disconnected_and_stays_a_spare(
    business: Business, facts: Facts, victim: Victim
) -> None:
    with frozen([victim.process.pid]):
        await until(business, lambda h: h == victim.after)
        # The leader may have seen the beats stop a moment before the webapp does.
        await until_silent(business, {victim.name})
        assert await health(business) == victim.after
    await facts.until_some(
        f"select count(*) from node n join pg_stat_activity a on n.name = '{victim.name}' and"
        " a.application_name like 'wa:' || replace(n.incarnation::text, '-', '') || ':%'"
    )
    assert await health(business) == victim.after == await truth(facts)
    await until_silent(business, set())  # the webapp has seen it beat again


async def test_a_dead_leader_leads_no_more(business: Business, facts: Facts) -> None:
    """One that was killed is started again, and may win the election itself."""
    for how in (signal.SIGKILL, signal.SIGSTOP):
        before = await until(business, lambda h: Counter(h.values()) == ALL_WELL)
        term, leader = await read_term(facts.connection), await facts.leader()
        assert before[f"localhost:{leader.name}"] == LEADS
        leader.kill(how)
        after: Health = {}

        async def another_leads(old: object = term) -> bool:
            nonlocal after
            now, after = await read_term(facts.connection), await health(business)
            leads = {name for name, told in after.items() if told == LEADS}
            return now not in (None, old) and leads == {
                f"localhost:{(await facts.process_of(now)).name}"
            }

        await soon(another_leads)
        leader.kill(signal.SIGCONT)
        coreapps = {n: told for n, told in before.items() if told[1] == "coreapp"}
        assert {n: after[n] for n in coreapps} == coreapps


async def test_with_all_masters_frozen_health_still_sees_who_is_silent(
    business: Business, facts: Facts, victim: Victim
) -> None:
    """Nobody takes over then, nobody ends sessions: the webapp itself sees the beats stop."""
    masters = [p for p in business.cluster.processes.values() if p.role == "master"]
    with frozen([p.pid for p in (*masters, victim.process)]):
        wanted = {
            **victim.before,
            **{f"localhost:{p.name}": FOLLOWS for p in masters},
            victim.name: DISCONNECTED,
        }
        await until(business, lambda h: h == wanted)
        assert (await facts.map()).slots[0].owner is not None
    await until(business, lambda h: Counter(h.values()) == ALL_WELL)


@pytest.mark.usefixtures("facts")
async def test_without_the_upstream_no_coreapp_is_connected(business: Business) -> None:
    def cut_off(said: Health) -> bool:
        return Counter(said.values()) == Counter({DISCONNECTED: 3, LEADS: 1, FOLLOWS: 1})

    await business.faults(refuse=True, disconnect=True)
    await until(business, cut_off)
    await business.faults(refuse=False)
    await until(business, lambda h: Counter(h.values()) == ALL_WELL)
    simulator = business.cluster.processes["simulator"]
    await simulator.stop()
    await until(business, cut_off)
    await business.cluster.again(simulator)
