"""Lanes: order per recipient, the window, retries, parking. A model keeps them honest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.lanes import WINDOW, Entry, Lanes


def entry(seq: int, recipient: str = "111", *, parked: bool = False) -> Entry:
    return Entry(seq, seq.to_bytes(20, "big"), recipient, 0, b"{}", parked=parked)


def seqs(entries: list[Entry]) -> list[int]:
    return [e.seq for e in entries]


def holding(*entries: Entry) -> Lanes:
    lanes = Lanes()
    for each in entries:
        assert lanes.push(each)
    return lanes


def filled(*recipients: str) -> Lanes:
    return holding(*(entry(seq, recipient) for seq, recipient in enumerate(recipients, 1)))


def test_the_window_bounds_what_is_sent_and_not_recorded() -> None:
    lanes = filled(*(f"{n}" for n in range(100_000, 100_000 + WINDOW + 5)))
    taken = lanes.take()
    assert len(taken) == WINDOW
    for e in taken:
        lanes.answered(e.id)
    assert lanes.take() == []  # answered, but a successor would send them again
    lanes.recorded(e.seq for e in taken[:3])
    assert len(lanes.take()) == 3


def test_a_retry_holds_back_that_recipient_only() -> None:
    lanes = filled("111", "111", "222", "222")
    lanes.take()
    lanes.retry(entry(1).id, due=5.0)
    lanes.answered(entry(3).id)
    assert seqs(lanes.take()) == [4]
    assert lanes.due(4.9) == 5.0
    assert lanes.take() == []
    assert lanes.due(5.0) is None
    again = lanes.take()
    assert seqs(again) == [1]
    assert again[0].attempts == 1


def test_a_window_full_of_retries_does_not_wait_for_itself() -> None:
    lanes = filled(*(f"{n}" for n in range(100_000, 100_000 + WINDOW + 1)))
    for e in lanes.take():
        lanes.retry(e.id, due=5.0)
    assert lanes.take() == []
    lanes.due(5.0)
    assert len(lanes.take()) == WINDOW


def test_a_new_connection_repeats_no_more_than_the_window() -> None:
    lanes = filled(*(f"{n}" for n in range(100_000, 100_000 + 2 * WINDOW)))
    sent = {e.seq for e in lanes.take()}
    lanes.requeue()
    assert {e.seq for e in lanes.take()} == sent


def test_a_new_connection_sends_what_is_unanswered_again_in_order() -> None:
    lanes = filled("111", "222", "333", "111")
    lanes.take()
    lanes.answered(entry(2).id)
    lanes.requeue()
    assert seqs(lanes.take()) == [1, 3]


def test_a_blocked_lane_is_handed_back_and_takes_nothing() -> None:
    lanes = filled("111", "222", "111")
    lanes.take()
    assert seqs(lanes.block("111")) == [1, 3]
    assert not lanes.push(entry(9))
    assert lanes.push(entry(1, parked=True))
    assert seqs(lanes.take()) == [1]
    lanes.answered(entry(1).id)
    lanes.unblock("111")
    assert lanes.push(entry(10))


def test_what_is_parked_says_whether_the_upstream_may_have_it() -> None:
    lanes = filled("111", "222", "333", "444", "555", "111")
    lanes.take()
    lanes.ask_again(entry(1).id)  # once more, and not yet
    lanes.retry(entry(3).id, due=5.0)  # it has said that it does not have it
    lanes.withhold(entry(4).id)
    said = [e.told for r in ("111", "222", "333", "444") for e in lanes.block(r)]
    assert said == [True, False, True, False, False]
    lanes.requeue()  # the connection is new
    assert [e.told for e in lanes.block("555")] == [True]


def test_below_bounds_what_may_go_when_the_cursor_is_full() -> None:
    lanes = filled("111", "222", "333")
    assert seqs(lanes.take(below=3)) == [1, 2]


def test_an_answer_to_what_is_not_out_changes_nothing() -> None:
    lanes = filled("111")
    assert lanes.answered(entry(1).id) is None
    assert lanes.retry(entry(1).id, 1.0) is None
    assert lanes.waiting == 1


def dated(seq: int, expires: float, recipient: str = "a") -> Entry:
    return entry(seq, recipient)._replace(expires=expires)


def test_what_has_waited_too_long_is_taken_out_from_anywhere_in_a_lane() -> None:
    lanes = holding(dated(1, 10, "a"), dated(2, 5, "a"), dated(3, 5, "b"), dated(4, 9, "b"))
    assert lanes.expire(4.9) == []
    assert seqs(lanes.expire(5)) == [2, 3]
    assert lanes.waiting == 2
    assert seqs(lanes.take()) == [1, 4]
    lanes.answered(entry(1).id)
    lanes.answered(entry(4).id)
    assert lanes.waiting == 0


def test_a_lane_that_expired_whole_takes_new_messages() -> None:
    lanes = holding(dated(1, 5))
    assert seqs(lanes.expire(5)) == [1]
    assert lanes.take() == []
    lanes.push(dated(2, 9))
    assert seqs(lanes.take()) == [2]


def test_what_is_out_is_not_taken_out_nor_when_its_connection_was_lost() -> None:
    lanes = holding(dated(1, 5), dated(2, 6))
    assert seqs(lanes.take()) == [1]
    assert seqs(lanes.expire(5.5)) == []
    lanes.requeue()
    assert seqs(lanes.expire(7)) == [2]
    assert seqs(lanes.take()) == [1]


def test_a_retry_may_expire_since_it_was_not_taken() -> None:
    lanes = holding(dated(1, 5), dated(2, 50))
    lanes.take()
    lanes.requeue()
    lanes.take()
    lanes.retry(entry(1).id, due=20)
    assert seqs(lanes.expire(6)) == [1]
    assert lanes.due(30) is None
    assert seqs(lanes.take()) == [2]


def test_what_is_withheld_was_never_sent_so_it_expires_like_the_rest() -> None:
    """Once it is released, or its connection was lost: before it is still being prepared."""
    for end in (lambda lanes: lanes.release(entry(1).id), lambda lanes: lanes.requeue()):
        lanes = holding(dated(1, 5), dated(2, 50))
        assert seqs(lanes.take()) == [1]
        lanes.withhold(entry(1).id)
        assert lanes.out == 0  # a drain does not wait for it
        assert lanes.expire(6) == []
        end(lanes)
        assert seqs(lanes.expire(6)) == [1]
        assert seqs(lanes.take()) == [2]


def test_what_is_withheld_goes_once_it_is_released_and_holds_its_lane_until_then() -> None:
    lanes = holding(dated(1, 50), dated(2, 50))
    lanes.take()
    lanes.withhold(entry(1).id)
    assert lanes.take() == []
    lanes.release(entry(1).id)
    lanes.release(entry(1).id)  # once is enough
    assert seqs(lanes.take()) == [1]
    lanes.requeue()
    assert lanes.expire(60) == [dated(2, 50)]  # the first was sent
    assert seqs(lanes.take()) == [1]
    assert lanes.take() == []


def test_what_waits_is_counted_in_bytes_however_it_leaves() -> None:
    lanes, size = filled("111", "222", "333", "333"), len(entry(1).body)
    lanes.push(dated(5, 5, "444"))
    assert lanes.bytes == 5 * size
    lanes.take()
    assert lanes.bytes == 5 * size  # until it is answered
    lanes.answered(entry(1).id)
    lanes.retry(entry(2).id, due=9.0)
    assert lanes.bytes == 4 * size
    lanes.block("333")
    assert lanes.bytes == 2 * size
    lanes.requeue()
    lanes.answered(entry(5).id)
    lanes.due(9.0)
    lanes.take()
    lanes.answered(entry(2).id)
    assert lanes.bytes == size


ACTIONS = ["push", "take", "answer", "retry", "expire", "reconnect", "withhold", "release"]
RECIPIENTS = st.sampled_from(["a", "b", "c", "d"])


class Script:
    """Plays calls on lanes, and keeps what an upstream would have seen of them."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.lanes = Lanes(window=6)
        self.now = 0.0
        self.pushed = 0
        self.out: list[Entry] = []
        self.held: list[Entry] = []
        self.first: dict[str, list[int]] = defaultdict(list)
        self.ended: list[int] = []

    def push(self) -> None:
        self.pushed += 1
        expires = self.now + self.draw(st.floats(0, 20))
        self.lanes.push(dated(self.pushed, expires, self.draw(RECIPIENTS)))

    def take(self) -> None:
        self.lanes.due(self.now)
        for e in self.lanes.take():
            assert all(e.recipient != o.recipient for o in (*self.out, *self.held))
            self.out.append(e)
            if e.seq not in self.first[e.recipient]:
                self.first[e.recipient].append(e.seq)

    def answer(self) -> None:
        e = self.out.pop(0)
        assert self.lanes.answered(e.id) is not None
        self.ended.append(e.seq)
        self.lanes.recorded([e.seq])

    def retry(self) -> None:
        self.lanes.retry(self.out.pop().id, self.now + self.draw(st.floats(0, 5)))

    def expire(self) -> None:
        self.ended += seqs(self.lanes.expire(self.now))

    def reconnect(self) -> None:
        self.lanes.requeue()
        self.out.clear()
        self.held.clear()

    def withhold(self) -> None:
        self.held.append(self.out.pop())
        self.lanes.withhold(self.held[-1].id)

    def release(self) -> None:
        self.lanes.release(self.held.pop(0).id)


