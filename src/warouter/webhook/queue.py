"""Callbacks: which events may be sent to the business now, and what a failed POST means for them.

Pure: the clock and the sockets are in ``webhook.callbacks``. The rules of this file:

* Statuses and inbound messages have a ``Delivery`` and a ``Breaker`` each: some receivers refuse
  every status for ever and must not lose their inbound messages by it.
* Order holds per recipient. A recipient is a *lane*: while a batch with events of it is open, no
  other batch gets any. Lanes take turns, first come first served.
* A batch that failed is halved, recipient by recipient and at last event by event, and the halves
  are offered again. Only the single event that fails is given back, to be parked, with all that
  waits behind it; from then on its lane is *blocked*: later events are turned away and parked too.
* What failed before, or stood in one POST with what did, is *under suspicion*: it may hang until
  the time-out once more, so it may not have all places (``suspicious``, ``take(suspects=False)``).
  A batch that hung is offered again recipient by recipient: each half would cost a time-out.
* An event that fails says little about the receiver, many in a row say that it is down: then the
  circuit opens and everything simply waits, unsplit and unparked, for the answer to a probe, one
  event at a time. What was tried is probed after the linear back-off; an event that was not is
  probed a step after the last probe, so nobody waits long behind events that are refused anyway.

``now`` is seconds on the owner's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import NamedTuple

from warouter.kinds import STATUS
from warouter.retry import linear_ms

# A recipient's events in one batch. Halving them down to one takes four failures, fewer than open
# the circuit: one bad event of a busy recipient is found before it could be taken for an outage.
LANE_EVENTS = 8
# So many failures in a row, without a success of that kind in between, open the circuit.
FAILURES = 5
GIVE_UP = 7 * 24 * 3600.0
# Steps of the back-off for as long under `callback_persist: false`: six tries of a single event.
EARLY_STEPS = 20


class Item(NamedTuple):
    """One event to deliver. ``payload`` is the JSON of its element in the v1 webhook body.

    ``contact`` is the ``contacts[]`` element of an inbound message. An inbound one without a
    ``recipient`` is an out-of-band error, an element of ``errors[]``. ``attempts`` counts the POSTs
    in which it failed alone. ``first_at`` is when it was first tried; it is None for what comes
    from the journal and set for what was parked, which is let into its blocked lane by that.
    ``parked``: its row lies in the parked table.
    """

    slot: int
    seq: int
    kind: int  # STATUS or INBOUND
    recipient: str
    payload: bytes
    contact: bytes | None = None
    attempts: int = 0
    first_at: float | None = None
    parked: bool = False

    @property
    def size(self) -> int:
        """Bytes of JSON."""
        return len(self.payload) + len(self.contact or b"")


class Delivery:
    """The events of one kind that a coreapp has to deliver, for all its slots.

    A batch is what ``take`` gave; each ends in exactly one of ``delivered``, ``failed``,
    ``deferred`` and ``returned``, called with that list or with what ``withhold`` left of it.
    """

    def __init__(self) -> None:
        self._slots: dict[int, dict[str, _Lane]] = {}
        self._ready: deque[_Lane] = deque()
        self._wary: deque[_Lane] = deque()  # parked events that are tried again
        self._tried: deque[_Lane] = deque()  # what the receiver refused when it seemed to be down
        self._groups: deque[deque[_Lane]] = deque()  # halves of failed batches, oldest first
        self._held: dict[int, list[_Lane]] = {}  # lanes set aside, by slot
        self._waiting: dict[int, int] = {}

    @property
    def waiting(self) -> int:
        """Events that are in no open batch."""
        return sum(self._waiting.values())

    @property
    def ready(self) -> bool:
        """Whether ``take`` is worth a call: without, there is nothing it could give."""
        return bool(self._ready or self._groups or self._wary or self._tried)

    @property
    def fresh(self) -> bool:
        """The same for ``take(suspects=False)``."""
        return bool(self._ready)

    @property
    def untried(self) -> bool:
        """Whether there is more than what was deferred."""
        return bool(self._ready or self._wary)

    @property
    def held(self) -> list[int]:
        """Slots with events that are not offered until ``resume``."""
        return [slot for slot in self._held if self.waiting_of(slot)]

    def waiting_of(self, slot: int) -> int:
        """Events of ``slot`` that are in no open batch: what a reader of the journal bounds."""
        return self._waiting.get(slot, 0)

    def add(self, item: Item) -> bool:
        """Queue the next event of its lane. False: the lane is blocked, park it."""
        lanes = self._slots.get(item.slot)
        if lanes is None:
            lanes = self._slots[item.slot] = {}
        lane = lanes.get(item.recipient)
        if lane is None:
            lane = self._lane(item.slot, item.recipient)
        elif lane.blocked and item.first_at is None:
            return False
        lane.items.append(item)
        self._count(item.slot, 1)
        if not lane.queued:
            self._offer(lane)
        return True

    def take(self, limit_events: int, limit_bytes: int, *, suspects: bool = True) -> list[Item]:
        """The next batch, empty if none may go: at most so many events and bytes of payload.

        ``limit_events`` is at least 1. One event may be larger than ``limit_bytes``; it goes
        alone. So does one that has failed alone before, lest it fails others with it. Nothing of
        it is under suspicion, unless all of it is, which goes first.
        """
        while suspects and self._groups:
            group = self._groups[0]
            batch = self._collect(group, limit_events, limit_bytes)
            if not group:
                self._groups.popleft()
            if batch:
                return batch
        # What is found to be blocked among those that are ready joins the wary ones.
        queues = (self._wary, self._ready, self._wary, self._tried) if suspects else (self._ready,)
        for lanes in queues:
            if batch := self._collect(lanes, limit_events, limit_bytes):
                return batch
        return []

    def suspicious(self, batch: list[Item]) -> bool:
        """Whether a batch that was taken is of what failed before, or stood beside it."""
        lane = self._slots[batch[0].slot][batch[0].recipient]
        return lane.blocked or lane.suspects > 0

    def probe(self, *, tried: bool) -> list[Item]:
        """One event, to see whether the receiver is up: of what was tried, or else of the rest."""
        return (
            (tried and self._collect(self._tried, 1, 0))
            or self._collect(self._ready, 1, 0)
            or self._collect(self._wary, 1, 0)
        )

    def delivered(self, batch: list[Item]) -> list[Item]:
        """The receiver took it (or it was given up): go on behind it.

        What of it counts is returned: all but the events of slots that were forgotten meanwhile.
        """
        closed = self._close(batch)
        for lane, items in closed:
            if not (lane.suspects or lane.items or lane.blocked):
                self._drop_if_idle(lane)  # nearly always
                continue
            lane.suspects -= min(lane.suspects, len(items))
            lane.quota = lane.suspects
            if lane.suspects and lane.items:  # the second half of one recipient's events
                self._group([lane])
            else:
                self._clear(lane)
        return [item for _, items in closed for item in items]

    def failed(self, batch: list[Item], *, hung: bool = False) -> list[Item]:
        """The receiver refused it. A single event comes back, with what waits behind it, to park.

        Its lane is blocked then. Of a larger batch nothing comes back; its halves are offered, or
        after it ``hung`` each recipient by itself.
        """
        closed = self._close(batch)
        if len(batch) == 1:
            return [item for lane, items in closed for item in self._expel(lane, items)]
        self._put_back(closed)
        parts = [(lane, len(items)) for lane, items in closed]
        for half in _halves(parts) if not hung or len(parts) == 1 else ([p] for p in parts):
            for lane, count in half:
                lane.suspects = max(lane.suspects, count)
                lane.quota = count if len(parts) > 1 else (count + 1) // 2
            self._group([lane for lane, _ in half])
        return []

    def returned(self, batch: list[Item]) -> None:
        """It was not sent: its lanes queue up again."""
        closed = self._close(batch)
        self._put_back(closed)
        for lane, _ in closed:
            self._clear(lane)

    def deferred(self, batch: list[Item]) -> None:
        """It failed while the receiver is down: neither it nor what is under suspicion is to blame.

        All of that waits apart until ``restore``.
        """
        closed = self._close(batch)
        self._put_back(closed)
        for lane, _ in closed:
            self._clear(lane, self._tried)
        while self._groups:
            for lane in self._groups.popleft():
                lane.queued = False
                self._clear(lane, self._tried)

    def abandoned(self, batch: list[Item]) -> None:
        """What became of it is not known, nor if it was closed: its slots are forgotten next."""
        for item in batch:
            lane = self._slots.get(item.slot, {}).get(item.recipient)
            if lane is not None and lane.open:
                lane.open = False
                if lane.orphan:
                    lane.orphan = False
                    self._clear(lane)

    def restore(self) -> None:
        """The receiver is up: what was deferred goes first, it has waited longest."""
        self._ready.extendleft(reversed(self._tried))
        self._tried.clear()

    def withhold(self, batch: list[Item], slots: Collection[int]) -> list[Item]:
        """Take the events of ``slots`` out of a batch and hold those slots; what is left of it."""
        self.returned([item for item in batch if item.slot in slots])
        for slot in slots:
            if self.waiting_of(slot):  # else it was forgotten
                self._held.setdefault(slot, [])
        return [item for item in batch if item.slot not in slots]

    def resume(self, slot: int) -> None:
        """Offer a held slot again."""
        for lane in self._held.pop(slot, ()):
            lane.queued = False
            self._offer(lane)

    def block(self, slot: int, recipient: str) -> list[Item]:
        """Turn later events of this lane away; what waits in it comes back, to park."""
        lanes = self._slots.setdefault(slot, {})
        lane = lanes.get(recipient) or self._lane(slot, recipient)
        return self._expel(lane, [])

    def unblock(self, slot: int, recipient: str) -> None:
        """Nothing of this lane is parked any more: let its events in again."""
        lane = self._slots.get(slot, {}).get(recipient)
        if lane is not None:
            lane.blocked = False
            self._drop_if_idle(lane)

    def expired(self, now: float, after: float = GIVE_UP) -> list[Item]:
        """Give up what heads a lane and was first tried so many seconds ago.

        For a receiver that is down: all that waits counts as tried from the first call on.
        """
        gone: list[Item] = []
        for lane in [lane for lanes in self._slots.values() for lane in lanes.values()]:
            before = len(gone)
            while lane.items and given_up(lane.items[0].first_at, now, after):
                gone.append(lane.items.popleft())
            self._count(lane.slot, before - len(gone))
            if lane.items and lane.items[-1].first_at is None:
                lane.items = deque([_tried(item, now) for item in lane.items])
            self._drop_if_idle(lane)
        return gone

    def forget(self, slot: int) -> None:
        """The slot is lost. Results of its events in open batches will be ignored.

        Until they come in, the recipients of those stay taken, whoever owns the slot meanwhile.
        """
        self._held.pop(slot, None)
        self._waiting.pop(slot, None)
        lanes = self._slots.pop(slot, {})
        for lane in lanes.values():
            lane.items.clear()
            lane.blocked = False
            lane.orphan = lane.open
        taken = {recipient: lane for recipient, lane in lanes.items() if lane.open}
        if taken:
            self._slots[slot] = taken

    # ------------------------------------------------------------------ lanes

    def _lane(self, slot: int, recipient: str) -> _Lane:
        lane = self._slots[slot][recipient] = _Lane(slot, recipient)
        return lane

    def _collect(self, lanes: deque[_Lane], limit_events: int, limit_bytes: int) -> list[Item]:
        """A batch of what heads ``lanes``; those that are drawn from, empty or held leave it."""
        batch: list[Item] = []
        room = limit_bytes
        while lanes and len(batch) < limit_events:
            lane = lanes[0]
            if lane.items and lane.blocked and lanes is self._ready:
                self._wary.append(lanes.popleft())  # it was blocked while it stood there
                continue
            if lane.items and lane.slot not in self._held:
                head = lane.items[0]
                if batch and (head.attempts or _size(head) > room):
                    break
                room = lane.draw(batch, limit_events, room)
            elif lane.items:
                self._held[lane.slot].append(lanes.popleft())
                continue
            lanes.popleft()
            lane.queued = False
            if batch and batch[0].attempts:
                break
        for item in batch:
            self._waiting[item.slot] -= 1
        return batch

    def _close(self, batch: list[Item]) -> list[tuple[_Lane, list[Item]]]:
        """End an open batch: its lanes with their events, without those of forgotten slots."""
        by_lane: dict[_Lane, list[Item]] = {}
        for item in batch:
            lane = self._slots[item.slot][item.recipient]
            if lane in by_lane:
                by_lane[lane].append(item)
            else:
                by_lane[lane] = [item]
        closed: list[tuple[_Lane, list[Item]]] = []
        for lane, items in by_lane.items():
            lane.open = False
            if lane.orphan:
                lane.orphan = False
                self._clear(lane)
            else:
                closed.append((lane, items))
        return closed

    def _put_back(self, closed: list[tuple[_Lane, list[Item]]]) -> None:
        for lane, items in closed:
            lane.items.extendleft(reversed(items))
            self._count(lane.slot, len(items))

    def _expel(self, lane: _Lane, failed: list[Item]) -> list[Item]:
        """Block the lane; what failed and what waits behind it."""
        out = [*failed, *lane.items]
        self._count(lane.slot, -len(lane.items))
        lane.items.clear()
        lane.blocked = True
        lane.suspects = lane.quota = 0
        return out

    def _group(self, lanes: list[_Lane]) -> None:
        for lane in lanes:
            lane.queued = True
        self._groups.append(deque(lanes))

    def _clear(self, lane: _Lane, lanes: deque[_Lane] | None = None) -> None:
        """Out of suspicion: to ``lanes``, or back among the others."""
        lane.suspects = lane.quota = 0
        self._offer(lane, lanes)
        self._drop_if_idle(lane)

    def _offer(self, lane: _Lane, lanes: deque[_Lane] | None = None) -> None:
        if lane.items and not lane.open and not lane.queued:
            lane.queued = True
            usual = self._wary if lane.blocked else self._ready
            (usual if lanes is None else lanes).append(lane)

    def _drop_if_idle(self, lane: _Lane) -> None:
        lanes = self._slots.get(lane.slot, {})
        idle = not (lane.items or lane.open or lane.blocked)
        # One that was forgotten may still stand in a queue, with a successor of the same name.
        if idle and lanes.get(lane.recipient) is lane:
            del lanes[lane.recipient]

    def _count(self, slot: int, change: int) -> None:
        self._waiting[slot] = self._waiting.get(slot, 0) + change


class Breaker:
    """Whether the receiver is worth a POST: closed (yes), or open (one probe, now and then).

    The n-th wait of one outage is n steps of the application's linear back-off. An event that was
    not tried has no failure of its own to wait for: a step after the last probe it may be one.
    """

    def __init__(self, failures: int = FAILURES) -> None:
        self._most = failures
        self._row = 0  # failures since the last success, retries of parked events included
        self._new = 0  # those of them that open the circuit
        self._waits = 0
        self._until: float | None = None  # open: when what was tried may be probed
        self._soon = 0.0  # open: when what was not may be
        self._probing = False

    @property
    def open(self) -> bool:
        return self._until is not None

    @property
    def failing(self) -> bool:
        """Many failures and no success: worth a word to the operator."""
        return self._row >= self._most

    def due(self, now: float) -> bool:
        """The wait of what was tried is over."""
        return self._until is None or now >= self._until

    def permits(self, now: float, *, untried: bool) -> bool:
        """A batch may go: any while closed, one at a time when open and the wait is over.

        ``untried``: there are events that were not tried since it opened.
        """
        return self._until is None or self.wait(now, untried=untried) == 0.0

    def wait(self, now: float, *, untried: bool) -> float | None:
        """Seconds until a probe may go; None if it is not time that is waited for."""
        if self._until is None or self._probing:
            return None
        return max(0.0, (min(self._soon, self._until) if untried else self._until) - now)

    def begin(self) -> bool:
        """A batch goes now, as permitted; whether it is a probe."""
        self._probing = self.open
        return self._probing

    def succeeded(self) -> None:
        """Any success closes the circuit, also that of a POST which began before it opened."""
        self._row = self._new = self._waits = 0
        self._until = None
        self._probing = False

    def failed(self, now: float, *, probe: bool, retry: bool, step_ms: int, most_ms: int) -> None:
        """A POST failed. ``retry``: it was a parked event's, alone.

        That one is known to be refused: it opens nothing, or the events of others would wait for
        probes on its account.
        """
        self._row += 1
        self._new += not retry
        opens = not self.open and not probe and self._new >= self._most
        if opens or (probe and self.open):
            self._probing = False
            self._soon = now + min(step_ms, most_ms) / 1000
            if opens or self.due(now):
                self._waits += 1
                wait_ms = linear_ms(self._waits, step_ms=step_ms, most_ms=most_ms)
                self._until = now + wait_ms / 1000

    def aborted(self, *, probe: bool) -> None:
        """The POST was not made after all."""
        if probe:
            self._probing = False

    def hurry(self) -> None:
        """The wait is over, for a reason of the operator's."""
        if self.open:
            self._until = self._soon = float("-inf")


