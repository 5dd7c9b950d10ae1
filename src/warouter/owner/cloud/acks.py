"""Acknowledges events of the inbox: what is in the journal is deleted there.

What the rows prove is kept in the same commit, and what a word did before it. A crash before has
the rows read once more, and the journal knows their events by the key.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Sequence

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.flow.progress import Took
from warouter.flow.statuses import FAILED
from warouter.log import of_number
from warouter.message_id import text_of
from warouter.owner.cloud.rows import status_of
from warouter.owner.cloud.straight_answers import StraightAnswers
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.store.journal.inbox import DuplicateRequest, InboxRow, Proof
from warouter.upstream.cloud.batch import STATUS, WORD
from warouter.upstream.protocol import Acks

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.1
# Ids that are remembered: one is told of again with a later status of its message.
MOST_TWICE = 10_000


class InboxAcks(SlotListener, Acks):
    """Deletes rows that ``Receipts`` has stored, or that became no event.

    ``read`` are those that were read and are not deleted yet, by number: ``Drain`` puts them there.
    """

    def __init__(self, ownership: Ownership, journal: Journal, straight: StraightAnswers) -> None:
        self._ownership = ownership
        self._straight = straight
        self._journal = journal
        self.read: dict[int, InboxRow] = {}
        self._done: dict[int, list[int]] = defaultdict(list)  # by slot: to be deleted
        # By slot: rows to be deleted once a record is on disk.
        self._later: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._deleted: list[InboxRow] = []
        # To be kept beside those of rows: of answers, and what may be on disk and may not.
        self._proofs: dict[Proof, None] = {}
        self._twice: OrderedDict[str, None] = OrderedDict()  # wamids that were counted
        self._flush = asyncio.Event()
        self.duplicates = 0  # taken twice

    def closed(self, slot: OwnedSlot) -> None:
        number = slot.slot
        self.read = {n: row for n, row in self.read.items() if row.slot != number}
        self._done.pop(number, None)
        self._later.pop(number, None)

    def recorded(self, slot: OwnedSlot) -> None:
        later = self._later.pop(slot.slot, ())
        if done := [number for record, number in later if record <= slot.recorded]:
            self.ack(slot.slot, slot.epoch, done)
        if left := [each for each in later if each[0] > slot.recorded]:
            self._later[slot.slot] = left

    def ack(self, slot: int, _epoch: int, numbers: list[int]) -> None:
        """Acknowledge rows that are in the journal, or will never be."""
        self._straight.ack(slot, [n for n in numbers if n < 0])
        if rows := [n for n in numbers if n >= 0]:
            self._done[slot] += rows
            self._flush.set()

    def ack_recorded(self, slot: OwnedSlot, number: int) -> None:
        """Acknowledge a row once all that it did is on disk: the next owner may need it."""
        if slot.last_record > slot.recorded:
            self._later[slot.slot].append((slot.last_record, number))
        else:
            self.ack(slot.slot, slot.epoch, [number])

    def prove(self, slot: int, took: Took) -> None:
        """Keep an id that no row brings: it may be the second one of its message."""
        ids = took.wamid, slot, bytes.fromhex(took.id), took.attempt, took.wa_id, took.user_id
        self._proofs[Proof(*ids, held=took.held, number=took.number)] = None
        self._flush.set()

    def retry(self) -> None:
        """The database is there: what could not be kept may be kept now."""
        if self._proofs:
            self._flush.set()

    def deleted(self) -> list[InboxRow]:
        """The rows that were deleted since this was asked last."""
        deleted, self._deleted = self._deleted, []
        return deleted

    async def run(self) -> None:
        """Delete, until cancelled, all that came within a tenth of a second at once."""
        while True:
            await self._flush.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._flush.clear()
            await self._delete()

    async def _delete(self) -> None:
        done, self._done = self._done, defaultdict(list)
        kept, self._proofs = self._proofs, {}
        wanted = {*done, *(proof.slot for proof in kept)}
        owned = {s.slot: s.epoch for s in self._ownership.slots.values() if s.slot in wanted}
        numbers = [n for slot in owned for n in done[slot] if n in self.read]
        of_rows = [proof for n in numbers if (proof := _proof(self.read[n])) is not None]
        proofs = dict.fromkeys((*kept, *of_rows))
        if not numbers and not proofs:
            return
        try:
            twice = await self._journal.drained(owned, numbers, list(proofs))
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("inbox deletion failed", extra={"error": str(error)})
            for number in numbers:  # read once more; the journal knows them
                self.read.pop(number, None)
            self._proofs = (
                proofs | self._proofs
            )  # who was told of what was taken twice, is not known
            return
        for number in numbers:
            row = self.read.pop(number, None)
            if row is not None:
                self._deleted.append(row)
        self._note_twice(twice)

    def _note_twice(self, twice: Sequence[DuplicateRequest]) -> None:
        for sent in twice:
            if sent.wamid in self._twice:
                continue
            self._twice[sent.wamid] = None
            if len(self._twice) > MOST_TWICE:
                self._twice.popitem(last=False)
            self.duplicates += 1
            extra = {"id": text_of(sent.id), "attempt": sent.attempt, "wamid": sent.wamid}
            log.warning("message taken twice", extra=extra | of_number(sent.number))


def _proof(row: InboxRow) -> Proof | None:
    if row.kind not in (STATUS, WORD) or row.id is None or row.attempt is None or not row.wamid:
        return None
    if row.foreign:
        return None
    failed = row.kind == STATUS and status_of(row) == FAILED
    place = row.wamid, row.slot, row.id, row.attempt, row.recipient
    return Proof(*place, failed=failed, number=row.number)
