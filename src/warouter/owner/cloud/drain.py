"""The inbox of webhooks into the journals: read, put in order, shown in the v1 form.

What is in the journal is deleted (``owner.cloud.acks``). Until then everything that is read counts
as evidence already.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from warouter.background import wait_for
from warouter.cluster.role import SlotState
from warouter.flow.recent import RecentMessage
from warouter.log import of_number
from warouter.message_id import text_of
from warouter.owner.cloud.acks import InboxAcks
from warouter.owner.cloud.readings import Readings
from warouter.owner.cloud.rows import ASKED, NotYet, Rows, order_of
from warouter.owner.cloud.straight_answers import StraightAnswers
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.store.journal.inbox import InboxRow
from warouter.upstream.cloud import inbound
from warouter.upstream.cloud.batch import INBOUND, WORD
from warouter.upstream.protocol import Event, Hearing

log = logging.getLogger(__name__)

BUSY_SECONDS = 0.05  # between two readings while something comes in
REST_SECONDS = 0.5
ROWS = 1_000
# Rows that wait for something are looked at again after so long, and after twice as long each time:
# in between, others have the page.
AGAIN_SECONDS, MOST_AGAIN_SECONDS = 0.5, 4.0
# What these did is on disk with the next record alone.
_WORDS = (WORD, ASKED)
# By number: the v1 ids of the Cloud API's.
OurIds = defaultdict[int, dict[str, str]]


class _Waiting(NamedTuple):
    """A row that waits: until when, and how long it does."""

    slot: int
    until: float
    seconds: float


class Drain(SlotListener):
    """Reads the inbox for all open slots; ``acks`` hears what was read and what became no event."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        rows: Rows,
        acks: InboxAcks,
        readings: Readings,
        answers: StraightAnswers,
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._acks = acks
        self._readings = readings
        self._answers = answers
        self.rows = rows
        self._waiting: dict[int, _Waiting] = {}  # by number
        self._wake = asyncio.Event()

    # the life of a slot

    def opened(self, slot: OwnedSlot) -> None:
        self._wake.set()

    def closed(self, slot: OwnedSlot) -> None:
        """The next owner reads its rows anew."""
        number = slot.slot
        self._waiting = {n: each for n, each in self._waiting.items() if each.slot != number}
        self._readings.forget(number)
        self.rows.closed(number)

    async def run(self, hearing: Hearing) -> None:
        """Read and delete until cancelled; events go on to ``hearing``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_loop(hearing))
            group.create_task(self._acks.run())

    # reading

    async def _read_loop(self, hearing: Hearing) -> None:
        while True:
            found = 0
            slots = self._ready()
            if slots and not hearing.congested():
                guard = self._ownership.tasks.guard
                await guard(lambda: {}, self._read_once(slots, hearing))
                found = self._last
            self._wake.clear()
            await wait_for(self._wake, BUSY_SECONDS if found or self._acks.read else REST_SECONDS)

    _last = 0

    def _ready(self) -> list[OwnedSlot]:
        slots = self._ownership.slots.values()
        return [s for s in slots if s.state is SlotState.ACTIVE and s.claimed]

    async def _read_once(self, slots: Sequence[OwnedSlot], hearing: Hearing) -> None:
        self._last = 0
        for row in self._acks.deleted():  # pages read from here on hold their events
            self.rows.forget(row)
        for slot in slots:
            self._let_go(slot)
        began = self._readings.begin()
        try:
            await self._read(slots, hearing, began)
        finally:
            self._readings.over()

    def _let_go(self, slot: OwnedSlot) -> None:
        """Forget messages of which pages that are read from here on say what was shown."""
        number = slot.slot

        def is_needed(message_id: bytes, message: RecentMessage) -> bool:
            return self._answers.is_open(number, message) or self.rows.is_read(message_id)

        slot.recent.let_go(is_needed)

    async def _read(self, slots: Sequence[OwnedSlot], hearing: Hearing, began: float) -> None:
        now = asyncio.get_running_loop().time()
        waiting = [n for n, each in self._waiting.items() if each.until > now]
        numbers = [slot.slot for slot in slots]
        rows = await self._journal.inbox(numbers, [*self._acks.read, *waiting], ROWS)
        self._last = len(rows)
        self._acks.retry()
        ours = await self._our_ids(rows)
        by_slot: dict[int, list[InboxRow]] = defaultdict(list)
        for row in rows:
            by_slot[row.slot].append(row)
        for slot in slots:
            if not slot.open:
                continue
            mine = sorted(by_slot.get(slot.slot, ()), key=order_of)
            self._take(slot, mine, ours, hearing)
            if len(rows) < ROWS:
                self._readings.end(slot.slot, began)

    async def _our_ids(self, rows: Sequence[InboxRow]) -> OurIds:
        """The v1 ids of what inbound messages quote or react to."""
        wamids = {
            (row.number, wamid)
            for row in rows
            if row.kind == INBOUND
            for wamid in inbound.mentioned(row.payload)
        }
        ours: OurIds = defaultdict(dict)
        found = await self._journal.ids_of(list(wamids)) if wamids else {}
        for (number, wamid), message_id in found.items():
            ours[number][wamid] = text_of(message_id)
        return ours

    def _take(
        self, slot: OwnedSlot, rows: Sequence[InboxRow], ours: OurIds, hearing: Hearing
    ) -> None:
        read = self._acks.read
        events: list[Event] = []
        over: list[int] = []
        for row in rows:
            before = self._waiting.pop(row.n, None)
            if self._answers.is_behind(slot, row.id):
                self._wait(row, before)  # it may be a repeat of what is not on disk yet
                continue
            read[row.n] = row
            try:
                event = self.rows.event(slot, row, ours[row.number])
            except NotYet:
                del read[row.n]
                self._wait(row, before)
                continue
            except Exception:
                extra = {"key": row.key, **of_number(row.number)}
                log.exception("inbox row conversion failed", extra=extra)
                self.rows.counts["unreadable"] += 1
                event = None
            if event is not None:
                events.append(event)
            elif row.kind in _WORDS:
                self._acks.ack_recorded(slot, row.n)
            else:
                over.append(row.n)
        if events:
            hearing.on_upstream(events)
        if over:
            self._acks.ack(slot.slot, slot.epoch, over)

    def _wait(self, row: InboxRow, before: _Waiting | None) -> None:
        seconds = AGAIN_SECONDS if before is None else min(2 * before.seconds, MOST_AGAIN_SECONDS)
        until = asyncio.get_running_loop().time() + seconds
        self._waiting[row.n] = _Waiting(row.slot, until, seconds)
