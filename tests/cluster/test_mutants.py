"""The checker finds a build that lacks a mechanism, and passes the one that has it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cluster.conftest import Start
from tests.harness import mutants
from tests.harness.business import Business
from tests.harness.facts import Facts
from warouter.local.cluster import Placement, here

Place = Callable[[str, str], Placement]


def without(mechanism: str, role: str = "coreapp") -> Place:
    program = mutants.program(mechanism)
    return lambda _, its: Placement(program=program) if its == role else Placement()


@pytest.mark.parametrize(
    ("place", "found"),
    [(here, False), (without("ack_before_commit"), True)],
    ids=["product", "mutant"],
)
async def test_i1_nothing_acknowledged_is_lost(start: Start, place: Place, found: bool) -> None:
    cluster, business = await start(place=place)
    async with Facts(cluster) as facts:
        business.start()
        for _ in range(3):
            await business.more(200)
            old = (await facts.map()).slots[0]
            (await facts.process_of(old.owner)).kill(signal.SIGKILL)
            await facts.until(lambda m, old=old: m.slots[0].owner != old.owner)
        await business.more(100)
        await business.stop()
        await _quiet(business)
        assert any(w.number == "I1" for w in await facts.wrong(business)) == found


@pytest.mark.parametrize(
    ("place", "found"),
    [(here, False), (without("unblocked_lane"), True)],
    ids=["product", "mutant"],
)
async def test_i7_order_per_recipient_through_retries(
    start: Start, place: Place, found: bool
) -> None:
    cluster, business = await start(place=place)
    async with Facts(cluster) as facts:
        await business.faults(throttle=0.3, throttle_ms=50)
        business.start(recipients=4)
        await business.more(600)
        await business.stop()
        await _quiet(business)
        assert any(w.number == "I7" for w in await facts.wrong(business)) == found


async def _quiet(business: Business) -> None:
    """Until a last message, sent after all the others to each recipient, has been read."""
    acked = business.history.acked
    for recipient in list(acked):
        await business.send(recipient)
    await business.called_back("read", *(ids[-1] for ids in acked.values()))
