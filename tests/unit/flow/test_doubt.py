"""What becomes of a message in doubt: the table, case by case and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.doubt import (
    NEXT,
    Doubt,
    DoubtEvent,
    DoubtRule,
    DoubtState,
    DoubtVerdict,
    Policy,
    step,
    verdict,
)

FENCE = 31.5
RULE = DoubtRule(Policy.RESEND, window=60.0, blind=600.0, lane=60.0)
DOUBTS = st.builds(
    Doubt,
    attempts=st.integers(1, 4),
    waited=st.floats(0, 10_000),
    taken=st.booleans(),
    not_taken=st.booleans(),
    proven=st.booleans(),
    drained=st.booleans(),
    ttl_over=st.booleans(),
)
RULES = st.builds(
    DoubtRule,
    policy=st.sampled_from(Policy),
    window=st.floats(0, 4_000),
    blind=st.floats(0, 8_000),
    lane=st.just(60.0),
)
OVER = Doubt(1, waited=60.0, proven=True, drained=True)


@pytest.mark.parametrize(
    ("doubt", "rule", "expected"),
    [
        (Doubt(1, 0.0), RULE, DoubtVerdict.WAIT),
        (Doubt(1, 0.0, taken=True), RULE, DoubtVerdict.TAKEN),
        (Doubt(3, 9_999.0, taken=True, not_taken=True, ttl_over=True), RULE, DoubtVerdict.TAKEN),
        (Doubt(1, 0.0, not_taken=True), RULE, DoubtVerdict.AGAIN),
        (OVER._replace(waited=59.9), RULE, DoubtVerdict.WAIT),
        (OVER, RULE, DoubtVerdict.RESEND),
        (OVER._replace(attempts=2), RULE, DoubtVerdict.RESEND),
        (OVER._replace(attempts=3), RULE, DoubtVerdict.HOLD),
        (OVER, RULE._replace(policy=Policy.FAIL), DoubtVerdict.FAIL),
        (OVER, RULE._replace(policy=Policy.HOLD), DoubtVerdict.HOLD),
        # What has come in since the window ended is read before anything is decided.
        (OVER._replace(drained=False), RULE, DoubtVerdict.DRAIN),
        # Without a proof that webhooks come it waits longer, and not for ever.
        (OVER._replace(proven=False), RULE, DoubtVerdict.WAIT),
        (OVER._replace(proven=False, waited=600.0), RULE, DoubtVerdict.RESEND),
        # No window is shorter than the fence.
        (OVER._replace(waited=31.4), RULE._replace(window=1.0), DoubtVerdict.WAIT),
        (OVER._replace(waited=31.5), RULE._replace(window=1.0), DoubtVerdict.RESEND),
        # A ttl that ends first ends it, with the outcome unknown, whatever the policy is.
        (Doubt(1, 5.0, ttl_over=True), RULE, DoubtVerdict.DRAIN),
        (Doubt(1, 5.0, ttl_over=True, drained=True), RULE, DoubtVerdict.FAIL),
        (OVER._replace(ttl_over=True), RULE._replace(policy=Policy.HOLD), DoubtVerdict.FAIL),
    ],
)
def test_a_message_in_doubt(doubt: Doubt, rule: DoubtRule, expected: DoubtVerdict) -> None:
    assert verdict(doubt, rule, FENCE) is expected


@given(DOUBTS, RULES)
def test_nothing_is_sent_again_that_may_still_be_taken_or_heard_of(
    doubt: Doubt, rule: DoubtRule
) -> None:
    if verdict(doubt, rule, FENCE) is DoubtVerdict.RESEND:
        assert not doubt.taken
        assert doubt.waited >= FENCE
        assert doubt.waited >= rule.window
        assert doubt.drained
        assert rule.policy is Policy.RESEND
        assert doubt.proven or doubt.waited >= rule.blind


@given(DOUBTS, RULES)
def test_every_doubt_ends(doubt: Doubt, rule: DoubtRule) -> None:
    late = doubt._replace(waited=10_000.0, drained=True)
    assert verdict(late, rule, FENCE) not in (DoubtVerdict.WAIT, DoubtVerdict.DRAIN)


@given(DOUBTS, RULES)
def test_waiting_never_ends_with_less_than_was_decided(doubt: Doubt, rule: DoubtRule) -> None:
    """Who waits longer, with the same facts, comes to the same word or is still waiting before."""
    earlier = verdict(doubt, rule, FENCE)
    if earlier not in (DoubtVerdict.WAIT, DoubtVerdict.DRAIN):
        assert verdict(doubt._replace(waited=doubt.waited + 1), rule, FENCE) is earlier


def test_evidence_ends_every_state_but_an_end() -> None:
    for state in DoubtState:
        after = step(state, DoubtEvent.EVIDENCE)
        assert after is (state if state is DoubtState.FAILED else DoubtState.TAKEN)


def test_an_end_stays_one() -> None:
    for happened in DoubtEvent:
        assert step(DoubtState.TAKEN, happened) is DoubtState.TAKEN
        assert step(DoubtState.FAILED, happened) is DoubtState.FAILED


def test_an_open_request_waits_for_its_answer_alone() -> None:
    """Its ttl does not end it, nor does a policy."""
    assert {h for s, h in NEXT if s is DoubtState.OUT} == {
        DoubtEvent.NOT_TAKEN,
        DoubtEvent.REFUSED,
        DoubtEvent.UNCLEAR,
        DoubtEvent.EVIDENCE,
    }


def test_an_ordinary_message_keeps_its_place_also_while_a_proof_is_missing() -> None:
    assert not RULE.goes_on(60.0)
    assert not RULE.goes_on(599.0)


def test_behind_one_with_a_longer_window_others_go_on() -> None:
    marketing = RULE._replace(window=3900.0)
    assert not marketing.goes_on(59.9)
    assert marketing.goes_on(60.0)
