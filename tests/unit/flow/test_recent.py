"""Messages of which an owner knows by heart what was shown."""

from __future__ import annotations

import pytest

from warouter.flow import recent
from warouter.flow.recent import RecentMessage, RecentMessages
from warouter.flow.statuses import KnownStatuses


def test_the_oldest_of_too_many_and_what_was_read_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "MOST", 3)
    messages = RecentMessages()
    for n in range(6):
        messages.taken(bytes([n]), "4915112345678", f"wamid.{n}")
        messages.answered(bytes([n]))
    assert messages.shown(b"\5", KnownStatuses(rank=3))
    messages.let_go(lambda _id, _message: False)
    assert list(messages) == [b"\3", b"\4"]


def test_nothing_is_forgotten_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What v1 was shown is not on disk yet, or the next page of the inbox does not say it."""
    monkeypatch.setattr(recent, "MOST", 0)
    messages = RecentMessages()
    messages.taken(b"a", "1", "wamid.a")
    messages.taken(b"b", "1", "wamid.b")
    for message_id in (b"a", b"b", b"unknown"):
        messages.answered(message_id)

    def is_needed(message_id: bytes, message: RecentMessage) -> bool:
        return (message_id, message.wamid) == (b"a", "wamid.a")

    messages.let_go(is_needed)
    assert list(messages) == [b"a"]


def test_a_message_that_was_read_is_forgotten_once_it_is_needed_no_more() -> None:
    messages = RecentMessages()
    messages.taken(b"a", "1", "wamid.a")
    messages.answered(b"a")
    messages.shown(b"a", KnownStatuses(rank=3))
    messages.let_go(lambda _id, _message: True)
    messages.shown(b"a", KnownStatuses(rank=3))  # a repeat
    assert messages[b"a"].seen.rank == 3
    messages.let_go(lambda _id, _message: False)
    assert messages == {}
    assert not messages.shown(b"a", KnownStatuses(rank=3))


def test_a_message_that_was_read_before_its_answer_is_remembered_until_that() -> None:
    messages = RecentMessages()
    messages.taken(b"a", "1", "wamid.a")
    messages.shown(b"a", KnownStatuses(rank=3))
    messages.let_go(lambda _id, _message: False)
    assert list(messages) == [b"a"]
    messages.answered(b"a")
    messages.let_go(lambda _id, _message: False)
    assert messages == {}
