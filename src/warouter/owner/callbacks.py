"""Events from the journal to the webhook delivery, and back: settled, parked, given up.

What is committed goes on from memory; what does not fit waits in the journal and is read back in
seq order. A parked recipient's events lie in a table of their own until their time has come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable

import asyncpg

from warouter.app_settings import ApplicationSettings
from warouter.config import Settings, networks
from warouter.errors import OutcomeUnknown
from warouter.flow.parking import LEAD_ROWS, LEAD_SECONDS, ParkedLane
from warouter.kinds import EVENT_KINDS
from warouter.net.egress import client_certificate
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import EventLog, OwnedSlot
from warouter.store.journal import EventRow, Journal
from warouter.webhook.body import Item
from warouter.webhook.breaker import GIVE_UP
from warouter.webhook.callbacks import Callbacks
from warouter.webhook.shown import shown

log = logging.getLogger(__name__)

PAGE = 500
PAGE_BYTES = 1 << 20
PARKED_PAGE = 100
MEND_ROWS = 500
PARKED_LOOK_SECONDS = 0.2
LETTERS_LOOK_SECONDS = 5.0  # unless a hint says that some were asked for
LETTERS_PAGE = 500
REPLAY_SECONDS = 3600.0  # a dead letter is tried again for so long


class CallbackFeed(SlotListener):
    """Feeds ``Callbacks`` from the journals of the open slots and records what it says."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        app_settings: Callable[[], ApplicationSettings],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._recorder = recorder
        self._app_settings = app_settings
        self._clock = clock
        self._tasks = ownership.tasks
        self._settings_known = False
        self.dropped = 0  # events that were given up under callback_persist: false
        self._letters_due = 0.0
        self.callbacks = Callbacks(
            settings=app_settings,
            may_act=self._may_act,
            settled=self._settled,
            park=self._park,
            dead=self._dead,
            broken=self._broken,
            allow_http=settings.webhook_allow_http,
            allow_private=networks(settings.allow_private),
            ports=settings.allowed_webhook_ports,
            client=client_certificate(settings.webhook_client_cert, settings.webhook_client_key),
            clock=clock,
        )

    def settings_changed(self) -> None:
        """They were read. Before the first time nobody knows which statuses are wanted."""
        self.callbacks.settings_changed()
        if not self._settings_known:
            self._settings_known = True
            for slot in self._ownership.slots.values():
                for kind in EVENT_KINDS:
                    self._load(slot, kind)

    def look_for_letters(self) -> None:
        """An operator may have asked for dead letters."""
        self._letters_due = 0.0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.callbacks.run())
            group.create_task(self._watch_parked())

    def committed(self, slot: OwnedSlot, row: EventRow) -> None:
        """An event is on disk."""
        journal = slot.events[row.kind]
        direct = self._settings_known and journal.has_room and journal.caught_up
        journal.committed = row.seq
        if direct:
            journal.loaded = row.seq
            self._feed(slot, journal, row)
        elif journal.parked.beyond and journal.half_empty:
            self._load(slot, row.kind)

    def _may_act(self, slot: int) -> bool:
        """No POST begins for a slot that is on its way to another owner."""
        owned = self._ownership.slots.get(slot)
        return owned is not None and owned.accepts and self._ownership.may_act(slot)

    def trust(self, ca: str) -> None:
        """Judge receivers by these certificates (PEM) alone; "": by those of the system."""
        self.callbacks.trust(ca)

    def idle(self, slot: OwnedSlot) -> bool:
        """A POST that is out is not repeated by the slot's next owner if its end is waited for."""
        return not self.callbacks.in_flight_of(slot.slot)

    def closed(self, slot: OwnedSlot) -> None:
        self.callbacks.forget(slot.slot)

    def opened(self, slot: OwnedSlot) -> None:
        for kind in EVENT_KINDS:
            for recipient in slot.events[kind].parked:
                self.callbacks.block(slot.slot, recipient, kind)
            self._load(slot, kind)

    def _feed(self, slot: OwnedSlot, journal: EventLog, row: EventRow) -> None:
        number, seq, kind, key, recipient, payload, contact = row
        seen = shown(kind, key, payload, self._app_settings())
        if seen is None:
            slot.settle_event(kind, seq)
            self._recorder.touch(slot)
            return
        item = Item(number, seq, kind, recipient, seen, contact)
        journal.hold(item.size)
        self.callbacks.add(item)

    # what the delivery says

    def _settled(self, items: list[Item]) -> None:
        for slot, journal, item in self._mine(items):
            if item.parked:
                self._unpark(slot, journal, item, "unpark_events")
            else:
                slot.settle_event(item.kind, item.seq)
        self._let_go(items)

    def _park(self, items: list[Item], delay_ms: int, reason: str) -> None:
        for slot, journal, item in self._mine(items):
            lane = journal.parked.get(item.recipient)
            if lane is None:
                lane = journal.parked[item.recipient] = ParkedLane(0.0)
            lane.due = max(lane.due, self._clock() + delay_ms / 1000)
            lane.more = True
            if item.parked:
                lane.flying -= 1
            else:
                slot.settle_event(item.kind, item.seq)
            slot.note_parked(
                lane,
                "park_events",
                kind=item.kind,
                seq=item.seq,
                attempts=item.attempts,
                delay_ms=delay_ms,
                reason=reason,
            )
        self._let_go(items)

    def _dead(self, items: list[Item], reason: str) -> None:
        if not self._app_settings().callback_persist:
            self._drop([item for item in items if not self._was_letter(item)], reason)
            items = [item for item in items if self._was_letter(item)]
        if not items:
            return
        log.warning("callbacks given up", extra={"events": len(items), "reason": reason})
        for slot, journal, item in self._mine(items):
            row = {"kind": item.kind, "seq": item.seq, "attempts": item.attempts}
            if item.parked:
                self._unpark(slot, journal, item, "dead", attempts=item.attempts, reason=reason)
            else:
                slot.note("dead", **row, reason=reason)
                slot.settle_event(item.kind, item.seq)
        self._let_go(items)

    def _broken(self, slots: Collection[int], error: Exception) -> None:
        """Only epochs that stand: what belonged to an ended one was forgotten with it."""
        owned = self._ownership.slots
        self._tasks.failed({n: owned[n].epoch for n in slots if n in owned}, error)

    def _drop(self, items: list[Item], reason: str) -> None:
        """The business does not want them kept: they end as if they had been delivered."""
        if not items:
            return
        log.warning("callbacks dropped", extra={"events": len(items), "reason": reason})
        self.dropped += len(items)
        self._settled(items)

    def _was_letter(self, item: Item) -> bool:
        """Replayed, at an operator's wish: what is refused once more stays kept."""
        tried = self._clock() - item.first_at if item.first_at is not None else 0.0
        return tried >= GIVE_UP - REPLAY_SECONDS

    def _mine(self, items: list[Item]) -> Iterable[tuple[OwnedSlot, EventLog, Item]]:
        for item in items:
            slot = self._ownership.slots.get(item.slot)
            if slot is not None:
                yield slot, slot.events[item.kind], item

    def _unpark(
        self, slot: OwnedSlot, journal: EventLog, item: Item, what: str, **more: object
    ) -> None:
        lane = journal.parked[item.recipient]
        slot.note_parked(lane, what, kind=item.kind, seq=item.seq, **more)
        lane.flying -= 1
        if lane.flying:
            return
        if lane.more:
            lane.due = self._clock()  # the next page of it
        else:
            self._lane_done(slot, journal, item.recipient, item.kind)

    def _lane_done(self, slot: OwnedSlot, journal: EventLog, recipient: str, kind: int) -> None:
        journal.parked.pop(recipient, None)
        self.callbacks.unblock(slot.slot, recipient, kind)

    def _let_go(self, items: list[Item]) -> None:
        """The delivery has them no more; there may be room for what waits in the journals."""
        logs: dict[EventLog, tuple[OwnedSlot, int]] = {}
        for slot, journal, item in self._mine(items):
            journal.let_go(item.size)
            logs[journal] = slot, item.kind
        for journal, (slot, kind) in logs.items():
            self._recorder.touch(slot)
            if not journal.caught_up and journal.half_empty:
                self._load(slot, kind)
        self._ownership.progressed()

    # reading back

    def _load(self, slot: OwnedSlot, kind: int) -> None:
        journal = slot.events[kind]
        if journal.loading or journal.loaded >= journal.committed or not slot.open:
            return
        if not self._settings_known:
            return
        journal.loading = True
        self._tasks.begin(slot, self._read(slot, kind))

    async def _read(self, slot: OwnedSlot, kind: int) -> None:
        journal = slot.events[kind]
        try:
            while slot.open and journal.loaded < journal.committed and journal.has_room:
                upto, let_go = journal.committed, journal.parked.let_go
                rows = await self._journal.event_page(
                    slot.slot, kind, journal.loaded, upto, PAGE, PAGE_BYTES
                )
                if journal.parked.beyond:
                    await self._find_parked(slot, kind, {row.recipient for row in rows})
                if not slot.open:
                    return
                if journal.parked.let_go != let_go:
                    continue  # who was let go meanwhile may be among these
                for row in rows:
                    if not journal.cursor.settled(row.seq):
                        self._feed(slot, journal, row)
                full = len(rows) == PAGE or sum(len(row.payload) for row in rows) >= PAGE_BYTES
                last = rows[-1].seq if full else upto
                slot.settle_event_gaps(kind, (r.seq for r in rows), last)
                self._recorder.touch(slot)
        finally:
            journal.loading = False

    async def _watch_parked(self) -> None:
        """Take up parked recipients when their time has come."""
        while True:
            await asyncio.sleep(PARKED_LOOK_SECONDS)
            now = self._clock()
            if now >= self._letters_due:
                self._letters_due = now + LETTERS_LOOK_SECONDS
                await self._tasks.guard(dict[int, int], self._take_up_letters())
            for slot in list(self._ownership.slots.values()):
                await self._tasks.guard(slot.current, self._look_at(slot, now))

    async def _look_at(self, slot: OwnedSlot, now: float) -> None:
        for kind in EVENT_KINDS:
            journal = slot.events[kind]
            for recipient in journal.parked.surplus(now, slot.recorded):
                self.callbacks.unblock(slot.slot, recipient, kind)
            if slot.accepts and journal.parked.wants(now):
                await self._read_on(slot, kind)
            for recipient, lane in list(journal.parked.items()):
                if lane.flying == 0 and lane.due <= now and slot.accepts and journal.has_room:
                    await self._take_up(slot, kind, recipient, lane)

    async def _read_on(self, slot: OwnedSlot, kind: int) -> None:
        """The next parked recipients into memory."""
        journal = slot.events[kind]
        await self._recorder.flush()
        if not slot.open:
            return
        unled = await self._journal.lead_parked(slot.current(), LEAD_ROWS, LEAD_SECONDS)
        await self._journal.mend_parked(slot.current(), MEND_ROWS)
        rows = await self._journal.parked_events([(slot.slot, kind)], journal.parked.page)
        if slot.open:
            for recipient in journal.parked.read(rows, self._clock(), unled=unled):
                self.callbacks.block(slot.slot, recipient, kind)

    async def _find_parked(self, slot: OwnedSlot, kind: int, recipients: set[str]) -> None:
        """Block those of them that are parked and not in memory, before anything is delivered."""
        parked = slot.events[kind].parked
        await self._recorder.flush()  # the table has all that is known here
        unknown = recipients - parked.keys()
        if not unknown or not slot.open:
            return
        rows = await self._journal.parked_events_among(slot.slot, kind, unknown)
        now = self._clock()
        for row in rows:
            if slot.open and parked.found(row, now):
                self.callbacks.block(slot.slot, row["recipient"], kind)

    async def _take_up(self, slot: OwnedSlot, kind: int, recipient: str, lane: ParkedLane) -> None:
        lane.flying, lane.more = -1, False
        await self._recorder.flush()  # what is noted as parked must be in the table
        try:
            rows = await self._journal.parked_events_of(slot.slot, recipient, kind, PARKED_PAGE)
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("parked event read failed", extra={"error": str(error)})
            lane.flying, lane.more = 0, True
            return
        if not slot.open:
            return
        now = self._clock()
        lane.flying = len(rows)
        lane.more = lane.more or len(rows) >= PARKED_PAGE
        if not rows and not lane.more:
            self._lane_done(slot, slot.events[kind], recipient, kind)
        for row in rows:
            payload = shown(kind, row["key"], row["payload"], self._app_settings())
            item = Item(
                slot.slot,
                row["seq"],
                kind,
                recipient,
                row["payload"] if payload is None else payload,
                row["contact"],
                row["attempts"],
                now - row["age"],
                parked=True,
            )
            slot.events[kind].hold(item.size)
            if payload is None:  # switched off since it was parked
                self._settled([item])
            else:
                self.callbacks.add(item)

    async def _take_up_letters(self) -> None:
        """Dead letters that were asked for: back among the parked events, by their owner's hand.

        Not for a slot that has much to deliver: they wait where they are.
        """
        mine = {
            number: slot
            for number, slot in self._ownership.slots.items()
            if slot.accepts and all(log.has_room for log in slot.events)
        }
        try:
            asked = await self._journal.asked_letters(list(mine))
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("dead letter lookup failed", extra={"error": str(error)})
            return
        owned = {number: mine[number].epoch for number in asked if mine[number].accepts}
        if not owned:
            return
        try:
            lanes = await self._journal.take_up_letters(
                owned, GIVE_UP - REPLAY_SECONDS, LETTERS_PAGE
            )
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            self._ownership.doubt(owned, f"dead letters not taken up: {error}")
            return
        log.info("dead letter replay started", extra={"letters": sum(lane[3] for lane in lanes)})
        self._letters_due = 0.0  # there may be more
        for number, kind, recipient, _ in lanes:
            if mine[number].open:  # else its next epoch reads them
                self._revive(mine[number], kind, recipient)

    def _revive(self, slot: OwnedSlot, kind: int, recipient: str) -> None:
        """More letters lie in the parked table: a lane like any that is parked."""
        journal = slot.events[kind]
        lane = journal.parked.get(recipient)
        if lane is not None:
            lane.more = True
            return
        journal.parked[recipient] = ParkedLane(self._clock())
        self.callbacks.block(slot.slot, recipient, kind)
