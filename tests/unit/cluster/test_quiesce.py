"""With the Cloud API a slot is quiet before its successor is named: tables, and every interrupted
step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.cluster import maps
from warouter._hash import SHARD_COUNTS
from warouter.cluster.membership import Liveness, Member, Node
from warouter.cluster.plan import (
    HANDOVER_LEASES,
    MovingMark,
    Planner,
    Succession,
    View,
    changes,
    marks,
    plan,
    plan_request,
)
from warouter.cluster.quiesce import QUIET_SECONDS, TROUBLED_SECONDS, to_be_quiet
from warouter.cluster.shardmap import MARKED, QUIET, SIMULATOR, ShardMap, SlotOwner

LEASE = 1.5
CLOUD, OTHER = "cloud:105", "cloud:106"
A, B, C = (UUID(int=n) for n in range(1, 4))
ALL = [UUID(int=n) for n in range(1, 7)]
EVEN = range(0, 32, 2)
mapped = partial(maps.mapped, upstream=CLOUD)


def member(inc: UUID, *, dead: bool = False, upstream: str = CLOUD, **fields: Any) -> Member:
    leaving = fields.pop("leaving", False)
    node = Node(inc, f"coreapp-{inc.int}", "coreapp", 1, leaving, upstream=upstream)
    verdict = Liveness.DEAD if dead else Liveness.HEALTHY
    return Member(node, verdict, 0.0, 10.0, fields.pop("joined", True), **fields)


def members(*some: UUID | Member) -> dict[UUID, Member]:
    judged = [m if isinstance(m, Member) else member(m) for m in some]
    return {m.node.incarnation: m for m in judged}


def planned_for(
    current: ShardMap, *some: UUID | Member, marked_for: float = 0.0
) -> ShardMap | None:
    ages = {s.slot: marked_for for s in current.slots if to_be_quiet(s)}
    return plan(View(current, members(*some), marked_age=ages), LEASE)


def written(
    current: ShardMap, planned: ShardMap | None
) -> tuple[set[MovingMark], set[int], set[int]]:
    """The marks that are written, and which slots are taken over and named."""
    takeovers, successions = changes(current, planned or current)
    moved = {t.slot for t in takeovers}, {s.slot for s in successions}
    return {*marks(current, planned or current)}, *moved


LEAVING = member(A, leaving=True)


@pytest.mark.parametrize(
    ("moving", "marked_for", "owner", "marked", "named"),
    [
        (0, 0.0, LEAVING, True, False),
        (MARKED, 0.0, LEAVING, False, False),
        (MARKED, QUIET_SECONDS - 0.1, LEAVING, False, False),
        (MARKED, QUIET_SECONDS, LEAVING, False, True),
        (QUIET, 0.0, LEAVING, False, True),
        (0, 0.0, member(A, trouble="upstream"), True, False),
        (MARKED, TROUBLED_SECONDS - 0.1, member(A, trouble="upstream"), False, False),
        (MARKED, TROUBLED_SECONDS, member(A, trouble="unreachable"), False, True),
        (MARKED, TROUBLED_SECONDS, LEAVING, False, False),
    ],
)
def test_a_successor_is_named_when_the_owner_is_quiet_or_has_had_its_time(
    moving: int, marked_for: float, owner: Member, marked: bool, named: bool
) -> None:
    current = mapped(2, A, B, moving=moving)
    planned = planned_for(current, owner, B, C, marked_for=marked_for)
    expected = {MovingMark(slot, 1, MARKED) for slot in EVEN} if marked else set()
    assert written(current, planned) == (expected, set(), set(EVEN) if named else set())


def test_with_the_simulator_nothing_waits() -> None:
    current = mapped(2, A, B, upstream=SIMULATOR)
    simulated = [member(n, upstream=SIMULATOR, leaving=n == A) for n in (A, B, C)]
    assert written(current, planned_for(current, *simulated)) == (set(), set(), set(EVEN))


@pytest.mark.parametrize("moving", [0, MARKED, QUIET])
def test_a_dead_owner_is_not_waited_for(moving: int) -> None:
    current = mapped(2, A, B, moving=moving)
    planned = planned_for(current, member(A, dead=True), B, C)
    assert planned is not None
    assert written(current, planned) == (set(), set(EVEN), set())
    assert not any(s.moving for s in planned.slots)


@pytest.mark.parametrize("moving", [MARKED, QUIET])
def test_a_mark_that_nobody_wants_any_more_is_taken_back(moving: int) -> None:
    current = mapped(2, A, B, moving=moving)
    planned = planned_for(current, A, B, C)
    assert planned is not None
    assert written(current, planned) == ({MovingMark(slot, 1, 0) for slot in EVEN}, set(), set())
    assert planned_for(planned, A, B, C) is None


def test_an_unwanted_mark_of_a_resting_slot_is_taken_back() -> None:
    current = mapped(2, B, B, moving=MARKED)
    view = View(current, members(B, C), moved=frozenset(range(32)))
    assert written(current, plan(view, LEASE))[0] == {MovingMark(slot, 1, 0) for slot in EVEN}


def test_a_move_that_was_named_ends_though_its_owner_never_became_quiet() -> None:
    named = SlotOwner(0, 1, A, B, MARKED)
    current = ShardMap(1, 1, (named, *mapped(1, A).slots[1:]), CLOUD)
    assert not to_be_quiet(named)
    view = View(current, members(LEAVING, B), {0: HANDOVER_LEASES * LEASE})
    planned = plan(view, LEASE)
    assert planned is not None
    assert planned.slots[0] == SlotOwner(0, 2, B)


# Which upstream


@pytest.mark.parametrize("theirs", [SIMULATOR, OTHER])
def test_a_coreapp_of_another_upstream_gets_no_slot(theirs: str) -> None:
    """Not even when there is nobody else."""
    current, stranger = mapped(2, A, None), member(C, upstream=theirs)
    assert written(current, planned_for(current, A, stranger)) == (set(), {*range(1, 32, 2)}, set())
    only = mapped(1, None)
    assert planned_for(only, stranger) is None
    assert (
        planned_for(mapped(2, A, B), member(A, dead=True), member(B, dead=True), stranger) is None
    )


def test_an_owner_of_another_upstream_is_relieved() -> None:
    current = mapped(2, A, B, moving=QUIET)
    planned = planned_for(current, member(A, upstream=SIMULATOR), B, C)
    assert written(current, planned) == (set(), set(), set(EVEN))


def test_a_planner_that_remembers_sees_another_upstream() -> None:
    planner, current = Planner(LEASE), mapped(1, A)
    assert planner.plan(View(current, members(A))) is None
    switched = replace(current, upstream=OTHER)
    assert planner.plan(View(switched, members(A))) is None
    theirs = View(switched, members(A, member(B, upstream=OTHER)))
    assert planner.plan(theirs) == plan(theirs, LEASE) is not None


def test_a_planner_that_remembers_sees_time_pass() -> None:
    planner, current = Planner(LEASE), mapped(2, A, B, moving=MARKED)

    def planned(marked_for: float) -> ShardMap | None:
        ages = dict.fromkeys(EVEN, marked_for)
        return planner.plan(View(current, members(LEAVING, B, C), marked_age=ages))

    assert planned(1.0) is None
    assert planned(QUIET_SECONDS) is not None


# Setting shards


def asked(
    current: ShardMap, shards: int, *some: UUID | Member, marked_for: float = 0.0
) -> tuple[ShardMap, bool]:
    ages = {s.slot: marked_for for s in current.slots if to_be_quiet(s)}
    return plan_request(View(current, members(*some), marked_age=ages), shards, LEASE)


def with_moving(current: ShardMap, moving: Mapping[int, int]) -> ShardMap:
    slots = tuple(replace(s, moving=moving.get(s.slot, s.moving)) for s in current.slots)
    return replace(current, slots=slots)


MOVE = range(1, 32, 2)  # from one shard at A to two


def test_shards_are_set_when_all_that_moves_is_quiet_and_all_at_once() -> None:
    current = mapped(1, A)
    first, begins = asked(current, 2, A, B)
    assert (first.shards, begins) == (1, False)
    assert written(current, first) == ({MovingMark(slot, 1, MARKED) for slot in MOVE}, set(), set())
    waiting = with_moving(first, dict.fromkeys([*MOVE][1:], QUIET))
    assert asked(waiting, 2, A, B) == (waiting, False)
    last, begins = asked(with_moving(waiting, {1: QUIET}), 2, A, B)
    assert (last.shards, begins) == (2, True)
    assert {s.slot for s in changes(waiting, last)[1]} == {*MOVE}


def test_shards_are_set_at_last_though_an_owner_does_not_become_quiet() -> None:
    current = with_moving(mapped(1, A), dict.fromkeys(MOVE, MARKED))
    assert asked(current, 2, A, B, marked_for=QUIET_SECONDS)[1]


def test_with_the_simulator_shards_are_set_at_once() -> None:
    both = [member(n, upstream=SIMULATOR) for n in (A, B)]
    planned, begins = asked(mapped(1, A, upstream=SIMULATOR), 2, *both)
    assert (begins, len([s for s in planned.slots if s.successor == B])) == (True, 16)


def test_while_shards_wait_the_dead_are_replaced_and_who_is_in_trouble_relieved() -> None:
    """And nothing else moves: not for the present count, which is about to end."""
    move = (*EVEN, *range(3, 32, 4))
    marked = with_moving(mapped(2, A, B), dict.fromkeys(move, MARKED))
    others = (B, *ALL[2:5])  # one for each shard
    planned, begins = asked(marked, 4, member(A, dead=True), *others)
    assert not begins
    assert written(marked, planned) == (set(), {*EVEN}, set())
    troubled = member(A, trouble="upstream")
    planned, begins = asked(marked, 4, troubled, *others, marked_for=TROUBLED_SECONDS)
    assert not begins
    assert written(marked, planned)[1:] == (set(), {*EVEN})
    planned, begins = asked(marked, 4, LEAVING, *others)
    assert (begins, written(marked, planned)[1:]) == (False, (set(), set()))


def test_a_request_that_nobody_waits_for_any_more_leaves_no_mark() -> None:
    waiting, _ = asked(mapped(1, A), 2, A, member(B, joined=False))
    ends = planned_for(waiting, A, member(B, joined=False))
    assert ends is not None
    assert not any(s.moving for s in ends.slots)


# Every interrupted step


def said_quiet(current: ShardMap, which: Callable[[int], bool]) -> ShardMap:
    """Owners have said of these slots that no request is out."""
    quiet = {s.slot: QUIET for s in current.slots if to_be_quiet(s) and which(s.slot)}
    return with_moving(current, quiet)


def stepped(current: ShardMap, planned: ShardMap, steps: int) -> ShardMap:
    """What the database holds after the first ``steps`` slots of a change were written."""
    slots = (*planned.slots[:steps], *current.slots[steps:])
    return replace(current, slots=slots)


def converge(current: ShardMap, someone: Mapping[UUID, Member]) -> ShardMap:
    for _ in range(30):
        planned = plan(View(current, someone), LEASE)
        after = maps.handed_over(said_quiet(planned or current, lambda _: True))
        if planned is None and after == current:
            return current
        current = after
    raise AssertionError("no fixed point")


shard_counts = st.sampled_from(SHARD_COUNTS)
living = st.lists(st.sampled_from(ALL), min_size=1, max_size=6, unique=True)
quiet_slots = st.sets(st.integers(0, 31))


def settled(shards: int, nodes: list[UUID]) -> ShardMap:
    return converge(mapped(shards, *[None] * shards), members(*nodes))


@settings(max_examples=60)
@given(shard_counts, living, living, st.sets(st.sampled_from(ALL)))
@example(8, [ALL[0], ALL[4]], ALL[:4], set())  # owners differ
def test_moves_come_to_an_end_as_good_as_with_the_simulator(
    shards: int, nodes: list[UUID], later: list[UUID], leaving: set[UUID]
) -> None:
    ends = []
    for upstream in (CLOUD, SIMULATOR):
        someone = members(*(member(n, upstream=upstream, leaving=n in leaving) for n in later))
        gone = members(*(member(n, dead=True) for n in nodes if n not in later))
        start = replace(settled(shards, nodes), upstream=upstream)
        end = converge(start, gone | someone)
        assert end.settled
        ends.append([s.owner for s in end.slots])
    # Who waits until it is quiet may find another one free: as many each, if not the same ones.
    assert sorted(Counter(ends[0]).values()) == sorted(Counter(ends[1]).values())


@settings(max_examples=60)
@given(shard_counts, living, living, quiet_slots, st.integers(0, 32), st.integers(0, 32))
def test_a_new_leader_goes_on_after_every_interrupted_step(
    shards: int, nodes: list[UUID], later: list[UUID], quiet: set[int], first: int, second: int
) -> None:
    """Marks half written, some owners quiet, successors half named."""
    someone = members(*(member(n, leaving=n not in later) for n in nodes), *later)
    current = settled(shards, nodes)
    for steps in (first, second):
        planned = plan(View(current, someone), LEASE)
        current = said_quiet(stepped(current, planned or current, steps), quiet.__contains__)
    end = converge(current, someone)
    assert end.settled
    assert {s.owner for s in end.slots} <= {*later}
    loads = [len(end.shards_of(n)) for n in later]
    assert max(loads) - min(loads) <= 1
    assert sum(loads) == shards  # no shard has two owners


@settings(max_examples=60)
@given(shard_counts, living, living, quiet_slots)
def test_no_successor_is_named_while_a_living_owner_may_have_requests_out(
    shards: int, nodes: list[UUID], later: list[UUID], quiet: set[int]
) -> None:
    someone = members(*(member(n, leaving=n not in later) for n in nodes), *later)
    current = settled(shards, nodes)
    for _ in range(4):
        planned = plan(View(current, someone), LEASE) or current
        for was, then in zip(current.slots, planned.slots, strict=True):
            assert then.successor is None or was.moving == QUIET
            assert then.epoch == was.epoch
        current = said_quiet(planned, quiet.__contains__)


@settings(max_examples=60)
@given(shard_counts, shard_counts, living, quiet_slots, st.integers(0, 32), st.booleans())
def test_setting_shards_goes_on_after_every_interrupted_step(
    before: int, after: int, nodes: list[UUID], quiet: set[int], steps: int, gives_up: bool
) -> None:
    """Another leader begins it, or whoever asked has given up: then every mark goes."""
    someone = members(*nodes)
    start = settled(before, nodes)
    planned, begins = plan_request(View(start, someone), after, LEASE)
    current = start if begins else stepped(start, planned, steps)
    current = said_quiet(current, quiet.__contains__)
    if gives_up:
        assert [s.owner for s in converge(current, someone).slots] == [s.owner for s in start.slots]
        assert converge(current, someone).settled
        return
    for _ in range(4):
        planned, begins = plan_request(View(current, someone), after, LEASE)
        if begins:
            break
        current = said_quiet(planned, lambda _: True)
    assert begins
    straight = converge(replace(start, shards=after), someone)
    assert [s.owner for s in converge(planned, someone).slots] == [s.owner for s in straight.slots]


def test_a_move_says_why_though_it_had_to_wait() -> None:
    current = mapped(2, A, B, moving=QUIET)
    someone = members(member(A, trouble="unreachable"), B, C)
    planned = plan(View(current, someone), LEASE)
    assert planned is not None
    successions = changes(current, planned, someone)[1]
    assert successions == [Succession(slot, 1, C, "unreachable") for slot in EVEN]
