"""What v1 hears of the statuses of a message, in whatever order they come."""

from __future__ import annotations

import itertools

import pytest

from warouter.flow.statuses import RANKS, KnownStatuses, show

ONE, BOTH = frozenset({1}), frozenset({1, 2})


def heard(events: list[tuple[int, str]], open_attempts: frozenset[int] = ONE) -> list[str]:
    """What v1 hears, one after the other."""
    seen, words = KnownStatuses(), []
    for attempt, status in events:
        seen, word = show(seen, open_attempts, attempt, status)
        words += [word] if word else []
    return words


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["sent", "delivered", "read"], ["sent", "delivered", "read"]),
        (["delivered", "sent", "read"], ["delivered", "read"]),
        (["read", "delivered", "sent"], ["read"]),
        (["sent", "sent"], ["sent"]),
        (["failed", "sent", "delivered"], ["failed"]),
        (["sent", "failed"], ["sent", "failed"]),
        (["delivered", "failed"], ["delivered"]),
        (["failed", "failed"], ["failed"]),
        (["played"], []),
    ],
)
def test_the_statuses_of_one_attempt(events: list[str], expected: list[str]) -> None:
    assert heard([(1, status) for status in events]) == expected


def test_a_failure_waits_for_the_other_attempt() -> None:
    assert heard([(1, "failed")], BOTH) == []
    assert heard([(1, "failed"), (2, "sent")], BOTH) == ["sent"]
    assert heard([(1, "failed"), (2, "failed")], BOTH) == ["failed"]
    seen, _ = show(KnownStatuses(), BOTH, 1, "failed")
    assert show(seen, ONE, 2, "void")[1] == "failed"  # the other was surely not taken


def test_contradictions_are_counted_and_not_shown() -> None:
    seen, _ = show(KnownStatuses(), ONE, 1, "delivered")
    seen, word = show(seen, ONE, 1, "failed")
    assert (seen.contradictions, word) == (1, None)
    seen, _ = show(KnownStatuses(), ONE, 1, "failed")
    seen, word = show(seen, ONE, 1, "delivered")
    assert (seen.contradictions, word) == (1, None)


def test_no_order_of_two_attempts_makes_v1_hear_a_step_back() -> None:
    ways = ((), ("sent",), ("sent", "delivered", "read"), ("failed",), ("sent", "failed"))
    for one, two in itertools.product(ways, repeat=2):
        events = [(1, status) for status in one] + [(2, status) for status in two]
        attempts = frozenset(attempt for attempt, _ in events)
        for order in set(itertools.permutations(events)):
            words = heard([*order, *order[:2]], attempts)
            ranks = [RANKS.get(word, 9) for word in words]
            assert ranks == sorted(set(ranks)), order
            arrived = {"delivered", "read"} & {status for _, status in order}
            assert not arrived or set(words) & {"delivered", "read"}, order
            if "failed" in words:
                assert all("failed" in way for way in (one, two) if way), order
