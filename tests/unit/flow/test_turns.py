"""Turns of an owner's slots under a budget, alone and with the lanes that they are for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.budget import Budget
from warouter.flow.lanes import LaneEntry, Lanes
from warouter.flow.pairs import Pairs
from warouter.flow.turns import Turn, Turns

PLENTY = 1e9


def order(turns: Turns[str], count: int, now: float = 0.0) -> str:
    """Whose turns they are, in capitals those with priority."""
    taken = ""
    for _ in range(count):
        turn = turns.next(now)
        assert turn is not None
        turns.spend(turn, now)
        taken += turn.slot.upper() if turn.priority else turn.slot
    return taken


def offered(*words: str, quota: float = PLENTY) -> Turns[str]:
    turns = Turns[str](Budget(quota, 0.0))
    for word in words:
        turns.offer(Turn(word.lower(), word.isupper()))
    return turns


def test_slots_go_round() -> None:
    assert order(offered("a", "b", "c"), 7) == "abcabca"


def test_priority_goes_first() -> None:
    assert order(offered("a", "b", "C", "D"), 4) == "CDCD"


def test_a_slot_that_is_offered_again_keeps_its_turn() -> None:
    turns = offered("a", "b")
    turns.offer(Turn("a", False))
    assert order(turns, 3) == "aba"


def test_a_slot_that_is_withdrawn_has_no_turn() -> None:
    turns = offered("a", "b", "A")
    turns.withdraw(Turn("a", False))
    turns.withdraw(Turn("a", True))
    turns.withdraw(Turn("a", True))
    assert order(turns, 2) == "bb"
    turns.withdraw(Turn("b", False))
    assert turns.next(0.0) is None
    assert turns.due(0.0) is None


def test_a_turn_that_is_not_spent_stays_and_costs_nothing() -> None:
    turns = offered("a", "b", quota=1.0)
    assert turns.next(0.0) == turns.next(0.0) == Turn("a", False)
    assert turns.due(0.0) == 0.0
    assert order(turns, 1) == "a"
    assert turns.next(0.0) is None
    assert turns.due(0.0) == pytest.approx(1.0)
    assert order(turns, 1, now=1.0) == "b"


def test_a_slot_that_is_withdrawn_while_its_turn_is_spent_stays_away() -> None:
    turns = offered("a", "b")
    turn = Turn("a", False)
    turns.withdraw(turn)
    turns.spend(turn, 0.0)
    assert order(turns, 2) == "bb"


def test_the_kinds_alternate_when_there_is_less_than_both_want() -> None:
    turns, now, taken = offered("a", "B", quota=10.0), 0.0, ""
    for _ in range(100):
        taken += order(turns, 1, now)
        now += turns.due(now) or 0.0
    assert taken[10:] in ("aB" * 45, "Ba" * 45)


class Owner:
    """Slots with lanes, a budget and a model of pairs; each message is answered at once."""

    def __init__(self, quota: float, slots: int) -> None:
        self.turns = Turns[int](Budget(quota, 0.0))
        self.lanes = [Lanes() for _ in range(slots)]
        self.pairs = Pairs()
        self.seq = 0
        self.now = 0.0
        self.sent: list[tuple[float, LaneEntry]] = []

    def push(self, slot: int, recipient: str, *, priority: bool = False) -> LaneEntry:
        self.seq += 1
        entry = LaneEntry(
            self.seq, self.seq.to_bytes(20, "big"), recipient, 0, b"{}", priority=priority
        )
        self.lanes[slot].push(entry)
        self.offer(slot)
        return entry

    def offer(self, slot: int) -> None:
        for kind in (True, False):
            self.turns.offer(Turn(slot, kind))

    def run(self, until: float) -> None:
        while self.now < until:
            while turn := self.turns.next(self.now):
                self.serve(turn)
            dues = [lanes.due(self.now) for lanes in self.lanes]
            waits = [due - self.now for due in dues if due is not None]
            wait = self.turns.due(self.now)
            waits += [wait] if wait is not None else []
            self.now = min(until, self.now + min(waits, default=until))
            for slot, lanes in enumerate(self.lanes):
                lanes.due(self.now)
                self.offer(slot)

    def serve(self, turn: Turn[int]) -> None:
        lanes = self.lanes[turn.slot]
        head = lanes.peek(priority=turn.priority)
        if head is None:
            self.turns.withdraw(turn)
        elif wait := self.pairs.take(head.recipient, self.now):
            lanes.put_off(head, self.now + wait)
        else:
            lanes.go(head)
            self.turns.spend(turn, self.now)
            self.sent.append((self.now, head))
            lanes.answered(head.id)
            lanes.recorded([head.seq])
            self.offer(turn.slot)


@pytest.mark.parametrize("quota", [1.0, 9.5, 118.0])
def test_a_password_behind_a_campaign_leaves_within_three_seconds(quota: float) -> None:
    owner = Owner(quota, 4)
    for n in range(4_000):
        owner.push(n % 4, str(10_000_000 + n))
    owner.run(5.0)
    password = owner.push(3, "4917", priority=True)
    owner.run(8.0)
    assert [at <= 8.0 for at, entry in owner.sent if entry is password] == [True]


def test_passwords_cannot_hold_up_the_rest() -> None:
    owner = Owner(20.0, 4)
    for n in range(2_000):
        owner.push(n % 4, str(10_000_000 + n), priority=n % 2 == 0)
    owner.run(30.0)
    kinds = Counter(entry.priority for _, entry in owner.sent)
    assert kinds[True] == pytest.approx(300, abs=10)
    assert kinds[False] == pytest.approx(300, abs=10)


def test_the_whole_budget_is_used_and_slots_have_equal_parts() -> None:
    owner = Owner(20.0, 3)
    for n in range(3_000):
        owner.push(0 if n < 2_000 else 1 + n % 2, str(10_000_000 + n))
    owner.run(30.0)
    slots = Counter(0 if entry.seq <= 2_000 else 1 + (entry.seq - 1) % 2 for _, entry in owner.sent)
    assert set(slots.values()) <= {206, 207}  # a burst of a second, and thirty
    assert sum(slots.values()) >= 600


def test_a_lane_that_waits_for_its_pair_holds_up_nobody() -> None:
    owner = Owner(20.0, 1)
    for _ in range(100):
        owner.push(0, "4917")
    for n in range(400):
        owner.push(0, str(10_000_000 + n))
    owner.run(20.0)
    sent = Counter(entry.recipient == "4917" for _, entry in owner.sent)
    assert sent[True] in (45, 46, 47, 48)
    assert sent[True] + sent[False] >= 400
    times = [at for at, entry in owner.sent if entry.recipient == "4917"]
    assert times[-1] - times[-2] == pytest.approx(6.0, abs=0.2)


PUSHES = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.booleans()), max_size=60)


@given(PUSHES, st.floats(0.5, 50.0))
def test_each_goes_once_in_the_order_of_its_recipient(
    pushes: list[tuple[int, int, bool]], quota: float
) -> None:
    owner = Owner(quota, 3)
    for slot, recipient, priority in pushes:
        owner.push(slot, str(recipient * 10 + slot), priority=priority)
    owner.run(1_000.0)
    sent = [entry.seq for _, entry in owner.sent]
    assert sorted(sent) == list(range(1, len(pushes) + 1))
    for recipient in {entry.recipient for _, entry in owner.sent}:
        mine = [entry.seq for _, entry in owner.sent if entry.recipient == recipient]
        assert mine == sorted(mine)
