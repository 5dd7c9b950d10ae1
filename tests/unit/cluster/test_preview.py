"""The preview of another number of shards: what a leader then does, to the last slot."""

from __future__ import annotations

from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cluster.maps import mapped
from warouter._hash import SHARD_COUNTS
from warouter.cluster.membership import Node
from warouter.cluster.plan import View, plan, plan_request
from warouter.cluster.preview import SeenCoreapp, handed_over, members_of, preview
from warouter.cluster.shardmap import ShardMap

LEASE = 1.5
ALL = [UUID(int=n) for n in range(1, 9)]


def coreapp(
    inc: UUID, *, alive: bool = True, leaving: bool = False, well: bool = True
) -> SeenCoreapp:
    node = Node(inc, f"coreapp-{inc.int}", "coreapp", 1, leaving, upstream_ok=well)
    return SeenCoreapp(node, alive)


def test_two_to_four_with_a_spare_left() -> None:
    a, b, c, d, e = ALL[:5]
    found = preview(mapped(2, a, b), [coreapp(n) for n in (a, b, c, d, e)], 4)
    assert [(was, to, len(slots)) for was, to, slots in found.moves] == [(a, c, 8), (b, d, 8)]
    assert (found.moving, found.spares) == (16, [e])
    assert found.owners == dict.fromkeys((a, b, c, d), 8)


def test_with_too_few_coreapps_some_own_several() -> None:
    a, b, c = ALL[:3]
    found = preview(mapped(2, a, b), [coreapp(n) for n in (a, b, c)], 4)
    assert found.spares == []
    assert sorted(found.owners.values()) == [8, 8, 16]


def test_the_number_that_is_set_already_moves_nothing() -> None:
    a, b = ALL[:2]
    found = preview(mapped(2, a, b), [coreapp(n) for n in (a, b)], 2)
    assert (found.moves, found.spares) == ([], [])


@st.composite
def clusters(draw: st.DrawFn) -> tuple[ShardMap, list[SeenCoreapp]]:
    some = ALL[: draw(st.integers(1, 8))]
    coreapps = [
        coreapp(
            inc,
            alive=draw(st.integers(0, 5)) > 0,
            leaving=draw(st.integers(0, 7)) == 0,
            well=draw(st.integers(0, 7)) > 0,
        )
        for inc in some
    ]
    shards = draw(st.sampled_from(SHARD_COUNTS))
    owners = draw(st.lists(st.sampled_from([*some, None]), min_size=32, max_size=32))
    return mapped(shards, *owners), coreapps


@given(clusters(), st.sampled_from(SHARD_COUNTS))
def test_the_preview_is_what_the_leader_does(
    cluster: tuple[ShardMap, list[SeenCoreapp]], shards: int
) -> None:
    """The request is begun, every owner hands over, and the leader plans until nothing is left."""
    current, coreapps = cluster
    members = members_of(coreapps)
    found = preview(current, coreapps, shards)
    begun, begins = plan_request(View(current, members), shards, LEASE)
    assert begins
    reached = handed_over(msgspec.structs.replace(begun, shards=shards))
    for _ in range(20):
        planned = plan(View(reached, members), LEASE)
        if planned is None:
            break
        reached = handed_over(planned)
    moved = {
        was.slot: (was.owner, then.owner)
        for was, then in zip(current.slots, reached.slots, strict=True)
        if was.owner != then.owner
    }
    said = {slot: (was, to) for was, to, slots in found.moves for slot in slots}
    assert said == moved
    assert not set(found.spares) & {s.owner for s in reached.slots}
