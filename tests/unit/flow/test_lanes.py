"""Lanes: order per recipient, the window, retries, parking. A model keeps them honest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from warouter.flow.lanes import WINDOW, LaneEntry, Lanes


def entry(seq: int, recipient: str = "111", **fields: Any) -> LaneEntry:
    return LaneEntry(seq, seq.to_bytes(20, "big"), recipient, 0, b"{}", **fields)


def seqs(entries: list[LaneEntry]) -> list[int]:
    return [e.seq for e in entries]


def holding(*entries: LaneEntry, window: int = WINDOW) -> Lanes:
    lanes = Lanes(window=window)
    for each in entries:
        assert lanes.push(each)
    return lanes


def filled(*recipients: str) -> Lanes:
    return holding(*(entry(seq, recipient) for seq, recipient in enumerate(recipients, 1)))


def test_numbers_that_write_to_one_recipient_wait_for_no_other() -> None:
    lanes = holding(entry(1), entry(2), entry(3, "2|111", number=2), entry(4, "2|111", number=2))
    assert seqs(lanes.take()) == [1, 3]
    lanes.block("111")
    lanes.answered(entry(3).id)
    assert seqs(lanes.take()) == [4]
    assert not lanes.push(entry(5))
    assert lanes.push(entry(6, "2|111", number=2))


def test_a_number_leaves_with_what_was_never_out() -> None:
    of_two = [entry(seq, f"2|{lane}", number=2) for seq, lane in enumerate("1122334", 2)]
    lanes = holding(entry(1), *of_two[:6], window=4)
    assert seqs(lanes.take()) == [1, 2, 4, 6]
    lanes.retry(of_two[2].id, 9.0)  # it was out
    lanes.failed(of_two[4].id)  # it ends
    assert lanes.push(of_two[6])
    waiting, others = lanes.of_number(2)
    assert seqs(waiting) == [3, 5, 7, 8]
    assert sorted(others) == [2, 4, 6]
    lanes.take_out(waiting)
    assert (lanes.waiting, lanes.bytes) == (3, 6)
    assert lanes.of_number(2) == ([], others)
    lanes.recorded([6])
    lanes.answered(of_two[0].id)
    assert lanes.take() == []
    lanes.due(9.0)
    assert seqs(lanes.take()) == [4]


def test_a_parked_message_does_not_leave_with_its_number() -> None:
    lanes = holding(entry(1, "2|111", number=2, parked=True))
    assert lanes.of_number(2) == ([], [])


def test_below_bounds_what_may_go_when_the_cursor_is_full() -> None:
    lanes = filled("111", "222", "333")
    assert seqs(lanes.take(below=3)) == [1, 2]


def test_below_and_the_window_bound_one_at_a_time_too() -> None:
    lanes = holding(entry(1, "111"), entry(2, "222", priority=True), window=1)
    assert lanes.peek(priority=True, below=2) is None
    assert lanes.peek(priority=True) == entry(2, "222", priority=True)
    assert lanes.peek(priority=False, below=2) == entry(1, "111")
    lanes.go(entry(1, "111"))
    assert lanes.peek(priority=True) is None
    lanes.retry(entry(1).id, 1.0)
    lanes.due(1.0)
    assert lanes.peek(priority=False, below=1) == entry(1, "111", attempts=1)


def test_a_recipient_flies_while_the_head_of_its_lane_is_out() -> None:
    lanes = filled("111", "111")
    assert not lanes.flies("222")
    assert not lanes.flies("111")
    lanes.take()
    assert lanes.flies("111")
    lanes.answered(entry(1).id)
    assert not lanes.flies("111")


def test_a_postponed_message_takes_no_place() -> None:
    lanes = holding(entry(1, "111"), entry(2, "222"), window=1)
    lanes.put_off(entry(1, "111"), 5.0)
    assert not lanes.window_full
    assert lanes.due(4.0) == 5.0
    assert seqs(lanes.take()) == [2]
    assert lanes.due(5.0) is None
    assert lanes.peek(priority=False) is None  # the window is full, and this never was out
    lanes.recorded([2])
    assert lanes.peek(priority=False) == entry(1, "111")


def test_a_head_has_its_priority_whatever_brought_it_there() -> None:
    urgent = entry(2, "111", priority=True)
    lanes = holding(entry(1, "111"), urgent)
    assert lanes.peek(priority=True) is None  # it is no head yet
    assert seqs(lanes.take()) == [1]
    lanes.answered(entry(1).id)
    assert lanes.ready
    assert lanes.peek(priority=True) == urgent
    lanes.put_off(urgent, 5.0)
    assert not lanes.ready
    lanes.due(5.0)
    assert lanes.peek(priority=True) == urgent
    assert lanes.peek(priority=False) is None


def test_an_answer_to_what_is_not_out_changes_nothing() -> None:
    lanes = filled("111")
    assert lanes.answered(entry(1).id) is None
    assert lanes.retry(entry(1).id, 1.0) is None
    assert lanes.waiting == 1


SMALL_WINDOW = 6
RECIPIENTS = "abcd"
ACTIONS = ["push", "push", "take", "take", "answer", "fail", "retry", "ask_again", "withhold"]
ACTIONS += ["release", "expire", "record", "reconnect", "block", "take_up", "unblock"]
ACTIONS += ["one", "one"]


def order(e: LaneEntry) -> tuple[bool, int]:
    """Priority first, then in seq order."""
    return not e.priority, e.seq


class Script:
    """Plays calls on lanes, and knows of every message where it must be."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.lanes = Lanes(window=SMALL_WINDOW)
        self.now = 0.0
        self.pushed = 0
        self.waits: dict[str, list[LaneEntry]] = defaultdict(list)  # by recipient, in order
        self.out: dict[str, LaneEntry] = {}  # by recipient, as all of these
        self.held: dict[str, LaneEntry] = {}
        self.later: dict[str, float] = {}
        self.blocked: set[str] = set()
        self.parked: dict[str, list[LaneEntry]] = {}  # by recipient
        self.ending: list[LaneEntry] = []  # as failed, and that is not recorded
        self.told: set[int] = set()  # on another connection, or once more: may have arrived
        self.window: set[int] = set()

    def one_of(self, some: Any) -> Any:
        return self.draw(st.sampled_from(sorted(some)))

    def push(self) -> None:
        self.pushed += 1
        expires, parked = self.now + self.draw(st.floats(0, 20)), self.draw(st.booleans())
        flags = {"parked": parked, "priority": self.draw(st.booleans())}
        new = entry(self.pushed, self.one_of(RECIPIENTS), expires=expires, **flags)
        assert self.lanes.push(new) == (parked or new.recipient not in self.blocked)
        if parked or new.recipient not in self.blocked:
            self.waits[new.recipient].append(new)

    def pass_time(self) -> None:
        self.later = {r: due for r, due in self.later.items() if due > self.now}
        assert self.lanes.due(self.now) == min(self.later.values(), default=None)

    def heads(self) -> list[LaneEntry]:
        """Those that may go, but for the window."""
        busy = self.out | self.held | self.later
        heads = [lane[0] for r, lane in self.waits.items() if lane and r not in busy]
        return [e for e in heads if self.free(e)]

    def one(self) -> None:
        """Of one kind one goes, or is put off."""
        self.pass_time()
        priority = self.draw(st.booleans())
        again = sorted(e for e in self.heads() if e.seq in self.window and not priority)
        fresh = sorted(
            e for e in self.heads() if e.seq not in self.window and e.priority == priority
        )
        may = again or (fresh if len(self.window) < SMALL_WINDOW else [])
        head = self.lanes.peek(priority=priority)
        assert head == (may[0] if may else None)
        if head is None:
            return
        if self.draw(st.booleans()):
            self.lanes.go(head)
            self.out[head.recipient] = head
            self.window.add(head.seq)
        else:
            self.later[head.recipient] = self.now + self.draw(st.floats(0.5, 5))
            self.lanes.put_off(head, self.later[head.recipient])

    def take(self) -> None:
        self.pass_time()
        taken = self.lanes.take()
        fresh = [order(e) for e in taken if e.seq not in self.window]
        for e in taken:
            assert e.recipient not in self.out | self.held | self.later
            assert e == self.waits[e.recipient][0]
            assert self.free(e)
            self.out[e.recipient] = e
        self.window |= {seq for _, seq in fresh}
        left = [order(e) for e in self.heads()]
        assert fresh == sorted(fresh)
        assert len(self.window) <= SMALL_WINDOW
        full = len(self.window) == SMALL_WINDOW
        assert not left or (full and (not fresh or min(left) > max(fresh)))
        waiting = {seq for _, seq in left}
        assert not waiting & self.window  # a window full of retries does not wait for itself

    def answer(self) -> None:
        e = self.out.pop(self.one_of(self.out))
        assert self.lanes.answered(e.id) == e
        self.gone([e])

    def free(self, e: LaneEntry) -> bool:
        """Nothing before it has failed without a record."""
        return all(x.recipient != e.recipient or x.seq > e.seq for x in self.ending)

    def fail(self) -> None:
        """Its upstream, or its owner, refuses it for good."""
        recipient = self.one_of(self.out | self.held)
        e = self.out.pop(recipient, None) or self.held.pop(recipient)
        assert self.lanes.failed(e.id) == e
        self.failed([e])

    def failed(self, entries: list[LaneEntry]) -> None:
        for e in entries:
            self.waits[e.recipient] = [o for o in self.waits[e.recipient] if o.seq != e.seq]
        self.ending += entries

    def record(self) -> None:
        """Of those that failed, some."""
        ended = [e for e in self.ending if self.draw(st.booleans())]
        self.ending = [e for e in self.ending if e not in ended]
        self.gone(ended)

    def retry(self) -> None:
        """The upstream has said that it does not have it."""
        e = self.out.pop(self.one_of(self.out))
        self.later[e.recipient] = self.now + self.draw(st.floats(0, 5))
        self.lanes.retry(e.id, self.later[e.recipient])
        self.waits[e.recipient][0] = replace(e, attempts=e.attempts + 1, told=False)
        self.told.discard(e.seq)

    def ask_again(self) -> None:
        e = self.out.pop(self.one_of(self.out))
        self.lanes.ask_again(e.id)
        self.waits[e.recipient][0] = replace(e, attempts=e.attempts + 1)
        self.told.add(e.seq)

    def withhold(self) -> None:
        recipient = self.one_of(self.out)
        self.held[recipient] = self.out.pop(recipient)
        self.lanes.withhold(self.held[recipient].id)

    def release(self) -> None:
        e = self.held.pop(self.one_of(self.held))
        self.lanes.release(e.id)
        self.lanes.release(e.id)  # once is enough

    def expire(self) -> None:
        """What may have arrived stays, and what is still being prepared."""
        stays = self.told | {e.seq for e in (*self.out.values(), *self.held.values())}
        everything = sorted(e for lane in self.waits.values() for e in lane)
        gone = [e for e in everything if e.expires <= self.now and e.seq not in stays]
        assert self.lanes.expire(self.now) == gone
        for e in gone:
            if e is self.waits[e.recipient][0]:
                self.later.pop(e.recipient, None)
            self.failed([e])

    def reconnect(self) -> None:
        self.lanes.requeue()
        self.told |= {e.seq for e in self.out.values()}
        self.out.clear()
        self.held.clear()

    def block(self) -> None:
        recipient = self.one_of(RECIPIENTS)
        lane = self.waits.pop(recipient, [])
        told = self.told | {e.seq for e in self.out.values()}
        handed = [replace(e, told=e.told or e.seq in told) for e in lane]
        assert self.lanes.block(recipient) == handed
        self.blocked.add(recipient)
        for places in (self.out, self.held, self.later):
            places.pop(recipient, None)
        self.gone(lane)
        self.parked[recipient] = sorted(self.parked.get(recipient, []) + handed)

    def take_up(self) -> None:
        """What was parked comes back, before anything else of its recipient."""
        recipient = self.one_of(self.parked)
        if recipient not in self.blocked or self.waits[recipient]:
            return
        for e in self.parked.pop(recipient):
            again = replace(e, parked=True)
            assert self.lanes.push(again)
            self.waits[recipient].append(again)

    def unblock(self) -> None:
        recipient = self.one_of(RECIPIENTS)
        self.lanes.unblock(recipient)
        self.blocked.discard(recipient)

    def gone(self, entries: list[LaneEntry]) -> None:
        """They have ended one way or another, and that is recorded."""
        self.lanes.recorded(seqs(entries))
        self.window -= set(seqs(entries))
        self.told -= set(seqs(entries))
        for e in entries:
            lane = self.waits[e.recipient]
            self.waits[e.recipient] = [other for other in lane if other.seq != e.seq]

    def check(self) -> None:
        waiting = [e for lane in self.waits.values() for e in lane]
        assert self.lanes.waiting == len(waiting)
        assert self.lanes.bytes == sum(len(e.body) for e in waiting)
        assert self.lanes.out == len(self.out)  # a drain does not wait for what is withheld


