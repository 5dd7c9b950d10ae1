"""Real processes, real faults, and an oracle: nothing is lost, repeated or reordered."""

from __future__ import annotations

import asyncio
import signal

from tests.cluster.conftest import CALM, Start
from tests.cluster.facts import Facts
from tests.cluster.test_rolling import drain_was_cut
from warouter.cluster.shardmap import ShardMap


async def test_a_killed_coreapp_costs_a_pause_and_nothing_else(start: Start) -> None:
    cluster, business = await start()
    async with Facts(cluster) as facts:
        business.start()
        await business.more(400)
        old = (await facts.map()).slots[0]
        victim = await facts.process_of(old.owner)
        victim.kill(signal.SIGKILL)
        await facts.until(lambda m: m.slots[0].owner != old.owner)
        await business.more(400)
        await business.stop()
        await business.all_called_back()
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []


async def test_the_leading_master_and_an_owner_die_together(start: Start) -> None:
    cluster, business = await start()
    async with Facts(cluster) as facts:
        business.start()
        await business.more(200)
        old = (await facts.map()).slots[1]
        leader, owner = await facts.leader(), await facts.process_of(old.owner)
        leader.kill(signal.SIGKILL)
        owner.kill(signal.SIGKILL)
        await facts.until(lambda m: m.slots[1].owner != old.owner)
        await business.more(400)
        await business.stop()
        await business.all_called_back()
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []


async def test_a_frozen_owner_wakes_up_fenced(start: Start) -> None:
    cluster, business = await start()
    async with Facts(cluster) as facts:
        business.start()
        await business.more(200)
        old = (await facts.map()).slots[0]
        frozen = await facts.process_of(old.owner)
        frozen.kill(signal.SIGSTOP)
        try:
            await facts.until(lambda m: m.slots[0].owner != old.owner)
            await business.more(100)
        finally:
            frozen.kill(signal.SIGCONT)
        await business.more(400)
        await business.stop()
        await business.all_called_back()
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []


async def test_shards_are_set_while_traffic_flows(start: Start) -> None:
    cluster, business = await start(coreapps=2)
    async with Facts(cluster) as facts:
        business.start()
        await business.more(200)
        await cluster.add_coreapps(2)
        for shards in (4, 8, 32, 16, 2, 1, 4):
            answer = await business.set_shards(shards)
            assert answer["account"]["shards"] == shards
            current = await facts.map()
            assert (current.shards, current.settled) == (shards, True)
            assert await business.call("GET", "/v1/account/shards") | {"meta": None} == {
                "account": {"shards": shards},
                "meta": None,
            }
            await business.more(100)
        await business.stop()
        await business.all_called_back()
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []


async def test_an_owner_dies_in_the_middle_of_set_shards(start: Start) -> None:
    cluster, business = await start(coreapps=4)
    async with Facts(cluster) as facts:
        business.start()
        await business.more(200)
        old = (await facts.map()).slots[2]
        change = asyncio.create_task(business.set_shards(4))
        await facts.until(lambda m: m.shards == 4)
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await change
        await business.more(200)
        await business.stop()
        await business.all_called_back()
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []


async def test_a_second_change_of_shards_is_refused_while_one_runs(start: Start) -> None:
    _, business = await start(coreapps=2)
    changes = [business.set_shards(n) for n in (4, 8, 16, 32)]
    results = await asyncio.gather(*changes, return_exceptions=True)
    done = [r for r in results if isinstance(r, dict)]
    assert done
    refused = [str(r) for r in results if not isinstance(r, dict)]
    assert all("1011" in r for r in refused)


async def test_a_coreapp_told_to_stop_hands_over_first(start: Start) -> None:
    cluster, business = await start(environment=CALM)
    async with Facts(cluster) as facts:
        await business.faults(latency_ms=100)  # some are out at any moment
        business.start()
        await business.more(200)
        old = (await facts.map()).slots[0]
        await (await facts.process_of(old.owner)).stop()
        await business.more(200)
        await business.stop()
        await business.all_called_back()
        log = await facts.connection.fetch(
            "select reason from owner_log where from_incarnation = $1", old.owner
        )
        assert {row["reason"] for row in log} == {"handover"}
        assert (await business.record())["repeats"] == 0 or drain_was_cut(business)
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []


async def test_after_a_crash_of_the_database_everything_resumes(start: Start) -> None:
    cluster, business = await start(environment=CALM)
    assert cluster.postgres is not None
    async with Facts(cluster) as facts:
        before = await facts.map()
        business.start()
        await business.more(200)
        await asyncio.to_thread(cluster.postgres.stop, signal.SIGKILL)
        await asyncio.to_thread(cluster.postgres.start)
    async with Facts(cluster) as facts:
        await business.more(300)
        await business.stop()
        await business.all_called_back()
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []
        # Nobody was taken for dead: owners renewed by themselves.
        reasons = await facts.connection.fetch("select distinct reason from owner_log")
        assert {row["reason"] for row in reasons} <= {"unowned", "renew"}
        assert _owners(await facts.map()) == _owners(before)


async def test_messages_that_must_wait_long_are_parked_and_survive_a_kill(start: Start) -> None:
    cluster, business = await start()
    async with Facts(cluster) as facts:
        await business.faults(throttle=0.3, throttle_ms=1500)
        business.start(recipients=16)
        await business.more(200)
        await business.stop()
        await facts.until_some("select count(*) from parked_message")
        old = (await facts.map()).slots[0]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await facts.until(lambda m: m.slots[0].owner != old.owner)
        await business.faults(throttle=0.05, throttle_ms=1500)
        await business.all_called_back()
        assert await facts.wrong(business) == []
        assert business.errors == business.unknown == []


async def test_events_reach_a_webhook_that_fails_now_and_then(start: Start) -> None:
    """I8, I9, I10: through a kill, statuses and inbound messages are called back at least once."""
    cluster, business = await start()
    async with Facts(cluster) as facts:
        business.refuse_every = 4
        business.start()
        await business.more(200)
        ids = await business.inject(200)
        old = (await facts.map()).slots[1]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await business.more(200)
        await business.stop()
        await business.all_called_back()
        async with business.heard:
            await business.heard.wait_for(lambda: all(business.inbound[i] for i in ids))
        assert await facts.wrong(business) == []
        assert await facts.connection.fetchval("select count(*) from event where kind = 1") == 200


def _owners(current: ShardMap) -> list[object]:
    return [s.owner for s in current.slots]
