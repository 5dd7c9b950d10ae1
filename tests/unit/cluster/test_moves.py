"""The owner log, read: moves, and who owned which slot at a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from warouter.cluster.moves import (
    FAILOVERS,
    REASONS,
    TOGETHER_SECONDS,
    OwnerChange,
    moment,
    moves_of,
    owners_at,
    slots_text,
)

BEGAN = datetime(2026, 11, 26, 1, 19, tzinfo=UTC)
NAMES = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))


def change(at: float, slot: int = 0, **fields: object) -> OwnerChange:
    given = {
        "from_node": "a",
        "to_node": "b",
        "epoch": 1,
        "term": 1,
        "reason": "dead",
        "observed_age_ms": None,
    }
    text = moment(BEGAN + timedelta(seconds=at))
    return OwnerChange(at=text, age_s=1000 - at, slot=slot, **{**given, **fields})  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 900), NAMES), max_size=40),
    st.integers(-10, 40_000),
    st.integers(0, 40),
)
def test_owners_at_a_time_are_those_that_were_recorded(
    steps: list[tuple[int, int, str | None]], asked: int, forgotten: int
) -> None:
    """Also when the oldest changes are pruned, as long as one of the slot is left."""
    owners: dict[int, str | None] = dict.fromkeys(range(4))
    recorded = [(-1, dict(owners))]
    log: list[OwnerChange] = []
    now = 0
    for slot, pause, to in steps:
        now += pause
        log.insert(0, change(now / 1000, slot, from_node=owners[slot], to_node=to))
        owners[slot] = to
        recorded.append((now, dict(owners)))
    kept = log[: len(log) - forgotten] if forgotten < len(log) else log
    [then] = [was for at, was in recorded if at <= max(asked, -1)][-1:]
    found = owners_at(kept, moment(BEGAN + timedelta(milliseconds=asked)))
    first_kept = {c.slot: c.at for c in kept}  # the oldest one comes last
    text = moment(BEGAN + timedelta(milliseconds=asked))
    for slot, owner in found.items():
        # Of the time before what is left of its log, a slot's first change knows only the last.
        if text >= first_kept[slot] or forgotten >= len(log) or not forgotten:
            assert owner == then[slot]
    assert set(found) == {c.slot for c in kept}


def test_the_slots_that_moved_together_are_one_move() -> None:
    at = [change(0.2, slot) for slot in (5, 3, 1)]
    other = change(0.1, 2, reason="handover")
    later = change(0.2 + TOGETHER_SECONDS + 0.1, 7)
    moves = moves_of([later, *at[:2], other, at[2]])
    assert [m.slots for m in moves] == [[7], [1, 3, 5], [2]]
    assert moves[1].last is at[0]


@given(st.lists(st.tuples(st.integers(0, 5000), st.sampled_from(["dead", "renew"])), max_size=30))
def test_every_change_is_in_one_move(steps: list[tuple[int, str]]) -> None:
    history = [change(at / 1000, reason=why) for at, why in sorted(steps, reverse=True)]
    moves = moves_of(history)
    assert sorted(id(c) for m in moves for c in m.changes) == sorted(map(id, history))
    assert all(len({c.reason for c in m.changes}) == 1 for m in moves)


def test_a_pause_is_the_silence_and_the_opening_of_the_slot_that_waited_longest() -> None:
    early, late = (
        change(1, slot, observed_age_ms=100, opened_ms=ms) for slot, ms in ((0, 20), (1, 35))
    )
    [move] = moves_of([early, late])
    assert (move.silent_ms, move.opened_ms, move.pause_ms) == (100, 35, 135)
    [planned] = moves_of([change(1, reason="handover", opened_ms=12)])
    assert (planned.silent_ms, planned.pause_ms) == (None, 12)
    [open_question] = moves_of([early, change(1, 1, observed_age_ms=100)])
    assert open_question.pause_ms is None


def test_slots_are_told_as_a_range_if_they_are_one() -> None:
    assert slots_text(list(range(0, 32, 2))) == "0, 2 .. 30"
    assert slots_text([1, 2, 4, 8]) == "1, 2, 4, 8"
    assert slots_text([3]) == "3"
    assert slots_text([]) == ""


def test_every_reason_that_is_documented_has_its_words() -> None:
    page = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    entry = page.partition("- `warouter status --history`: ")[2].partition("\n- ")[0]
    listed = re.findall(r"`([a-z-]+)`", entry.partition("reason:")[2].partition(". ")[0])
    assert sorted(REASONS) == sorted(listed)
    assert set(REASONS) > FAILOVERS
