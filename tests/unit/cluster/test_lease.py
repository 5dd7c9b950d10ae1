"""Deadlines of owners, and how long a leader believes in itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warouter.cluster.lease import Lease
from warouter.cluster.role import SlotEvent, SlotState, step
from warouter.cluster.term import Term

TRUST = 1.3


def test_a_deadline_counts_from_when_the_beat_was_sent() -> None:
    lease = Lease(TRUST)
    lease.renewed(10.0, [3])
    assert lease.holds(3, 11.29)
    assert not lease.holds(3, 11.3)
    assert not lease.holds(4, 10.0)


def test_an_older_beat_that_comes_back_late_does_not_shorten() -> None:
    lease = Lease(TRUST)
    lease.renewed(11.0, [3])
    lease.renewed(10.0, [3])
    assert lease.holds(3, 12.2)


def test_lapsed_and_next_deadline() -> None:
    lease = Lease(TRUST)
    assert lease.next_deadline() is None
    lease.renewed(10.0, [1])
    lease.renewed(10.5, [2])
    assert lease.next_deadline() == 11.3
    assert lease.lapsed(11.5) == [1]
    lease.end(1)
    assert lease.lapsed(11.5) == []


def test_a_slow_confirmation_never_lengthens_a_term() -> None:
    term = Term(4, confirmed=100.0, trust=TRUST)
    assert term.confirm(99.0).confirmed == 100.0
    assert not term.confirm(100.2).holds(101.5)
    assert term.confirm(100.2).holds(101.4)


@given(st.lists(st.sampled_from(list(SlotEvent)), max_size=12))
def test_a_closed_epoch_never_opens_again(events: list[SlotEvent]) -> None:
    state, closed = SlotState.OPENING, False
    for happened in events:
        state = step(state, happened)
        closed = closed or state is SlotState.CLOSED
        assert not (closed and state is not SlotState.CLOSED)


def test_a_slot_that_drains_does_not_accept_again() -> None:
    assert step(SlotState.DRAINING, SlotEvent.OPENED) is SlotState.DRAINING
    assert step(SlotState.DRAINING, SlotEvent.HANDED_OVER) is SlotState.CLOSED
