"""Which parked recipients are in memory: few, the first ones, and never one that is not known."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warouter.flow import parking as parked
from warouter.flow.parking import LOOK_SECONDS, MAX_PARKED, PAGE_LANES, Parked, ParkedLane


def rows(dues: dict[str, float], most: int) -> list[Any]:
    """As the table would answer at second 0."""
    first = sorted(dues.items(), key=lambda lane: lane[1])[:most]
    full = len(dues) >= most
    return [{"recipient": r, "due_in": due, "ends_in": None, "full": full} for r, due in first]


def test_all_are_in_memory_while_they_are_few() -> None:
    lanes = Parked()
    dues = {str(n): float(n) for n in range(PAGE_LANES - 1)}
    assert set(lanes.read(rows(dues, lanes.page), 0.0)) == set(dues)
    assert not lanes.beyond
    assert not lanes.wants(1e9)


def test_of_many_the_next_are_read_when_their_time_comes() -> None:
    lanes = Parked()
    dues = {str(n): n * 0.01 for n in range(5 * PAGE_LANES)}
    lanes.read(rows(dues, lanes.page), 0.0)
    assert lanes.beyond
    assert len(lanes) == PAGE_LANES
    last = max(lane.due for lane in lanes.values())
    assert not lanes.wants(last - 0.001)
    assert lanes.wants(last)
    lanes.read(rows(dues, lanes.page), 0.0)
    assert len(lanes) == 2 * PAGE_LANES


def test_the_table_is_looked_at_now_and_then_whatever_it_said() -> None:
    lanes = Parked()
    lanes.read(rows({str(n): 1e6 for n in range(PAGE_LANES)}, lanes.page), 0.0)
    assert not lanes.wants(LOOK_SECONDS - 0.1)
    assert lanes.wants(LOOK_SECONDS)


def test_who_is_due_finds_room() -> None:
    """Memory full of what is tried again in an hour must not hold up what is due now."""
    lanes = Parked()
    for n in range(MAX_PARKED):
        lanes[str(n)] = ParkedLane(3600.0 + n)
    lanes.beyond = True
    gone = lanes.surplus(0.0, 0)
    assert len(gone) == MAX_PARKED // 2
    assert min(map(int, gone)) == MAX_PARKED // 2
    assert lanes.wants(0.0)


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.integers(0, 2)), max_size=40))
def test_only_what_is_idle_and_on_disk_is_let_go(drawn: list[tuple[float, bool, int]]) -> None:
    lanes, before = Parked(), parked.MAX_PARKED
    parked.MAX_PARKED = 5
    try:
        for n, (due, flying, noted) in enumerate(drawn):
            lanes[str(n)] = lane = ParkedLane(due)
            lane.flying, lane.noted = int(flying), noted
        all_of_them = dict(lanes)
        gone = lanes.surplus(0.0, 1)
    finally:
        parked.MAX_PARKED = before
    assert set(gone) | set(lanes) == set(all_of_them)
    assert not set(gone) & set(lanes)
    assert all(all_of_them[r].flying == 0 and all_of_them[r].noted <= 1 for r in gone)
    movable = sum(not flying and noted <= 1 for _, flying, noted in drawn)
    assert len(gone) == min(max(0, len(drawn) - 5), movable)
    assert lanes.beyond == bool(gone)
    assert lanes.let_go == bool(gone)
    stays = [lane.look for r, lane in lanes.items() if lane.flying == 0 and lane.noted <= 1]
    if gone and stays:
        assert max(stays) <= min(all_of_them[r].look for r in gone)
