"""POSTs the events of a coreapp to the business's webhook.

What may go, and what a failure means, is decided by ``webhook.queue`` and ``webhook.breaker``; one
POST is made by ``webhook.post``; this file has the clock and brings them together. An event stays
here until it was delivered, parked or given up, each of which the owner of its slot is told:
nothing is dropped. Without a webhook URL everything waits (the original product kept callbacks too,
under ``callback_persist``), and the owner reads no further.

Deadlines, ``EventRow.first_at`` and the clock are the owner's: seconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from operator import attrgetter

import aiohttp
from msgspec.structs import replace

from warouter.app_settings import ApplicationSettings
from warouter.background import wait_for
from warouter.flow.event import EventRow
from warouter.flow.posts import Outlook
from warouter.kinds import EVENT_KINDS, EVENT_TYPES
from warouter.log import Outage
from warouter.registered_webhook import RegisteredWebhook
from warouter.signature import signed
from warouter.webhook.breaker import Breaker, given_up, patience, retry_delay_ms
from warouter.webhook.owner import EventOwner
from warouter.webhook.places import Places
from warouter.webhook.post import HUNG, SUCCESS, Receiver
from warouter.webhook.post_record import PostRecord
from warouter.webhook.queue import Delivery, body

log = logging.getLogger(__name__)

# One POST: small enough for receivers with a body limit of 1 MiB, large enough that a POST's own
# cost (~65 us) does not matter.
BATCH_EVENTS = 100
REGISTERED_EVENTS = 1  # to a registered webhook: readers of that dialect look at the first alone
BATCH_BYTES = 256 * 1024
_slot_of = attrgetter("slot")
# A slot whose lease has lapsed is asked about again so often, until it holds or is forgotten.
HELD_PAUSE = 0.2


class Callbacks:
    """Delivers the events of all slots of a coreapp, in order per recipient and kind.

    ``settings`` gives the application settings of the moment; call ``settings_changed`` when they
    differ. ``owner`` says whether a slot's lease still holds; it is asked before each POST, and
    again when the POST has a connection. Events of a slot without a lease stay until the owner
    forgets the slot, or has its lease again. The owner hears of the end of every event.

    Once parked events are due they are added again, the first ones of their lane first, with
    ``first_at`` set: this lets them into their blocked lane, ahead of what is turned away
    meanwhile. A lane is unblocked when nothing of it is parked any more.

    ``record`` keeps what came of the POSTs, ``requests`` and ``duration_ms`` are its counters by
    Result; ``delivered`` counts events by kind.
    """

    def __init__(
        self,
        owner: EventOwner,
        receiver: Receiver,
        settings: Callable[[], ApplicationSettings],
        clock: Callable[[], float],
    ) -> None:
        self._owner = owner
        self._settings = settings
        self.receiver = receiver
        self._now = clock
        self._queues = {kind: Delivery() for kind in EVENT_KINDS}
        self._breakers = {kind: Breaker() for kind in EVENT_KINDS}
        self._outages = {kind: Outage() for kind in EVENT_KINDS}
        self._places = Places()
        self._wake = asyncio.Event()
        self.receiver.adopt(self._settings().webhooks.url)
        self._batch_events = BATCH_EVENTS
        self.record = PostRecord()
        self.requests, self.duration_ms = self.record.requests, self.record.duration_ms
        self.delivered = dict.fromkeys(EVENT_TYPES, 0)

    @property
    def queue_size(self) -> int:
        """Number of events here that are not settled: waiting or in flight."""
        return sum(queue.waiting for queue in self._queues.values()) + self._places.events

    @property
    def failing(self) -> list[str]:
        """Types whose callbacks keep failing."""
        return [EVENT_TYPES[kind] for kind, breaker in self._breakers.items() if breaker.failing]

    def outlook(self) -> dict[str, Outlook]:
        """How the receiver does, by type."""
        return {
            EVENT_TYPES[kind]: self.record.outlook(kind, breaker)
            for kind, breaker in self._breakers.items()
        }

    def waiting_of(self, slot: int) -> int:
        """Number of events of ``slot`` that wait here, which bounds the reader of the journal."""
        return sum(queue.waiting_of(slot) for queue in self._queues.values())

    def add(self, items: Sequence[EventRow]) -> None:
        """Queue the next events of a slot and kind; parks those whose lanes are blocked."""
        turned_away = self._queues[items[0].kind].add(items)
        if len(turned_away) < len(items):
            self._wake.set()
        self._park_items(turned_away, self._delay_ms(1), "waits behind a parked event")

    def forget(self, slot: int) -> None:
        """The slot is lost: drop its events."""
        for queue in self._queues.values():
            queue.forget(slot)

    def block(self, slot: int, lane: str, kind: int) -> None:
        """Events of this lane are parked: park later ones as well, before any of them is sent."""
        waiting = self._queues[kind].block(slot, lane)
        self._park_items(waiting, self._delay_ms(1), "waits behind a parked event")

    def unblock(self, slot: int, lane: str, kind: int) -> None:
        """No event of this lane is parked any more."""
        self._queues[kind].unblock(slot, lane)

    def in_flight_of(self, slot: int) -> int:
        """Number of events of ``slot`` whose POST has not ended: a handover waits for them."""
        return self._places.events_of(slot)

    def settings_changed(self, registered: RegisteredWebhook | None = None) -> None:
        """Read the settings again. A receiver that is down gets a probe at once.

        ``registered`` counts if it is of the URL in the settings: its header fields go with each
        POST, which carries one event.
        """
        url = self._settings().webhooks.url
        if registered is not None and registered.url == url:
            self.receiver.adopt(url, registered.headers)
            self._batch_events = REGISTERED_EVENTS
        else:
            self.receiver.adopt(url)
            self._batch_events = BATCH_EVENTS
        self.hurry()

    def hurry(self) -> None:
        """A receiver that is down gets a probe at once."""
        for breaker in self._breakers.values():
            breaker.hurry()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with self.receiver.connections() as connections, asyncio.TaskGroup() as posts:
            while True:
                self._wake.clear()
                self._resume_held()
                now = self._now()  # one time for both: else an event may fall due in between
                self._start_posts(connections, posts, now)
                await wait_for(self._wake, self._pause(now))

    # ------------------------------------------------------------------ what goes now

    def _start_posts(
        self, connections: aiohttp.BaseConnector, posts: asyncio.TaskGroup, now: float
    ) -> None:
        while (kind := self._next_kind(now)) is not None:
            queue, breaker = self._queues[kind], self._breakers[kind]
            if breaker.open:
                batch = queue.probe(tried=breaker.due(now))
            else:
                batch = queue.take(self._batch_events, BATCH_BYTES, suspects=self._may_hang(kind))
            events = Counter(map(_slot_of, batch))
            lapsed = {slot for slot in events if not self._owner.may_act(slot)}
            if lapsed:
                batch = queue.withhold(batch, lapsed)
                events = Counter(map(_slot_of, batch))
            if batch:
                suspects = queue.suspicious(batch)
                self._places.occupy(kind, events, suspects=suspects)
                deliver = self._deliver(
                    connections, kind, batch, events, breaker.begin_batch(), suspects
                )
                posts.create_task(deliver)

    def _next_kind(self, now: float) -> int | None:
        """The kind that may POST now and has fewer POSTs in flight."""
        most = self._settings().webhooks.max_concurrent_requests
        if not self.receiver.url or not self._places.any(most):
            return None
        return self._places.fewest(
            kind
            for kind in self._queues
            if self._has_work(kind, now) and self._places.has(kind, most)
        )

    def _has_work(self, kind: int, now: float) -> bool:
        """True if something of the kind may go: its receiver is up, or a probe is due."""
        queue, breaker = self._queues[kind], self._breakers[kind]
        suspects = queue.ready and (breaker.open or self._may_hang(kind))
        return bool(queue.fresh or suspects) and breaker.permits(now, untried=queue.untried)

    def _may_hang(self, kind: int) -> bool:
        """True if another batch of failed events may be sent: half of the places are for others."""
        return self._places.may_hang(kind, self._settings().webhooks.max_concurrent_requests)

    def _pause(self, now: float) -> float | None:
        """Seconds from ``now``, when POSTs were started, until time alone could change something;
        None if it cannot.

        A probe that is due and did not go waits for a place, and the end of a POST wakes.
        """
        if not self.receiver.url:
            return None
        waits = [
            wait
            for kind, queue in self._queues.items()
            if queue.ready and (wait := self._breakers[kind].wait(now, untried=queue.untried))
        ]
        if any(queue.held for queue in self._queues.values()):
            waits.append(HELD_PAUSE)
        return min(waits, default=None)

    def _resume_held(self) -> None:
        for queue in self._queues.values():
            for slot in queue.held:
                if self._owner.may_act(slot):
                    queue.resume(slot)

    # ------------------------------------------------------------------ one POST

    async def _deliver(
        self,
        connections: aiohttp.BaseConnector,
        kind: int,
        batch: list[EventRow],
        events: Mapping[int, int],
        probe: bool,
        suspects: bool,
    ) -> None:
        """POST a batch, with events by slot, and act on the answer; errors stay with its slots."""
        may_act = partial(self._may_post, events.keys())
        try:
            await self._post_and_act(connections, kind, batch, may_act, probe=probe)
        except Exception as error:
            self._queues[kind].abandoned(batch)
            self._breakers[kind].aborted(probe=probe)
            self._owner.on_broken(events.keys(), error)
        finally:
            self._places.release(kind, events, suspects=suspects)
            if any(queue.ready or queue.held for queue in self._queues.values()):
                self._wake.set()

    async def _post_and_act(
        self,
        connections: aiohttp.BaseConnector,
        kind: int,
        batch: list[EventRow],
        may_act: Callable[[], bool],
        *,
        probe: bool,
    ) -> None:
        content = body(batch)
        headers = signed(content, self._settings().webhooks.secrets, int(time.time()))
        began = time.monotonic()
        try:
            ended = await self.receiver.post(connections, content, headers, may_act)
        except asyncio.CancelledError:
            self._unsent(kind, batch, probe=probe)
            raise
        if ended is None:
            self._unsent(kind, batch, probe=probe)
            return
        self.record.ended(kind, batch, ended, began)
        if ended.result == SUCCESS:
            self._succeeded(kind, batch)
        else:
            self._failed(kind, batch, ended.result, probe=probe)

    def _may_post(self, slots: Set[int]) -> bool:
        return all(map(self._owner.may_act, slots))

    # ------------------------------------------------------------------ what became of it

    def _succeeded(self, kind: int, batch: list[EventRow]) -> None:
        self._breakers[kind].succeeded()
        live = self._queues[kind].delivered(batch)
        self._queues[kind].restore()
        self.delivered[EVENT_TYPES[kind]] += len(batch)
        if live:
            self._owner.on_settled(live)
        if self._outages[kind].ends():
            self.record.failing(kind, lasts=False)
            log.info("webhook receiver recovered", extra={"type": EVENT_TYPES[kind]})

    def _failed(self, kind: int, batch: list[EventRow], result: str, *, probe: bool) -> None:
        queue, breaker, settings = self._queues[kind], self._breakers[kind], self._settings()
        reason = f"webhook: {result}"
        now = self._now()
        breaker.failed(
            now,
            probe=probe,
            retry=batch[0].attempts > 0,
            step_ms=settings.callback_backoff_delay_ms,
            most_ms=settings.max_callback_backoff_delay_ms,
        )
        if breaker.open:
            queue.deferred(batch)
            self._give_up(queue.expired(now, self._patience) if probe else [], reason)
        elif len(batch) == 1 and given_up(batch[0].first_at, now, self._patience):
            self._give_up(queue.delivered(batch), reason)
        else:
            self._park_failed(queue.failed(batch, hung=result == HUNG), now, reason)
        if breaker.failing and self._outages[kind].begins():
            self.record.failing(kind, lasts=True)
            log.warning(
                "webhook receiver failed", extra={"type": EVENT_TYPES[kind], "reason": reason}
            )

    def _unsent(self, kind: int, batch: list[EventRow], *, probe: bool) -> None:
        """The lease or the process ended before the POST was made or answered."""
        lapsed = {slot for slot in {item.slot for item in batch} if not self._owner.may_act(slot)}
        queue = self._queues[kind]
        queue.returned(queue.withhold(batch, lapsed))
        self._breakers[kind].aborted(probe=probe)

    def _park_failed(self, items: list[EventRow], now: float, reason: str) -> None:
        if items:
            head = items[0]
            first_at = now if head.first_at is None else head.first_at
            items[0] = replace(head, attempts=head.attempts + 1, first_at=first_at)
            self._park_items(items, self._delay_ms(items[0].attempts), reason)

    def _park_items(self, items: list[EventRow], delay_ms: int, reason: str) -> None:
        if items:
            now = self._now()
            stamped = [i if i.first_at is not None else replace(i, first_at=now) for i in items]
            self._owner.on_park(stamped, delay_ms, reason)

    def _give_up(self, items: list[EventRow], reason: str) -> None:
        if items:
            self._owner.on_dead(items, reason)

    @property
    def _patience(self) -> float:
        """Seconds of attempts after which an event is given up."""
        settings = self._settings()
        return patience(settings.callback_backoff_delay_ms, kept=settings.callback_persist)

    def _delay_ms(self, attempts: int) -> int:
        settings = self._settings()
        return retry_delay_ms(
            attempts, settings.callback_backoff_delay_ms, settings.max_callback_backoff_delay_ms
        )
