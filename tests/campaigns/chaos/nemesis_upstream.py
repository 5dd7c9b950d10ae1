"""The WhatsApp side and the webhook: dropped, slow, throttled, repeating, refusing."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import begin, healed, nemesis


@nemesis("upstream-disconnect")
async def upstream_disconnect(lab: Lab) -> Mark:
    """Every upstream connection is dropped, three times."""
    mark = await begin(lab, "upstream-disconnect")
    for _ in range(3):
        await lab.faults(disconnect=True)
        await asyncio.sleep(0.3)
    return healed(mark)


@nemesis("upstream-throttle")
async def upstream_throttle(lab: Lab) -> Mark:
    """A fifth of the messages is asked to come again, some so late that they are parked."""
    late = lab.random.choice((50, 1500))
    return await _for_a_while(
        lab, "upstream-throttle", {"throttle": 0.2, "throttle_ms": late}, {"throttle": 0.0}
    )


@nemesis("upstream-repeats")
async def upstream_repeats(lab: Lab) -> Mark:
    """A tenth of the events comes twice."""
    return await _for_a_while(lab, "upstream-repeats", {"repeat": 0.1}, {"repeat": 0.0})


@nemesis("upstream-reorders")
async def upstream_reorders(lab: Lab) -> Mark:
    """A tenth of the messages has its statuses out of order: all are called back all the same."""
    return await _for_a_while(lab, "upstream-reorders", {"reorder": 0.1}, {"reorder": 0.0})


@nemesis("upstream-slow")
async def upstream_slow(lab: Lab) -> Mark:
    """Everything the upstream says comes 400 ms late."""
    return await _for_a_while(lab, "upstream-slow", {"latency_ms": 400}, {"latency_ms": 0})


@nemesis("upstream-loses")
async def upstream_loses(lab: Lab) -> Mark:
    """A tenth of its answers is never said."""
    return await _for_a_while(lab, "upstream-loses", {"lost_answers": 0.1}, {"lost_answers": 0.0})


@nemesis("upstream-breaks")
async def upstream_breaks(lab: Lab) -> Mark:
    """Some of its answers and events cannot be read, the latter whenever they come."""
    on = {"broken_answers": 0.05, "broken_events": 0.05}
    return await _for_a_while(lab, "upstream-breaks", on, dict.fromkeys(on, 0.0))


@nemesis("upstream-frozen")
async def upstream_frozen(lab: Lab) -> Mark:
    """The upstream keeps its sockets open and says nothing for 3 s."""
    mark = await begin(lab, "upstream-frozen")
    simulator = lab.process("simulator")
    simulator.kill(signal.SIGSTOP)
    try:
        await asyncio.sleep(3.0)
    finally:
        simulator.kill(signal.SIGCONT)
    return healed(mark)


@nemesis("webhook-fails")
async def webhook_fails(lab: Lab) -> Mark:
    """A third of the callbacks is answered 500, a tenth dies after it was processed."""
    mark = await begin(lab, "webhook-fails")
    lab.business.refuse, lab.business.reset = 0.3, 0.1
    await asyncio.sleep(2.5)
    lab.business.refuse = lab.business.reset = 0.0
    return healed(mark)


@nemesis("webhook-down")
async def webhook_down(lab: Lab) -> Mark:
    """Every callback is answered 500; sending goes on."""
    mark = await begin(lab, "webhook-down")
    lab.business.refuse = 1.0
    await asyncio.sleep(3.0)
    lab.business.refuse = 0.0
    return healed(mark)


async def _for_a_while(lab: Lab, kind: str, on: dict[str, Any], off: dict[str, Any]) -> Mark:
    mark = await begin(lab, kind)
    await lab.faults(**on)
    await asyncio.sleep(2.5)
    await lab.faults(**off)
    return healed(mark)
