"""Slots that are to move begin no request, and say when none is out: such a move leaves no doubt.

Only with an upstream that cannot tell a request that is made once more from a new one
(``cluster.quiesce`` has the leader's part). A quiet slot is renewed, accepts and acknowledges as
always. Until its successor is named, or the leader wants no move any more, its messages wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from warouter.background import wait_for
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import FORESEEN
from warouter.store.beats import Beat
from warouter.store.journal import Journal

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1  # after an answer that nobody told of


class Quiesce(SlotListener):
    """Makes ``OwnedSlot.quiet`` what the last beat says, and tells the database what is quiet.

    It stands first among the listeners: whoever begins requests looks at ``quiet``.
    """

    def __init__(self, ownership: Ownership, recorder: Recorder, journal: Journal) -> None:
        self._ownership = ownership
        self._recorder = recorder
        self._journal = journal
        self._moving: frozenset[int] = frozenset()
        self._untold: set[int] = set()  # of these, since the last beat
        self._leaving = False
        self._asked = asyncio.Event()

    def opened(self, slot: OwnedSlot) -> None:
        self._set(slot)

    def beaten(self, beat: Beat) -> None:
        # Each time anew: the mark may be another one, or the last word was not heard.
        self._moving, self._untold = beat.moving, set(beat.moving)
        self._set_all()
        if beat.moving:
            self._asked.set()

    def leave(self) -> None:
        """From here on nothing begins in any slot, as this process stops."""
        self._leaving = True
        self._set_all()

    async def run(self) -> None:
        """Tell the database of each marked slot as soon as it is quiet, until cancelled."""
        while True:
            self._asked.clear()
            while waiting := self._waiting():
                await self._tell([slot for slot in waiting if self._ownership.quiet(slot)])
                if self._waiting():
                    await self._progress(LOOK_SECONDS)
            await self._asked.wait()

    async def quieted(self, within: float) -> None:
        """Wait until no request of any slot is out, for ``within`` seconds at most."""
        loop, owned = asyncio.get_running_loop(), self._ownership
        until = loop.time() + within
        while not all(map(owned.quiet, owned.slots.values())) and loop.time() < until:
            await self._progress(min(LOOK_SECONDS, until - loop.time()))

    def _set_all(self) -> None:
        for slot in self._ownership.slots.values():
            self._set(slot)

    def _set(self, slot: OwnedSlot) -> None:
        slot.quiet = self._leaving or slot.slot in self._moving
        if slot.quiet:
            self._ownership.take_back(slot)

    def _waiting(self) -> list[OwnedSlot]:
        """Marked slots of which the database was not told since the last beat."""
        slots = self._ownership.slots
        return [slots[n] for n in sorted(self._untold & slots.keys()) if slots[n].accepts]

    async def _tell(self, slots: Sequence[OwnedSlot]) -> None:
        """Say that these are quiet, once it is on disk what became of their requests."""
        if not slots:
            return
        self._untold.difference_update(slot.slot for slot in slots)
        for slot in slots:
            self._ownership.take_back(slot)
        await self._recorder.flush()
        quiet = {s.slot: s.epoch for s in slots if s.open and self._ownership.quiet(s)}
        if not quiet:
            return
        try:
            await self._journal.quiet(quiet)
        except FORESEEN as error:  # with the next beat once more
            log.warning("quiet slots not told", extra={"slots": quiet, "error": str(error)})

    async def _progress(self, within: float) -> None:
        self._ownership.progress.clear()
        await wait_for(self._ownership.progress, within)
