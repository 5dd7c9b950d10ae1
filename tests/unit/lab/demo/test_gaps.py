"""Times measured from arrivals: a longer pause gives a longer time, an unseen end gives none."""

from __future__ import annotations

import pytest

from warouter.lab.demo.gaps import Arrival, Failover, failover, longest_gap, unseen


def arrivals(*rows: tuple[float, int, int]) -> list[Arrival]:
    """From (time, slot, epoch)."""
    return [Arrival(at, slot, f"id{n}", epoch) for n, (at, slot, epoch) in enumerate(rows)]


KILLED = arrivals(
    (0.9, 1, 5), (0.95, 2, 5), (1.0, 3, 8), (1.6, 1, 6), (1.7, 1, 6), (1.9, 2, 6), (2.0, 3, 8)
)


def test_failover_is_from_the_kill_to_the_new_epoch() -> None:
    result = failover(KILLED, 1.0, {1: 5, 2: 5})
    assert result.first == pytest.approx(0.6)
    assert result.last == pytest.approx(0.9)
    assert result.waiting == 0


def test_order_of_the_record_does_not_matter() -> None:
    owned = {1: 5, 2: 5}
    assert failover(KILLED[::-1], 1.0, owned) == failover(KILLED, 1.0, owned)


def test_late_arrivals_from_a_dead_owner_are_no_failover() -> None:
    late = arrivals((1.01, 1, 5), (2.0, 1, 6))
    assert failover(late, 1.0, {1: 5}).first == pytest.approx(1.0)


def test_a_slot_that_never_came_back_is_told() -> None:
    assert failover(KILLED, 1.0, {1: 5, 2: 5, 4: 1}).waiting == 1
    assert failover([], 1.0, {1: 5}) == Failover(None, None, 1)


def test_longest_gap_of_the_slots_asked_for() -> None:
    seen = arrivals((0.0, 1, 1), (0.2, 1, 1), (1.1, 1, 2), (0.0, 2, 1), (2.0, 2, 1))
    assert longest_gap(seen, {1}, 0.5, 0.6) == pytest.approx(0.9)
    assert longest_gap(seen, {2}, 0.5, 0.6) == pytest.approx(2.0)
    assert longest_gap(seen, {1, 2}, 0.5, 0.6) == pytest.approx(2.0)


def test_a_gap_counts_when_it_touches_the_time_asked_for() -> None:
    seen = arrivals((0.0, 1, 1), (1.0, 1, 1), (1.1, 1, 1), (3.0, 1, 1))
    assert longest_gap(seen, {1}, 1.02, 1.05) == pytest.approx(0.1)
    assert longest_gap(seen, {1}, 1.05, 1.2) == pytest.approx(1.9)
    assert longest_gap(seen, {1}, 0.5, 1.05) == pytest.approx(1.0)


def test_a_gap_without_an_end_is_not_measured() -> None:
    seen = arrivals((0.0, 1, 1), (0.1, 1, 1))
    assert longest_gap(seen, {1}, 0.5, 0.6) is None
    assert longest_gap(seen, {7}, 0.0, 1.0) is None
    assert unseen(seen, {1, 7}, 0.05) == 1
    assert unseen(seen, {1, 7}, 0.5) == 2
