"""The policy's word for a message in doubt, case by case and as properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.doubt.verdict import Doubt, DoubtRule, DoubtVerdict, Policy, verdict

FENCE = 31.5
RULE = DoubtRule(Policy.RESEND, window=60.0, blind=600.0, lane=60.0)
DOUBTS = st.builds(
    Doubt,
    attempts=st.integers(1, 4),
    since=st.floats(0, 10_000),
    proven_at=st.one_of(st.just(math.inf), st.floats(0, 20_000)),
    read_at=st.floats(0, 20_000),
    ends=st.one_of(st.just(math.inf), st.floats(0, 20_000)),
)
NOW = st.floats(0, 20_000)
RULES = st.builds(
    DoubtRule,
    policy=st.sampled_from(Policy),
    window=st.floats(0, 4_000),
    blind=st.floats(0, 8_000),
    lane=st.just(60.0),
)
OVER = Doubt(1, since=0.0, proven_at=1.0, read_at=math.inf)


@pytest.mark.parametrize(
    ("doubt", "rule", "now", "expected"),
    [
        (OVER, RULE, 0.0, DoubtVerdict.WAIT),
        (OVER, RULE, 59.9, DoubtVerdict.WAIT),
        (OVER, RULE, 60.0, DoubtVerdict.RESEND),
        (OVER._replace(attempts=2), RULE, 60.0, DoubtVerdict.RESEND),
        (OVER._replace(attempts=3), RULE, 60.0, DoubtVerdict.HOLD),
        (OVER, RULE._replace(policy=Policy.FAIL), 60.0, DoubtVerdict.FAIL),
        (OVER, RULE._replace(policy=Policy.HOLD), 60.0, DoubtVerdict.HOLD),
        # What has come in since the window ended is read before anything is decided.
        (OVER._replace(read_at=59.9), RULE, 61.0, DoubtVerdict.WAIT),
        (OVER._replace(read_at=60.0), RULE, 61.0, DoubtVerdict.RESEND),
        # Without a proof that webhooks come it waits longer, and not for ever.
        (OVER._replace(proven_at=math.inf), RULE, 60.0, DoubtVerdict.WAIT),
        (OVER._replace(proven_at=math.inf), RULE, 600.0, DoubtVerdict.RESEND),
        # What the proof is of may have come in just before it: that is read, too.
        (OVER._replace(proven_at=70.0, read_at=69.9), RULE, 80.0, DoubtVerdict.WAIT),
        (OVER._replace(proven_at=70.0, read_at=70.0), RULE, 80.0, DoubtVerdict.RESEND),
        # No window is shorter than the fence.
        (OVER, RULE._replace(window=1.0), 31.4, DoubtVerdict.WAIT),
        (OVER, RULE._replace(window=1.0), 31.5, DoubtVerdict.RESEND),
        # A ttl that ends first ends it, with the outcome unknown, whatever the policy is.
        (OVER._replace(ends=5.0, read_at=4.9), RULE, 5.0, DoubtVerdict.WAIT),
        (OVER._replace(ends=5.0), RULE, 5.0, DoubtVerdict.FAIL),
        (OVER._replace(ends=5.0), RULE._replace(policy=Policy.HOLD), 60.0, DoubtVerdict.FAIL),
    ],
)
def test_a_message_in_doubt(
    doubt: Doubt, rule: DoubtRule, now: float, expected: DoubtVerdict
) -> None:
    assert verdict(doubt, rule, FENCE, now) is expected


@given(DOUBTS, RULES, NOW)
def test_nothing_is_sent_again_that_may_still_be_taken_or_heard_of(
    doubt: Doubt, rule: DoubtRule, now: float
) -> None:
    if verdict(doubt, rule, FENCE, now) is DoubtVerdict.RESEND:
        waited = now - doubt.since
        assert waited >= FENCE - 1e-6
        assert waited >= rule.window - 1e-6
        assert doubt.read_at >= doubt.since + rule.window
        assert rule.policy is Policy.RESEND
        assert doubt.proven_at <= now or waited >= rule.blind - 1e-6


@given(DOUBTS, RULES)
def test_every_doubt_ends(doubt: Doubt, rule: DoubtRule) -> None:
    late = doubt._replace(read_at=1e5)
    assert verdict(late, rule, FENCE, 1e5) is not DoubtVerdict.WAIT


@given(DOUBTS, RULES, NOW)
def test_waiting_never_ends_with_less_than_was_decided(
    doubt: Doubt, rule: DoubtRule, now: float
) -> None:
    """Who waits longer, with the same facts, comes to the same word, or fails by its ttl."""
    earlier = verdict(doubt, rule, FENCE, now)
    if earlier is not DoubtVerdict.WAIT:
        later = verdict(doubt, rule, FENCE, now + 1.0)
        assert later is (DoubtVerdict.FAIL if now + 1.0 >= doubt.ends else earlier)


def test_an_ordinary_message_keeps_its_place_also_while_a_proof_is_missing() -> None:
    assert not RULE.goes_on(60.0)
    assert not RULE.goes_on(599.0)


def test_behind_one_with_a_longer_window_others_go_on() -> None:
    marketing = RULE._replace(window=3900.0)
    assert not marketing.goes_on(59.9)
    assert marketing.goes_on(60.0)
