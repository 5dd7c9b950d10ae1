"""Consumers that go aside: whose a row is, and the crashes that a random run meets rarely.

The model of ``tests/campaigns/simulation/aside`` plays all of it against a judge of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.patch import patched
from warouter.flow import aside
from warouter.flow.aside import (
    MAX_ASIDE_RANGES,
    PAGE_ROWS,
    Aside,
    AsideReason,
    AsideRow,
    AsideStretch,
    Entering,
    next_seq,
)
from warouter.flow.cursor import Cursor

WHY = AsideReason.STOPPED
ALL = Cursor(sys.maxsize)  # covers everything
UNSETTLED = Cursor()
SHARE = 8


def row(
    base: int,
    since: int,
    upto: int | None = None,
    flow: Sequence[int] = (),
    mark: int | None = None,
    ranges: Sequence[int] = (),
) -> AsideRow:
    """A stored row of consumer 7."""
    settled = base if mark is None else mark
    return AsideRow(7, 1, base, since, upto, [*flow], settled, [*ranges], WHY)


def entered(lowest: int, last: int, cursor: Cursor = UNSETTLED, **of: Sequence[int]) -> Aside:
    return Aside.entered(7, 1, WHY, lowest, Entering(last, cursor, **of))


def taken(position: Aside, seqs: Sequence[int], *, committed: int) -> list[int]:
    """Read on to the end, of a log that is loaded and holds these rows of the number."""
    found: list[int] = []
    while (stretch := position.stretch(sys.maxsize, committed)) is not None:
        page = [seq for seq in seqs if stretch.after < seq <= stretch.upto][: stretch.limit]
        found += position.read(stretch, page, full=len(page) == stretch.limit)
    return found


def in_flow(position: Aside, upto: int) -> list[int]:
    return [seq for seq in range(1, upto + 1) if position.in_flow(seq)]


# enter


def test_rows_that_wait_belong_aside_and_rows_that_are_out_stay() -> None:
    """2 to 9 are its rows: 3 is out, 5 was answered, 2 was before it, 10 is queued."""
    position = entered(4, 10, Cursor(2, [5, 5]), out=[3, 6])
    assert in_flow(position, 12) == [1, 2, 3, 6]
    assert taken(position, [2, 3, 4, 5, 6, 7, 8, 9, 10], committed=10) == [4, 7, 8, 9, 10]


def test_a_row_that_it_alone_has_ended_with_is_not_read_again() -> None:
    """Another consumer has not: the slot's cursor does not cover it."""
    position = entered(1, 4, ended=[2])
    assert not position.in_flow(2)
    assert taken(position, [1, 2, 3, 4], committed=4) == [1, 3, 4]


def test_an_entered_consumer_is_stored_as_it_is() -> None:
    position = entered(4, 10, Cursor(2, [5, 5]), out=[3, 6])
    stored = position.record_begins(UNSETTLED)
    assert stored == row(3, 10, flow=[6, 6], mark=3, ranges=[5, 5])
    again = Aside.opened(stored, 10, UNSETTLED)
    assert not again.dirty
    assert again.record_begins(UNSETTLED) == stored


def test_a_consumer_enters_again_only_while_it_leaves() -> None:
    position = entered(1, 4)
    assert not position.may_enter_again(Entering(6, UNSETTLED))
    position.leave(4, record=2)
    assert position.may_enter_again(Entering(6, UNSETTLED))


# read


def test_nothing_is_read_before_the_slot_s_pager_has_come_up_to_since() -> None:
    """A row that was out is taken in FLOW again after a crash: it goes into its lane first."""
    position = Aside.opened(row(2, 9, flow=[4, 4]), 9, UNSETTLED)
    assert position.stretch(8, 9) is None
    assert position.stretch(9, 9) == AsideStretch(2, 9, False, PAGE_ROWS)


def test_rows_are_found_by_their_number_up_to_since_and_by_their_flag_beyond() -> None:
    position = entered(3, 6)
    assert position.stretch(6, 20) == AsideStretch(2, 6, False, PAGE_ROWS)
    assert position.read(AsideStretch(2, 6, False, 9), [3, 6], full=False) == [3, 6]
    assert position.stretch(6, 20) == AsideStretch(6, 20, True, PAGE_ROWS)


def test_no_page_goes_beyond_what_is_committed() -> None:
    """Rows that are queued have been given their seqs already."""
    position = entered(3, 9)
    assert position.stretch(5, 5) is None
    assert position.stretch(9, 7) == AsideStretch(2, 7, False, PAGE_ROWS)


def test_a_full_page_is_followed_by_another() -> None:
    position = entered(1, 30)
    assert position.read(AsideStretch(0, 30, False, 2), [4, 9], full=True) == [4, 9]
    assert position.stretch(30, 30) == AsideStretch(9, 30, False, PAGE_ROWS)


