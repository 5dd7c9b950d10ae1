"""Dead letters that an operator asked for: back among the parked events, by their owner's hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import asyncpg

from warouter.background import wait_for
from warouter.errors import OutcomeUnknown
from warouter.flow.event import EventRow
from warouter.flow.parking import ParkedLane
from warouter.owner.callbacks.events import EventFeed
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.webhook.breaker import GIVE_UP

log = logging.getLogger(__name__)

LETTERS_LOOK_SECONDS = 5.0  # unless a hint says that some were asked for
PAUSE_SECONDS = 0.2  # between two pages of many
LETTERS_PAGE = 500
REPLAY_SECONDS = 3600.0  # a dead letter is tried again for so long


class Letters:
    """Dead letters of the open slots."""

    def __init__(
        self,
        feeds: Sequence[EventFeed],
        ownership: Ownership,
        journal: Journal,
        clock: Callable[[], float],
    ) -> None:
        self._feeds = feeds
        self._ownership = ownership
        self._journal = journal
        self._clock = clock
        self._asked = asyncio.Event()

    def look_soon(self) -> None:
        """An operator may have asked for some."""
        self._asked.set()

    def was_one(self, item: EventRow) -> bool:
        """Replayed, at an operator's wish: what is refused once more stays kept."""
        tried = self._clock() - item.first_at if item.first_at is not None else 0.0
        return tried >= GIVE_UP - REPLAY_SECONDS

    async def run(self) -> None:
        """Take up what was asked for, now and then and when there is a hint, until cancelled."""
        while True:
            await self._ownership.tasks.guard(dict[int, int], self._take_up())
            await wait_for(self._asked, LETTERS_LOOK_SECONDS)
            self._asked.clear()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _take_up(self) -> None:
        """Not for a slot that has much to deliver: they wait where they are."""
        mine = {
            number: slot
            for number, slot in self._ownership.slots.items()
            if slot.accepts and all(log.has_room for log in slot.events)
        }
        if not mine:
            return
        try:
            asked = await self._journal.asked_letters(list(mine))
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("dead letter lookup failed", extra={"error": str(error)})
            return
        owned = {number: mine[number].epoch for number in asked if mine[number].accepts}
        if not owned:
            return
        try:
            tried = GIVE_UP - REPLAY_SECONDS
            lanes = await self._journal.take_up_letters(owned, tried, LETTERS_PAGE)
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            self._ownership.doubt(owned, f"dead letters not taken up: {error}")
            return
        log.info(
            "dead letter replay started", extra={"letters": sum(parked[3] for parked in lanes)}
        )
        self._asked.set()  # there may be more
        for number, kind, lane, _ in lanes:
            if mine[number].open:  # a closed slot's next epoch reads them
                self._revive(mine[number], kind, lane)

    def _revive(self, slot: OwnedSlot, kind: int, lane: str) -> None:
        """More letters lie in the parked table: a lane like any that is parked."""
        parking = slot.events[kind].parked
        parked = parking.get(lane)
        if parked is not None:
            parked.more = True
            return
        parking[lane] = ParkedLane(self._clock())
        self._ownership.parked.set()
        self._feeds[kind].block(slot, [lane])
