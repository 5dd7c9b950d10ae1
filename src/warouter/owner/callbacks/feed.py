"""Events from the journal to the webhook delivery, and back: settled, parked, given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from warouter.app_settings import ApplicationSettings
from warouter.background import begin
from warouter.cloud_number import FIRST
from warouter.config import Settings, networks
from warouter.flow.event import EventRow, size_of_all
from warouter.flow.progress import Dead, Park, Unpark
from warouter.kinds import EVENT_KINDS
from warouter.net.egress import client_certificate
from warouter.owner.callbacks.events import EventFeed
from warouter.owner.callbacks.letters import Letters
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.slot import OwnedSlot
from warouter.registered_webhook import RegisteredWebhook
from warouter.store.journal import Journal
from warouter.webhook.callbacks import Callbacks
from warouter.webhook.owner import EventOwner
from warouter.webhook.post import Receiver
from warouter.webhook.trial import try_out

log = logging.getLogger(__name__)


class CallbackFeed(SlotListener, EventOwner):
    """Feeds ``Callbacks`` from the journals of the open slots and records what it says."""

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        app_settings: Callable[[int], ApplicationSettings],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._ownership = ownership
        self._recorder = recorder
        self._app_settings = app_settings
        self._clock = clock
        self._trial: asyncio.Task[None] | None = None
        self.dropped = 0  # events that were given up under callback_persist: false
        receiver = Receiver(
            allow_http=settings.webhook_allow_http,
            allow_private=networks(settings.allow_private),
            ports=settings.allowed_webhook_ports,
            client=client_certificate(settings.webhook_client_cert, settings.webhook_client_key),
        )
        # One receiver yet, that of number 1.
        self.callbacks = Callbacks(self, receiver, partial(app_settings, FIRST), clock)
        self._feeds = tuple(
            EventFeed(kind, self.callbacks, self, ownership, journal, recorder, app_settings, clock)
            for kind in EVENT_KINDS
        )
        self.letters = Letters(self._feeds, ownership, journal, clock)

    def settings_changed(self, registered: RegisteredWebhook | None = None) -> None:
        """Take over settings, and the webhook that a client registered.

        Before the first time nobody knows which statuses are wanted.
        """
        self.callbacks.settings_changed(registered)
        for feed in self._feeds:
            feed.begin()

    def try_out(self, name: str) -> None:
        """An operator wants to know whether the receiver can be reached. One test at a time."""
        if self._trial is None or self._trial.done():
            callbacks, secrets = self.callbacks, self._app_settings(FIRST).webhooks.secrets
            work = try_out(callbacks.receiver, secrets, callbacks.record, name)
            self._trial = begin(work, _trial_failed)

    def hurry(self) -> None:
        """An operator has mended the receiver: try at once what waits until it is due."""
        now, lanes = self._clock(), 0
        for slot in self._ownership.slots.values():
            for events in slot.events:
                events.parked.hurry(now)
                lanes += len(events.parked)
        self.callbacks.hurry()
        log.info("callback retry requested", extra={"recipients": lanes})

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.callbacks.run())
            group.create_task(self.letters.run())

    def rests(self, slot: OwnedSlot) -> bool:
        return all(feed.parked.rests(slot) for feed in self._feeds)

    async def look_at(self, slot: OwnedSlot) -> None:
        for feed in self._feeds:
            await feed.parked.look_at(slot)

    # the life of a slot

    def opened(self, slot: OwnedSlot) -> None:
        for feed in self._feeds:
            feed.opened(slot)

    def closed(self, slot: OwnedSlot) -> None:
        self.callbacks.forget(slot.slot)

    def idle(self, slot: OwnedSlot) -> bool:
        """A POST that is out is not repeated by the slot's next owner if its end is waited for."""
        return not self.callbacks.in_flight_of(slot.slot)

    def committed(self, slot: OwnedSlot, rows: Sequence[EventRow]) -> None:
        """Events of a slot are on disk, in seq order, all of one kind."""
        self._feeds[rows[0].kind].committed(slot, rows)

    # to the delivery

    def may_act(self, slot: int) -> bool:
        """No POST begins for a slot that is on its way to another owner."""
        owned = self._ownership.slots.get(slot)
        return owned is not None and owned.accepts and self._ownership.may_act(slot)

    # what the delivery says

    def on_settled(self, items: list[EventRow]) -> None:
        kind = items[0].kind
        mine = self._mine(items)
        for slot, own in mine.items():
            events = slot.events[kind]
            events.settle_all([item.seq for item in own if not item.parked])
            for item in own:
                if item.parked:
                    events.note(Unpark(item.seq))
                    self._feeds[kind].parked.landed(slot, item.lane)
        self._let_go(kind, mine)

    def on_park(self, items: list[EventRow], delay_ms: int, reason: str) -> None:
        due, kind = self._clock() + delay_ms / 1000, items[0].kind
        mine = self._mine(items)
        for slot, own in mine.items():
            events = slot.events[kind]
            for item in own:
                events.parked.park(item.lane, due, slot.next_record, was_out=item.parked)
                if not item.parked:
                    events.settle(item.seq)
                events.note(Park(item.seq, item.attempts, delay_ms, reason))
        self._ownership.parked.set()
        self._let_go(kind, mine)

    def on_dead(self, items: list[EventRow], reason: str) -> None:
        self._drop([item for item in items if not self._is_kept(item)], reason)
        items = [item for item in items if self._is_kept(item)]
        if not items:
            return
        log.warning("callbacks given up", extra={"events": len(items), "reason": reason})
        kind, mine = items[0].kind, self._mine(items)
        for slot, own in mine.items():
            events = slot.events[kind]
            for item in own:
                events.note(Dead(item.seq, item.attempts, reason))
                if item.parked:
                    self._feeds[kind].parked.landed(slot, item.lane)
                else:
                    events.settle(item.seq)
        self._let_go(kind, mine)

    def _is_kept(self, item: EventRow) -> bool:
        return self._app_settings(item.number).callback_persist or self.letters.was_one(item)

    def _drop(self, items: list[EventRow], reason: str) -> None:
        """The business does not want them kept: they end as if they had been delivered."""
        if not items:
            return
        log.warning("callbacks dropped", extra={"events": len(items), "reason": reason})
        self.dropped += len(items)
        self.on_settled(items)

    def on_broken(self, slots: Collection[int], error: Exception) -> None:
        """Only epochs that stand: what belonged to an ended one was forgotten with it."""
        owned = self._ownership.slots
        epochs = {n: owned[n].epoch for n in slots if n in owned}
        self._ownership.tasks.failed(epochs, error)

    def _mine(self, items: list[EventRow]) -> dict[OwnedSlot, list[EventRow]]:
        by_slot: dict[int, list[EventRow]] = {}
        for item in items:
            if item.slot in by_slot:
                by_slot[item.slot].append(item)
            else:
                by_slot[item.slot] = [item]
        slots = self._ownership.slots
        return {slots[number]: own for number, own in by_slot.items() if number in slots}

    def _let_go(self, kind: int, mine: Mapping[OwnedSlot, list[EventRow]]) -> None:
        """Events of one kind left the delivery: there may be room for what waits in journals."""
        for slot, own in mine.items():
            slot.delivered[kind].let_go(len(own), size_of_all(own))
            self._recorder.touch(slot, len(own))
            self._feeds[kind].refill(slot)
        self._ownership.progressed()


def _trial_failed(error: Exception) -> None:
    log.warning("webhook test failed", extra={"error": repr(error)})