def retry_delay_ms(attempts: int, step_ms: int, most_ms: int) -> int:
    """How long an event is parked that failed alone ``attempts`` times, milliseconds."""
    return linear_ms(max(1, attempts), step_ms=step_ms, most_ms=most_ms)


def patience(step_ms: int, *, kept: bool) -> float:
    """Seconds of trying after which an event is given up. ``kept``: it is a dead letter then."""
    return GIVE_UP if kept else EARLY_STEPS * step_ms / 1000


def given_up(first_at: float | None, now: float, after: float = GIVE_UP) -> bool:
    """It has been tried for so many seconds, as a rule seven days: a dead letter."""
    return first_at is not None and now - first_at >= after


def body(items: list[Item]) -> bytes:
    """The v1 webhook body of events of one kind; their JSON goes in as it came."""
    if items[0].kind == STATUS:
        return b'{"statuses":[' + b",".join([item.payload for item in items]) + b"]}"
    arrays = {
        b"contacts": dict.fromkeys(item.contact for item in items if item.contact),
        b"messages": [item.payload for item in items if item.recipient],
        b"errors": [item.payload for item in items if not item.recipient],
    }
    fields = (b'"%b":[%b]' % (name, b",".join(of)) for name, of in arrays.items() if of)
    return b"{" + b",".join(fields) + b"}"


