"""Any claims, sends, acknowledgements and lost connections, against a model that has no classes
for a fence or a queue: what every peer is told, and what is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lab.simulator.test_exchange import SLOT, TO, World, heard, send
from warouter._hash import slot_of
from warouter.lab.simulator import events
from warouter.lab.simulator.exchange import Exchange, Peer
from warouter.lab.simulator.faults import Faults
from warouter.upstream.protocol import (
    Answer,
    Claim,
    Claimed,
    Event,
    EventAck,
    EventAcks,
    Refused,
    Release,
    Revoked,
)

OTHER = "491511234568"
RECIPIENTS = {SLOT: TO, slot_of(OTHER): OTHER}
WINDOW = 2
ACTIONS = ["connect", "gone", "release", *["claim", "tick", "ack"] * 3, *["send"] * 6]
COUNTED = "received unique repeats stale unclaimed revoked refused conflicts acked claims statuses"


class Slot:
    """Its newest claim, and its events in order."""

    def __init__(self) -> None:
        self.epoch = 0
        self.incarnation = ""
        self.holder: Peer | None = None
        self.events: list[tuple[int, str]] = []  # not acknowledged
        self.delivered: set[int] = set()
        self.next = 7


class Script:
    """Plays what peers say, and knows what they must hear."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.world = World()
        self.world.exchange = Exchange(Random(5), first_number=7)
        self.world.exchange.faults = Faults(delivered=0.0, read=0.0)
        self.slots = {slot: Slot() for slot in RECIPIENTS}
        self.peers: list[Peer] = []
        self.tell: dict[Peer, list[Any]] = {}
        self.sent: list[tuple[int, str]] = []  # without a status yet
        self.known: set[str] = set()
        self.counters: Counter[str] = Counter()

    def any_of(self, some: Any) -> Any:
        return self.draw(st.sampled_from(some))

    def connect(self) -> None:
        for incarnation in "aab"[len(self.peers) :]:
            self.peers.append(self.world.peer(incarnation))

    def about(self) -> tuple[Peer, int, Slot, int]:
        """Somebody says something of a slot, under an epoch that may be another."""
        number = self.any_of(list(self.slots))
        slot = self.slots[number]
        epoch = max(0, slot.epoch + self.any_of((0, 0, 0, 0, 1, -1)))
        return self.any_of([slot.holder or self.peers[0]] * 4 + self.peers), number, slot, epoch

    def claim(self) -> None:
        _, number, slot, epoch = self.about()
        peer, epoch, before = self.any_of(self.peers), max(1, epoch), slot.holder
        self.world.tell(peer, Claim(number, epoch))
        same = (epoch, peer.incarnation) == (slot.epoch, slot.incarnation)
        if same and before is not None and before.number > peer.number:
            return  # said before its coreapp gave this connection up
        if epoch < slot.epoch or (epoch == slot.epoch and not same):
            self.counters["refused" if epoch < slot.epoch else "conflicts"] += 1
            self.hears(peer, Refused(number, epoch, slot.epoch))
            return
        if before not in (None, peer) and epoch > slot.epoch:
            self.counters["revoked"] += 1
            self.hears(before, Revoked(number, slot.epoch, epoch))
        self.counters["claims"] += 1
        slot.epoch, slot.incarnation, slot.holder = epoch, peer.incarnation, peer
        slot.delivered.clear()
        self.hears(peer, Claimed(number, epoch, True))
        self.deliver(number)

    def send(self) -> None:
        peer, number, slot, epoch = self.about()
        message_id = f"{number}-{self.any_of(range(8))}"
        self.world.tell(peer, send(message_id, epoch=epoch, to=RECIPIENTS[number]))
        if slot.holder is peer and epoch == slot.epoch:
            self.hears(peer, Answer(number, message_id))
            self.counters["received"] += 1
            self.counters["repeats" if message_id in self.known else "unique"] += 1
            if message_id not in self.known:
                self.sent.append((number, message_id))
            self.known.add(message_id)
            return
        former = epoch < slot.epoch or (slot.epoch and peer.incarnation != slot.incarnation)
        self.counters["stale" if former else "unclaimed"] += 1
        self.hears(peer, Refused(number, epoch, slot.epoch))

    def tick(self) -> None:
        """What was taken gets its status."""
        self.world.later(0.03)
        for number, message_id in self.sent:
            self.counters["statuses"] += 1
            slot = self.slots[number]
            slot.events.append((slot.next, message_id))
            slot.next += 1
            self.deliver(number)
        self.sent.clear()

    def ack(self) -> None:
        peer, number, slot, epoch = self.about()
        some = st.sampled_from([*slot.delivered, slot.next])
        numbers = self.draw(st.lists(some, min_size=1, max_size=3))
        one = EventAck(number, epoch, numbers[0])
        self.world.tell(peer, one if len(numbers) == 1 else EventAcks(number, epoch, numbers))
        if slot.holder is peer and epoch == slot.epoch:
            gone = slot.delivered & set(numbers)
            self.counters["acked"] += len(gone)
            slot.events = [event for event in slot.events if event[0] not in gone]
            slot.delivered -= gone
            self.deliver(number)

    def release(self) -> None:
        peer, number, slot, epoch = self.about()
        self.world.tell(peer, Release(number, epoch))
        if slot.holder is peer and epoch == slot.epoch:
            slot.holder = None

    def gone(self) -> None:
        peer = self.any_of(self.peers)
        self.peers.remove(peer)
        self.world.exchange.gone(peer)
        for slot in self.slots.values():
            if slot.holder is peer:
                slot.holder = None

    def deliver(self, number: int) -> None:
        slot = self.slots[number]
        for event in slot.events if slot.holder is not None else ():
            if event[0] not in slot.delivered and len(slot.delivered) < WINDOW:
                slot.delivered.add(event[0])
                self.hears(slot.holder, (number, *event))

    def hears(self, peer: Any, message: Any) -> None:
        self.tell.setdefault(peer, []).append(message)

    def check(self) -> None:
        for peer in self.peers:
            assert list(map(told, heard(peer))) == self.tell.pop(peer, [])
        held = {number: slot.epoch for number, slot in self.slots.items() if slot.holder}
        assert self.world.exchange.held() == held
        assert self.world.exchange.unacked() == sum(len(s.events) for s in self.slots.values())
        for name in COUNTED.split():
            assert getattr(self.world.counters, name) == self.counters[name], name


def told(message: Any) -> Any:
    if isinstance(message, Event):
        return message.slot, message.number, message.key.partition(":")[0]
    return message


@given(st.data())
def test_every_peer_hears_what_it_must(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "WINDOW", WINDOW)
        script = Script(data.draw)
        for _ in range(data.draw(st.integers(30, 80))):
            action = data.draw(st.sampled_from(ACTIONS))
            if script.peers or action in ("connect", "tick"):
                getattr(script, action)()
                script.check()
