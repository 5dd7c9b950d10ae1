"""One slot in its owner's memory: three logs, and how much of each may be there."""

from __future__ import annotations

import pytest

from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Park, Unpark
from warouter.owner.slot import (
    MAX_BYTES_IN_MEMORY,
    MAX_EVENTS_IN_MEMORY,
    MAX_IN_MEMORY,
    Claiming,
    OwnedSlot,
)
from warouter.store.journal import Opened, SlotProgress
from warouter.store.journal.progress import changes


def opened(mark: int, ranges: list[int], next_seq: int) -> OwnedSlot:
    slot = OwnedSlot(3, 7)
    slot.opened(Opened(3, mark, ranges, next_seq, mark, ranges, next_seq, 0, [], 1))
    return slot


def test_an_epoch_begins_where_the_journal_stands() -> None:
    slot = opened(4, [6, 7], 10)
    log = slot.messages
    assert (log.next_seq, log.committed, log.loaded, log.caught_up) == (10, 9, 4, False)
    assert (slot.statuses.next_seq, slot.inbound.next_seq) == (10, 1)
    assert slot.events[0] is slot.statuses


def test_a_slot_is_dirty_when_one_of_its_logs_is() -> None:
    for n in range(3):
        slot = opened(0, [], 6)
        assert not slot.dirty
        slot.logs[n].settle(3)
        assert slot.dirty
        slot.logs[n].record_begins()
        assert not slot.dirty


def test_a_claim_that_was_only_asked_for_is_none() -> None:
    slot = opened(0, [], 1)
    for claim in Claiming:
        slot.claim = claim
        assert slot.claimed == (claim is Claiming.GRANTED)


def test_changes_are_recorded_in_the_form_that_other_builds_read() -> None:
    slot = opened(0, [], 6)
    slot.messages.note(Park(1, 2, 300, "retry", 60_000))
    slot.messages.note(Park(2, 0, 300, "retry"))
    slot.statuses.note(Park(1, 2, 300, "refused"))
    slot.inbound.note(Unpark(4))
    logs = [log.record_begins()[0] for log in slot.logs]
    assert changes([SlotProgress(3, *logs)]) == {
        "park": [
            {"slot": 3, "seq": 1, "attempts": 2, "delay_ms": 300, "reason": "retry"}
            | {"ends_ms": 60_000},
            {"slot": 3, "seq": 2, "attempts": 0, "delay_ms": 300, "reason": "retry"},
        ],
        "park_events": [
            {"slot": 3, "kind": 0, "seq": 1, "attempts": 2, "delay_ms": 300, "reason": "refused"}
        ],
        "unpark_events": [{"slot": 3, "kind": 1, "seq": 4}],
    }


@pytest.mark.parametrize("size", [2, 60_000])
def test_memory_is_full_of_many_or_of_large_messages(size: int) -> None:
    slot, pushed = opened(0, [], 1), 0
    while slot.messages.has_room:
        pushed += 1
        slot.lanes.push(
            LaneEntry(pushed, pushed.to_bytes(20, "big"), f"{pushed:09}", 0, bytes(size))
        )
        if pushed == min(MAX_IN_MEMORY, MAX_BYTES_IN_MEMORY // size) // 2 - 1:
            assert slot.messages.half_empty
    assert not slot.messages.half_empty
    assert pushed == min(MAX_IN_MEMORY, MAX_BYTES_IN_MEMORY // size + 1)


@pytest.mark.parametrize("size", [200, 60_000])
def test_the_delivery_has_many_or_large_events_and_no_more(size: int) -> None:
    slot = opened(0, [], 1)
    memory, _ = slot.delivered
    most = min(MAX_EVENTS_IN_MEMORY, MAX_BYTES_IN_MEMORY // size + 1)
    while slot.statuses.has_room:
        memory.hold(1, size)
    assert memory.waiting == most
    while not slot.statuses.half_empty:
        memory.let_go(1, size)
    assert memory.waiting == min(MAX_EVENTS_IN_MEMORY // 2 - 1, MAX_BYTES_IN_MEMORY // 2 // size)
    assert memory.bytes == memory.waiting * size
    assert slot.inbound.has_room
