"""Claims at the upstream: it takes messages of a slot only from whoever has claimed it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from warouter.cluster.role import SlotEvent, SlotState
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.slot import Claiming, OwnedSlot
from warouter.upstream.protocol import Claim, Claimed, Refused, Release, Revoked, Upstream

log = logging.getLogger(__name__)


class Claims(SlotListener):
    """The claim of every open slot, on the present connection."""

    def __init__(
        self, ownership: Ownership, upstream: Upstream, clock: Callable[[], float]
    ) -> None:
        self._ownership = ownership
        self._upstream = upstream
        self._clock = clock

    def ask(self, slot: OwnedSlot) -> None:
        """Once a connection; asked again with every beat, should the lease not hold just now."""
        if not self._upstream.connected or slot.claim is Claiming.ASKED:
            return
        if self._ownership.may_act(slot.slot):
            slot.claim, slot.claimed_at = Claiming.ASKED, self._clock()
            self._upstream.tell(Claim(slot.slot, slot.epoch))

    def ask_again(self, slot: OwnedSlot, after: float) -> None:
        """A claim without an answer for ``after`` seconds is lost, and made once more."""
        if slot.claim is Claiming.ASKED and self._clock() - slot.claimed_at >= after:
            slot.claim = Claiming.NO
            self.ask(slot)

    def ask_all(self) -> None:
        """Claim all slots anew on a new connection."""
        for slot in self._ownership.slots.values():
            if slot.state is not SlotState.OPENING:
                self.ask(slot)

    def lose_all(self) -> None:
        """The connection is gone, and every claim with it."""
        for slot in self._ownership.slots.values():
            slot.claim = Claiming.NO

    def granted(self, slot: OwnedSlot, message: Claimed) -> bool:
        """The upstream granted a claim; whether this is news."""
        if message.epoch != slot.epoch or slot.claimed:
            _stale(slot)
            return False
        slot.claim = Claiming.GRANTED
        return True

    def refused(self, slot: OwnedSlot, message: Refused) -> None:
        """Ask the database for an epoch above the higher one that the upstream has seen."""
        if message.epoch == slot.epoch:
            standing = self._ownership.standings[slot.slot]
            standing.seen = max(standing.seen, message.seen)
            self._ownership.doubt(slot.current(), f"upstream has seen {message.seen}")
        else:
            _stale(slot)

    def revoked(self, slot: OwnedSlot, message: Revoked) -> None:
        """A newer owner has claimed the slot."""
        if message.epoch == slot.epoch:
            self._ownership.close(slot, SlotEvent.FENCED)
        else:
            _stale(slot)

    def opened(self, slot: OwnedSlot) -> None:
        self.ask(slot)

    def closed(self, slot: OwnedSlot) -> None:
        # A revocation may be read before this turn's queue is written: drop the slot's frames.
        self._upstream.forget(slot.slot)
        if self._upstream.connected:
            self._upstream.tell(Release(slot.slot, slot.epoch))

    def lapsed(self) -> None:
        self._upstream.abort()


def _stale(slot: OwnedSlot) -> None:
    log.info("ignoring stale upstream message", extra={"slot": slot.slot})
