"""Shard maps by the owners of their shards, and what owners make of them."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from warouter.cluster.shardmap import SIMULATOR, ShardMap, SlotOwner


def mapped(
    shards: int, *owners: UUID | None, moving: int = 0, upstream: str = SIMULATOR
) -> ShardMap:
    """A map whose shard s belongs to owners[s]; ``moving``: the mark of its even slots."""
    slots = tuple(
        SlotOwner(n, 1, owners[n & (shards - 1)], moving=moving * (n % 2 == 0)) for n in range(32)
    )
    return ShardMap(1, shards, slots, upstream)


def handed_over(current: ShardMap) -> ShardMap:
    """Every owner did as it was told."""
    slots = tuple(
        SlotOwner(s.slot, s.epoch + 1, s.successor) if s.successor is not None else s
        for s in current.slots
    )
    return replace(current, slots=slots)