def test_gaps_and_rows_of_others_are_settled_as_they_are_passed() -> None:
    position = entered(1, 9)
    assert taken(position, [3, 7], committed=9) == [3, 7]
    position.settle(3)
    assert (position.own.mark, position.own.flat) == (6, [8, 9])


# leave


class Leaving(NamedTuple):
    """How far a consumer of 8 rows is: what it has read, what of that has ended."""

    read: int
    ended: int
    queued: bool
    may: bool


@pytest.mark.parametrize(
    "case",
    [
        Leaving(read=8, ended=8, queued=False, may=True),
        Leaving(read=8, ended=5, queued=False, may=True),
        Leaving(read=8, ended=4, queued=False, may=False),  # half of its share waits
        Leaving(read=7, ended=7, queued=False, may=False),
        Leaving(read=8, ended=8, queued=True, may=False),  # later rows would overtake these
    ],
)
def test_a_consumer_leaves_once_its_rows_are_in_memory(case: Leaving) -> None:
    position = entered(1, 8)
    stretch = AsideStretch(0, case.read, False, 9)
    for seq in position.read(stretch, range(1, case.read + 1), full=False)[: case.ended]:
        position.settle(seq)
    assert position.may_leave(8, SHARE, queued=case.queued) == case.may


def leaving() -> Aside:
    """Of the rows 1 to 4 it has read all, and ended with the first two; the end is in record 3."""
    position = entered(1, 4)
    for seq in taken(position, [1, 2, 3, 4], committed=4)[:2]:
        position.settle(seq)
    position.leave(6, record=3)
    return position


def test_rows_beyond_the_end_are_taken_in_flow() -> None:
    position = leaving()
    assert in_flow(position, 9) == [7, 8, 9]
    assert position.stretch(9, 9) is None


@pytest.mark.parametrize("recorded", [0, 1, 2])
def test_the_flag_lasts_until_the_end_is_on_disk(recorded: int) -> None:
    """Who takes over before has no end, and finds what follows by its flag alone.

    Record 2 may be under way as the consumer leaves: it says nothing of that.
    """
    position = leaving()
    assert position.flags(recorded)
    assert not position.flags(3)
    assert not position.over(ALL, recorded)


def test_a_row_is_deleted_when_all_is_settled_covered_and_its_end_on_disk() -> None:
    position = leaving()
    position.settle(3)
    assert not position.over(ALL, 3)
    position.settle(4)
    assert not position.over(Cursor(5), 3)  # another consumer has not ended with one of them
    assert not position.over(Cursor(5, [7, 9]), 3)
    assert position.over(Cursor(6), 3)


# enter again


def test_a_row_that_is_out_is_not_read_again_when_its_consumer_enters_again() -> None:
    """3 is out and 4 waits, from before; 7 to 10 were taken in FLOW, and of those 8 is out."""
    position = leaving()
    position.enter_again(WHY, Entering(10, Cursor(0, [7, 7]), out=[3, 8]))
    assert in_flow(position, 12) == [8]
    assert taken(position, range(1, 11), committed=10) == [4, 9, 10]
    assert position.flags(3)


def test_a_row_that_was_out_settles_where_it_came_from() -> None:
    position = leaving()
    position.enter_again(WHY, Entering(10, UNSETTLED, out=[3, 8]))
    position.settle(3)
    assert taken(position, range(1, 11), committed=10) == [4, 7, 9, 10]


# what is taken in FLOW, and what is settled aside


def test_a_row_settled_aside_is_none_that_is_taken_in_flow() -> None:
    """The reader may be done with it before the slot's pager comes there."""
    position = Aside.opened(row(2, 6, flow=[4, 4], ranges=[3, 3, 5, 5]), 6, UNSETTLED)
    assert in_flow(position, 6) == [1, 2, 4]


def test_parts_of_flow_are_settled_when_the_cursor_covers_the_whole_of_them() -> None:
    position = Aside.opened(row(2, 9, flow=[4, 5, 7, 7]), 9, UNSETTLED)
    assert position.record_begins(Cursor(4)) == row(2, 9, flow=[4, 5, 7, 7])
    assert position.record_begins(Cursor(3, [4, 5])) == row(2, 9, flow=[7, 7], ranges=[4, 5])


# takeover


class Takeover(NamedTuple):
    """A row and a cursor on disk, the last seq of the rows there; what the next owner does."""

    stored: AsideRow
    cursor: Cursor
    last: int
    flow: list[int]
    read: list[int]
    since: int


ROWS = range(1, 11)  # all of its number

