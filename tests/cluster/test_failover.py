"""Real processes, real faults, and an oracle: nothing is lost, repeated or reordered.

What the chaos campaign does at each of its runs is not repeated here.
"""

from __future__ import annotations

import signal

from tests.cluster.conftest import PAIR, Start, lived_through


async def test_parked_messages_and_pending_callbacks_survive_a_kill(start: Start) -> None:
    """I8, I9, I10: a webhook fails now and then, and messages must wait long."""
    async with lived_through(start, rate=100.0, **PAIR) as (_, business, facts):
        business.refuse = 0.25
        await business.faults(throttle=0.3, throttle_ms=1500)
        business.start(recipients=16)
        await business.more(100)
        ids = await business.inject(100)
        await facts.until_some("select count(*) from parked_message")
        old = (await facts.map()).slots[0]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await facts.until(lambda m: m.slots[0].owner != old.owner)
        await business.faults(throttle=0.05, throttle_ms=1500)
        await business.more(100)
        await business.until(lambda: set(ids) <= set(business.receiver.messages))
        assert await facts.connection.fetchval("select count(*) from event where kind = 1") == 100
