"""The WhatsApp side: claims, a fence that may be off, dedupe, answers, statuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, ClassVar
from uuid import UUID

from msgspec import structs

from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.loop import Clock
from tests.campaigns.simulation.network import Link, Pipe, Transport
from warouter import _batch
from warouter._hash import SLOTS
from warouter.lab.simulator.events import EventQueue
from warouter.lab.simulator.fence import ClaimVerdict, Fence, SendStanding
from warouter.message_id import parse
from warouter.upstream.protocol import (
    Answer,
    Claim,
    Claimed,
    Event,
    EventAck,
    EventAcks,
    Hello,
    Ping,
    Pong,
    Refused,
    Release,
    Revoked,
    Send,
    decode_to_upstream,
    encode,
)

PORT = 6260
BROKEN_CODE = 1 << 40  # no code of an answer: what bears it cannot be decoded
NOISE = b"\xc1noise"  # no msgpack at all
THROTTLED, UNKNOWN_USER = 429, 1013
WAITS: tuple[int, ...] = (20, 200, 900, 1500, 3000)


class Outlet(Transport):
    """A coreapp's end: what leaves is judged the moment it is written."""

    def write(self, data: Any) -> None:
        if self.closed:
            return
        messages = [decode_to_upstream(frame) for frame in _batch.split(data)]
        incarnation: UUID = self.loop.process.incarnation
        for message in messages:
            if isinstance(message, Send):
                self.peer.upstream.history.leaves(
                    incarnation, message.slot, message.epoch, parse(message.id)
                )
        self.out.send(self.peer.receive, messages)


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, upstream: Upstream, client: Transport, link: Link, number: int) -> None:
        self.upstream = upstream
        self.client = client
        self.link = link
        self.number = number
        self.incarnation = ""
        self.out = Pipe(link)
        self.open = True
        link.ends[self] = None

    def receive(self, messages: list[Any]) -> None:
        if self.open:
            self.upstream.turn(self._heard, messages)

    def reset(self) -> None:
        if self.open:
            self.open = False
            self.link.ends.pop(self, None)
            self.upstream.turn(self.upstream.gone, self)

    def close(self) -> None:
        """The upstream ends the connection."""
        if self.open:
            self.out.send(self.client.reset)
            self.reset()

    def tell(self, message: Any) -> None:
        self.tell_frames([encode(message)])

    def tell_frames(self, frames: list[bytes]) -> None:
        if self.open:
            self.out.send(self.client.receive, bytes(_batch.pack(frames)))

    def _heard(self, messages: list[Any]) -> None:
        for message in messages:
            self.upstream.hear(self, message)