TAKEOVERS = {
    "it goes on where it was": Takeover(
        row(2, 5, ranges=[4, 4]), Cursor(10), 10, [1, 2], [3, 5, 6, 7, 8, 9, 10], since=5
    ),
    "a row that was out goes again, by the slot's pager": Takeover(
        row(2, 5, flow=[4, 4]), Cursor(3), 10, [1, 2, 4], [3, 5, 6, 7, 8, 9, 10], since=5
    ),
    "its end is open again, and later rows are not taken in FLOW": Takeover(
        row(2, 5, upto=6, mark=4), Cursor(6), 10, [1, 2], [5, 6, 7, 8, 9, 10], since=10
    ),
    "rows beyond its end that are covered have ended": Takeover(
        row(2, 5, upto=6, mark=6), Cursor(8, [10, 10]), 10, [1, 2], [9], since=10
    ),
    "a row of its own that is covered has not": Takeover(
        row(2, 5, upto=6, mark=5), Cursor(10), 10, [1, 2], [6], since=10
    ),
    "it has ended with all, and another consumer has not": Takeover(
        row(2, 5, upto=6, mark=6), Cursor(4), 6, [1, 2], [], since=6
    ),
    "seqs up to since were never committed": Takeover(
        row(2, 10), Cursor(2), 7, [1, 2], [3, 4, 5, 6, 7], since=10
    ),
}


@pytest.mark.parametrize("case", TAKEOVERS.values(), ids=list(TAKEOVERS))
def test_the_next_owner_takes_each_row_where_it_belongs(case: Takeover) -> None:
    first = next_seq(case.last + 1, [case.stored])
    position = Aside.opened(case.stored, first - 1, case.cursor)
    assert (position.since, position.upto) == (case.since, None)
    assert position.flags(0)
    assert in_flow(position, 10) == case.flow
    assert taken(position, ROWS[: case.last], committed=first - 1) == case.read


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ([], 8),
        ([row(0, 3)], 8),
        ([row(0, 9)], 10),  # given as it went aside, and never committed
        ([row(0, 9, upto=12), row(0, 10)], 13),
    ],
)
def test_no_seq_is_given_again_that_a_row_names(rows: list[AsideRow], first: int) -> None:
    assert next_seq(8, rows) == first


# bounds


def test_rows_stay_in_flow_from_the_front_where_the_lists_have_no_room() -> None:
    """And then one row at a time is read, whose end opens no range."""
    seqs = range(2, 2 * MAX_ASIDE_RANGES + 12, 2)
    position = entered(1, seqs[-1], Cursor(0, [bound for seq in seqs for bound in (seq, seq)]))
    assert position.own.ranges == MAX_ASIDE_RANGES
    assert in_flow(position, 20) == [*range(1, 11)]
    assert taken(position, range(1, 20), committed=19) == [11]
    position.settle(11)
    assert taken(position, range(1, 20), committed=19) == [13]


seqs = st.sets(st.integers(1, 40))


@given(seqs, seqs, seqs, st.integers(1, 40))
def test_each_row_is_in_one_place_as_its_consumer_goes_aside(
    waiting: set[int], out: set[int], covered: set[int], loaded: int
) -> None:
    waiting, out = waiting - out, out - covered
    covered -= waiting
    cursor = Cursor()
    cursor.settle_all(covered)
    lowest = min((*waiting, loaded + 1))
    for most in (MAX_ASIDE_RANGES, 3):
        with patched([(aside, "MAX_ASIDE_RANGES", most)]):
            position = entered(lowest, 40, cursor, out=[*out])
        for seq in range(position.flow.mark + 1, 41):
            assert position.in_flow(seq) == (seq in out)
            assert position.own.settled(seq) == (seq in covered) or seq in out
        assert position.flow.mark >= lowest - 1
        assert max(position.own.ranges, position.flow.ranges) <= most


steps = st.lists(st.tuples(st.sampled_from(["read", "end", "end"]), st.integers(0, 9)))


@given(steps, st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)), st.integers(1, 6))
def test_whatever_ends_first_the_ranges_have_room(
    script: list[tuple[str, int]], rows: set[int], covered: set[int], most: int
) -> None:
    """Each row is taken once, in order, and the mark comes to the end."""
    mine, cursor, found = sorted(rows - covered), Cursor(), list[int]()
    cursor.settle_all(covered)
    with patched([(aside, "MAX_ASIDE_RANGES", most)]):
        position = entered(1, 60, cursor)
        mine = [seq for seq in mine if not position.in_flow(seq)]
        for step, n in (*script, *[("end", 0), ("read", 0)] * 61):
            held, stretch = sorted(position.held), position.stretch(60, 60)
            if step == "read" and stretch is not None:
                page = [seq for seq in mine if stretch.after < seq <= stretch.upto][: stretch.limit]
                found += position.read(stretch, page, full=len(page) == stretch.limit)
            elif step == "end" and held:
                position.settle(held[n % len(held)])
            assert position.own.ranges <= most
    assert found == mine
    assert (position.own.mark, position.own.flat) == (60, [])
