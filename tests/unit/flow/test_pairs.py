"""The pace of messages to one recipient, and how much memory that takes."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.pairs import (
    MOST_BACKOFF_SECONDS,
    MOST_RECIPIENTS,
    PAIR_DEPTH,
    PAIR_SECONDS,
    Pairs,
    backoff,
)


def drain(pairs: Pairs, recipient: str, now: float) -> int:
    count = 0
    while not pairs.take(recipient, now):
        count += 1
    return count


def test_forty_five_at_once_then_one_in_six_seconds() -> None:
    pairs = Pairs()
    assert drain(pairs, "491701", 100.0) == 45
    assert pairs.take("491701", 100.0) == pytest.approx(6.0)
    assert pairs.take("491701", 104.0) == pytest.approx(2.0)
    assert drain(pairs, "491701", 106.0) == 1
    assert drain(pairs, "491701", 130.0) == 4


def test_recipients_do_not_hold_up_each_other() -> None:
    pairs = Pairs()
    drain(pairs, "491701", 0.0)
    assert drain(pairs, "491702", 0.0) == 45


def test_after_five_minutes_a_recipient_has_all_again() -> None:
    pairs = Pairs()
    drain(pairs, "491701", 0.0)
    assert drain(pairs, "491701", 300.0) == 45


def test_a_refusal_leaves_one_token_for_the_same_message() -> None:
    pairs = Pairs()
    pairs.take("491701", 0.0)
    pairs.refused("491701", 0.0)
    assert drain(pairs, "491701", 1.0) == 1
    assert pairs.take("491701", 1.0) == pytest.approx(5.0)


def test_backoff() -> None:
    assert [backoff(n) for n in range(4)] == [1.0, 4.0, 16.0, 64.0]
    assert backoff(1_000_000) == MOST_BACKOFF_SECONDS


@given(st.lists(st.floats(0.0, 60.0), min_size=1, max_size=200))
def test_never_more_than_the_bucket_allows(pauses: list[float]) -> None:
    pairs, now, taken = Pairs(), 0.0, []
    for pause in pauses:
        now += pause
        if not pairs.take("4917", now):
            taken.append(now)
    for i, begin in enumerate(taken):
        for j, end in enumerate(taken[i:], 1):
            assert j <= PAIR_DEPTH + (end - begin) / PAIR_SECONDS + 1e-3


def test_a_recipient_may_go_after_the_wait_that_was_told() -> None:
    pairs, now = Pairs(), 0.1
    drain(pairs, "4917", now)
    for n in range(1, 1000):
        now += 1 / n
        now += pairs.take("4917", now)
        assert not pairs.take("4917", now)
        drain(pairs, "4917", now)


@given(st.data())
def test_forgetting_loses_nothing(data: st.DataObject) -> None:
    """A table that is swept all the time answers as one that keeps everything."""
    kept, swept, now = Pairs(), Pairs(), 0.0
    for _ in range(data.draw(st.integers(1, 100))):
        now += data.draw(st.sampled_from([0.0, 0.5, 5.0, 400.0]))
        recipient = data.draw(st.sampled_from(["11", "22", "33"]))
        swept._sweep(now)
        assert swept.take(recipient, now) == kept.take(recipient, now)


def test_at_a_thousand_a_second_few_are_kept() -> None:
    pairs = Pairs()
    for n in range(100_000):
        pairs.take(str(10_000_000 + n), n / 1000)
    assert len(pairs) <= 12_000


def test_more_than_the_most_are_never_kept_and_those_who_used_most_stay() -> None:
    pairs = Pairs(most=1_000)
    for _ in range(10):
        pairs.take("4917", 0.0)
    before = pairs.take("4917", 0.0)
    for n in range(5_000):
        pairs.take(str(10_000_000 + n), n / 1000)
        assert len(pairs) <= 1_000
    assert before == 0.0
    assert drain(pairs, "4917", 5.0) == 45 - 11


def test_even_all_in_one_instant_stay_within_the_most() -> None:
    pairs = Pairs(most=10)
    for n in range(1_000):
        assert not pairs.take(str(n), 0.0)
        assert len(pairs) <= 10


def test_a_hundred_thousand_take_twelve_mebibytes_at_most() -> None:
    pairs = Pairs()
    tracemalloc.start()
    try:
        for n in range(MOST_RECIPIENTS):
            pairs.take(f"{491_700_000_000_000 + n}", n * 1e-5)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(pairs) == MOST_RECIPIENTS
    assert size <= 12 * 2**20
