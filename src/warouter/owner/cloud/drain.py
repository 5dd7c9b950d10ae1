"""The inbox of webhooks into the journals: read, put in order, shown in the v1 form, deleted.

An event that is in the journal is acknowledged by deleting its row; what the row proves is kept in
the same commit. A crash in between reads the row once more, and the journal knows the event by its
key. Until then everything that is read counts as evidence already.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence

import asyncpg

from warouter._hash import SLOTS
from warouter.background import wait_for
from warouter.cluster.role import SlotState
from warouter.errors import OutcomeUnknown
from warouter.flow.progress import Took
from warouter.flow.statuses import FAILED
from warouter.message_id import text_of
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.rows import NotYet, Rows, order_of, status_of
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.store.journal.inbox import DuplicateRequest, InboxRow, Proof
from warouter.upstream.cloud import inbound
from warouter.upstream.cloud.batch import INBOUND, STATUS, WORD
from warouter.upstream.protocol import Acks, Event, Hearing

log = logging.getLogger(__name__)

BUSY_SECONDS = 0.05  # between two readings while something comes in
REST_SECONDS = 0.5
ROWS = 1_000
FLUSH_SECONDS = 0.1
# Rows that wait for something are looked at again so often: in between, others have the page.
AGAIN_SECONDS = 0.5
MOST_TWICE = (
    10_000  # ids that are remembered: one is told of again with a later status of its message
)


class Drain(SlotListener, Acks):
    """Reads the inbox for every open slot. It acknowledges what ``Receipts`` has stored."""

    def __init__(self, ownership: Ownership, journal: Journal, rows: Rows) -> None:
        self._ownership = ownership
        self._journal = journal
        self.rows = rows
        self._flying: dict[int, InboxRow] = {}  # read, and not deleted yet, by number
        self._waiting: dict[int, tuple[int, float]] = {}  # by number: its slot, and until when
        self._done: dict[int, list[int]] = defaultdict(list)  # by slot: to be deleted
        self._deleted: list[InboxRow] = []  # since the last reading began
        # To be kept beside those of rows: of answers, and what may be on disk and may not.
        self._proofs: dict[Proof, None] = {}
        self._twice: OrderedDict[str, None] = OrderedDict()  # wamids that were counted
        self._readings = 0
        self._read: list[int] = [0] * SLOTS
        self._wake = asyncio.Event()
        self._flush = asyncio.Event()
        self._hearing: Hearing  # events go on there: to the journal, and to the webhook
        self.duplicates = self.proved = 0  # taken twice; ids that were kept

    def pass_on(self, hearing: Hearing, doubts: Doubts) -> None:
        """Events go to ``hearing``, what they prove to ``doubts``."""
        self._hearing = hearing
        self.rows.tell(doubts)

    @property
    def contradictions(self) -> int:
        """Statuses that say the opposite of what was shown."""
        return self.rows.contradictions

    @property
    def billed(self) -> Counter[tuple[str, str]]:
        """Messages that Meta charges, by category and type."""
        return self.rows.billed

    # readings, for the doubts

    def begun(self) -> int:
        return self._readings

    def ended(self, slot: int) -> int:
        return self._read[slot]

    # the life of a slot

    def opened(self, slot: OwnedSlot) -> None:
        self._wake.set()

    def closed(self, slot: OwnedSlot) -> None:
        """The next owner reads its rows anew."""
        number = slot.slot
        self._flying = {n: row for n, row in self._flying.items() if row.slot != number}
        self._waiting = {n: each for n, each in self._waiting.items() if each[0] != number}
        self._done.pop(number, None)
        self._read[number] = 0
        self.rows.closed(number)

    def ack(self, slot: int, _epoch: int, numbers: list[int]) -> None:
        """Acknowledge rows that are in the journal, or will never be."""
        self._done[slot] += numbers
        self._flush.set()

    def prove(self, slot: int, took: Took) -> None:
        """Keep an id that no row brings: it may be the second one of its message."""
        ids = took.wamid, slot, bytes.fromhex(took.id), took.attempt, took.wa_id, took.user_id
        self._proofs[Proof(*ids, held=took.held)] = None
        self._flush.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_loop())
            group.create_task(self._delete_loop())

    # reading

    async def _read_loop(self) -> None:
        while True:
            found = 0
            slots = self._ready()
            if slots and not self._hearing.congested():
                guard = self._ownership.tasks.guard
                await guard(lambda: {}, self._read_once(slots))
                found = self._last
            self._wake.clear()
            await wait_for(self._wake, BUSY_SECONDS if found or self._flying else REST_SECONDS)

    _last = 0

    def _ready(self) -> list[OwnedSlot]:
        slots = self._ownership.slots.values()
        return [s for s in slots if s.state is SlotState.ACTIVE and s.claimed]

    async def _read_once(self, slots: Sequence[OwnedSlot]) -> None:
        self._last = 0
        deleted, self._deleted = self._deleted, []
        for row in deleted:  # pages read from here on hold their events
            self.rows.forget(row)
        self._readings += 1
        reading = self._readings
        numbers = [slot.slot for slot in slots]
        now = asyncio.get_running_loop().time()
        waiting = [n for n, (_, until) in self._waiting.items() if until > now]
        rows = await self._journal.inbox(numbers, [*self._flying, *waiting], ROWS)
        self._last = len(rows)
        if self._proofs:  # the database is there again
            self._flush.set()
        ours = await self._our_ids(rows)
        by_slot: dict[int, list[InboxRow]] = defaultdict(list)
        for row in rows:
            by_slot[row.slot].append(row)
        for slot in slots:
            if not slot.open:
                continue
            mine = sorted(by_slot.get(slot.slot, ()), key=order_of)
            self._take(slot, mine, ours)
            if len(rows) < ROWS:
                self._read[slot.slot] = reading

    async def _our_ids(self, rows: Sequence[InboxRow]) -> dict[str, str]:
        """The v1 ids of what inbound messages quote or react to."""
        wamids = {w for row in rows if row.kind == INBOUND for w in inbound.mentioned(row.payload)}
        found = await self._journal.ids_of(list(wamids)) if wamids else {}
        return {wamid: text_of(message_id) for wamid, message_id in found.items()}

    def _take(self, slot: OwnedSlot, rows: Sequence[InboxRow], ours: Mapping[str, str]) -> None:
        events: list[Event] = []
        over: list[int] = []
        again = asyncio.get_running_loop().time() + AGAIN_SECONDS
        for row in rows:
            self._waiting.pop(row.n, None)
            self._flying[row.n] = row
            try:
                event = self.rows.event(slot, row, ours)
            except NotYet:
                del self._flying[row.n]
                self._waiting[row.n] = row.slot, again
                continue
            except Exception:
                log.exception("inbox row conversion failed", extra={"key": row.key})
                self.rows.counts["unreadable"] += 1
                event = None
            if event is not None:
                events.append(event)
            else:
                over.append(row.n)
        if events:
            self._hearing.on_upstream(events)
        if over:
            self.ack(slot.slot, slot.epoch, over)

    # deleting

    async def _delete_loop(self) -> None:
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
        numbers = [n for slot in owned for n in done[slot] if n in self._flying]
        of_rows = [proof for n in numbers if (proof := _proof(self._flying[n])) is not None]
        proofs = dict.fromkeys((*kept, *of_rows))
        if not numbers and not proofs:
            return
        try:
            twice = await self._journal.drained(owned, numbers, list(proofs))
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("inbox deletion failed", extra={"error": str(error)})
            for number in numbers:  # read once more; the journal knows them
                self._flying.pop(number, None)
            self._proofs = (
                proofs | self._proofs
            )  # who was told of what was taken twice, is not known
            return
        for number in numbers:
            row = self._flying.pop(number, None)
            if row is not None:
                self._deleted.append(row)
        self.proved += len(proofs)
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
            log.warning("message taken twice", extra=extra)


def _proof(row: InboxRow) -> Proof | None:
    if row.kind not in (STATUS, WORD) or row.id is None or row.attempt is None or not row.wamid:
        return None
    failed = row.kind == STATUS and status_of(row) == FAILED
    return Proof(row.wamid, row.slot, row.id, row.attempt, row.recipient, failed=failed)
