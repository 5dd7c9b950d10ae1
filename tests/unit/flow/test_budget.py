"""The token bucket of an owner: its burst, "too many", and what priority may use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.budget import BURST_SECONDS, CUT, GROWTH, LEAST, Budget


def drain(budget: Budget, now: float, **how: bool) -> int:
    """Take all that is there at once."""
    count = 0
    while budget.take(now, **how):
        count += 1
    return count


def busy(budget: Budget, begin: float, end: float) -> int:
    """Take whenever there is a token, as an owner with a backlog does."""
    count, now = 0, begin
    while now < end:
        count += drain(budget, now)
        now += budget.due(now)
    return count


def test_after_a_pause_what_a_second_brings_may_go_at_once() -> None:
    budget = Budget(80.0, 0.0)
    assert drain(budget, 0.0) == 80
    assert drain(budget, 1000.0) == 80
    assert drain(Budget(80.0, 0.0, burst=0.25), 0.0) == 20


def test_a_small_quota_lets_one_go_at_once() -> None:
    budget = Budget(1.0, 0.0)
    assert drain(budget, 0.0) == 1
    assert budget.due(0.25) == pytest.approx(0.75)
    assert drain(budget, 1000.0) == 1


def test_with_a_backlog_all_of_the_quota_is_used() -> None:
    for quota in (1.0, 9.5, 950.0):
        assert busy(Budget(quota, 0.0), 0.0, 60.0) >= 60 * quota


def test_a_token_is_there_after_the_wait_that_was_told() -> None:
    budget, now = Budget(76.0 / 7, 0.1), 0.1
    drain(budget, now)
    for _ in range(10_000):
        now += budget.due(now)
        assert budget.take(now)


def test_too_many_cuts_the_rate_at_most_once_a_second() -> None:
    budget = Budget(100.0, 0.0)
    for at in (5.0, 5.1, 5.9, 6.0, 6.5):
        budget.throttled(at)
    assert budget.rate == pytest.approx(100.0 * CUT**2)


def test_the_rate_grows_while_there_is_a_backlog() -> None:
    budget = Budget(100.0, 0.0)
    budget.throttled(0.0)
    busy(budget, 0.0, 6.0)  # and the first second is not without "too many"
    assert budget.rate == pytest.approx(100.0 * (CUT + 5 * GROWTH), rel=0.01)
    busy(budget, 6.0, 60.0)
    assert budget.rate == 100.0


def test_the_rate_does_not_grow_while_nobody_waits() -> None:
    budget = Budget(100.0, 0.0)
    drain(budget, 0.0)
    assert budget.take(1.0)
    budget.throttled(1.0)
    for second in range(2, 60):
        assert budget.take(float(second))
    assert budget.rate == pytest.approx(100.0 * CUT)


def test_the_rate_does_not_grow_in_a_second_with_too_many_that_did_not_cut() -> None:
    budget = Budget(100.0, 0.0)
    budget.throttled(0.0)
    drain(budget, 0.0)
    budget.throttled(0.9)
    busy(budget, 1.0, 1.9)
    assert budget.rate == pytest.approx(100.0 * CUT)


def test_whatever_comes_a_request_goes_now_and_then() -> None:
    budget = Budget(10.0, 0.0)
    for second in range(100):
        budget.throttled(float(second))
    assert budget.rate == pytest.approx(10.0 * LEAST)
    assert busy(budget, 99.0, 120.0) >= 1


def test_a_new_quota_counts_from_now_on_and_keeps_what_was_learned() -> None:
    budget = Budget(10.0, 0.0)
    budget.throttled(0.0)
    drain(budget, 0.0)
    budget.grant(100.0, 1.0)
    assert budget.rate == pytest.approx(100.0 * CUT)
    assert drain(budget, 1.0) == 7  # the second before went by the old one


def test_priority_has_every_second_token_while_others_wait() -> None:
    budget, now, order = Budget(10.0, 0.0), 0.0, ""
    drain(budget, now, priority=True, others=True)
    drain(budget, now)
    for _ in range(200):
        now += budget.due(now)
        first = budget.take(now, priority=True, others=True)
        assert first or budget.take(now)
        order += "p" if first else "o"
    assert 98 <= order.count("p") <= 102
    assert "ooo" not in order


def test_priority_has_all_of_it_while_nobody_else_waits() -> None:
    budget = Budget(80.0, 0.0)
    assert drain(budget, 0.0, priority=True) == 80
    assert drain(budget, 1.0, priority=True, others=True) == 40  # that did not use up its half


CALLS = st.lists(
    st.tuples(st.floats(0.0, 2.0), st.sampled_from(["take", "throttled", "grant", "priority"])),
    max_size=60,
)


@given(CALLS, st.floats(0.5, 1000.0), st.floats(0.5, 1000.0))
def test_never_above_the_quota(calls: list[tuple[float, str]], one: float, other: float) -> None:
    budget, now, allowed = Budget(one, 0.0), 0.0, max(1.0, one * BURST_SECONDS)
    taken, quota = 0, one
    for pause, call in calls:
        allowed += pause * quota
        now += pause
        if call == "grant":
            quota = other if quota == one else one
            budget.grant(quota, now)
        elif call == "throttled":
            budget.throttled(now)
        else:
            taken += drain(budget, now, priority=call == "priority", others=True)
        assert budget.rate <= quota * (1 + 1e-9)
        assert taken <= allowed + 1e-3


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60), st.floats(1.0, 1000.0))
def test_priority_cannot_have_more_than_half_while_others_wait(
    pauses: list[float], quota: float
) -> None:
    budget, now, taken = Budget(quota, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += drain(budget, now, priority=True, others=True)
    assert taken <= now * quota / 2 + max(1.0, quota * BURST_SECONDS / 2) + 1e-3


def test_to_ask_takes_nothing() -> None:
    budget = Budget(1.0, 0.0)
    assert budget.has(0.0)
    assert budget.has(0.0, priority=True, others=True)
    assert budget.take(0.0, priority=True, others=True)
    assert not budget.has(0.0)
    assert budget.has(1.0)
    assert not budget.has(1.0, priority=True, others=True)


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    budget = Budget(80.0, 10.0)
    drain(budget, 10.0)
    for now in (10.0, 9.0, 10.0):
        assert not budget.take(now)
        assert budget.due(now) == pytest.approx(1 / 80)
