"""The whole number: its rate among the owners, its stop, and what Meta says of it.

Each owner says once a second what it wants to send, and computes its share from what all said. The
owner of slot 0 also asks Meta for the level. Whether a stopped number is well each owner asks with
its own token, since a stop is of a token. For templates each coreapp asks, before it owns anything:
what a successor finds in doubt waits by its kind.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import asyncpg

from warouter import background
from warouter.background import wait_for
from warouter.errors import OutcomeUnknown, WarouterError
from warouter.flow.share import outgoing
from warouter.flow.share import share as part_of
from warouter.log import Outage
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.cloud.rules import RuleBook
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.bounded import Fetch
from warouter.store.cloud import number as store
from warouter.store.cloud.number import Shared, Stop
from warouter.upstream.cloud.answers import Judged
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.number_calls import NumberCalls

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
REST_SECONDS = 2.0  # while nothing is sent: the others go on knowing its part (FRESH_SECONDS)
PROBE_SECONDS = 60.0
DESCRIBE_SECONDS = 55.0  # so that what /v1/health shows is no older than a minute
READ_SECONDS = 3600.0  # of templates
READ_AGAIN_SECONDS = 60.0
SAY_SECONDS = 60.0
DEFAULT_LEVEL = 80  # messages/s, until it is known


class Number(SlotListener):
    """One owner's part of it. ``rate`` is that of the operator, None for the number's level."""

    def __init__(
        self,
        ownership: Ownership,
        incarnation: UUID,
        fetch: Fetch,
        registered: asyncio.Event,
        pace: Pace,
        graph: NumberCalls,
        token_hash: Callable[[], bytes],
        rules: RuleBook,
        rate: float | None,
        clock: Callable[[], float],
        sized: Callable[[float], None],
        begin: Callable[[float], None],
        describe: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._ownership = ownership
        self._incarnation = incarnation
        self._fetch = fetch
        self._registered = registered  # the session of ``fetch`` is ready
        self._pace = pace
        self._graph = graph
        self._token_hash = token_hash
        self._rules = rules
        rules.tell(self._held_back)
        self._rate = rate
        self._clock = clock
        self._sized = sized  # is told at which rate requests may go
        self._begin = begin  # and at which they are about to begin
        self._describe = describe  # asks Meta what the number is like
        self._begun = 0
        self._shared_at = clock()  # when it last said what it wants
        self._stops = 0  # and ends of their writing
        self._writing = 0  # stops that are not stored yet
        self._at_once = asyncio.Event()
        self._resting = True  # no slot, and so no share
        self._expected = 0.0  # messages/s, of slots that were another's a moment ago
        self._describe_due = self._templates_due = self._probe_due = self._say_due = -math.inf
        self._outage = Outage()
        self.level = DEFAULT_LEVEL
        self.budget = self._rate or outgoing(DEFAULT_LEVEL, 0.0)  # messages/s of all owners
        self.stopped: Stop | None = None

    async def run(self) -> None:
        """Share the rate until cancelled."""
        while True:
            await self._registered.wait()
            try:
                await self._once()
                self._outage.ends()
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                if self._outage.begins():
                    log.warning("number share failed", extra={"error": str(error)})
            self._at_once.clear()
            await wait_for(self._at_once, EVERY_SECONDS if self._busy() else REST_SECONDS)

    def opened(self, slot: OwnedSlot) -> None:
        """Until all have said what they want, go by the slots; those of one move come together."""
        if self._resting:
            self._resting = False
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        total = self._rate if self._rate is not None else outgoing(float(self.level), 0.0)
        self._expected = part_of(self._incarnation, (), total, len(self._ownership.slots))
        self._pace.grant(self._expected)
        self._begin(self._pace.rate)
        self._at_once.set()

    def stop(self, judged: Judged, token_hash: bytes) -> None:
        """An operator must act: this and all other owners stop, as long as they have that token."""
        why = Stop(judged.meta_code, judged.details or judged.title, token_hash)
        self._stops += 1
        self._writing += 1
        self._take_stop(why)
        self._at_once.set()  # a new token may be there in a moment: it is not to find us at rest
        background.begin(self._write_stop(why), self._failed)

    def _held_back(self, template: str) -> None:
        """Record that the template is held back, so that a successor waits long enough as well."""
        background.begin(store.hold_back(self._fetch, template), self._failed)

    def _busy(self) -> bool:
        slots = self._ownership.slots.values()
        if self._pace.stop is not None or self._pace.begun != self._begun:
            return True  # the requests may have ended already
        return any(s.lanes.waiting or s.issues for s in slots)

    async def _once(self) -> None:
        self._see_to_templates()
        if not self._ownership.slots:
            self._resting = True
            return
        waiting = sum(s.lanes.waiting for s in self._ownership.slots.values())
        now, stops = self._clock(), self._stops
        begun, self._begun = self._pace.begun - self._begun, self._pace.begun
        seconds, self._shared_at = max(EVERY_SECONDS, now - self._shared_at), now
        demand = max(waiting + begun / seconds, self._expected)
        self._expected = 0.0
        token = self._token_hash()
        shared = await store.share(self._fetch, self._incarnation, demand, token)
        self.level = shared.level or DEFAULT_LEVEL
        own = len(self._ownership.slots)
        self.budget = self._total(shared)
        self._pace.grant(part_of(self._incarnation, shared.demands, self.budget, own))
        self._sized(self._pace.rate)
        self._rules.held_are(shared.held)
        if self._stops == stops and not self._writing:  # else it may be from before our stop
            self._take_stop(shared.stop)
        self._see_to_stop()
        if 0 in self._ownership.slots:
            self._see_to_facts()

    def _total(self, shared: Shared) -> float:
        if self._rate is not None:
            return self._rate
        return outgoing(float(self.level), shared.inbound)

    def _take_stop(self, stop: Stop | None) -> None:
        here = stop is not None and stop.token_hash == self._token_hash()
        self.stopped = stop if here else None
        if self.stopped is None:
            if self._pace.stop is not None:
                log.info("number resumed")
                self._pace.resumed()
            return
        self._pace.stop = self.stopped.code
        if self._clock() >= self._say_due:
            self._say_due = self._clock() + SAY_SECONDS
            extra = {"code": self.stopped.code, "details": self.stopped.details}
            log.error("number stopped: messages wait", extra=extra)

    async def _write_stop(self, why: Stop) -> None:
        try:
            await store.stop(self._fetch, why)
        finally:
            self._stops += 1
            self._writing -= 1

    def _see_to_stop(self) -> None:
        now = self._clock()
        if self.stopped is not None and now >= self._probe_due:
            self._probe_due = now + PROBE_SECONDS
            background.begin(self._probe(), self._failed)

    def _see_to_facts(self) -> None:
        """The duty of one owner for all."""
        now = self._clock()
        if now >= self._describe_due:
            self._describe_due = now + DESCRIBE_SECONDS
            background.begin(self._describe(), self._failed)

    def _see_to_templates(self) -> None:
        now = self._clock()
        if now >= self._templates_due:
            self._templates_due = now + READ_AGAIN_SECONDS
            background.begin(self._read_templates(), self._failed)

    def read_soon(self) -> None:
        """The level, or the templates, have changed."""
        self._describe_due = self._templates_due = -math.inf

    async def _probe(self) -> None:
        """Is the number well again, by the token that is in force here?"""
        token = self._token_hash()
        try:
            await self._graph.probe()
        except CallFailed as error:
            if not error.for_operator:
                raise
            return
        await store.resume(self._fetch, token)
        if self.stopped is not None and self.stopped.token_hash == token:
            self._take_stop(None)

    async def _read_templates(self) -> None:
        self._rules.use(await self._graph.categories())
        self._templates_due = self._clock() + READ_SECONDS

    def _failed(self, error: Exception) -> None:
        if isinstance(error, WarouterError | asyncpg.PostgresError):
            log.warning("number look-up failed", extra={"error": str(error) or repr(error)})
        else:
            log.error("number look-up failed", exc_info=error)
