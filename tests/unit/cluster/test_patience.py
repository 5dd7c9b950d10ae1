"""A leader's limit for commits follows what commits take."""

from __future__ import annotations

from warouter.cluster.patience import Patience


def test_quick_commits_leave_the_limit_as_it_is() -> None:
    patience = Patience(2.0, 8.0)
    for _ in range(5):
        patience.answered(0.01)
    assert patience.seconds == 2.0


def test_a_disk_that_is_slower_than_the_limit_is_waited_for_from_the_next_commit_on() -> None:
    patience = Patience(2.0, 8.0)
    patience.ran_out()
    assert patience.seconds == 4.0
    for took in (2.5, 3.0, 2.2):
        assert took < patience.seconds
        patience.answered(took)


def test_the_limit_has_an_end_and_comes_down_again() -> None:
    patience = Patience(2.0, 8.0)
    for _ in range(5):
        patience.ran_out()
    assert patience.seconds == 8.0
    patience.answered(0.01)
    assert patience.seconds == 4.0
    patience.answered(0.01)
    assert patience.seconds == 2.0


def test_one_slow_commit_makes_room_for_slower_ones() -> None:
    patience = Patience(2.0, 8.0)
    patience.answered(1.9)
    assert patience.seconds == 3.8
    patience.answered(5.0)
    assert patience.seconds == 8.0