@given(st.data())
def test_whatever_happens_each_goes_in_its_turn_and_ends_once(data: st.DataObject) -> None:
    script = Script(data.draw)
    for _ in range(data.draw(st.integers(20, 80))):
        action = data.draw(st.sampled_from(ACTIONS))
        script.now += 1.0
        needs: dict[str, Any] = dict.fromkeys(("answer", "retry", "ask_again", "withhold"))
        needs = dict.fromkeys(needs, script.out) | {"release": script.held}
        needs |= {"fail": script.out | script.held, "take_up": script.parked}
        if needs.get(action, True):
            getattr(script, action)()
            script.check()
    script.now += 100.0
    script.reconnect()
    while script.ending:
        script.record()
    while script.lanes.waiting:
        script.take()
        script.answer()
        script.check()


def test_an_announced_message_is_not_requested_before_the_second_look() -> None:
    lanes = filled("111", "222")
    lanes.take()
    assert lanes.unanswered() == []
    lanes.answered(entry(1).id)
    lanes.push(entry(3, "111"))
    lanes.take()
    assert lanes.unanswered() == []  # the upstream works them off
    lanes.answered(entry(3).id)  # told before that look: nothing is overtaken
    assert lanes.unanswered() == []


def test_an_overtaken_message_is_requested_at_once() -> None:
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


