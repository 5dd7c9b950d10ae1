"""Beats: each renews the leases and says which slots to open, to renew and to hand over.

A beat never waits for journals: opening, renewing and handing over run beside it (``owner.moves``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from warouter.background import wait_for
from warouter.cluster.quiesce import QUIET_SECONDS
from warouter.cluster.role import SlotEvent
from warouter.config import Timing
from warouter.errors import OutcomeUnknown
from warouter.log import Outage
from warouter.owner.listener import BeatListener
from warouter.owner.moves import Moves
from warouter.owner.ownership import Ownership
from warouter.owner.quiesce import Quiesce
from warouter.owner.tasks import FORESEEN
from warouter.owner.writable import Writable
from warouter.store.beats import Beat, NodeSession
from warouter.store.database import WRITE_SECONDS
from warouter.upstream.protocol import Upstream

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.05
LEAVE_SECONDS = 4.0
# Where slots have to be quiet before they move: as long as the leader waits for that, and some.
QUIET_LEAVE_SECONDS = QUIET_SECONDS + 3.0
# More for what is under way then: a record and a handover, each within the limit of a write.
RELEASE_SECONDS = 3 * WRITE_SECONDS


class Beats:
    """Beats for this incarnation; ``listeners`` hear of each beat that came back, in order.

    ``quiesce`` is None where a message that is sent again does no harm.
    """

    def __init__(
        self,
        session: NodeSession,
        ownership: Ownership,
        moves: Moves,
        upstream: Upstream,
        writable: Writable,
        timing: Timing,
        clock: Callable[[], float],
        listeners: Sequence[BeatListener] = (),
        quiesce: Quiesce | None = None,
    ) -> None:
        self._session = session
        self._ownership = ownership
        self._moves = moves
        self._upstream = upstream
        self._writable = writable
        self._timing = timing
        self._clock = clock
        self._listeners = listeners
        self._quiesce = quiesce

    async def run(self) -> None:
        """Beat, and watch the deadlines, until cancelled."""
        await self._writable.look()  # the first beat says already whether journals can be written
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat_loop())
            group.create_task(self._ownership.watch_deadlines())

    async def leave(self) -> None:
        """Ask for successors and hand everything over; what is left then is left without an owner.
        Bounded, the lease is the safety net.
        """
        quiesce = self._quiesce
        began = self._clock()
        try:
            async with asyncio.timeout(LEAVE_SECONDS if quiesce is None else QUIET_LEAVE_SECONDS):
                if quiesce is not None:
                    quiesce.leave()
                # A spare says it too: it must not be named as a successor, and its end is no crash.
                # Named already, it takes what comes and hands it on: its predecessor may be about
                # to stop as well, as when their machine goes.
                await self._until(self._moves.succeeded)
                if quiesce is not None:
                    await quiesce.quieted(began + QUIET_SECONDS - self._clock())
        except Exception as error:
            log.warning("shutdown handover failed", extra={"error": repr(error)})
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                # A slot whose handover failed is handed over again, by the next beat's word on it.
                await self._until(self._moves.released)
        except Exception as error:
            log.warning("shutdown release failed", extra={"error": repr(error)})

    async def _until(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Try until it is done. What fails is tried again: an owner that gave up on leaving would
        be taken for dead.
        """
        emptied, trouble = self._ownership.emptied, Outage()
        while True:
            try:
                if await done():
                    return
                trouble.ends()
            except FORESEEN as error:
                if trouble.begins():
                    log.warning("shutdown handover failed", extra={"error": str(error)})
            emptied.clear()
            await wait_for(emptied, self._timing.beat)

    async def _beat_loop(self) -> None:
        missing = Outage()
        wanted = self._ownership.beat_wanted
        while True:
            wanted.clear()
            sent = self._clock()
            try:
                beat = await self._session.beat(
                    self._upstream.well, self._timing.trust, journal_ok=self._writable.ok()
                )
            except OutcomeUnknown as error:
                if missing.begins():
                    log.warning("beat failed", extra={"error": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            missing.ends()
            self._confirm(sent, beat)
            await wait_for(wanted, self._timing.beat)

    def _confirm(self, sent: float, beat: Beat) -> None:
        self._ownership.renewed(sent, beat.renewed)
        self._reconcile(beat)
        for listener in self._listeners:
            listener.beaten(beat)

    def _reconcile(self, beat: Beat) -> None:
        """Make what is open follow what the database says."""
        ownership, standings = self._ownership, self._ownership.standings
        for number, slot in list(ownership.slots.items()):
            said = beat.renewed.get(number, beat.handing.get(number))
            if not standings[number].busy and (said is None or said > slot.epoch):
                ownership.close(slot, SlotEvent.FENCED)
        fresh: dict[int, int] = {}
        spent: list[int] = []
        for number, epoch in beat.renewed.items():
            if number in ownership.slots or standings[number].busy:
                continue
            if epoch > standings[number].spent:
                fresh[number] = epoch
            else:
                spent.append(number)
        handing = {n: e for n, e in beat.handing.items() if not standings[n].busy}
        self._moves.begin_moves(fresh, spent, handing)