class Upstream:
    """All slots, all peers."""

    name = "upstream"
    transport_class: ClassVar[type[Transport]] = Outlet

    def __init__(self, clock: Clock, random: Random, history: History, *, fences: bool) -> None:
        self.history = history
        self.fences = fences
        self.refuses = 0  # connections
        self.throttle = 0.0  # how many sends are to be tried again later
        self.waits = WAITS  # after how many milliseconds
        self.statuses = 0.3  # how many messages get a status
        self.unknown: set[str] = set()  # recipients who are no WhatsApp users
        self.slowness = 0.01  # seconds an answer may take
        self.loses = 0.0  # how many answers are never given
        self.breaks = 0.0  # how many answers, and how many events for good, nobody can decode
        self.frozen = 0
        self._waiting: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._clock = clock
        self._random = random
        self._fence: Fence[Peer] = Fence()
        self._queues = [EventQueue() for _ in range(SLOTS)]
        self._peers: dict[Peer, None] = {}
        self._count = 0
        self._answers: dict[bytes, int] = {}
        self._keys: dict[tuple[int, int], str] = {}
        self.stored: Callable[[str], bool] = lambda _key: True

    @property
    def unacked(self) -> int:
        return sum(map(len, self._queues))

    def disown(self, numbers: Iterable[str]) -> None:
        """These are no WhatsApp users."""
        self.unknown.update(numbers)

    def accept(self, client: Transport, link: Link) -> Peer | None:
        if self.refuses:
            return None
        self._count += 1
        peer = Peer(self, client, link, self._count)
        self._peers[peer] = None
        return peer

    def gone(self, peer: Peer) -> None:
        self._peers.pop(peer, None)
        self._fence.gone(peer)

    def turn(self, act: Callable[..., object], *arguments: Any) -> None:
        """Do it now, or, frozen, afterwards in the order of arrival."""
        if self.frozen:
            self._waiting.append((act, arguments))
        else:
            act(*arguments)

    def freeze(self) -> None:
        """Its process stands still; its kernel goes on taking connections and what they bring."""
        self.frozen += 1

    def thaw(self) -> None:
        self.frozen -= 1
        if not self.frozen:
            waiting, self._waiting = self._waiting, []
            for act, arguments in waiting:
                act(*arguments)

    def disconnect(self, share: float) -> int:
        """Drop connections; how many."""
        dropped = [peer for peer in self._peers if self._random.random() < share]
        for peer in dropped:
            peer.close()
        return len(dropped)

    def hear(self, peer: Peer, message: Any) -> None:
        match message:
            case Hello():
                peer.incarnation = message.incarnation
            case Ping():
                peer.tell(Pong())
            case Send():
                self._send(peer, message)
            case EventAck():
                self._acked(peer, message.slot, message.epoch, [message.number])
            case EventAcks():
                self._acked(peer, message.slot, message.epoch, message.numbers)
            case Claim():
                self._claim(peer, message)
            case Release():
                self._fence.release(message.slot, message.epoch, peer)

    def _claim(self, peer: Peer, claim: Claim) -> None:
        slot, epoch = claim.slot, claim.epoch
        before, seen = self._fence.holder(slot), self._fence.seen(slot)
        same = before is not None and (epoch, peer.incarnation) == (seen, before.incarnation)
        if same and before.number > peer.number:
            return  # said before the coreapp gave this connection up
        verdict = self._fence.claim(slot, epoch, peer.incarnation, peer)
        if verdict is not ClaimVerdict.GRANTED:
            peer.tell(Refused(slot, epoch, seen) if self.fences else Claimed(slot, epoch, True))
            return
        if before is not None and before is not peer and epoch > seen and self.fences:
            before.tell(Revoked(slot, seen, epoch))
        peer.tell(Claimed(slot, epoch, True))
        self._queues[slot].rewind()
        self._deliver(slot)

    def _send(self, peer: Peer, send: Send) -> None:
        standing = self._fence.standing(send.slot, send.epoch, peer.incarnation, peer)
        if standing is not SendStanding.HOLDS and self.fences:
            peer.tell(Refused(send.slot, send.epoch, self._fence.seen(send.slot)))
            return
        answer = self._answer(peer, send)
        if self.loses and self._random.random() < self.loses:
            self.history.loses(parse(send.id))
            return
        if self.breaks and self._random.random() < self.breaks:
            self.history.loses(parse(send.id))
            garbled = encode(structs.replace(answer, code=BROKEN_CODE))
            peer.tell_frames([self._random.choice((garbled, garbled[:-1], NOISE))])
            return
        if self.slowness:
            when = self._clock.now + self._random.random() * self.slowness
            self._clock.at(when, self.turn, peer.tell, answer)
        else:
            peer.tell(answer)

    def _answer(self, peer: Peer, send: Send) -> Answer:
        message_id = parse(send.id)
        known = self._answers.get(message_id)
        if known is None and self.throttle and self._random.random() < self.throttle:
            wait = self._random.choice(self.waits)
            return Answer(send.slot, send.id, THROTTLED, "Rate limit hit", "", wait)
        self.history.takes(send.slot, send.epoch, peer.number, send.seq, send, message_id)
        if known is None:
            known = self._answers[message_id] = UNKNOWN_USER if send.to in self.unknown else 0
            if not known and self._random.random() < self.statuses:
                self._status(send)
        if known:
            self.history.refused.add(message_id)
            return Answer(send.slot, send.id, known, "User is not valid")
        return Answer(send.slot, send.id)

    def _status(self, send: Send) -> None:
        when = self._clock.now + 0.02 + self._random.random() * 0.1
        self._clock.at(when, self.turn, self._issue, send.slot, f"{send.id}:delivered:1", send.to)

    def _issue(self, slot: int, key: str, recipient: str) -> None:
        queue = self._queues[slot]
        number = queue.number()
        self._keys[slot, number] = key
        message_id, status, timestamp = key.split(":")
        payload = b'{"id":"%b","status":"%b","timestamp":"%b"}' % (
            message_id.encode(),
            status.encode(),
            timestamp.encode(),
        )
        if self.breaks and self._random.random() < self.breaks:
            self.history.unreadable.add(key)
            recipient = "nobody" * 3  # it comes again and again, and can never be decoded
        queue.add(number, encode(Event(slot, number, "status", key, recipient, payload)))
        self._deliver(slot)

    def _deliver(self, slot: int) -> None:
        holder = self._fence.holder(slot)
        if holder is not None and holder.open:
            frames = self._queues[slot].deliver()
            if frames:
                holder.tell_frames(frames)

    def _acked(self, peer: Peer, slot: int, epoch: int, numbers: list[int]) -> None:
        if self._fence.standing(slot, epoch, peer.incarnation, peer) is not SendStanding.HOLDS:
            return
        for number in numbers:
            if self._queues[slot].ack(number):
                key = self._keys[slot, number]
                self.history.event_acked(key, self.stored(key))
        self._deliver(slot)
