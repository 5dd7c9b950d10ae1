"""What a webapp holds until its owner answers: bounded, and shared out between the shards."""

from __future__ import annotations

import pytest

from warouter.errors import Overloaded
from warouter.link import pending
from warouter.link.pending import HeldMessages, Pending


def entry(number: int, slot: int = 0, size: int = 0) -> Pending:
    return Pending(bytes([number]) * 20, slot, size, b"", 1.0, lambda _outcome: None)


def filled(count: int, slot: int = 0, size: int = 0) -> HeldMessages:
    held = HeldMessages()
    for number in range(count):
        held.add(entry(number, slot, size))
    return held


def test_a_taken_message_no_longer_counts() -> None:
    held = filled(3, size=10)
    assert (len(held), held.size) == (3, 30)
    taken = held.take(bytes([1]) * 20)
    assert taken is not None
    assert taken.id == bytes([1]) * 20
    assert held.take(taken.id) is None
    assert held.get(taken.id) is None
    assert (len(held), held.size) == (2, 20)


def test_each_of_several_is_taken_when_its_turn_comes() -> None:
    held = filled(3)
    ids = [bytes([n]) * 20 for n in (0, 7, 2)]
    assert [len(held) for _ in held.taken(ids)] == [2, 1]


def test_entries_may_end_while_all_are_looked_at() -> None:
    held = filled(3)
    for each in held:
        held.take(each.id)
    assert len(held) == 0


def test_the_number_and_the_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_HELD", 2)
    monkeypatch.setattr(pending, "MAX_HELD_BYTES", 100)
    monkeypatch.setattr(pending, "LEAST_WEIGHT", 0)
    filled(1, size=50).check(0, 50, shards=1)
    for held, size in ((filled(2), 0), (filled(1, size=50), 51)):
        with pytest.raises(Overloaded, match="waiting for their shard"):
            held.check(0, size, shards=1)


def test_from_half_on_a_shard_has_its_part_only() -> None:
    held = filled(2, slot=0, size=pending.MAX_HELD_BYTES // 4)
    held.check(0, 1, shards=1)
    held.check(1, 1, shards=2)
    with pytest.raises(Overloaded, match="waiting for this shard"):
        held.check(0, 1, shards=2)
    with pytest.raises(Overloaded, match="waiting for this shard"):
        held.check(2, 1, shards=2)  # another slot of the same shard
    filled(1, slot=0, size=pending.MAX_HELD_BYTES // 4).check(0, 1, shards=4)  # below half: any
