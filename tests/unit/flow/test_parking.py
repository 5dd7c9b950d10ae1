"""Which parked recipients are in memory, and what happens with the rows of each."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warouter.flow import parking as parked
from warouter.flow.parking import (
    LOOK_SECONDS,
    MAX_PARKED,
    PAGE_LANES,
    LaneState,
    ParkedLane,
    Parking,
)


def rows(dues: dict[str, float], most: int) -> list[Any]:
    """As the table would answer at second 0."""
    first = sorted(dues.items(), key=lambda lane: lane[1])[:most]
    full = len(dues) >= most
    same = {"parked_for": 0.0, "ends_in": None, "full": full}
    return [{"lane": r, "due_in": due, **same} for r, due in first]


def test_all_are_in_memory_while_they_are_few() -> None:
    lanes = Parking()
    dues = {str(n): float(n) for n in range(PAGE_LANES - 1)}
    assert set(lanes.read(rows(dues, lanes.page), 0.0)) == set(dues)
    assert not lanes.beyond
    assert not lanes.wants(1e9)


def test_of_many_the_next_are_read_when_their_time_comes() -> None:
    lanes = Parking()
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
    lanes = Parking()
    lanes.read(rows({str(n): 1e6 for n in range(PAGE_LANES)}, lanes.page), 0.0)
    assert not lanes.wants(LOOK_SECONDS - 0.1)
    assert lanes.wants(LOOK_SECONDS)


def test_a_lane_that_is_due_finds_room() -> None:
    """Memory full of what is tried again in an hour must not hold up what is due now."""
    lanes = Parking()
    for n in range(MAX_PARKED):
        lanes[str(n)] = ParkedLane(3600.0 + n)
    lanes.beyond = True
    gone = lanes.surplus(0.0, 0)
    assert len(gone) == MAX_PARKED // 2
    assert min(map(int, gone)) == MAX_PARKED // 2
    assert lanes.wants(0.0)


def test_a_hurried_lane_is_due_at_once() -> None:
    lanes = Parking()
    dues = {str(n): 900.0 for n in range(3 * PAGE_LANES)}
    lanes.read(rows(dues, lanes.page), 0.0)
    assert not lanes.wants(1.0)
    lanes.hurry(1.0)
    assert {lane.due for lane in lanes.values()} == {1.0}
    assert lanes.wants(1.0)  # there are others beyond
    table = rows(dues, lanes.page)
    new = lanes.read([{**row, "parked_for": 2.0} for row in table], 2.0)
    assert len(new) == PAGE_LANES
    assert {lanes[r].due for r in new} == {2.0}
    assert lanes.wants(2.0)


def test_a_hurried_lane_that_fails_waits_as_before() -> None:
    lanes = Parking()
    lanes.found({"lane": "a", "due_in": 900.0, "parked_for": 5.0, "ends_in": None}, 5.0)
    lanes.hurry(6.0)
    lanes.park("a", 907.0, 1, was_out=False)
    assert lanes["a"].due == 907.0
    # The same when it was let go meanwhile, and is read from the table.
    lanes.found({"lane": "b", "due_in": 899.0, "parked_for": 1.0, "ends_in": None}, 8.0)
    assert lanes["b"].due == 907.0


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.integers(0, 2)), max_size=40))
def test_only_what_is_idle_and_on_disk_is_let_go(drawn: list[tuple[float, bool, int]]) -> None:
    lanes, before = Parking(), parked.MAX_PARKED
    parked.MAX_PARKED = 5
    try:
        for n, (due, flying, noted) in enumerate(drawn):
            lanes[str(n)] = lane = ParkedLane(due)
            lane.read_ended(int(flying), more=True)
            lane.noted = noted
        all_of_them = dict(lanes)
        gone = lanes.surplus(0.0, 1)
    finally:
        parked.MAX_PARKED = before
    assert set(gone) | set(lanes) == set(all_of_them)
    assert not set(gone) & set(lanes)
    assert all(all_of_them[r].waiting and all_of_them[r].noted <= 1 for r in gone)
    movable = sum(not flying and noted <= 1 for _, flying, noted in drawn)
    assert len(gone) == min(max(0, len(drawn) - 5), movable)
    assert lanes.beyond == bool(gone)
    assert lanes.let_go == bool(gone)
    stays = [lane.look for r, lane in lanes.items() if lane.waiting and lane.noted <= 1]
    if gone and stays:
        assert max(stays) <= min(all_of_them[r].look for r in gone)


class Model:
    """One recipient: a table of rows, and which of them are out, in plain lists."""

    def __init__(self) -> None:
        self.parking = Parking()
        self.table: list[int] = []
        self.out: list[int] = []
        self.read: list[int] | None = None  # while a reading is on its way
        self.seq = 0
        self.now = 0.0

    @property
    def lane(self) -> ParkedLane | None:
        return self.parking.get("r")

    def park(self, n: int) -> None:
        """A new row comes behind what is parked."""
        self.seq += 1
        self.table.append(self.seq)
        self.parking.park("r", self.now + n, self.seq, was_out=False)

    def read_begins(self, n: int) -> None:
        lane = self.lane
        if lane is not None and lane.waiting:
            lane.read_begins()
            self.read = self.table[: 1 + n]

    def read_ends(self, n: int) -> None:
        """The rows arrive; some of them may be left where they are."""
        lane = self.lane
        if lane is None or self.read is None:
            return
        rows, full = self.read, len(self.read) < len(self.table)
        taken = rows[: len(rows) - n % 2]
        del self.table[: len(taken)]
        self.out, self.read = taken, None
        lane.read_ended(len(taken), more=full or len(taken) < len(rows))
        self.done(lane)

    def read_fails(self, _n: int) -> None:
        lane = self.lane
        if lane is not None and self.read is not None:
            self.read = None
            lane.read_failed()

    def lands(self, n: int) -> None:
        """A row that was out is settled."""
        lane = self.lane
        if lane is not None and self.out:
            del self.out[n % len(self.out)]
            assert lane.landed() == (not self.out)
            self.done(lane)

    def comes_back(self, n: int) -> None:
        """A row that was out is parked again."""
        if self.out:
            self.table.append(self.out.pop(n % len(self.out)))
            self.parking.park("r", self.now + n, self.seq, was_out=True)

    def done(self, lane: ParkedLane) -> None:
        if lane.empty:
            assert not self.table
            del self.parking["r"]

    def check(self) -> None:
        lane = self.lane
        assert self.parking.flying == len(self.out)
        if lane is None:
            assert not self.table
            assert not self.out
            return
        state = LaneState.READING if self.read is not None else LaneState.WAITING
        assert lane.state is (LaneState.FLYING if self.out else state)
        if self.read is None and len(self.table) > 0:
            assert lane.more  # or what is in the table would be forgotten


steps = ("park", "read_begins", "read_ends", "read_fails", "lands", "comes_back")


@given(st.lists(st.tuples(st.sampled_from(steps), st.integers(0, 3)), max_size=60))
def test_a_lane_knows_what_is_out_and_forgets_no_row(script: list[tuple[str, int]]) -> None:
    model = Model()
    for step, n in script:
        model.now += 0.5
        getattr(model, step)(n)
        model.check()
