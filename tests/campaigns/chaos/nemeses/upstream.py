"""The WhatsApp side and the webhook: dropped, slow, throttled, repeating, refusing."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import nemesis


@nemesis()
async def upstream_disconnect(lab: Lab, _mark: Mark) -> None:
    """Every upstream connection is dropped, three times."""
    for _ in range(3):
        await lab.faults(disconnect=True)
        await asyncio.sleep(0.3)


@nemesis()
async def upstream_throttle(lab: Lab, _mark: Mark) -> None:
    """A fifth of the messages is asked to come again, some so late that they are parked."""
    await _for_a_while(lab, throttle=0.2, throttle_ms=lab.random.choice((50, 1500)))


@nemesis()
async def upstream_repeats(lab: Lab, _mark: Mark) -> None:
    """A tenth of the events comes twice."""
    await _for_a_while(lab, repeat=0.1)


@nemesis()
async def upstream_reorders(lab: Lab, _mark: Mark) -> None:
    """A tenth of the messages has its statuses out of order: all are called back all the same."""
    await _for_a_while(lab, reorder=0.1)


@nemesis()
async def upstream_slow(lab: Lab, _mark: Mark) -> None:
    """Everything the upstream says comes 400 ms late."""
    await _for_a_while(lab, latency_ms=400)


@nemesis()
async def upstream_loses(lab: Lab, _mark: Mark) -> None:
    """A tenth of its answers is never said."""
    await _for_a_while(lab, lost_answers=0.1)


@nemesis()
async def upstream_breaks(lab: Lab, _mark: Mark) -> None:
    """Some of its answers and events cannot be read, the latter whenever they come."""
    await _for_a_while(lab, broken_answers=0.05, broken_events=0.05)


@nemesis()
async def upstream_frozen(lab: Lab, _mark: Mark) -> None:
    """The upstream keeps its sockets open and says nothing for 3 s."""
    simulator = lab.process("simulator")
    simulator.kill(signal.SIGSTOP)
    try:
        await asyncio.sleep(3.0)
    finally:
        simulator.kill(signal.SIGCONT)


@nemesis()
async def webhook_fails(lab: Lab, _mark: Mark) -> None:
    """A third of the callbacks is answered 500, a tenth dies after it was processed."""
    lab.business.refuse, lab.business.reset = 0.3, 0.1
    await asyncio.sleep(2.5)
    lab.business.refuse = lab.business.reset = 0.0


@nemesis()
async def webhook_down(lab: Lab, _mark: Mark) -> None:
    """Every callback is answered 500; sending goes on."""
    lab.business.refuse = 1.0
    await asyncio.sleep(3.0)
    lab.business.refuse = 0.0


async def _for_a_while(lab: Lab, **switches: Any) -> None:
    await lab.faults(**switches)
    await asyncio.sleep(2.5)
    await lab.faults(**{name: type(value)() for name, value in switches.items()})
