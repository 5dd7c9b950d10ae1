"""The cursor against a plain set of settled positions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.cursor import MAX_RANGES, Cursor


@given(st.integers(0, 20), st.lists(st.tuples(st.integers(1, 80), st.integers(0, 6))))
def test_a_cursor_is_the_set_of_settled_numbers(mark: int, ranges: list[tuple[int, int]]) -> None:
    cursor = Cursor(mark)
    settled = set(range(mark + 1))
    for low, length in ranges:
        cursor.settle_range(low, low + length)
        settled.update(range(low, low + length + 1))
    assert {n for n in range(100) if cursor.settled(n)} == settled
    assert not cursor.settled(cursor.mark + 1)
    assert cursor.highest == max(settled)
    again = Cursor(cursor.mark, cursor.flat)
    assert (again.mark, again.flat) == (cursor.mark, cursor.flat)


@given(st.integers(0, 9), st.sets(st.integers(1, 40)), st.integers(0, 40), st.integers(1, 12))
def test_parts_of_a_cursor_are_those_of_the_set(
    mark: int, seqs: set[int], after: int, size: int
) -> None:
    cursor = Cursor(mark)
    cursor.settle_all(seqs)
    settled, part = seqs | set(range(mark + 1)), range(after + 1, after + size + 1)
    assert cursor.covers(part[0], part[-1]) == settled.issuperset(part)
    found = [seq for low, high in cursor.within(after, part[-1]) for seq in range(low, high + 1)]
    assert found == sorted(settled.intersection(part))
    assert cursor.ranges == len(cursor.flat) // 2


@given(st.permutations(range(1, 40)))
def test_in_any_order_all_of_it_ends_in_the_mark(order: list[int]) -> None:
    cursor = Cursor()
    for seq in order:
        cursor.settle(seq)
    assert (cursor.mark, cursor.flat) == (39, [])


@given(st.lists(st.lists(st.integers(1, 40))), st.integers(0, 20))
def test_many_at_once_are_as_one_after_the_other(batches: list[list[int]], mark: int) -> None:
    at_once, each = Cursor(mark), Cursor(mark)
    for batch in batches:
        at_once.settle_all(batch)
        for seq in batch:
            each.settle(seq)
    assert (at_once.mark, at_once.flat) == (each.mark, each.flat)


def test_a_full_cursor_says_where_its_first_range_begins() -> None:
    cursor = Cursor()
    assert cursor.first_range is None
    for seq in range(2, 2 * MAX_RANGES + 2, 2):
        cursor.settle(seq)
    assert cursor.full
    assert cursor.first_range == 2
    cursor.settle(1)
    assert not cursor.full


def test_a_cursor_is_crowded_before_it_is_full() -> None:
    cursor = Cursor()
    for seq in range(2, MAX_RANGES, 2):
        cursor.settle(seq)
    assert not cursor.crowded
    cursor.settle(MAX_RANGES)
    assert cursor.crowded
    assert not cursor.full
