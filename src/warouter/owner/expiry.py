"""Messages that end unsent: when, and with which status.

A message that the upstream has not taken within its ttl, or within ``pending`` seconds, ends as
failed. One that it has taken from an owner before this one ends by the status that says so. One
that it was told and has not answered may be with the customer: its ttl ends it no more. With an
upstream that cannot be asked again it does, and the status says that nobody knows.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from warouter.flow.lanes import LaneEntry
from warouter.kinds import READ_MARK, base_of
from warouter.message_id import minted_at, text_of
from warouter.owner.receipts import Receipts, failed_status
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.upstream.protocol import Answer

wall = time.time
HEARSAY_SECONDS = 1.0  # after a takeover the upstream says within it what it took before
_EXPIRED = (410, "Message expired", "the ttl passed before the message could be sent")
_TOO_OLD = (408, "Message is not valid", "the message was pending for too long")
_UNANSWERED = (408, "Message is not valid", "the upstream never answered for this message")
UNKNOWN = "outcome unknown"


class Settling(Protocol):
    """Whoever records that a message needs no more sending."""

    def ended(self, slot: OwnedSlot, entry: LaneEntry) -> None: ...


class Ending(NamedTuple):
    """A message that ends as failed: it is settled in the commit of the status that says so."""

    settling: Settling
    entry: LaneEntry

    def settle(self, slot: OwnedSlot) -> None:
        slot.issues.fail_written(self.entry.id)
        self.settling.ended(slot, self.entry)


def _never(_slot: OwnedSlot, _entry: LaneEntry) -> bool:
    return False


class Expiry:
    """``clock`` is the owner's, ``pending`` how many seconds a message may wait at most.

    ``unknown`` is asked when a message ends: True if a request of it may have been taken, and
    nobody will know.
    """

    def __init__(
        self,
        journal: Journal,
        receipts: Receipts,
        clock: Callable[[], float],
        pending: float,
        unknown: Callable[[OwnedSlot, LaneEntry], bool] = _never,
    ) -> None:
        self._journal = journal
        self._receipts = receipts
        self._clock = clock
        self._pending = pending
        self._unknown = unknown

    def usual_end(self) -> float:
        """When a message ends that has no ttl and was accepted just now."""
        return self._clock() + self._pending

    def end_of(
        self, kind: int, ttl: int | None, age: float, message_id: bytes
    ) -> tuple[float, bool]:
        """When a message is not to be sent any more, and whether by its ttl.

        ``age`` is by the database's clock. A message does not end because that was set forward:
        who reads it back from there asks the clocks of the nodes as well, and the younger age
        counts.
        """
        if base_of(kind) == READ_MARK:
            return math.inf, False
        if age > 0:
            age = max(0.0, min(age, wall() - minted_at(message_id)))
        timed = ttl is not None and ttl <= self._pending
        return self._clock() - age + (ttl if timed and ttl else self._pending), timed

    async def end(self, slot: OwnedSlot, late: Sequence[LaneEntry], settling: Settling) -> None:
        """End late messages as failed; each is settled in the commit of its status.

        Without a status of the upstream, what an owner before this one sent in its last moments may
        be failed here.
        """
        await asyncio.sleep(max(0.0, slot.opened_at + HEARSAY_SECONDS - self._clock()))
        taken = await self._journal.with_status([text_of(entry.id) for entry in late])
        if not slot.open:
            return
        for entry in late:
            name = text_of(entry.id)
            if name in taken or slot.issues.is_over(entry.id):
                settling.ended(slot, entry)
                continue
            slot.issues.expire(entry.id, self._clock())
            answer = Answer(slot.slot, name, *self._why(slot, entry))
            self.fail(slot, entry, answer, settling)

    def fail(self, slot: OwnedSlot, entry: LaneEntry, answer: Answer, settling: Settling) -> None:
        """End a message as the answer says; it is settled in the commit of that status."""
        event = failed_status(answer, entry.recipient, int(time.time()), entry.number)
        self._receipts.store(slot, event, Ending(settling, entry))

    def _why(self, slot: OwnedSlot, entry: LaneEntry) -> tuple[int, str, str]:
        """Code, title and details of a message that has waited too long."""
        code, title, details = _UNANSWERED if entry.told else _EXPIRED if entry.timed else _TOO_OLD
        return code, title, UNKNOWN if self._unknown(slot, entry) else details
