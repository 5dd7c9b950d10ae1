"""What is counted of requests that were answered with an error of Meta's own (Q13)."""

from __future__ import annotations

from warouter.flow.aftermath import SECONDS, Aftermath

A, B = b"a" * 20, b"b" * 20


def test_statuses_are_counted_by_the_code_of_exactly_their_reference() -> None:
    after = Aftermath()
    after.answered(A, 1, 131016, 0.0)
    after.answered(A, 2, 2, 1.0)
    after.answered(B, 1, 131000, 2.0)
    for message_id, attempt, status in (
        (A, 2, "sent"),
        (A, 2, "delivered"),
        (B, 1, "failed"),
        (B, 2, "sent"),  # of an attempt that was answered otherwise
        (b"c", 1, "sent"),  # and of another message
    ):
        after.heard(message_id, attempt, status, 3.0)
    assert after.answers == {131016: 1, 2: 1, 131000: 1}
    assert after.statuses == {(2, "sent"): 1, (2, "delivered"): 1, (131000, "failed"): 1}


def test_other_answers_are_no_matter() -> None:
    after = Aftermath()
    for code in (-1, 0, 100, 130429, 131056):
        after.answered(A, 1, code, 0.0)
        after.heard(A, 1, "sent", 0.0)
    assert len(after) == 0
    assert after.answers == after.statuses == {}


def test_a_status_that_is_read_again_is_counted_once() -> None:
    after = Aftermath()
    after.answered(A, 1, 1, 0.0)
    for _ in range(3):
        after.heard(A, 1, "sent", 1.0)
        after.heard(A, 1, "deleted", 1.0)
        after.heard(A, 1, "warning", 1.0)
    assert after.statuses == {(1, "sent"): 1, (1, "other"): 1}


def test_the_memory_is_bounded_in_number_and_in_time() -> None:
    after = Aftermath(most=3)
    for n in range(5):
        after.answered(bytes([n]), 1, 133004, 0.0)
    assert len(after) == 3
    after.heard(bytes([1]), 1, "sent", 0.0)
    after.heard(bytes([2]), 1, "sent", SECONDS)
    after.heard(bytes([3]), 1, "sent", SECONDS + 1.0)
    assert after.statuses == {(133004, "sent"): 1}
    after.answered(A, 1, 133004, SECONDS + 1.0)
    assert len(after) == 1
    assert after.answers == {133004: 6}


def test_one_that_is_answered_so_once_more_is_the_newest() -> None:
    after = Aftermath(most=2)
    after.answered(A, 1, 2, 0.0)
    after.answered(B, 1, 2, 1.0)
    after.answered(A, 1, 131016, 2.0)
    after.answered(b"c", 1, 2, 3.0)
    after.heard(A, 1, "sent", 4.0)
    assert after.answers == {2: 3, 131016: 1}
    assert after.statuses == {(131016, "sent"): 1}
