"""What the history of a run counts as a repeat, and what it forgives."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.campaigns.simulation.history import History

WINDOW = 3
IDS = [bytes([n]) * 20 for n in range(WINDOW + 1)]


@pytest.fixture
def history() -> History:
    history = History()
    history.window = WINDOW
    return history


def takes(history: History, epoch: int, connection: int, *ids: bytes) -> None:
    for message_id in ids:
        send = SimpleNamespace(to="49151", body=message_id)
        history.takes(0, epoch, connection, message_id[0], send, message_id)


def broken(history: History) -> set[str]:
    return {number for _, number, _ in history.violations()}


def test_an_epoch_leaves_a_window_of_repeats_and_no_more(history: History) -> None:
    takes(history, 1, 1, *IDS)
    takes(history, 2, 2, *IDS[:WINDOW])
    assert not broken(history)
    takes(history, 2, 2, IDS[WINDOW])
    assert broken(history) == {"I6"}


def test_two_epochs_in_a_row_may_leave_a_window_each(history: History) -> None:
    """The second one ends before it has repeated what the first one left, and adds its own."""
    first, second = IDS[: WINDOW - 1], IDS[WINDOW - 1 :]
    takes(history, 1, 1, *first)
    takes(history, 2, 2, *second)
    takes(history, 3, 3, *first, *second)
    assert not broken(history)


def test_a_late_read_of_the_old_connection_counts_as_sent_first(history: History) -> None:
    """An upstream that was silent takes it for a repeat of what came over the new one."""
    takes(history, 1, 1, *IDS[:WINDOW])
    takes(history, 1, 2, *IDS[:WINDOW])
    takes(history, 1, 3, IDS[WINDOW])
    takes(history, 1, 2, IDS[WINDOW])
    assert not broken(history)


def test_a_repeat_that_is_read_late_counts_for_its_own_connection(history: History) -> None:
    takes(history, 1, 1, *IDS[:WINDOW])
    takes(history, 1, 2, *IDS[:WINDOW])
    takes(history, 1, 1, *IDS[:WINDOW])
    assert not broken(history)
    takes(history, 1, 1, IDS[0])
    assert broken(history) == {"I6"}


def test_an_unanswered_callback_may_be_repeated(history: History) -> None:
    takes(history, 1, 1, IDS[0])
    history.loses(IDS[0])
    takes(history, 1, 1, *[IDS[0]] * 10)
    assert not broken(history)


def test_a_parked_callback_leaves_its_place_in_the_window(history: History) -> None:
    told = {IDS[0][0]}
    history.told = lambda _slot, seq: seq in told
    takes(history, 1, 1, *IDS)
    takes(history, 2, 2, *IDS)
    assert not broken(history)
    told.clear()
    takes(history, 3, 3, *IDS)
    assert broken(history) == {"I6"}


def test_one_message_has_one_id(history: History) -> None:
    takes(history, 1, 1, IDS[0])
    send = SimpleNamespace(to="49151", body=IDS[0])
    history.takes(0, 1, 1, 0, send, IDS[1])
    assert broken(history) == {"I6"}
