"""What is remembered of messages whose issues have ended."""

from __future__ import annotations

import pytest

from warouter.flow.doubt import DoubtRule, DoubtState, Policy
from warouter.flow.issues import MOST_PROVEN, Issue, Issues

RULE = DoubtRule(Policy.RESEND, window=60.0, blind=600.0, lane=60.0)
TO = "4915100000000"


def _issue(state: DoubtState, doubts: int) -> Issue:
    issue = Issue(1, bytes(20), TO, doubts=doubts)
    issue.state, issue.rule = state, RULE
    return issue


@pytest.mark.parametrize(
    ("state", "doubts", "others"),
    [
        (DoubtState.OUT, 0, 0),  # the usual end
        (DoubtState.OUT, 1, 1),  # the answer is of the second request
        (DoubtState.DOUBT, 1, 0),  # the evidence is of the only one
        (DoubtState.DOUBT, 2, 1),
        (DoubtState.QUEUED, 1, 0),
        (DoubtState.HELD, 3, 2),
    ],
)
def test_the_requests_beside_the_one_that_was_taken_may_be_heard_of(
    state: DoubtState, doubts: int, others: int
) -> None:
    assert Issues().ended(_issue(state, doubts), 1, 100.0) == others


def test_that_a_recipient_may_be_heard_of_is_remembered_until_it_is_on_disk() -> None:
    issues = Issues()
    issues.leave_unheard(TO, 8, 6)
    assert issues.unheard(["4915199999999", TO], 7)
    assert not issues.unheard(["4915199999999"], 7)
    assert not issues.unheard([TO], 8)
    issues.leave_unheard("4915199999999", 9, 8)
    assert not issues.unheard([TO], 7)  # forgotten, as it is on disk


def test_proofs_are_remembered_for_one_page() -> None:
    issues = Issues()
    for n in range(MOST_PROVEN + 1):
        issues.prove(n.to_bytes(20))
    assert len(issues.proven) == MOST_PROVEN
    assert (0).to_bytes(20) not in issues.proven


def test_failures_are_remembered_while_their_rows_may_be_read() -> None:
    """And not for ever: an epoch lasts for months."""
    issues = Issues()
    ids = [n.to_bytes(20, "big") for n in range(3 * MOST_PROVEN)]
    for message_id in ids:
        issues.fail(message_id)
    assert all(issues.fails(message_id) for message_id in ids)
    for message_id in ids:
        issues.fail_stored(message_id)
    assert [issues.fails(message_id) for message_id in ids].count(True) == MOST_PROVEN
    assert issues.fails(ids[-1])
