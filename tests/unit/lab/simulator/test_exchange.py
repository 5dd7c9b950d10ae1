"""The exchange with peers but without sockets: every case is exact, since the time is given.

Who holds a slot, and who gets its events: test_exchange_model.
"""

from random import Random
from typing import Any

import msgspec
import pytest

from warouter._hash import slot_of
from warouter.errors import ProtocolError
from warouter.lab.simulator.exchange import REPEAT_S, Exchange, Peer
from warouter.lab.simulator.faults import Faults
from warouter.upstream.protocol import (
    Answer,
    Claim,
    Claimed,
    Event,
    Hello,
    Revoked,
    Send,
    ToUpstream,
    decode_from_upstream,
)

TO = "491511234567"
SLOT = slot_of(TO)
WALL = 1_700_000_000.0


class World:
    """One exchange, its time and what its peers were told."""

    def __init__(self) -> None:
        self.exchange = Exchange(Random(5))
        self.now = 100.0

    def peer(self, incarnation: str) -> Peer:
        peer = Peer(lambda: None)
        self.tell(peer, Hello("node", incarnation))
        return peer

    def owner(self, incarnation: str, epoch: int, slot: int = SLOT) -> Peer:
        peer = self.peer(incarnation)
        assert Claimed(slot, epoch, True) in self.say(peer, Claim(slot, epoch))
        return peer

    def say(self, peer: Peer, *messages: ToUpstream) -> list[Any]:
        """What the peer is told at once."""
        self.tell(peer, *messages)
        return heard(peer)

    def tell(self, peer: Peer, *messages: ToUpstream) -> None:
        for message in messages:
            self.exchange.hear(peer, message, self.now, WALL + self.now)

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.exchange.tick(self.now, WALL + self.now)

    @property
    def counters(self) -> Any:
        return self.exchange.record.counters


def heard(peer: Peer) -> list[Any]:
    frames, peer.out = peer.out, []
    return [decode_from_upstream(frame) for frame in frames]


def send(id: str, seq: int = 1, *, epoch: int = 1, to: str = TO, kind: str = "message") -> Send:
    return Send(slot_of(to), epoch, seq, id, to, kind, memoryview(b"{}"))


def statuses(messages: list[Any]) -> list[tuple[str, str]]:
    events = [message for message in messages if isinstance(message, Event)]
    payloads = [msgspec.json.decode(event.payload) for event in events]
    return [(payload["id"], payload["status"]) for payload in payloads]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def owner(world: World) -> Peer:
    """Of the slot of ``TO``, under epoch 1."""
    return world.owner("a", 1)


def with_faults(world: World, **switches: Any) -> None:
    world.exchange.faults = Faults().changed(switches)


def test_a_message_is_answered_and_gets_its_statuses(world: World, owner: Peer) -> None:
    assert world.say(owner, send("m1")) == [Answer(SLOT, "m1")]
    world.later(0.03)
    (event,) = heard(owner)
    timestamp = int(WALL + 100.0)
    assert event == Event(SLOT, 1, "status", f"m1:sent:{timestamp}", TO, event.payload)
    world.later(0.03)
    world.later(0.1)
    events = heard(owner)
    assert statuses(events) == [("m1", "delivered"), ("m1", "read")]
    assert [event.number for event in events] == [2, 3]


def test_a_known_id_is_answered_and_nothing_more(world: World, owner: Peer) -> None:
    assert world.say(owner, send("m1"), send("m1")) == [Answer(SLOT, "m1")] * 2
    world.later(1)
    assert len(heard(owner)) == 3
    assert (world.counters.received, world.counters.unique, world.counters.repeats) == (2, 1, 1)
    world.exchange.record.forget()  # the record, and no id
    world.tell(owner, send("m1"))
    assert (world.counters.unique, world.counters.repeats) == (0, 1)


