"""The shard map, and ``assign``, which decides the owner of each shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from warouter._hash import SHARD_COUNTS, SLOTS

TIMELINE_BITS = 32  # epochs and terms are timeline * 2^32 + n
MARKED, QUIET = 1, 2
SIMULATOR = "simulator"  # the upstream that knows a message by its id


class SlotOwner(msgspec.Struct, frozen=True):
    """One slot: its owner (None: nobody), the owner's epoch, and its successor.

    ``moving``: MARKED, the owner shall begin no request, as a successor is to be named; QUIET, it
    has said that none is out any more; else 0.
    """

    slot: int
    epoch: int
    owner: UUID | None = None
    successor: UUID | None = None
    moving: int = 0


class ShardMap(msgspec.Struct, frozen=True):
    """The shard count and the owner of each slot. ``slots[i].slot == i`` for all 32.

    ``upstream`` is the one that owners must be set to: SIMULATOR, or ``cloud:`` and a number's id.
    """

    version: int
    shards: int
    slots: tuple[SlotOwner, ...]
    upstream: str = SIMULATOR

    def __post_init__(self) -> None:
        if self.shards not in SHARD_COUNTS or len(self.slots) != SLOTS:
            raise ValueError("a shard map has 32 slots and 1, 2, 4, 8, 16 or 32 shards")

    def shard_of(self, slot: int) -> int:
        return slot & (self.shards - 1)

    @property
    def settled(self) -> bool:
        """True if every slot has an owner and none is moving."""
        return all(s.owner is not None and s.successor is None and not s.moving for s in self.slots)

    def shards_of(self, owner: UUID) -> list[int]:
        """The shards in which ``owner`` holds at least one slot, ascending."""
        return sorted({self.shard_of(s.slot) for s in self.slots if s.owner == owner})


def assign(
    shards: int, nodes: Sequence[UUID], owners: Mapping[int, UUID | None]
) -> tuple[UUID, ...]:
    """The owner that each shard should have: ``result[shard]``.

    ``nodes`` are the coreapps that may own, in order of preference; ``owners`` is who owns each
    slot now. Balanced (loads differ by at most one), sticky (nothing moves that need not),
    deterministic. With enough nodes each owns at most one shard; with fewer, several. An empty
    ``nodes`` gives an empty result.
    """
    if not nodes:
        return ()
    base, extra = divmod(shards, len(nodes))
    result: dict[int, UUID] = {}
    load: Counter[UUID] = Counter()

    def fits(node: UUID) -> bool:
        above = sum(1 for n in nodes if load[n] > base)
        return load[node] < base or (load[node] == base and above < extra)

    for shard, node in _claims(shards, nodes, owners):
        if shard not in result and fits(node):
            result[shard] = node
            load[node] += 1
    for shard in range(shards):
        if shard not in result:
            node = min((n for n in nodes if fits(n)), key=lambda n: (load[n], nodes.index(n)))
            result[shard] = node
            load[node] += 1
    return tuple(result[shard] for shard in range(shards))


def _claims(
    shards: int, nodes: Sequence[UUID], owners: Mapping[int, UUID | None]
) -> list[tuple[int, UUID]]:
    """(shard, node) for every owner of slots of the shard, most slots first."""
    rank = {node: i for i, node in enumerate(nodes)}
    held: Counter[tuple[int, UUID]] = Counter()
    for slot, owner in owners.items():
        if owner is not None and owner in rank:
            held[slot & (shards - 1), owner] += 1
    return sorted(held, key=lambda claim: (-held[claim], claim[0], rank[claim[1]]))
