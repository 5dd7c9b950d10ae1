"""plan(): tables of what a leader does, and every interrupted step of a change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cluster.maps import handed_over, mapped
from warouter._hash import SHARD_COUNTS
from warouter.cluster.membership import Liveness, Member, Node
from warouter.cluster.plan import (
    HANDOVER_LEASES,
    Planner,
    Succession,
    Takeover,
    View,
    changes,
    onto_timeline,
    plan,
)
from warouter.cluster.shardmap import ShardMap, SlotOwner

LEASE = 1.5
A, B, C, D = (UUID(int=n) for n in range(1, 5))
ALL = [UUID(int=n) for n in range(1, 9)]


def member(
    inc: UUID,
    verdict: Liveness = Liveness.HEALTHY,
    *,
    joined: bool = True,
    leaving: bool = False,
    trusted: bool = True,
    trouble: str = "",
    ailing: bool = False,
) -> Member:
    node = Node(inc, f"coreapp-{inc.int}", "coreapp", 1, leaving)
    return Member(node, verdict, 0.0, 10.0, joined, trusted, trouble, ailing or bool(trouble))


def members(*some: UUID | Member) -> dict[UUID, Member]:
    judged = [m if isinstance(m, Member) else member(m) for m in some]
    return {m.node.incarnation: m for m in judged}


def apply(current: ShardMap, planned: ShardMap, steps: int | None = None) -> ShardMap:
    """What the database holds after the first ``steps`` slots of a change were written."""
    left = () if steps is None else current.slots[steps:]
    return ShardMap(planned.version, planned.shards, (*planned.slots[:steps], *left))


def converge(view: View) -> ShardMap:
    current = view.map
    for _ in range(20):
        planned = plan(View(current, view.members), LEASE)
        if planned is None:
            return current
        current = handed_over(apply(current, planned))
    raise AssertionError("no fixed point")


def planned_for(current: ShardMap, *some: UUID | Member) -> ShardMap:
    """The next map, which is another one."""
    planned = plan(View(current, members(*some)), LEASE)
    assert planned is not None
    return planned


def owners(current: ShardMap, slots: Iterable[int] = range(32)) -> set[UUID | None]:
    return {current.slots[n].owner for n in slots}


@pytest.mark.parametrize(
    "some",
    [
        [member(A, Liveness.DEAD)],
        [member(A, Liveness.SUSPECT), B, C],
        [member(A, ailing=True), B, C],
        [member(n, trouble="upstream") for n in (A, B, C)],
    ],
    ids=["nobody lives", "one is suspect", "one may come into trouble", "all are in trouble"],
)
def test_every_slot_stays(some: list[UUID | Member]) -> None:
    assert plan(View(mapped(2, A, B), members(*some)), LEASE) is None


def test_a_dead_owner_is_replaced_by_the_spare_under_new_epochs() -> None:
    current = mapped(2, A, B)
    planned = planned_for(current, member(A, Liveness.DEAD), B, C)
    takeovers, successions = changes(current, planned)
    assert [t.slot for t in takeovers] == list(range(0, 32, 2))
    assert {(t.to, t.old, t.reason) for t in takeovers} == {(C, A, "dead")}
    assert successions == []
    assert all(planned.slots[n].epoch == 2 for n in range(0, 32, 2))


def test_a_coreapp_that_joined_relieves_one_that_is_doubled_up() -> None:
    current = mapped(2, B, B)
    _, successions = changes(current, planned_for(current, B, C))
    assert [s.to for s in successions] == [C] * 16


@pytest.mark.parametrize("trusted", [True, False], ids=["", "keeps_crashing"])
def test_one_that_has_not_joined_yet_is_given_shards_when_asked_if_trusted(trusted: bool) -> None:
    view = View(mapped(2, B, B), members(B, member(C, joined=False, trusted=trusted)))
    assert plan(view, LEASE) is None
    assert (plan(msgspec.structs.replace(view, asked=True), LEASE) is not None) == trusted


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"leaving": True}, "handover"),
        ({"trouble": "unreachable"}, "unreachable"),
        ({"trouble": "upstream"}, "upstream"),
    ],
)
def test_an_owner_that_leaves_or_is_in_trouble_is_relieved_and_the_move_says_why(
    fields: Any, reason: str
) -> None:
    current, someone = mapped(2, A, B), members(member(A, **fields), B, C)
    planned = plan(View(current, someone), LEASE)
    assert planned is not None
    takeovers, successions = changes(current, planned, someone)
    assert takeovers == []
    assert successions == [Succession(slot, 1, C, reason) for slot in range(0, 32, 2)]


@pytest.mark.parametrize("spare", [member(C, trouble="unreachable"), member(C, ailing=True)])
def test_a_coreapp_in_trouble_is_no_heir(spare: Member) -> None:
    current = mapped(2, A, B)
    planned = planned_for(current, member(A, trouble="upstream"), B, spare)
    assert {s.to for s in changes(current, planned)[1]} == {B}


def test_a_slot_that_left_an_owner_in_trouble_rests_for_a_minute() -> None:
    """Neither the next trouble nor a coreapp that joined moves it; a death, or who leaves, does."""
    current, moved = mapped(2, B, B), frozenset(range(0, 32, 2))
    for troubled in (member(B, trouble="upstream"), member(B)):
        view = View(current, members(troubled, C), moved=moved)
        planned = plan(view, LEASE)
        named = {s.slot for s in planned.slots if s.successor == C} if planned else set()
        assert not named & moved
        later = plan(msgspec.structs.replace(view, moved=frozenset()), LEASE)
        assert later is not None
        assert any(s.successor == C for s in later.slots)
    for gone in (member(B, Liveness.DEAD, trouble="upstream"), member(B, leaving=True)):
        planned = plan(View(current, members(gone, C), moved=moved), LEASE)
        assert planned is not None
        assert all(C in (s.owner, s.successor) for s in planned.slots)


def test_a_shard_request_is_not_held_up() -> None:
    view = View(mapped(2, B, B), members(B, C), asked=True, moved=frozenset(range(32)))
    assert plan(view, LEASE) is not None


MOVING = ShardMap(2, 1, tuple(SlotOwner(n, 1, A, B) for n in range(32)))


def test_a_successor_that_is_due_is_waited_for_and_then_takes_over_by_force() -> None:
    someone = members(member(A, leaving=True), B)
    assert plan(View(MOVING, someone, {0: 4.4}), LEASE) is None
    late = plan(View(MOVING, someone, {0: 4.5}), LEASE)
    assert late is not None
    assert (late.slots[0].owner, late.slots[0].epoch) == (B, 2)
    assert changes(MOVING, late)[0][0].reason == "overdue"


def test_an_owner_in_trouble_has_one_lease_to_hand_over() -> None:
    someone = members(member(A, trouble="journal"), B)
    assert plan(View(MOVING, someone, {0: 1.4}), LEASE) is None
    assert plan(View(MOVING, someone, {0: 1.5}), LEASE) is not None


def test_when_the_successor_dies_the_owner_starts_again_under_a_new_epoch() -> None:
    planned = planned_for(MOVING, A, member(B, Liveness.DEAD))
    assert planned.slots[0] == SlotOwner(0, 2, A)
    assert changes(MOVING, planned)[0][0].reason == "successor-died"


def test_when_both_die_a_third_takes_over() -> None:
    dead = [member(n, Liveness.DEAD) for n in (A, B)]
    assert owners(planned_for(MOVING, *dead, C)) == {C}


shard_counts = st.sampled_from(SHARD_COUNTS)
living = st.lists(st.sampled_from(ALL), min_size=1, max_size=8, unique=True)


@settings(max_examples=60)
@given(shard_counts, shard_counts, living, living)
def test_every_change_converges_to_a_fixed_point_that_is_balanced(
    before: int, after: int, nodes: list[UUID], later: list[UUID]
) -> None:
    start = converge(View(mapped(before, *[None] * before), members(*nodes)))
    changed = ShardMap(start.version, after, start.slots)
    gone = [member(n, Liveness.DEAD) for n in nodes if n not in later]
    end = converge(View(changed, members(*gone, *later)))
    assert end.settled
    assert owners(end) <= set(later)
    shards = [len(end.shards_of(n)) for n in later]
    assert max(shards) - min(shards) <= 1
    for shard in range(after):
        assert len(owners(end, range(shard, 32, after))) == 1


@settings(max_examples=60)
@given(shard_counts, shard_counts, living, st.integers(0, 32))
def test_an_interrupted_change_ends_in_the_same_map(
    before: int, after: int, nodes: list[UUID], steps: int
) -> None:
    """A leader may die after any number of its writes; the next one plans from what is there."""
    start = converge(View(mapped(before, *[None] * before), members(*nodes)))
    changed = ShardMap(start.version, after, start.slots)
    view = View(changed, members(*nodes))
    planned = plan(view, LEASE)
    if planned is None:
        return
    straight = converge(View(handed_over(apply(changed, planned)), view.members))
    interrupted = converge(View(handed_over(apply(changed, planned, steps)), view.members))
    assert [s.owner for s in interrupted.slots] == [s.owner for s in straight.slots]


@given(shard_counts, living, st.sets(st.sampled_from(ALL)), st.sets(st.integers(0, 31)))
def test_trouble_never_takes_a_slot_to_one_in_trouble_nor_a_resting_one_anywhere(
    shards: int, nodes: list[UUID], troubled: set[UUID], moved: set[int]
) -> None:
    start = converge(View(mapped(shards, *[None] * shards), members(*nodes)))
    judged = members(*(member(n, trouble="upstream" if n in troubled else "") for n in nodes))
    planned = plan(View(start, judged, moved=moved), LEASE)
    for was, then in zip(start.slots, (planned or start).slots, strict=True):
        assert then.owner == was.owner
        assert then.successor is None or then.successor not in troubled
        assert then.successor is None or was.slot not in moved
    if planned is not None:
        assert plan(View(planned, judged, moved=moved), LEASE) is None  # one move at a time


drawn_members = st.lists(
    st.builds(
        member,
        st.sampled_from([A, B, C]),
        st.sampled_from(Liveness),
        joined=st.booleans(),
        leaving=st.booleans(),
        trusted=st.booleans(),
        trouble=st.sampled_from(("", "upstream")),
        ailing=st.booleans(),
    ),
    max_size=3,
)


@given(st.sampled_from((1, 2)), st.lists(drawn_members, min_size=2, max_size=12), st.booleans())
def test_a_planner_that_remembers_idle_views_plans_the_same(
    shards: int, seen: list[list[Member]], follows: bool
) -> None:
    planner = Planner(LEASE)
    current = mapped(shards, A, B)
    for found in seen:
        for _ in range(2):
            view = View(current, members(*found))
            planned = planner.plan(view)
            assert planned == plan(view, LEASE)
            if planned is not None and follows:
                current = handed_over(apply(current, planned))


def test_an_overdue_move_is_planned_without_other_changes() -> None:
    planner, current = Planner(LEASE), mapped(1, A)
    named = msgspec.structs.replace(
        current,
        slots=tuple(msgspec.structs.replace(s, successor=B) for s in current.slots),
    )
    both = members(A, B)
    assert planner.plan(View(named, both, dict.fromkeys(range(32), 0.1))) is None
    late = dict.fromkeys(range(32), LEASE * HANDOVER_LEASES)
    assert planner.plan(View(named, both, late)) is not None


@given(shard_counts, living, living)
def test_an_epoch_is_raised_with_every_change_of_owner(
    shards: int, nodes: list[UUID], later: list[UUID]
) -> None:
    start = converge(View(mapped(shards, *[None] * shards), members(*nodes)))
    gone = [member(n, Liveness.DEAD) for n in nodes if n not in later]
    planned = plan(View(start, members(*gone, *later)), LEASE)
    for was, then in zip(start.slots, (planned or start).slots, strict=True):
        assert then.epoch == was.epoch + (then.owner != was.owner)


def test_the_owner_of_a_slot_of_an_earlier_timeline_goes_on_under_a_new_epoch() -> None:
    new = (2 << 32) + 7
    slots = (SlotOwner(0, 5, A, successor=B), SlotOwner(1, new, A), SlotOwner(2, 5))
    some = msgspec.structs.replace(mapped(1, A), slots=(*slots, *mapped(1, None).slots[3:]))
    assert onto_timeline(some, 2) == [Takeover(0, 5, A, A, "timeline")]
    assert onto_timeline(some, 0) == []
