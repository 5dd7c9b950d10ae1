"""Fair turns of links: bounds of users and origins, no idle place, slow ones behind the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from warouter.media.fetch_queue import (
    EACH_ORIGIN,
    EACH_USER,
    PLACES,
    SLOW_AFTER,
    SLOW_FOR,
    FetchQueue,
    FetchTurn,
    LinkSource,
)


def begun(turns: FetchQueue, now: float = 0.0) -> list[FetchTurn]:
    found = []
    while (turn := turns.next(now)) is not None:
        found.append(turn)
    return found


@pytest.mark.parametrize("each_user", [EACH_USER, PLACES], ids=["", "no_share_of_a_user"])
def test_one_user_leaves_places_for_another_whatever_he_sends(each_user: int) -> None:
    """The mutant is found: there all places are one user's."""
    turns = FetchQueue(each_user=each_user)
    for n in range(24):
        turns.ask(LinkSource(b"a", f"https://{n}.test"))
    assert len(begun(turns)) == each_user
    other = turns.ask(LinkSource(b"b", "https://other.test"))
    assert (begun(turns) == [other]) == (each_user == EACH_USER)


def test_slow_ones_go_behind_the_others_and_not_for_ever() -> None:
    turns = FetchQueue(places=1)
    slow, good = LinkSource(b"a", "https://slow.test"), LinkSource(b"a", "https://good.test")
    first = turns.ask(slow)
    assert begun(turns) == [first]
    early, late = turns.ask(slow), turns.ask(good)
    turns.end(first, SLOW_AFTER)
    assert begun(turns, SLOW_AFTER) == [late]
    behind = turns.ask(good)
    turns.end(late, SLOW_AFTER + 1)
    assert begun(turns, SLOW_AFTER + SLOW_FOR) == [early]  # it came first, and that counts again
    turns.end(early, SLOW_AFTER + SLOW_FOR)
    assert begun(turns, SLOW_AFTER + SLOW_FOR) == [behind]


@given(st.lists(st.integers(2, 6), min_size=2, max_size=6))
def test_users_are_served_in_turn(backlogs: list[int]) -> None:
    """However much each has waiting, nobody gets a second place before everybody has one."""
    turns = FetchQueue(places=len(backlogs))
    for user, backlog in enumerate(backlogs):
        for n in range(backlog):
            turns.ask(LinkSource(bytes([user]), f"https://{n}.test"))
    assert {turn.source.user for turn in begun(turns)} == {bytes([u]) for u in range(len(backlogs))}


class Model(RuleBasedStateMachine):
    """Whatever comes, goes or is given up: the bounds hold and no place is idle for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = FetchQueue()
        self.waiting: list[FetchTurn] = []
        self.running: list[FetchTurn] = []
        self.now = 0.0

    @rule(user=st.binary(min_size=1, max_size=1), origin=st.sampled_from("abc"))
    def ask(self, user: bytes, origin: str) -> None:
        self.waiting.append(self.turns.ask(LinkSource(user, origin)))

    @rule(data=st.data(), seconds=st.floats(0, 20))
    def end(self, data: st.DataObject, seconds: float) -> None:
        self.now += seconds
        turns = self.waiting + self.running
        if turns:
            turn = data.draw(st.sampled_from(turns))
            (self.running if turn in self.running else self.waiting).remove(turn)
            self.turns.end(turn, self.now)

    @invariant()
    def bounded_and_busy(self) -> None:
        for turn in begun(self.turns, self.now):
            assert turn is next(t for t in self.waiting if t.source == turn.source)
            self.waiting.remove(turn)
            self.running.append(turn)
        of_user = [turn.source.user for turn in self.running]
        of_source = [turn.source for turn in self.running]
        assert len(self.running) <= PLACES
        assert all(of_user.count(user) <= EACH_USER for user in of_user)
        assert all(of_source.count(source) <= EACH_ORIGIN for source in of_source)
        if len(self.running) < PLACES:
            assert all(
                of_user.count(turn.source.user) == EACH_USER
                or of_source.count(turn.source) == EACH_ORIGIN
                for turn in self.waiting
            )


TestModel = Model.TestCase
