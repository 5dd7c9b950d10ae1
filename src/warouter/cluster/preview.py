"""Previews what another number of shards would move, before anybody asks for it. Pure.

It is the leader's own plan, played to its end.

What a leader remembers and nobody else can know is left out: a coreapp whose name has died several
times lately is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from warouter.cluster.membership import Liveness, Member, Node
from warouter.cluster.plan import View, plan
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.cluster.trouble import JOURNAL, UPSTREAM

_STEPS = 8  # successors are named, they take over: more steps than any plan has
_SURE = 3600.0  # a successor that was named so long ago takes over by force


class SeenCoreapp(NamedTuple):
    """A coreapp as onlookers see it; ``alive`` is without doubt."""

    node: Node
    alive: bool


class Preview(NamedTuple):
    """``moves`` are (from, to, slots), in order of slots; nobody is None. ``spares`` own nothing
    afterwards, and could take over from one that dies.
    """

    shards: int
    moves: list[tuple[UUID | None, UUID | None, list[int]]]
    owners: Mapping[UUID, int]
    spares: list[UUID]

    @property
    def moving(self) -> int:
        """How many slots change their owner."""
        return sum(len(slots) for _, _, slots in self.moves)


def preview(current: ShardMap, coreapps: Sequence[SeenCoreapp], shards: int) -> Preview:
    """Play a change to ``shards`` to its end."""
    members = members_of(coreapps)
    target = msgspec.structs.replace(current, shards=shards)
    for _ in range(_STEPS):
        named = {s.slot: _SURE for s in target.slots if s.successor is not None}
        planned = plan(View(target, members, named, asked=True), 0.0)
        if planned is None:
            break
        target = handed_over(planned)
    owners: dict[UUID, int] = {}
    moves: dict[tuple[UUID | None, UUID | None], list[int]] = {}
    for was, then in zip(current.slots, target.slots, strict=True):
        if then.owner is not None:
            owners[then.owner] = owners.get(then.owner, 0) + 1
        if then.owner != was.owner:
            moves.setdefault((was.owner, then.owner), []).append(was.slot)
    spares = [
        inc
        for inc, m in sorted(members.items(), key=lambda item: item[1].node.name)
        if _may_own(m, current.upstream) and inc not in owners
    ]
    return Preview(shards, [(*who, slots) for who, slots in moves.items()], owners, spares)


def members_of(coreapps: Sequence[SeenCoreapp]) -> dict[UUID, Member]:
    """The coreapps as a leader that has looked for long judges them: what all of them lack is no
    trouble of any.
    """
    living = [seen.node for seen in coreapps if seen.alive]
    lacking = {
        UPSTREAM: {n.incarnation for n in living if not n.upstream_ok},
        JOURNAL: {n.incarnation for n in living if not n.journal_ok},
    }
    found: dict[UUID, Member] = {}
    for node, alive in coreapps:
        verdict = Liveness.HEALTHY if alive else Liveness.DEAD
        trouble = next(
            (
                kind
                for kind, bad in lacking.items()
                if node.incarnation in bad and len(bad) < len(living)
            ),
            "",
        )
        found[node.incarnation] = Member(
            node, verdict, 0.0, 0.0, joined=True, trouble=trouble, ailing=bool(trouble)
        )
    return found


def handed_over(current: ShardMap) -> ShardMap:
    """The map when every owner has done as it was told."""

    def after(s: SlotOwner) -> SlotOwner:
        return s if s.successor is None else SlotOwner(s.slot, s.epoch + 1, s.successor)

    return msgspec.structs.replace(current, slots=tuple(map(after, current.slots)))


def _may_own(member: Member, upstream: str) -> bool:
    node = member.node
    lives = member.verdict is not Liveness.DEAD and not node.leaving
    return lives and not member.trouble and node.upstream == upstream
