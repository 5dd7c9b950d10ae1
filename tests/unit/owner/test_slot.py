"""One slot in its owner's memory: gaps of the journal are settled, never inherited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.lanes import Entry
from warouter.owner.slot import (
    MAX_BYTES_IN_MEMORY,
    MAX_EVENTS_IN_MEMORY,
    MAX_IN_MEMORY,
    EventLog,
    OwnedSlot,
)
from warouter.store.journal import Opened


def opened(mark: int, ranges: list[int], next_seq: int) -> OwnedSlot:
    slot = OwnedSlot(3, 7)
    slot.opened(Opened(3, mark, ranges, next_seq, mark, ranges, next_seq, 0, [], 1))
    return slot


def test_an_epoch_begins_where_the_journal_stands() -> None:
    slot = opened(4, [6, 7], 10)
    assert (slot.next_seq, slot.committed, slot.loaded, slot.caught_up) == (10, 9, 4, False)
    assert slot.events[0].next_seq == 10


@given(st.sets(st.integers(1, 60)), st.integers(1, 20))
def test_reading_the_journal_settles_what_was_never_used(rows: set[int], size: int) -> None:
    """A seq that a repeat used up has no row: whoever reads on must not wait for it."""
    last = max(rows, default=0)
    slot = opened(0, [], last + 1)
    left = sorted(rows)
    while slot.loaded < slot.committed:
        page, left = left[:size], left[size:]
        slot.settle_gaps(iter(page), page[-1] if len(page) == size else slot.committed)
        for seq in page:
            slot.settle(seq)
    assert (slot.cursor.mark, slot.cursor.flat) == (last, [])


def test_gaps_of_events_are_settled_by_kind() -> None:
    slot = opened(0, [], 6)
    slot.settle_event_gaps(0, [2, 5], 5)
    assert slot.events[0].cursor.flat == [3, 4]
    assert slot.events[0].cursor.mark == 1
    assert slot.dirty


@pytest.mark.parametrize("size", [2, 60_000])
def test_memory_is_full_of_many_or_of_large_messages(size: int) -> None:
    slot, pushed = opened(0, [], 1), 0
    while slot.has_room:
        pushed += 1
        slot.lanes.push(Entry(pushed, pushed.to_bytes(20, "big"), f"{pushed:09}", 0, bytes(size)))
        if pushed == min(MAX_IN_MEMORY, MAX_BYTES_IN_MEMORY // size) // 2 - 1:
            assert slot.half_empty
    assert not slot.half_empty
    assert pushed == min(MAX_IN_MEMORY, MAX_BYTES_IN_MEMORY // size + 1)


@pytest.mark.parametrize("size", [200, 60_000])
def test_the_delivery_has_many_or_large_events_and_no_more(size: int) -> None:
    journal = EventLog()
    most = min(MAX_EVENTS_IN_MEMORY, MAX_BYTES_IN_MEMORY // size + 1)
    while journal.has_room:
        journal.hold(size)
    assert journal.held == most
    while not journal.half_empty:
        journal.let_go(size)
    assert journal.held == min(MAX_EVENTS_IN_MEMORY // 2 - 1, MAX_BYTES_IN_MEMORY // 2 // size)
    assert journal.held_bytes == journal.held * size
