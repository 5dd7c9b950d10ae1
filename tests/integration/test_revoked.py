"""A slot that a newer owner has claimed: what its old owner had queued for it stays there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tests.harness.owned import EPOCH, Slots
from tests.harness.simulator import SLOT, TO, running
from tests.harness.wait import soon
from warouter._hash import SLOTS
from warouter.config import Settings
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.protocol import Claim, Claimed, Heard, Revoked, Send

OTHER = (SLOT + 1) % SLOTS


async def test_frames_queued_in_the_turn_of_the_revocation_do_not_leave(
    settings: Settings,
) -> None:
    """As after a freeze between the queueing and the write: the lease of no open slot is over."""
    async with running() as world:
        upstream = SimulatorUpstream(world.addresses.host, world.addresses.port, "node", "first")
        slots = Slots(settings, upstream=upstream)
        slots.hold_leases()
        slots.ownership._session.alive = True
        slot, heard = slots.open(SLOT), slots.hearing.on_upstream
        after = asyncio.Event()

        def hear(read: Iterable[Heard]) -> None:
            for message in read:
                if isinstance(message, Revoked):
                    queued: Any = memoryview(b"{}")
                    upstream.tell(Send(SLOT, EPOCH, 1, "m1", TO, "message", queued))
                heard([message])
                if message == Claimed(OTHER, EPOCH, True):
                    after.set()

        vars(slots.hearing)["on_upstream"] = hear
        task = asyncio.create_task(upstream.run(slots.hearing))
        await soon(lambda: slot.claimed)
        await world.owner("second", EPOCH + 1)
        await soon(lambda: not slot.open)
        upstream.tell(Claim(OTHER, EPOCH))  # answered after whatever left before it
        await after.wait()
        assert (await world.record())["stale"] == 0
        await upstream.close()
        task.cancel()