@given(st.data())
def test_whatever_happens_each_ends_once_and_first_sends_are_in_order(data: st.DataObject) -> None:
    script = Script(data.draw)
    for _ in range(data.draw(st.integers(1, 80))):
        action = data.draw(st.sampled_from(ACTIONS))
        script.now += 1.0
        needs = {"answer": script.out, "retry": script.out, "withhold": script.out}
        if (needs | {"release": script.held}).get(action, True):
            getattr(script, action)()
    script.now += 100.0
    script.expire()
    script.reconnect()
    while script.lanes.waiting:
        script.take()
        script.answer()
    assert sorted(script.ended) == list(range(1, script.pushed + 1))
    assert all(order == sorted(order) for order in script.first.values())
    assert script.lanes.bytes == 0


def test_what_is_told_is_not_asked_for_before_the_second_look() -> None:
    lanes = filled("111", "222")
    lanes.take()
    assert lanes.unanswered() == []
    lanes.answered(entry(1).id)
    lanes.push(entry(3, "111"))
    lanes.take()
    assert lanes.unanswered() == []  # the upstream works them off
    lanes.answered(entry(3).id)  # told before that look: nothing is overtaken
    assert lanes.unanswered() == []


def test_what_was_overtaken_is_asked_for_at_once() -> None:
    lanes = filled("111", "222", "333")
    lanes.take()
    lanes.unanswered()
    lanes.push(entry(4, "444"))
    lanes.take()
    lanes.answered(entry(4).id)
    assert seqs(lanes.unanswered()) == [1, 2, 3]


