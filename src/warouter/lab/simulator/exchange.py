"""The simulator's core without sockets: takes frames from peers, returns frames to peers.

No clock and no I/O: whoever calls says what time it is (``now`` monotonic, ``wall`` unix seconds)
and writes what the peers were told. What a Send is worth is judged when it arrives; under `rate`
and `pause` it then waits in its connection's line. When the slot is claimed anew meanwhile, or the
connection closes, it is dropped as if it had been lost on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random

from warouter._hash import SLOTS
from warouter.errors import ProtocolError
from warouter.lab.simulator.broken import broken, broken_event, noise
from warouter.lab.simulator.events import EventQueue
from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.fence import ClaimVerdict, Fence, SendStanding
from warouter.lab.simulator.identity import Identities
from warouter.lab.simulator.inbound import InboundMessage, with_identity
from warouter.lab.simulator.intake import Intake
from warouter.lab.simulator.record import Record
from warouter.lab.simulator.statuses import TakenMessage, Timetable, payload
from warouter.upstream.protocol import (
    Answer,
    Claim,
    Claimed,
    Event,
    EventAck,
    EventAcks,
    FromUpstream,
    Hello,
    Ping,
    Pong,
    Refused,
    Release,
    Revoked,
    Send,
    ToUpstream,
    encode,
)

REPEAT_S = 0.1
_BURST_S = 0.1
_numbers = count()

# slot, kind, key, recipient, payload, contact, media: an Event without its number.
_EventParts = tuple[int, str, str, str, bytes, bytes, dict[str, str]]
_NO_MEDIA: dict[str, str] = {}


class Peer:
    """One connection as the exchange sees it; ``wake`` is called when ``out`` gets its first frame.

    Whoever takes frames out of ``out`` empties it. ``number``: connections in the order they came.
    """

    __slots__ = ("held", "incarnation", "node", "number", "out", "tokens", "topped_up", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.number = next(_numbers)
        self.wake = wake
        self.out: list[bytes | bytearray | memoryview] = []
        self.node = ""
        self.incarnation = ""
        self.held: deque[Send] = deque()
        self.tokens = 0.0
        self.topped_up = 0.0

    def tell(self, frame: bytes) -> None:
        """Queue one encoded frame."""
        if not self.out:
            self.wake()
        self.out.append(frame)


class Exchange:
    """The state of all slots and peers. ``first_number`` is the number of each slot's first event.

    It should be above those of an earlier process, so that a late EventAck meets no other event.
    """

    def __init__(self, random: Random, first_number: int = 1) -> None:
        self.record = Record()
        self.peers: set[Peer] = set()
        self._random = random
        self._faults = Faults()
        self._delays = self._faults.delays
        self._fence: Fence[Peer] = Fence()
        self._queues = [EventQueue(first_number) for _ in range(SLOTS)]
        self._timetable = Timetable()
        self.identities = Identities()
        self._intake = Intake(self.record, self._timetable, self.identities, random)
        self._again: deque[tuple[float, _EventParts]] = deque()

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._delays = faults.delays
        self._intake.use(faults)

    def held(self) -> dict[int, int]:
        """The epoch of each slot that a connection holds."""
        return self._fence.held()

    def unacked(self) -> int:
        """Number of events that are not acknowledged."""
        return sum(map(len, self._queues))

    def hear(self, peer: Peer, message: ToUpstream, now: float, wall: float) -> None:
        """Process one frame of a peer; raises ProtocolError if the protocol does not allow it."""
        if isinstance(message, Hello):
            self._hello(peer, message)
            return
        if peer not in self.peers:
            raise ProtocolError("the first frame is not a hello")
        if isinstance(message, Ping):
            _tell(peer, Pong())
            return
        if not 0 <= message.slot < SLOTS:
            raise ProtocolError(f"there is no slot {message.slot}")
        match message:
            case Send():
                self._send(peer, message, now, wall)
            case EventAck():
                self._ack(peer, message.slot, message.epoch, [message.number])
            case EventAcks():
                self._ack(peer, message.slot, message.epoch, message.numbers)
            case Claim():
                self._claim(peer, message, now)
            case Release():
                self._fence.release(message.slot, message.epoch, peer)

    def gone(self, peer: Peer) -> None:
        """The peer's connection is closed."""
        self.peers.discard(peer)
        self._fence.gone(peer)
        peer.held.clear()

    def inject(
        self, message: InboundMessage, now: float, wall: float, media: dict[str, str] = _NO_MEDIA
    ) -> None:
        """Queue an inbound message for the slot of its sender; ``media`` are handles by place."""
        self.record.counters.inbound += 1
        slot, sender, payload = message.slot, message.wa_id, message.payload
        if message.new_identity:
            payload = with_identity(payload, self.identities.change(sender, wall))
        self.identities.meet(sender, wall)
        self._intake.refusals.wrote(sender, now)
        self._issue(now, slot, "inbound", message.id, sender, payload, message.contact, media)

    def tick(self, now: float, wall: float) -> None:
        """Do what is due; to be called every few milliseconds."""
        for peer in self.peers:
            self._take_held(peer, now, wall)
        for status, taken in self._timetable.due(now, self._delays):
            self._status(status, taken, now)
        while self._again and self._again[0][0] <= now:
            _, event = self._again.popleft()
            self._offer(*event)

    # Claims

    def _hello(self, peer: Peer, hello: Hello) -> None:
        if peer in self.peers:
            raise ProtocolError("a second hello")
        peer.node, peer.incarnation = hello.node, hello.incarnation
        self.peers.add(peer)

    def _claim(self, peer: Peer, claim: Claim, now: float) -> None:
        if claim.epoch < 1:
            raise ProtocolError("epochs count from 1")
        before, seen = self._fence.holder(claim.slot), self._fence.seen(claim.slot)
        if before is not None and claim.epoch == seen and _came_after(before, peer):
            return
        verdict = self._fence.claim(claim.slot, claim.epoch, peer.incarnation, peer)
        if verdict is ClaimVerdict.GRANTED:
            self._granted(peer, claim, before, seen)
        elif self._faults.forget_fence:
            self.record.counters.claims += 1
            self._answer(peer, Claimed(claim.slot, claim.epoch, True))
        else:
            below = verdict is ClaimVerdict.BELOW
            self.record.counters.refused += below
            self.record.counters.conflicts += not below
            _tell(peer, Refused(claim.slot, claim.epoch, seen))

    def _granted(self, peer: Peer, claim: Claim, before: Peer | None, seen: int) -> None:
        self.record.counters.claims += 1
        newer = claim.epoch > seen
        if before is not None and before is not peer and newer and not self._faults.forget_fence:
            self.record.counters.revoked += 1
            _tell(before, Revoked(claim.slot, seen, claim.epoch))
        self._answer(peer, Claimed(claim.slot, claim.epoch, True))
        self._queues[claim.slot].rewind()
        self._deliver(claim.slot)

    # Messages out

    def _send(self, peer: Peer, send: Send, now: float, wall: float) -> None:
        standing = self._fence.standing(send.slot, send.epoch, peer.incarnation, peer)
        if standing is not SendStanding.HOLDS:
            self.record.counters.stale += standing is SendStanding.STALE
            self.record.counters.unclaimed += standing is SendStanding.UNCLAIMED
            if not self._faults.forget_fence:
                _tell(peer, Refused(send.slot, send.epoch, self._fence.seen(send.slot)))
                return
        if peer.held or not self._may_take(peer, now):
            peer.held.append(send)
        else:
            self._answer(peer, self._intake.answer(send, now, wall))

    def _may_take(self, peer: Peer, now: float) -> bool:
        rate = self._faults.rate
        if self._faults.pause or not rate:
            return not self._faults.pause
        topped_up = peer.tokens + (now - peer.topped_up) * rate
        peer.tokens = min(max(1.0, rate * _BURST_S), topped_up)
        peer.topped_up = now
        if peer.tokens < 1:
            return False
        peer.tokens -= 1
        return True

    def _take_held(self, peer: Peer, now: float, wall: float) -> None:
        while peer.held and self._may_take(peer, now):
            send = peer.held.popleft()
            standing = self._fence.standing(send.slot, send.epoch, peer.incarnation, peer)
            if standing is SendStanding.HOLDS or self._faults.forget_fence:
                self._answer(peer, self._intake.answer(send, now, wall))

    def _answer(self, peer: Peer, answer: Answer | Claimed) -> None:
        faults = self._faults
        if faults.lost_answers and self._random.random() < faults.lost_answers:
            return
        frame = encode(answer)
        if faults.broken_answers and self._random.random() < faults.broken_answers:
            frame = broken(frame, self._random)
        peer.tell(frame)

    # Events in

    def _ack(self, peer: Peer, slot: int, epoch: int, numbers: list[int]) -> None:
        # Only the claimant's word counts: a late one of an older claim costs a redelivery at most.
        if self._fence.standing(slot, epoch, peer.incarnation, peer) is SendStanding.HOLDS:
            self.record.counters.acked += sum(map(self._queues[slot].ack, numbers))
            self._deliver(slot)

    def _status(self, status: str, taken: TakenMessage, now: float) -> None:
        self.record.counters.statuses += 1
        timestamp = taken.timestamp(status, self._delays)
        key = f"{taken.id}:{status}:{timestamp}"
        body = payload(status, taken.id, taken.to, timestamp)
        self._issue(now, taken.slot, "status", key, taken.to, body, b"", _NO_MEDIA)

    def _issue(self, now: float, *event: *_EventParts) -> None:
        self._offer(*event)
        if self._faults.repeat and self._random.random() < self._faults.repeat:
            self._again.append((now + REPEAT_S, event))

    def _offer(
        self,
        slot: int,
        kind: str,
        key: str,
        recipient: str,
        body: bytes,
        contact: bytes,
        media: dict[str, str],
    ) -> None:
        queue = self._queues[slot]
        number = queue.number()
        frame = encode(Event(slot, number, kind, key, recipient, body, contact, media))
        if self._faults.broken_events and self._random.random() < self._faults.broken_events:
            queue.add(number, broken_event(frame, self._random))
            number = queue.number()
            frame = encode(Event(slot, number, kind, key, recipient, body, contact, media))
            if (holder := self._fence.holder(slot)) is not None:
                holder.tell(noise(self._random))
        queue.add(number, frame)
        self._deliver(slot)

    def _deliver(self, slot: int) -> None:
        holder = self._fence.holder(slot)
        if holder is not None:
            for frame in self._queues[slot].deliver():
                holder.tell(frame)


def _came_after(holder: Peer, peer: Peer) -> bool:
    """True if a frame from an abandoned connection may have
    been read after the next connection's.
    """
    return holder.incarnation == peer.incarnation and holder.number > peer.number


def _tell(peer: Peer, message: FromUpstream) -> None:
    peer.tell(encode(message))