class _Lane:
    """The events of one recipient, in order. It stands in at most one queue at a time.

    ``suspects`` of its first events belong to a batch that failed, ``quota`` of them are offered
    next (0: not under suspicion). ``orphan``: its open events are of a slot that was lost.
    """

    __slots__ = (
        "blocked",
        "items",
        "open",
        "orphan",
        "queued",
        "quota",
        "recipient",
        "slot",
        "suspects",
    )

    def __init__(self, slot: int, recipient: str) -> None:
        self.slot = slot
        self.recipient = recipient
        self.items: deque[Item] = deque()
        self.quota = self.suspects = 0
        self.open = self.blocked = self.orphan = self.queued = False

    def draw(self, batch: list[Item], limit_events: int, room: int) -> int:
        """Move what may go of this lane to ``batch``, at least its head; the room that is left."""
        self.open = True
        most = min(limit_events, len(batch) + (self.quota or LANE_EVENTS))
        while True:
            item = self.items.popleft()
            batch.append(item)
            room -= _size(item)
            if item.attempts or len(batch) >= most or not self.items:
                return room
            if self.items[0].attempts or _size(self.items[0]) > room:
                return room


def _size(item: Item) -> int:
    return len(item.payload) + len(item.contact or b"") + 2


def _tried(item: Item, now: float) -> Item:
    return item._replace(first_at=now) if item.first_at is None else item


def _halves(parts: list[tuple[_Lane, int]]) -> Iterator[list[tuple[_Lane, int]]]:
    """Two halves of about as many events, recipients kept whole; one part stays one."""
    half = sum(count for _, count in parts) / 2
    cut = taken = 0
    while cut < len(parts) - 1 and (cut == 0 or taken + parts[cut][1] <= half):
        taken += parts[cut][1]
        cut += 1
    if cut:
        yield parts[:cut]
    if parts[cut:]:
        yield parts[cut:]
