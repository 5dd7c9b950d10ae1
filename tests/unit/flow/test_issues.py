"""The messages of a slot that the machine knows; what is remembered of those that have ended."""

from __future__ import annotations

import math

from msgspec.structs import replace

from warouter.flow.doubt.states import DoubtState, Issue
from warouter.flow.issues import MOST_OVER, MOST_TIMED, PAGE, Issues
from warouter.flow.progress import Unissued

TO = "4915100000000"
IDS = [n.to_bytes(20, "big") for n in range(3 * MOST_OVER)]


def _nobody(_recipient: str) -> bool:
    return False


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
        issues.fail_written(message_id)
        issues.keep(Issue(1, message_id, TO, DoubtState.ENDED))
    assert [issues.fails(message_id) for message_id in IDS].count(True) == MOST_OVER
    assert issues.fails(IDS[-1])


def test_a_failure_whose_message_was_taken_meanwhile_is_not_remembered() -> None:
    issues = Issues()
    issues.keep(Issue(1, IDS[0], TO, DoubtState.SAYING))
    issues.keep(Issue(1, IDS[0], TO, DoubtState.ENDED))
    issues.fail_written(IDS[0])
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


def test_one_record_cannot_say_that_a_message_left_its_lane_and_returned() -> None:
    issues, issue = Issues(), Issue(7, IDS[0], TO, DoubtState.ASIDE)
    issues.keep(issue, 0.0, 3)
    assert not issues.on_disk(issue, 2)
    assert issues.on_disk(issue, 3)


def _doubt(n: int) -> Issue:
    return Issue(n, IDS[n], TO, DoubtState.DOUBT, doubts=1)


def test_time_is_told_to_those_that_it_may_change_the_earliest_first() -> None:
    issues = Issues()
    for n, look in enumerate((5.0, 1.0, 3.0, math.inf)):
        issues.keep(_doubt(n), look)
    assert [issue.seq for issue in issues.due(4.0, 10)] == [1, 2]
    assert issues.due(4.0, 10) == []  # until they are kept anew
    issues.keep(_doubt(1), 4.5)
    issues.keep(_doubt(1), 9.0)
    assert [issue.seq for issue in issues.due(8.0, 10)] == [0]
    issues.hurry(8.0)
    assert sorted(issue.seq for issue in issues.due(8.0, 10)) == [1, 3]


def test_memory_has_so_many_that_only_time_changes_and_those_are_the_first() -> None:
    issues = Issues()
    issues.read([], issues.page, 0.0)
    for n in range(MOST_TIMED + 2):
        issues.keep(_doubt(n), float(n), record=n)
    issues.let_go(MOST_TIMED - 1, _nobody, 0.0)
    assert len(issues) == MOST_TIMED  # the last two are not on disk yet
    assert IDS[MOST_TIMED + 1] in issues
    assert issues.beyond
    assert not issues.wants(2e9)  # there is no room
    for n in range(PAGE):
        assert not issues.wants(MOST_TIMED + 1.0)  # for a page of them
        issues.keep(replace(_doubt(n), state=DoubtState.ENDED))
    assert issues.wants(MOST_TIMED + 1.0)
    for n in (*range(PAGE), MOST_TIMED + 2, MOST_TIMED + 3):
        issues.keep(_doubt(n), float(n), record=n)
    assert len(issues) > MOST_TIMED
    issues.let_go(MOST_TIMED + 3, _nobody, 0.0)
    assert len(issues) <= MOST_TIMED
    assert (IDS[0] in issues, IDS[MOST_TIMED + 1] in issues) == (True, False)


def test_messages_that_are_looked_at_later_make_way_for_those_beyond_that_are_due() -> None:
    """A thousand in doubt are held for a day; without room others would keep their lanes shut."""
    issues = Issues()
    issues.read([], issues.page, 0.0)
    for n in range(MOST_TIMED + PAGE):
        issues.keep(_doubt(n), 60.0 + n / 1e4, record=1)
    issues.let_go(1, _nobody, 0.0)
    for issue in issues.due(60.5, MOST_TIMED):
        held = replace(issue, state=DoubtState.HELD)
        issues.keep(held, 86_400.0, record=2)
    issues.let_go(1, _nobody, 61.0)
    assert (len(issues), issues.wants(61.0)) == (MOST_TIMED, False)  # that is not on disk
    issues.let_go(2, _nobody, 61.0)
    assert issues.wants(61.0)
    issues.read([60.2] * PAGE, issues.page, 61.0)  # all that are due are here
    assert len(issues) == MOST_TIMED // 2


def test_messages_make_no_way_for_those_that_come_later() -> None:
    issues = Issues()
    issues.read([], issues.page, 0.0)
    for n in range(MOST_TIMED + PAGE):
        issues.keep(_doubt(n), float(n), record=1)
    for now in (0.0, 2e9):
        issues.let_go(1, _nobody, now)
        assert len(issues) == MOST_TIMED


def test_the_table_is_read_on_when_the_last_of_a_page_may_be_looked_at() -> None:
    issues = Issues()
    page = issues.page
    issues.read([float(n) for n in range(page)], page, 0.0)
    assert issues.beyond
    assert not issues.wants(page - 1.5)
    assert issues.wants(page - 1.0)


def test_a_message_that_is_parked_goes_from_memory_once_that_is_on_disk() -> None:
    issues = Issues()
    again = Issue(7, IDS[0], TO, DoubtState.QUEUED, rows=1, attempt=1)
    issues.keep(again, record=4)
    issues.park(IDS[0], 5)
    issues.let_go(4, _nobody, 0.0)
    assert IDS[0] in issues
    issues.let_go(5, TO.__eq__, 0.0)  # its rows are being read
    assert IDS[0] in issues
    issues.let_go(5, _nobody, 0.0)
    assert issues == {}
    issues.keep(again, record=6)
    issues.park(IDS[0], 6)
    assert issues.found(IDS[0])  # read into its lane again
    issues.let_go(9, _nobody, 0.0)
    assert IDS[0] in issues


def test_a_later_attempt_may_be_heard_of_until_its_window_ends() -> None:
    issues = Issues()
    issues.may_be_heard(IDS[0], 2, until=60.0, now=0.0)
    assert issues.unheard(IDS[0], 59.0) == {2}
    assert issues.unheard(IDS[1], 59.0) == frozenset()
    assert issues.unheard(IDS[0], 60.0) == frozenset()
    issues.may_be_heard(IDS[1], 1, until=100.0, now=60.0)
    assert issues._unheard == {(IDS[1], 1): 100.0}
