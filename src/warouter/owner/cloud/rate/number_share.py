"""One owner's part of the whole number: its share of the rate, and what is asked beside it.

Each owner says once a second what it wants to send, and computes its share from what all said. With
the same statement it hears of stops, of templates that Meta holds back, and of the level. The owner
of slot 0 also asks Meta what the number is like.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from warouter.background import wait_for
from warouter.errors import OutcomeUnknown
from warouter.flow.share import outgoing
from warouter.flow.share import share as part_of
from warouter.log import Outage
from warouter.owner.cloud.facts.number_reader import NumberReader
from warouter.owner.cloud.facts.templates import KnownTemplates
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.cloud.rate.stop import NumberStop
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.beats import NodeSession
from warouter.store.cloud import number as store
from warouter.store.cloud.number import Shared
from warouter.upstream.cloud.graph.exchange import GraphExchange

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
REST_SECONDS = 2.0  # while nothing is sent: the others go on knowing its part (FRESH_SECONDS)
DEFAULT_LEVEL = 80  # messages/s, until it is known


class NumberShare(SlotListener):
    """That of the number of ``pace``; ``graph`` has connections for the rate."""

    def __init__(
        self,
        ownership: Ownership,
        session: NodeSession,
        pace: Pace,
        graph: GraphExchange,
        stop: NumberStop,
        templates: KnownTemplates,
        described: NumberReader,
        clock: Callable[[], float],
    ) -> None:
        self._ownership = ownership
        self._session = session
        self._pace = pace
        self._graph = graph
        self._stop = stop
        self._templates = templates
        self._described = described
        self._clock = clock
        self._begun = 0
        self._shared_at = clock()  # when it last said what it wants
        self._resting = True  # no slot, and so no share
        self._expected = 0.0  # messages/s, of slots that were another's a moment ago
        self._outage = Outage()
        self.level = DEFAULT_LEVEL
        self.budget = pace.of.rate or outgoing(DEFAULT_LEVEL, 0.0)  # messages/s of all owners

    async def run(self) -> None:
        """Share the rate until cancelled."""
        while True:
            await self._session.registered.wait()
            try:
                await self._once()
                self._outage.ends()
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                if self._outage.begins():
                    said = {"error": str(error), **self._pace.of.logged}
                    log.warning("number share failed", extra=said)
            share_now = self._stop.share_now
            share_now.clear()
            await wait_for(share_now, EVERY_SECONDS if self._busy() else REST_SECONDS)

    def opened(self, slot: OwnedSlot) -> None:
        """Until all have said what they want, go by the slots; those of one move come together."""
        if self._resting:
            self._resting = False
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        rate = self._pace.of.rate  # the operator's; None: by the level
        total = rate if rate is not None else outgoing(float(self.level), 0.0)
        incarnation, own = self._session.incarnation, len(self._ownership.slots)
        self._expected = part_of(incarnation, (), total, own)
        self._pace.grant(self._expected)
        self._graph.warm_up(self._pace.rate)
        self._stop.share_now.set()

    def _busy(self) -> bool:
        slots = self._ownership.slots.values()
        if self._pace.stop is not None or self._pace.begun != self._begun:
            return True  # the requests may have ended already
        return any(s.lanes.waiting or s.issues for s in slots)

    async def _once(self) -> None:
        self._templates.see_to()
        if not self._ownership.slots:
            self._resting = True
            return
        changes = self._stop.changes
        shared = await self._share()
        self.level = shared.level or DEFAULT_LEVEL
        own = len(self._ownership.slots)
        self.budget = self._total(shared)
        part = part_of(self._session.incarnation, shared.demands, self.budget, own)
        self._pace.grant(part)
        self._graph.size(self._pace.rate)
        self._templates.held_are(shared.held)
        self._stop.read(shared.stop, changes)
        if 0 in self._ownership.slots:
            self._described.see_to()

    async def _share(self) -> Shared:
        waiting = sum(s.lanes.waiting for s in self._ownership.slots.values())
        now = self._clock()
        begun, self._begun = self._pace.begun - self._begun, self._pace.begun
        seconds, self._shared_at = max(EVERY_SECONDS, now - self._shared_at), now
        demand = max(waiting + begun / seconds, self._expected)
        self._expected = 0.0
        session, token = self._session, self._stop.token_hash
        own = session.fetch, session.incarnation
        return await store.share(*own, self._pace.of, demand, token)

    def _total(self, shared: Shared) -> float:
        rate = self._pace.of.rate
        if rate is not None:
            return rate
        return outgoing(float(self.level), shared.inbound)