def test_after_a_new_connection_everything_is_new() -> None:
    lanes = filled("111", "222")
    lanes.take()
    lanes.unanswered()
    lanes.requeue()
    lanes.take()
    assert lanes.unanswered() == []


def test_a_message_waiting_for_media_is_not_requested() -> None:
    lanes = filled("111")
    lanes.take()
    lanes.withhold(entry(1).id)
    assert lanes.unanswered() == []
    assert lanes.unanswered() == []


def test_a_message_behind_an_expired_one_waits_for_its_record() -> None:
    """Until then a successor may find the first one in time still, and send it."""
    lanes = holding(entry(1, expires=5.0), entry(2), entry(3, "222"))
    assert seqs(lanes.expire(6.0)) == [1]
    assert (lanes.waiting, lanes.bytes) == (2, 4)
    assert seqs(lanes.take()) == [3]  # others go on
    lanes.recorded([3])
    assert lanes.take() == []
    lanes.recorded([1])
    assert seqs(lanes.take()) == [2]


def test_a_message_that_comes_behind_an_expired_one_waits_for_its_record() -> None:
    lanes = holding(entry(1, expires=5.0))
    lanes.expire(6.0)
    lanes.push(entry(2))
    assert lanes.take() == []
    lanes.recorded([1])
    assert seqs(lanes.take()) == [2]


