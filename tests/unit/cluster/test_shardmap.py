"""assign(): balanced, sticky, deterministic; and the map's own rules."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter._hash import SHARD_COUNTS
from warouter.cluster.shardmap import ShardMap, SlotOwner, assign

NODES = [UUID(int=n) for n in range(1, 41)]
counts = st.sampled_from(SHARD_COUNTS)
some_nodes = st.lists(st.sampled_from(NODES), min_size=1, max_size=40, unique=True)
owners = st.dictionaries(st.integers(0, 31), st.none() | st.sampled_from(NODES))


def owners_of(shards: int, result: tuple[UUID, ...]) -> dict[int, UUID | None]:
    return {slot: result[slot & (shards - 1)] for slot in range(32)}


@given(counts, some_nodes, owners)
def test_every_shard_has_a_live_owner_and_loads_differ_by_one_at_most(
    shards: int, nodes: list[UUID], current: dict[int, UUID | None]
) -> None:
    result = assign(shards, nodes, current)
    assert len(result) == shards
    assert set(result) <= set(nodes)
    load = Counter(result)
    loads = [load[node] for node in nodes]
    assert max(loads) - min(loads) <= 1


@given(counts, some_nodes, owners)
def test_assigned_shards_stay(
    shards: int, nodes: list[UUID], current: dict[int, UUID | None]
) -> None:
    result = assign(shards, nodes, current)
    assert assign(shards, nodes, owners_of(shards, result)) == result


@given(counts, some_nodes, owners)
def test_a_dead_node_moves_only_its_own_shards_when_there_is_a_spare(
    shards: int, nodes: list[UUID], current: dict[int, UUID | None]
) -> None:
    result = assign(shards, nodes, current)
    spare = UUID(int=99)
    dead = result[0]
    left = [n for n in nodes if n != dead] + [spare]
    after = assign(shards, left, owners_of(shards, result))
    moved = [s for s in range(shards) if after[s] != result[s]]
    assert all(result[s] == dead for s in moved) or len(nodes) < shards


def test_doubling_the_shards_moves_half_of_the_slots() -> None:
    before = owners_of(2, assign(2, NODES[:2], {}))
    after = owners_of(4, assign(4, NODES[:4], before))
    assert sum(before[slot] != after[slot] for slot in range(32)) == 16


def test_without_a_live_coreapp_nothing_is_assigned() -> None:
    assert assign(4, [], {}) == ()


def test_a_map_of_another_shape_is_refused() -> None:
    slots = tuple(SlotOwner(n, 1) for n in range(32))
    with pytest.raises(ValueError, match="32 slots"):
        ShardMap(1, 3, slots)
    with pytest.raises(ValueError, match="32 slots"):
        ShardMap(1, 2, slots[:31])