def test_of_a_silent_upstream_more_and_more_is_asked_for() -> None:
    lanes = filled(*(f"{n}" for n in range(100_000, 100_007)))
    lanes.take()
    lanes.unanswered()
    asked = []
    for _ in range(3):
        due = lanes.unanswered()
        asked.append(seqs(due))
        for e in due:
            lanes.ask_again(e.id)
        lanes.take()
    assert asked == [[1], [2, 3], [4, 5, 6, 7]]


def test_what_is_asked_for_again_keeps_its_place_and_does_not_expire() -> None:
    lanes = Lanes()
    first = Entry(1, bytes(20), "111", 0, b"{}", expires=5.0)
    lanes.push(first)
    lanes.push(entry(2, "111"))
    lanes.take()
    lanes.ask_again(first.id)
    assert lanes.expire(9.0) == []  # the upstream may have it
    again = lanes.take()
    assert seqs(again) == [1]
    assert again[0].attempts == 1
    assert lanes.expire(9.0) == []
    lanes.answered(first.id)
    assert seqs(lanes.take()) == [2]


def test_after_a_new_connection_everything_is_new() -> None:
    lanes = filled("111", "222")
    lanes.take()
    lanes.unanswered()
    lanes.requeue()
    lanes.take()
    assert lanes.unanswered() == []


def test_what_waits_for_its_media_is_not_asked_for() -> None:
    lanes = filled("111")
    lanes.take()
    lanes.withhold(entry(1).id)
    assert lanes.unanswered() == []
    assert lanes.unanswered() == []
