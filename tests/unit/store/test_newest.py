"""Many lanes read as one list: each row once, in the one order, whatever was read when."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter._hash import SLOTS
from warouter.message_id import mint
from warouter.store.views.messages.newest import (
    INBOUND,
    MOST_MS,
    OUTGOING,
    Newest,
    RowPlace,
    SearchLane,
    before_ms,
    id_below,
    place_of,
    place_of_id,
)

ids = st.builds(
    mint, st.integers(0, SLOTS - 1), st.integers(0, MOST_MS), st.binary(min_size=12, max_size=12)
)
outgoing = st.builds(place_of_id, ids)
inbound = st.builds(
    RowPlace,
    st.integers(0, MOST_MS),
    st.just(INBOUND),
    st.integers(0, SLOTS - 1),
    st.integers(0, 10**17),
)
places = outgoing | inbound
few = st.builds(
    place_of_id,
    st.builds(
        mint,
        st.integers(0, 2),
        st.integers(0, 20),
        st.integers(0, 50).map(lambda n: bytes(11) + bytes([n])),
    ),
)


def rows_of(numbers: list[tuple[int, int]]) -> list[RowPlace]:
    """Inbound messages with times as they were recorded, in their order of each slot."""
    seqs: dict[int, int] = {}
    made = []
    for ms, slot in sorted(numbers):
        seqs[slot] = seqs.get(slot, 0) + 1
        made.append(RowPlace(ms, INBOUND, slot, seqs[slot]))
    return made


@given(places)
def test_a_place_is_read_as_it_was_written(place: RowPlace) -> None:
    assert place_of(place.text) == place


@given(st.text())
def test_a_bad_place_is_refused_in_a_sentence(text: str) -> None:
    with suppress(ValueError):
        place_of(text)
        return
    with pytest.raises(ValueError, match=r"begin again with the newest\.$"):
        place_of(text)


@pytest.mark.parametrize(
    "text", ["", "1.2", "1.32.3", f"{1 << 48}.1.1", "9" * 16 + ".1.1", "é" * 27]
)
def test_some_of_them(text: str) -> None:
    with pytest.raises(ValueError, match="is no place"):
        place_of(text)


@given(outgoing, places)
def test_an_outgoing_row_is_below_a_place_exactly_if_its_id_is(
    row: RowPlace, place: RowPlace
) -> None:
    assert isinstance(row.rest, bytes)
    assert (row.rest < id_below(row.lane, place)) == (row < place)


@given(inbound, places)
def test_an_inbound_row_is_below_a_place_exactly_if_its_time_is(
    row: RowPlace, place: RowPlace
) -> None:
    if row.lane != place.lane:
        assert (row.ms < before_ms(row.lane, place)) == (row < place)


@given(
    st.sets(few),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2))),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 40),
    st.data(),
)
def test_paging_shows_each_row_once_and_in_order(
    sent: set[RowPlace],
    came: list[tuple[int, int]],
    limit: int,
    piece: int,
    pieces: int,
    data: st.DataObject,
) -> None:
    every = sorted([*sent, *rows_of(came)], reverse=True)
    wanted = {place for place in every if data.draw(st.booleans())}
    lanes = [SearchLane(way, slot) for way in (INBOUND, OUTGOING) for slot in range(3)]
    shown: list[RowPlace] = []
    below: RowPlace | None = None
    for _ in range(len(every) + 2):
        newest: Newest[None] = Newest(lanes)
        left = pieces
        while newest.more and len(newest.certain()) <= limit and (left > 0 or not newest.begun):
            left -= 1
            for lane, down_to in newest.next_lanes():
                start = down_to or below
                rest = [p for p in every if p.lane == lane and (start is None or p < start)]
                part = rest[:piece]
                found = [(place, None) for place in part if place in wanted]
                newest.take(lane, found, part[-1] if len(rest) > piece else None)
        page = [place for place, _ in newest.certain()]
        shown += page[:limit]
        if len(page) > limit or (len(page) == limit and newest.more):
            below = page[limit - 1]
        elif newest.more:
            below = newest.frontier
        else:
            break
    else:
        raise AssertionError("the pages have no end")
    assert shown == [place for place in every if place in wanted]


def test_times_that_run_backwards_do_not_tear_a_lane_apart() -> None:
    lane = SearchLane(INBOUND, 3)
    newest: Newest[str] = Newest([lane])
    rows = [RowPlace(50, INBOUND, 3, 9), RowPlace(80, INBOUND, 3, 8), RowPlace(40, INBOUND, 3, 7)]
    newest.take(lane, [(rows[0], "a")], rows[0])
    newest.take(lane, [(rows[1], "b"), (rows[2], "c")], RowPlace(90, INBOUND, 3, 6))
    assert [name for _, name in newest.certain()] == ["a", "b", "c"]
    assert newest.frontier == RowPlace(40, INBOUND, 3, 6)
