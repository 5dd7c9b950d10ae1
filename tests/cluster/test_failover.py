"""Real processes, real faults, and an oracle: nothing is lost, repeated or reordered.

What the chaos campaign does at each of its runs is not repeated here.
"""

from __future__ import annotations

import asyncio
import signal

from tests.cluster.conftest import CALM, Start, lived_through
from tests.cluster.test_rolling import drain_was_cut
from tests.harness.facts import Facts
from warouter.cluster.shardmap import ShardMap


async def test_a_killed_coreapp_costs_a_pause_and_nothing_else(start: Start) -> None:
    async with lived_through(start) as (_, business, facts):
        business.start()
        await business.more(400)
        old = (await facts.map()).slots[0]
        victim = await facts.process_of(old.owner)
        victim.kill(signal.SIGKILL)
        await facts.until(lambda m: m.slots[0].owner != old.owner)
        await business.more(400)


async def test_a_coreapp_told_to_stop_hands_over_first(start: Start) -> None:
    async with lived_through(start, environment=CALM) as (_, business, facts):
        await business.faults(latency_ms=100)  # some are out at any moment
        business.start()
        await business.more(200)
        old = (await facts.map()).slots[0]
        await (await facts.process_of(old.owner)).stop()
        await business.more(200)
        await business.stop()
        await business.all_called_back()
        log = [r for r in await facts.owner_log() if r["from_incarnation"] == old.owner]
        assert {row["reason"] for row in log} == {"handover"}
        assert (await business.record())["repeats"] == 0 or drain_was_cut(business)


async def test_after_a_crash_of_the_database_everything_resumes(start: Start) -> None:
    async with lived_through(start, environment=CALM) as (cluster, business, facts):
        assert cluster.postgres is not None
        before = await facts.map()
        business.start()
        await business.more(200)
        await asyncio.to_thread(cluster.postgres.stop, signal.SIGKILL)
        await asyncio.to_thread(cluster.postgres.start)
        await business.more(300)
        async with Facts(cluster) as afterwards:
            # Nobody was taken for dead: owners renewed by themselves.
            log = await afterwards.owner_log()
            assert {row["reason"] for row in log} <= {"unowned", "renew"}
            assert _owners(await afterwards.map()) == _owners(before)


async def test_messages_that_must_wait_long_are_parked_and_survive_a_kill(start: Start) -> None:
    async with lived_through(start) as (_, business, facts):
        await business.faults(throttle=0.3, throttle_ms=1500)
        business.start(recipients=16)
        await business.more(200)
        await business.stop()
        await facts.until_some("select count(*) from parked_message")
        old = (await facts.map()).slots[0]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await facts.until(lambda m: m.slots[0].owner != old.owner)
        await business.faults(throttle=0.05, throttle_ms=1500)


async def test_events_reach_a_webhook_that_fails_now_and_then(start: Start) -> None:
    """I8, I9, I10: through a kill, statuses and inbound messages are called back at least once."""
    async with lived_through(start) as (_, business, facts):
        business.refuse = 0.25
        business.start()
        await business.more(200)
        ids = await business.inject(200)
        old = (await facts.map()).slots[1]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await business.more(200)
        await business.until(lambda: set(ids) <= set(business.receiver.messages))
        assert await facts.connection.fetchval("select count(*) from event where kind = 1") == 200


def _owners(current: ShardMap) -> list[object]:
    return [s.owner for s in current.slots]
