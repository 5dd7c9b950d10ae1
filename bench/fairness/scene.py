"""The others, who are measured, and what may be slow beside them.

The others are a thousand recipients of one shard, half of them of one slot, and get messages at a
steady pace. The hot recipient is of that slot; the shard that is slow is the other one. What is
slow is under way before the others begin, and ends after they have their callbacks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import chain, count, islice
from typing import Any

from bench.child import Child
from bench.e2e.site import Found, Site
from bench.fairness.webhook import Webhook
from bench.order import Command
from warouter._hash import slot_of

PER_SECOND, CONNECTIONS, SECONDS = 300.0, 32, 6.0  # of the others
LATENCY_MS = 20  # of the upstream, in every side: what each message of the hot one costs
HOT_BACKLOG, HOT_PER_SECOND = 1_500, 100.0  # the upstream takes some 40 a second of one recipient
SHARD_RATE, SHARD_BACKLOG = 600.0, 6_000  # a second that the upstream takes of one coreapp
FREEZE_SECONDS = 1.0  # less than a lease
STUCK = 4  # recipients whose callbacks hang
HEARD_SECONDS = 8.0
HOT = 1


def wa_id(number: int) -> str:
    """The recipient that ``bench.load`` writes to by this number."""
    return f"49151{number:08d}"


def _numbers(most: int, holds: Callable[[int], bool]) -> list[int]:
    """So many recipients of slots for which it holds."""
    return list(islice((n for n in count(1_000) if holds(slot_of(wa_id(n)))), most))


HOT_SLOT = slot_of(wa_id(HOT))
SHARD = HOT_SLOT % 2
_BESIDE = _numbers(500 + STUCK, lambda slot: slot % 2 == SHARD and slot != HOT_SLOT)
SLOW = _BESIDE[500:]
OTHERS = list(chain(*zip(_numbers(500, lambda slot: slot == HOT_SLOT), _BESIDE, strict=False)))
ELSEWHERE = _numbers(1_000, lambda slot: slot % 2 != SHARD)


class Scene:
    """The cluster, its webhook, and a load beside that of the others."""

    def __init__(self, here: Site, webhook: Webhook, beside: Child) -> None:
        self.here = here
        self._webhook = webhook
        self._beside = beside

    async def others(self, slow: AbstractAsyncContextManager[None], called_back: bool) -> Found:
        """Measure them while ``slow`` is under way; all is well again when this returns."""
        began = time.monotonic()
        async with slow:
            order = self.here.order(
                CONNECTIONS, SECONDS, per_second=PER_SECOND, numbers=OTHERS, times=True, lives=False
            )
            found = await self.here.measured(order, drain=False)
            if called_back:
                await self._heard(found["times"])
        await self.here.faults(latency_ms=0)
        await self.here.drained(callbacks=False)
        await self.here.faults(latency_ms=LATENCY_MS)
        return found | await self._lags(found, began)

    async def _lags(self, found: Found, began: float) -> Found:
        """In milliseconds: the 201, from it to the upstream, from there to the last callback."""
        record = await self.here.simulator("GET", f"record?since={began!r}")
        arrived = {message_id: at for at, _slot, message_id, _epoch in record["arrivals"]}
        times, read = found["times"], self._webhook.read
        heard = [i for i in times if i in read]
        return {
            "unheard": len(times) - len(heard),
            "201_p50": found["p50_ms"],
            "201_p99": found["p99_ms"],
            **_spread("send", [arrived[i] - at for i, at in times.items()]),
            **_spread("callback", [read[i] - arrived[i] for i in heard]),
        }

    async def _heard(self, ids: dict[str, float]) -> None:
        """Until the others have their callbacks, for some seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARD_SECONDS):
                while True:
                    if ids.keys() <= self._webhook.read.keys():
                        return
                    await asyncio.sleep(0.02)

    async def _flow(self, seconds: float, **order: Any) -> None:
        """A load beside the others, to its end."""
        load = self.here.order(CONNECTIONS, seconds, lives=False, **order)
        found = await self._beside.ask(Command(load))
        self.here.accepted += found["accepted"]

    # what is slow

    @asynccontextmanager
    async def calm(self) -> AsyncIterator[None]:
        """Nothing."""
        yield

    @asynccontextmanager
    async def hot_backlog(self) -> AsyncIterator[None]:
        """A recipient to whom 1,500 messages wait."""
        await self._flow(30.0, count=HOT_BACKLOG, numbers=[HOT])
        yield

    @asynccontextmanager
    async def hot_flow(self) -> AsyncIterator[None]:
        """A recipient who gets 100 messages a second, more than the upstream takes of one."""
        async with asyncio.TaskGroup() as beside:
            beside.create_task(self._flow(SECONDS, per_second=HOT_PER_SECOND, numbers=[HOT]))
            yield

    @asynccontextmanager
    async def hook_some(self) -> AsyncIterator[None]:
        """The webhook lets the callbacks of four recipients hang."""
        self._webhook.slow = [wa_id(n).encode() for n in SLOW]
        await self._flow(5.0, count=5 * STUCK, numbers=SLOW)
        yield
        self._webhook.release()

    @asynccontextmanager
    async def hook_all(self) -> AsyncIterator[None]:
        """The webhook lets every callback hang."""
        self._webhook.slow = [b"statuses"]
        yield
        self._webhook.release()

    @asynccontextmanager
    async def shard_slow(self) -> AsyncIterator[None]:
        """The upstream takes 600 a second of a coreapp; 6,000 messages of the other shard wait."""
        await self.here.faults(rate=SHARD_RATE)
        await self._flow(30.0, count=SHARD_BACKLOG, numbers=ELSEWHERE)
        yield
        await self.here.faults(rate=0.0)

    @asynccontextmanager
    async def shard_frozen(self) -> AsyncIterator[None]:
        """The owner of the other shard, which is loaded too, stands still every other second."""
        owner = await self.here.database.fetchval(_OWNER, 1 - SHARD)
        async with asyncio.TaskGroup() as beside:
            beside.create_task(self._flow(SECONDS, per_second=PER_SECOND, numbers=ELSEWHERE))
            beside.create_task(_freeze(owner))
            yield


_OWNER = "select pid from node n join slot s on s.owner = n.incarnation where s.slot = $1"

# What is slow, and whether the others can have their callbacks meanwhile.
SIDES = {
    "calm": (Scene.calm, True),
    "hot_backlog": (Scene.hot_backlog, True),
    "hot_flow": (Scene.hot_flow, True),
    "hook_some": (Scene.hook_some, True),
    "hook_all": (Scene.hook_all, False),
    "shard_slow": (Scene.shard_slow, True),
    "shard_frozen": (Scene.shard_frozen, True),
}


async def _freeze(pid: int) -> None:
    for _ in range(int(SECONDS / FREEZE_SECONDS / 2)):
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(FREEZE_SECONDS)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(FREEZE_SECONDS)


def _spread(name: str, seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        f"{name}_p50": ordered[len(ordered) // 2] * 1000,
        f"{name}_p99": ordered[len(ordered) * 99 // 100] * 1000,
    }
