"""The WhatsApp side and the webhook: dropped, slow, throttled, repeating, refusing."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import Act, fault, nemesis


def switched(**switches: Any) -> Act:
    """Switches of the simulator, on for 2.5 s."""

    async def for_a_while(lab: Lab, _mark: Mark) -> None:
        async with lab.switched(**switches):
            await asyncio.sleep(2.5)

    return for_a_while


def refusing(seconds: float, refuse: float, reset: float = 0.0) -> Act:
    """Such a share of callbacks is answered 500, and such a one dies after it was processed."""

    async def refused(lab: Lab, _mark: Mark) -> None:
        lab.business.refuse, lab.business.reset = refuse, reset
        await asyncio.sleep(seconds)
        lab.business.refuse = lab.business.reset = 0.0

    return refused


FAULTS = (
    fault("upstream-repeats", switched(repeat=0.1)),  # events come twice
    # Statuses come out of order: all are called back all the same.
    fault("upstream-reorders", switched(reorder=0.1)),
    fault("upstream-slow", switched(latency_ms=400)),  # whatever it says
    fault("upstream-loses", switched(lost_answers=0.1)),  # they are never said
    # Nobody can read them, events whenever they come.
    fault("upstream-breaks", switched(broken_answers=0.05, broken_events=0.05)),
    fault("webhook-fails", refusing(2.5, refuse=0.3, reset=0.1)),
    fault("webhook-down", refusing(3.0, refuse=1.0)),  # sending goes on
)


@nemesis()
async def upstream_disconnect(lab: Lab, _mark: Mark) -> None:
    """Every upstream connection is dropped, three times."""
    for _ in range(3):
        await lab.faults(disconnect=True)
        await asyncio.sleep(0.3)


@nemesis()
async def upstream_throttle(lab: Lab, mark: Mark) -> None:
    """A fifth of the messages is asked to come again, some so late that they are parked."""
    await switched(throttle=0.2, throttle_ms=lab.random.choice((50, 1500)))(lab, mark)


@nemesis()
async def upstream_frozen(lab: Lab, _mark: Mark) -> None:
    """The upstream keeps its sockets open and says nothing for 3 s."""
    simulator = lab.process("simulator")
    simulator.kill(signal.SIGSTOP)
    try:
        await asyncio.sleep(3.0)
    finally:
        simulator.kill(signal.SIGCONT)