def test_misrouting_is_seen(world: World, owner: Peer) -> None:
    wrong = (SLOT + 1) % 32
    world.tell(owner, Claim(wrong, 1))
    world.tell(owner, Send(wrong, 1, 3, "m3", TO, "message", memoryview(b"{}")))
    assert world.counters.misrouted == 1


@pytest.mark.parametrize(
    "frame",
    [Claim(32, 1), Claim(-1, 1), Claim(SLOT, 0), Claim(SLOT, -4), Hello("again", "a"), send("m")],
)
def test_frames_without_a_place_in_the_protocol(world: World, frame: ToUpstream) -> None:
    peer = Peer(lambda: None) if isinstance(frame, Send) else world.peer("a")
    with pytest.raises(ProtocolError):
        world.tell(peer, frame)
    assert heard(peer) == []


def test_the_wake_comes_once_until_the_frames_are_taken() -> None:
    woken: list[int] = []
    peer = Peer(lambda: woken.append(1))
    peer.tell(b"1")
    peer.tell(b"2")
    assert len(woken) == 1
    peer.out = []
    peer.tell(b"3")
    assert len(woken) == 2


# Faults


def test_a_bad_wa_id_is_refused_for_good(world: World, owner: Peer) -> None:
    (answer,) = world.say(owner, Send(SLOT, 1, 1, "m1", 'x"', "message", memoryview(b"{}")))
    assert (answer.code, answer.retry_ms) == (1009, -1)


def test_the_pair_rate_asks_to_wait_until_the_recipient_is_free(world: World, owner: Peer) -> None:
    with_faults(world, pair_rate=2)
    taken, later = world.say(owner, send("m1", 1), send("m2", 2))
    assert taken == Answer(SLOT, "m1")
    assert (later.code, later.retry_ms) == (131056, 500)
    world.later(later.retry_ms / 1000)
    heard(owner)
    assert world.say(owner, send("m2", 2)) == [Answer(SLOT, "m2")]


def test_pause_holds_messages_and_lets_claims_pass(world: World, owner: Peer) -> None:
    with_faults(world, pause=True)
    world.tell(owner, send("m1"))
    world.later(5)
    assert heard(owner) == []
    with_faults(world)
    world.tell(owner, send("m2", 2))
    world.later(0.001)
    assert heard(owner) == [Answer(SLOT, "m1"), Answer(SLOT, "m2")]


def test_waiting_messages_are_dropped_when_the_slot_is_claimed_anew(world: World) -> None:
    with_faults(world, pause=True)
    old = world.owner("a", 1)
    world.tell(old, send("m1"))
    world.owner("b", 2)
    with_faults(world)
    world.later(1)
    assert heard(old) == [Revoked(SLOT, 1, 2)]
    assert (world.counters.received, world.counters.stale) == (0, 0)


def test_repeat_brings_an_event_again_under_a_new_number(world: World, owner: Peer) -> None:
    with_faults(world, repeat=1.0, delivered=0, read=0)
    world.tell(owner, send("m1"))
    world.later(0.03)
    first = heard(owner)[-1]
    world.later(REPEAT_S)
    (second,) = heard(owner)
    assert second.number == first.number + 1
    assert (second.key, second.payload) == (first.key, first.payload)
    world.later(1)
    assert heard(owner) == []
    assert world.counters.statuses == 1


def test_a_forgotten_fence_takes_everything_and_counts_what_is_stale(world: World) -> None:
    with_faults(world, forget_fence=True)
    old = world.owner("a", 1)
    new = world.owner("b", 2)
    world.tell(old, send("m1", epoch=1), Claim(SLOT, 1))
    assert heard(old) == [Answer(SLOT, "m1"), Claimed(SLOT, 1, True)]
    assert world.say(new, send("m2", 2, epoch=2)) == [Answer(SLOT, "m2")]
    assert (world.counters.stale, world.counters.revoked, world.counters.unique) == (1, 0, 2)
    world.later(1)
    assert heard(old) == []
    assert len(heard(new)) == 6