def test_a_message_before_an_expired_one_does_not_wait() -> None:
    lanes = holding(entry(1), entry(2, expires=5.0), entry(3))
    lanes.expire(6.0)
    assert seqs(lanes.take()) == [1]
    lanes.answered(entry(1).id)
    assert lanes.take() == []
    lanes.recorded([1, 2])
    assert seqs(lanes.take()) == [3]


def test_a_message_behind_a_refused_one_waits_for_its_record() -> None:
    lanes = filled("111", "111")
    lanes.take()
    failed = lanes.failed(entry(1).id)
    assert failed == entry(1)
    assert lanes.waits_for(failed)
    assert lanes.take() == []
    lanes.recorded([1])
    assert seqs(lanes.take()) == [2]
    assert lanes.failed(entry(1).id) is None


def test_a_lane_that_is_parked_waits_on_when_it_comes_back() -> None:
    lanes = holding(entry(1), entry(2, expires=5.0), entry(3))
    lanes.expire(6.0)
    assert seqs(lanes.block("111")) == [1, 3]
    lanes.push(entry(1, parked=True))
    lanes.push(entry(3, parked=True))
    assert seqs(lanes.take()) == [1]
    lanes.answered(entry(1).id)
    assert lanes.take() == []
    lanes.recorded([2])
    assert seqs(lanes.take()) == [3]
