"""The messages of a slot that the machine knows; what is remembered of those that have ended."""

from __future__ import annotations

from warouter.flow.doubt.states import DoubtState, Issue
from warouter.flow.issues import MOST_OVER, Issues
from warouter.flow.progress import Unissued

TO = "4915100000000"
IDS = [n.to_bytes(20, "big") for n in range(3 * MOST_OVER)]


def test_ends_are_remembered_for_one_page() -> None:
    issues = Issues()
    for message_id in IDS[: MOST_OVER + 1]:
        issues.end(message_id)
    assert [issues.is_over(message_id) for message_id in IDS].count(True) == MOST_OVER
    assert not issues.is_over(IDS[0])


def test_failures_are_remembered_while_their_rows_may_be_read() -> None:
    """And not for ever: an epoch lasts for months."""
    issues = Issues()
    for message_id in IDS:
        issues.keep(Issue(1, message_id, TO, DoubtState.SAYING_ASIDE))
    assert all(issues.fails(message_id) for message_id in IDS)
    for message_id in IDS:
        issues.fail_stored(message_id)
        issues.keep(Issue(1, message_id, TO, DoubtState.ENDED))
    assert [issues.fails(message_id) for message_id in IDS].count(True) == MOST_OVER
    assert issues.fails(IDS[-1])


def test_a_failure_whose_message_was_taken_meanwhile_is_not_remembered() -> None:
    issues = Issues()
    issues.keep(Issue(1, IDS[0], TO, DoubtState.SAYING))
    issues.keep(Issue(1, IDS[0], TO, DoubtState.ENDED))
    issues.fail_stored(IDS[0])
    assert not issues.fails(IDS[0])


def test_a_message_that_is_settled_takes_its_row_along() -> None:
    """One of which no row was written leaves nothing."""
    issues = Issues()
    issues.keep(Issue(7, IDS[0], TO, DoubtState.PLACED))
    issues.keep(Issue(8, IDS[1], TO, DoubtState.ISSUED, rows=1))
    assert issues.settle(IDS[0], 0.0) == []
    assert issues.settle(IDS[1], 0.0) == [Unissued(8)]
    assert issues.settle(IDS[2], 0.0) == []
    assert issues == {}


def test_a_message_has_left_its_lane_once_that_record_is_on_disk() -> None:
    issues, issue = Issues(), Issue(7, IDS[0], TO, DoubtState.ASIDE)
    issues.keep(issue)
    issues.leave(issue, 3)
    assert not issues.has_left(issue, 2)
    assert issues.has_left(issue, 3)
    issues.keep(Issue(7, IDS[0], TO, DoubtState.ENDED))
    assert issues.has_left(issue, 0)


def test_a_later_attempt_may_be_heard_of_until_its_window_ends() -> None:
    issues = Issues()
    issues.may_be_heard(IDS[0], 2, until=60.0, now=0.0)
    assert issues.unheard(IDS[0], 59.0) == {2}
    assert issues.unheard(IDS[1], 59.0) == frozenset()
    assert issues.unheard(IDS[0], 60.0) == frozenset()
    issues.may_be_heard(IDS[1], 1, until=100.0, now=60.0)
    assert issues._unheard == {(IDS[1], 1): 100.0}
